//! A file as one dialect reads it: where its sections are. Lexing comes first, so that a directive inside a string,
//! a comment or a function body is text.

use std::ops::Range;

use crate::diagnostic::Diagnostic;
use crate::directive::{Directive, Meaning, foreign, meaning};
use crate::header::{Header, Settings};
use crate::lex::{Kind, Token, lex};
use crate::migration::Dialect;
use crate::position::Source;
use crate::split;

/// The sections of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Reading {
    pub(crate) header: Header,
    /// Byte of the value of `requires` in the header.
    pub(crate) requires_at: Option<usize>,
    pub(crate) up: Section,
    pub(crate) down: Option<Section>,
}

/// What stands between a directive and the next section.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Section {
    /// Byte of the directive that opens it.
    pub(crate) at: usize,
    pub(crate) segments: Vec<Segment>,
}

/// A stretch of SQL without directives.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Segment {
    pub(crate) range: Range<usize>,
    /// Whether its author framed it by StatementBegin and StatementEnd.
    pub(crate) framed: bool,
}

/// Finds the sections of a file.
pub(crate) fn read(source: &Source<'_>, dialect: Dialect) -> Result<Reading, Vec<Diagnostic>> {
    let lexed = lex(dialect, source.text, 0..source.text.len());
    let mut reader = Reader {
        source,
        tokens: &lexed.tokens,
        settings: Settings::default(),
        up: None,
        down: None,
        open: None,
        frame: None,
        problems: Vec::new(),
        stray: None,
        mistaken: false,
        foreign: None,
    };
    for token in &lexed.tokens {
        reader.token(*token);
    }
    if let Some(unclosed) = lexed.unclosed {
        let problem = split::copy_before(source, dialect, unclosed.at).unwrap_or_else(|| {
            source
                .diagnostic(unclosed.at, format!("a {} that never ends", unclosed.what))
                .hint("close it; everything after it was read as part of it")
        });
        reader.problems.push(problem);
        return Err(reader.problems);
    }
    reader.finish()
}

fn unicode_name(character: char) -> &'static str {
    match character {
        '\u{feff}' => "byte order mark (U+FEFF)",
        _ => "vertical tab (U+000B)",
    }
}

struct Reader<'s, 'a> {
    source: &'s Source<'a>,
    tokens: &'s [Token],
    settings: Settings,
    up: Option<Section>,
    down: Option<Section>,
    /// The section being read, and whether it is Down.
    open: Option<(Section, bool)>,
    /// Byte of an open StatementBegin.
    frame: Option<usize>,
    problems: Vec<Diagnostic>,
    /// The first SQL before any section.
    stray: Option<usize>,
    /// Whether something was nearly a directive: then a section may be missed only because of that.
    mistaken: bool,
    foreign: Option<&'static str>,
}

impl Reader<'_, '_> {
    fn token(&mut self, token: Token) {
        let text = self.source.text;
        if let Some((at, character)) = token.unseen(text) {
            self.problem(
                at,
                format!("an invisible {} outside quotes", unicode_name(character)),
                "remove it, or write a space: databases disagree on what it separates",
            );
        }
        if token.kind == Kind::LineComment {
            let comment = token.text(text);
            let at_line_start = token.start == 0 || text.as_bytes()[token.start - 1] == b'\n';
            match meaning(comment, at_line_start) {
                Meaning::Prose => self.foreign = self.foreign.or(foreign(comment)),
                Meaning::Directive(directive) => self.directive(directive, token),
                Meaning::Header(offset) => self.header(token, offset),
                Meaning::Mistake(message, hint) => {
                    self.mistaken = true;
                    self.problem(token.start, message, hint);
                }
            }
        } else if !token.kind.is_trivia() && self.open.is_none() {
            self.stray.get_or_insert(token.start);
        }
    }

    fn problem(&mut self, at: usize, message: impl Into<String>, hint: impl Into<String>) {
        self.problems
            .push(self.source.diagnostic(at, message).hint(hint));
    }

    fn header(&mut self, token: Token, offset: usize) {
        if self.open.is_some() {
            self.problem(
                token.start,
                "a header line after the first section has begun",
                "move it before `-- +migrate Up`: it holds for the whole file",
            );
        } else {
            self.settings
                .line(self.source, token.start + offset, token.end);
        }
    }

    fn directive(&mut self, directive: Directive, token: Token) {
        let at = token.start;
        let after = (token.end + 1).min(self.source.text.len());
        match directive {
            Directive::Up | Directive::Down => {
                self.end_section(at);
                self.begin_section(directive == Directive::Down, at, after);
            }
            Directive::StatementBegin | Directive::StatementEnd if self.open.is_none() => {
                self.problem(
                    at,
                    "a statement is framed before any section has begun",
                    "put `-- +migrate Up` in front of it",
                );
            }
            Directive::StatementBegin => {
                if self.frame.is_some() {
                    self.problem(
                        at,
                        "StatementBegin inside another one",
                        "end the one before with `-- +migrate StatementEnd`",
                    );
                }
                self.end_segment(at);
                self.begin_segment(after, true);
                self.frame = Some(at);
            }
            Directive::StatementEnd => {
                if self.frame.take().is_none() {
                    self.problem(
                        at,
                        "StatementEnd without StatementBegin",
                        "put `-- +migrate StatementBegin` before the statement, or remove this line",
                    );
                }
                self.end_segment(at);
                self.begin_segment(after, false);
            }
        }
    }

    fn begin_section(&mut self, is_down: bool, at: usize, after: usize) {
        let name = if is_down { "Down" } else { "Up" };
        let before = if is_down { &self.down } else { &self.up };
        if let Some(before) = before {
            let line = self.source.position(before.at).0;
            self.problem(
                at,
                format!("a second {name} section; the first is on line {line}"),
                "join the two, or make the second a migration of its own",
            );
        } else if is_down && self.up.is_none() {
            self.problem(
                at,
                "the Down section stands before Up",
                "put `-- +migrate Up` and its statements first",
            );
        }
        self.open = Some((
            Section {
                at,
                segments: Vec::new(),
            },
            is_down,
        ));
        self.begin_segment(after, false);
    }

    fn end_section(&mut self, end: usize) {
        if let Some(at) = self.frame.take() {
            self.problem(
                at,
                "StatementBegin without StatementEnd",
                "put `-- +migrate StatementEnd` after the statement",
            );
        }
        self.end_segment(end);
        if let Some((section, is_down)) = self.open.take() {
            let place = if is_down {
                &mut self.down
            } else {
                &mut self.up
            };
            place.get_or_insert(section);
        }
    }

    fn begin_segment(&mut self, start: usize, framed: bool) {
        if let Some((section, _)) = &mut self.open {
            section.segments.push(Segment {
                range: start..start,
                framed,
            });
        }
    }

    fn end_segment(&mut self, end: usize) {
        if let Some(segment) = self
            .open
            .as_mut()
            .and_then(|(section, _)| section.segments.last_mut())
        {
            segment.range.end = end.max(segment.range.start);
        }
    }

    fn finish(mut self) -> Result<Reading, Vec<Diagnostic>> {
        self.end_section(self.source.text.len());
        let header = std::mem::take(&mut self.settings).finish();
        let (header, requires_at) = header.unwrap_or_else(|problems| {
            self.problems.extend(problems);
            Default::default()
        });
        if let Some(up) = self.up.take() {
            self.check(&header, &up);
            if self.problems.is_empty() {
                return Ok(Reading {
                    header,
                    requires_at,
                    up,
                    down: self.down,
                });
            }
        } else if !self.mistaken {
            self.missing_up();
        }
        self.problems.sort();
        Err(self.problems)
    }

    fn check(&mut self, header: &Header, up: &Section) {
        if let Some(at) = self.stray {
            self.problem(
                at,
                "SQL before the first directive would never run",
                "move it below `-- +migrate Up`",
            );
        }
        if self.is_empty(up) {
            self.problem(
                up.at,
                "the Up section holds no statement",
                "write one, or delete the file: an empty migration would be recorded as applied",
            );
        }
        let undoes = self.down.as_ref().filter(|down| !self.is_empty(down));
        if let (Some(_), Some(down)) = (&header.irreversible, undoes) {
            self.problem(
                down.at,
                "the header says `irreversible`, yet there is a Down section",
                "remove one of the two",
            );
        }
    }

    fn missing_up(&mut self) {
        let hint = match self.foreign {
            Some(tool) => {
                format!("the file looks like one of {tool}, whose format is not supported yet")
            }
            None => "put `-- +migrate Up` on a line of its own before the statements".into(),
        };
        self.problem(
            self.stray.unwrap_or(0),
            "the file has no `-- +migrate Up`",
            hint,
        );
    }

    fn is_empty(&self, section: &Section) -> bool {
        !section.segments.iter().any(|segment| {
            let first = self
                .tokens
                .partition_point(|token| token.start < segment.range.start);
            self.tokens[first..]
                .iter()
                .take_while(|token| token.start < segment.range.end)
                .any(|token| !token.kind.is_trivia() && token.kind != Kind::Semicolon)
        })
    }
}
