//! SQLite's lexical structure: four kinds of quoted names, comments that do not nest, no dollar quotes.

use std::ops::Range;

use super::{Kind, Lexed};

pub(super) fn lex(text: &str, range: Range<usize>) -> Lexed {
    let text = &text[..range.end];
    let mut lexed = Lexed::default();
    let mut at = range.start;
    while let Some(first) = text[at..].chars().next() {
        let (kind, end) = token(text, at, first, &mut lexed);
        lexed.push(kind, at..end);
        at = end;
    }
    lexed
}

fn token(text: &str, at: usize, first: char, lexed: &mut Lexed) -> (Kind, usize) {
    let rest = &text[at..];
    let run = |accept: fn(char) -> bool| at + rest.find(|c| !accept(c)).unwrap_or(rest.len());
    let after_first = at + first.len_utf8();
    match first {
        c if is_blank(c) => (Kind::Blank, run(is_blank)),
        '-' if rest.starts_with("--") => (
            Kind::LineComment,
            at + rest.find('\n').unwrap_or(rest.len()),
        ),
        '/' if rest.starts_with("/*") => match rest[2..].find("*/") {
            Some(inner) => (Kind::BlockComment, at + inner + 4),
            None => {
                lexed.unclosed(at, "comment");
                (Kind::BlockComment, text.len())
            }
        },
        '\'' => (Kind::Literal, quoted(text, at, '\'', "string", lexed)),
        '"' | '`' => (
            Kind::QuotedName,
            quoted(text, at, first, "quoted name", lexed),
        ),
        '[' => match rest.find(']') {
            Some(inner) => (Kind::QuotedName, at + inner + 1),
            None => {
                lexed.unclosed(at, "quoted name");
                (Kind::QuotedName, text.len())
            }
        },
        'x' | 'X' if rest[1..].starts_with('\'') => {
            (Kind::Literal, quoted(text, at + 1, '\'', "string", lexed))
        }
        ';' => (Kind::Semicolon, after_first),
        '(' => (Kind::Open, after_first),
        ')' => (Kind::Close, after_first),
        '\\' => (Kind::Backslash, after_first),
        '?' => (Kind::Parameter, at + 1 + digits(&rest[1..])),
        ':' | '@' | '#' if rest[1..].starts_with(is_name) => {
            let name = rest[1..].find(|c| !is_name(c)).unwrap_or(rest.len() - 1);
            (Kind::Parameter, after_first + name)
        }
        '$' => (Kind::Dollar, after_first),
        // A number swallows the letters behind it, so that `1x'` is not read as a blob.
        c if is_name(c) && c.is_ascii_digit() => (Kind::Other, run(is_name)),
        c if is_name(c) => (Kind::Word, run(is_name)),
        _ => (Kind::Other, after_first),
    }
}

/// The end of a quote that begins at `at`; the doubled quote stands for itself.
fn quoted(text: &str, at: usize, quote: char, what: &'static str, lexed: &mut Lexed) -> usize {
    let mut from = at + 1;
    while let Some(offset) = text[from..].find(quote) {
        from += offset + 1;
        if !text[from..].starts_with(quote) {
            return from;
        }
        from += 1;
    }
    lexed.unclosed(at, what);
    text.len()
}

fn digits(text: &str) -> usize {
    text.find(|c: char| !c.is_ascii_digit())
        .unwrap_or(text.len())
}

fn is_blank(c: char) -> bool {
    matches!(c, ' ' | '\t' | '\n' | '\u{c}' | '\r')
}

fn is_name(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '_' || c == '$' || !c.is_ascii()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shape(text: &str) -> Vec<(Kind, &str)> {
        let lexed = lex(text, 0..text.len());
        lexed
            .significant()
            .map(|t| (t.kind, t.text(text)))
            .collect()
    }

    #[test]
    fn quotes_comments_and_names_are_single_tokens() {
        use Kind::{Backslash, Dollar, Literal, Other, Parameter, QuotedName, Semicolon, Word};
        let cases: [(&str, &[(Kind, &str)]); 15] = [
            (r"'a\';", &[(Literal, r"'a\'"), (Semicolon, ";")]),
            ("'a'';'", &[(Literal, "'a'';'")]),
            ("x'00';", &[(Literal, "x'00'"), (Semicolon, ";")]),
            ("ex';'", &[(Word, "ex"), (Literal, "';'")]),
            ("1x';'", &[(Other, "1x"), (Literal, "';'")]),
            ("\"a\"\";\"", &[(QuotedName, "\"a\"\";\"")]),
            ("`a``;`", &[(QuotedName, "`a``;`")]),
            ("[a;'[]]", &[(QuotedName, "[a;'[]"), (Other, "]")]),
            ("/* /* ; */;", &[(Semicolon, ";")]),
            ("-- '\n;", &[(Semicolon, ";")]),
            ("a$b é", &[(Word, "a$b"), (Word, "é")]),
            (
                "?1;:a;@b;",
                &[
                    (Parameter, "?1"),
                    (Semicolon, ";"),
                    (Parameter, ":a"),
                    (Semicolon, ";"),
                    (Parameter, "@b"),
                    (Semicolon, ";"),
                ],
            ),
            ("$$", &[(Dollar, "$"), (Dollar, "$")]),
            ("\\d", &[(Backslash, "\\"), (Word, "d")]),
            (
                "a->>b",
                &[
                    (Word, "a"),
                    (Other, "-"),
                    (Other, ">"),
                    (Other, ">"),
                    (Word, "b"),
                ],
            ),
        ];
        for (text, expected) in cases {
            assert_eq!(shape(text), expected, "{text}");
        }
    }

    #[test]
    fn what_never_ends_is_named_with_its_beginning() {
        for (text, at, what) in [
            ("a 'b''", 2, "string"),
            ("x'", 1, "string"),
            ("`b", 0, "quoted name"),
            ("a [b", 2, "quoted name"),
            ("/* a", 0, "comment"),
        ] {
            let unclosed = lex(text, 0..text.len()).unclosed.unwrap();
            assert_eq!((unclosed.at, unclosed.what), (at, what), "{text}");
        }
    }

    proptest::proptest! {
        #[test]
        fn tokens_cover_every_text(text in "(?:[xX$'\"`\\[\\];()/*:?ab1\n é-]|--){0,40}") {
            super::super::tests::covers(&lex(&text, 0..text.len()), &text);
        }
    }
}
