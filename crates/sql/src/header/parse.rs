//! Header lines to `key=value` pairs with their places.

use crate::diagnostic::Diagnostic;
use crate::header::Header;
use crate::header::settings::{Pair, apply};
use crate::position::Source;

/// Collects the header lines of one file.
#[derive(Default)]
pub(crate) struct Settings {
    header: Header,
    seen: Vec<&'static str>,
    requires_at: Option<usize>,
    pending_allow: Option<(usize, String)>,
    problems: Vec<Diagnostic>,
}

impl Settings {
    /// Reads the settings of one header line, `text[at..end]` of the file.
    pub(crate) fn line(&mut self, source: &Source<'_>, at: usize, end: usize) {
        let mut at = at;
        let mut found = false;
        while let Some(start) = skip_blanks(source.text, at, end) {
            found = true;
            match pair(source, start, end) {
                Ok((pair, next)) => {
                    self.apply(source, &pair);
                    at = next;
                }
                Err(problem) => {
                    self.problems.push(problem);
                    return;
                }
            }
        }
        if !found {
            self.problems.push(
                source
                    .diagnostic(end, "a header line without settings")
                    .hint("write `-- sanderling: key=value`, or remove the line"),
            );
        }
        self.close_allow(source);
    }

    fn apply(&mut self, source: &Source<'_>, pair: &Pair<'_>) {
        if pair.key != "reason" {
            self.close_allow(source);
        }
        let outcome = apply(
            &mut self.header,
            &mut self.seen,
            &mut self.pending_allow,
            pair,
        );
        if let Err(refusal) = outcome {
            let at = if refusal.of_value {
                pair.value_at
            } else {
                pair.at
            };
            self.problems
                .push(source.diagnostic(at, refusal.message).hint(refusal.hint));
        } else if pair.key == "requires" {
            self.requires_at = Some(pair.value_at);
        }
    }

    /// An `allow` has to be followed by its reason on the same line.
    fn close_allow(&mut self, source: &Source<'_>) {
        if let Some((at, rule)) = self.pending_allow.take() {
            self.problems.push(
                source
                    .diagnostic(at, format!("`allow={rule}` gives no reason"))
                    .hint(format!(
                        "write `allow={rule} reason=\"why it is all right here\"`"
                    )),
            );
        }
    }

    /// The header and the byte of what it requires, or what is wrong with it.
    pub(crate) fn finish(self) -> Result<(Header, Option<usize>), Vec<Diagnostic>> {
        if self.problems.is_empty() {
            Ok((self.header, self.requires_at))
        } else {
            Err(self.problems)
        }
    }
}

fn skip_blanks(text: &str, at: usize, end: usize) -> Option<usize> {
    let rest = text[at..end].trim_start();
    (!rest.is_empty()).then_some(end - rest.len())
}

/// Reads `key=value` or `key="value"` at `start`. Returns it and where the next may begin.
fn pair<'a>(
    source: &Source<'a>,
    start: usize,
    end: usize,
) -> Result<(Pair<'a>, usize), Diagnostic> {
    let line = &source.text[start..end];
    let word = line.split_whitespace().next().unwrap_or(line);
    let Some(equals) = word.find('=') else {
        return Err(source
            .diagnostic(start, format!("`{word}` is not of the form key=value"))
            .hint("put a value with spaces in double quotes: key=\"some words\""));
    };
    let value_at = start + equals + 1;
    let rest = &source.text[value_at..end];
    let (value, next) = if let Some(quoted) = rest.strip_prefix('"') {
        let Some(length) = quoted.find('"') else {
            return Err(source
                .diagnostic(value_at, "a quoted value that never ends")
                .hint("close it with a double quote on the same line"));
        };
        (&quoted[..length], value_at + length + 2)
    } else {
        let length = word.len() - equals - 1;
        (&rest[..length], value_at + length)
    };
    if value.is_empty() {
        return Err(source
            .diagnostic(start, format!("`{word}` has no value"))
            .hint("give it one, or remove it"));
    }
    let pair = Pair {
        key: &word[..equals],
        value,
        at: start,
        value_at,
    };
    Ok((pair, next))
}
