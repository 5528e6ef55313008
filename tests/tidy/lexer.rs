//! Enough of Rust's lexical grammar to tell code from comments and literals.

/// What a byte of a Rust file belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Code,
    Comment,
    /// Inside a string or character literal.
    Literal,
}

/// The text with every byte that is not of a kept kind blanked, so that offsets and lines stay.
pub(crate) fn blank(text: &str, keep: &[Kind]) -> String {
    let mut rest = text;
    let mut blanked = String::with_capacity(text.len());
    while let Some((kind, length)) = next(rest, text.len() - rest.len(), text) {
        let (piece, after) = rest.split_at(length);
        if keep.contains(&kind) {
            blanked.push_str(piece);
        } else {
            blanked.extend(
                piece
                    .bytes()
                    .map(|byte| if byte == b'\n' { '\n' } else { ' ' }),
            );
        }
        rest = after;
    }
    blanked
}

/// The identifiers and keywords of blanked text, with where they start.
pub(crate) fn words(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let start = text.as_ptr() as usize;
    text.split(|c: char| !(c.is_alphanumeric() || c == '_'))
        .filter(|word| !word.is_empty())
        .map(move |word| (word.as_ptr() as usize - start, word))
}

/// The kind and length of the piece that `rest` begins with; none at the end.
fn next(rest: &str, offset: usize, text: &str) -> Option<(Kind, usize)> {
    let first = rest.chars().next()?;
    if rest.starts_with("//") {
        return Some((Kind::Comment, rest.find('\n').unwrap_or(rest.len())));
    }
    if rest.starts_with("/*") {
        return Some((Kind::Comment, block_comment(rest)));
    }
    let inside_word = text[..offset]
        .chars()
        .next_back()
        .is_some_and(|c| c.is_alphanumeric() || c == '_');
    if !inside_word && let Some(length) = raw_string(rest) {
        return Some((Kind::Literal, length));
    }
    match first {
        '"' => Some((Kind::Literal, quoted(rest, '"'))),
        '\'' if is_character(rest) => Some((Kind::Literal, quoted(rest, '\''))),
        _ => Some((Kind::Code, first.len_utf8())),
    }
}

fn block_comment(rest: &str) -> usize {
    let bytes = rest.as_bytes();
    let (mut depth, mut at) = (0usize, 0);
    while at < bytes.len() {
        match (bytes[at], bytes.get(at + 1)) {
            (b'/', Some(b'*')) => {
                depth += 1;
                at += 2;
            }
            (b'*', Some(b'/')) => {
                depth -= 1;
                at += 2;
                if depth == 0 {
                    return at;
                }
            }
            _ => at += 1,
        }
    }
    rest.len()
}

/// The length of `r"…"`, `br#"…"#`, `cr##"…"##`; none when `rest` does not begin with one.
fn raw_string(rest: &str) -> Option<usize> {
    let after = ["r", "br", "cr"].iter().find_map(|start| {
        let after = rest.strip_prefix(start)?;
        after.starts_with(['"', '#']).then_some(after)
    })?;
    let hashes = after.len() - after.trim_start_matches('#').len();
    let body = after[hashes..].strip_prefix('"')?;
    let end = format!("\"{}", "#".repeat(hashes));
    let length = body.find(&end).map_or(body.len(), |at| at + end.len());
    Some(rest.len() - body.len() + length)
}

/// The length of a literal with escapes, quotes included.
fn quoted(rest: &str, quote: char) -> usize {
    let mut escaped = false;
    for (at, c) in rest.char_indices().skip(1) {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            c if c == quote => return at + c.len_utf8(),
            _ => {}
        }
    }
    rest.len()
}

/// Tells `'a'` and `'\n'` from the lifetime `'a`.
fn is_character(rest: &str) -> bool {
    let mut after = rest.chars().skip(1);
    match after.next() {
        Some('\\') => true,
        Some(_) => after.next() == Some('\''),
        None => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn code_words(text: &str) -> Vec<String> {
        let code = blank(text, &[Kind::Code]);
        assert_eq!(code.matches('\n').count(), text.matches('\n').count());
        words(&code).map(|(_, word)| word.to_owned()).collect()
    }

    #[test]
    fn literals_and_comments_are_not_code() {
        assert_eq!(code_words("a \"b \\\" c\" d // e\nf"), ["a", "d", "f"]);
        assert_eq!(code_words("a /* b /* c */ d */ e"), ["a", "e"]);
        assert_eq!(code_words("a r#\"b \" c\"# d br\"e\" f"), ["a", "d", "f"]);
        assert_eq!(
            code_words("a '\"' b '\\'' c '\\u{7f}' d"),
            ["a", "b", "c", "d"]
        );
        assert_eq!(
            code_words("fn f<'a>(x: &'a str) {}"),
            ["fn", "f", "a", "x", "a", "str"]
        );
        assert_eq!(
            code_words("for r in r#type { }"),
            ["for", "r", "in", "r", "type"]
        );
    }

    #[test]
    fn comments_can_be_kept_without_literals() {
        let text = "let x = \"no\"; // yes\n";
        let kept = blank(text, &[Kind::Code, Kind::Comment]);
        assert_eq!(
            words(&kept).map(|(_, word)| word).collect::<Vec<_>>(),
            ["let", "x", "yes"]
        );
    }

    #[test]
    fn offsets_survive_letters_of_several_bytes() {
        let text = "// é\nlet ü = \"ö\"; end";
        let code = blank(text, &[Kind::Code]);
        let (start, _) = words(&code).find(|(_, word)| *word == "end").unwrap();
        assert_eq!(&text[start..], "end");
    }
}
