//! PostgreSQL's lexical structure, by squawk-lexer, with the one rule it leaves to others: a string that goes on
//! after a line break stays in the mode it began in.

use std::ops::Range;

use squawk_lexer::{LiteralKind, TokenKind, tokenize};

use super::{Kind, Lexed};

pub(super) fn lex(text: &str, range: Range<usize>) -> Lexed {
    let text = &text[..range.end];
    let mut lexed = Lexed::default();
    let mut at = range.start;
    while at < text.len() {
        at = lex_until_escape_string(text, at, &mut lexed);
        while let Some(quote) = continuation(text, at) {
            // What lies between is trivia; it is lexed again so that a comment in it is seen as one.
            lex_until_escape_string(&text[..quote], at, &mut lexed);
            let (end, terminated) = escape_body(text, quote + 1);
            lexed.push(Kind::Literal, quote..end);
            if !terminated {
                lexed.unclosed(quote, "string");
            }
            at = end;
        }
    }
    lexed
}

/// Lexes from `at` to the end, or to just after the first `E'…'`. Returns where it stopped.
fn lex_until_escape_string(text: &str, mut at: usize, lexed: &mut Lexed) -> usize {
    for token in tokenize(&text[at..]) {
        let start = at;
        at += token.len as usize;
        let (kind, unclosed) = classify(token.kind, &text[start..at]);
        lexed.push(kind, start..at);
        if let Some(what) = unclosed {
            lexed.unclosed(start, what);
        }
        if let TokenKind::Literal {
            kind: LiteralKind::EscStr { terminated: true },
        } = token.kind
        {
            break;
        }
    }
    at
}

fn classify(kind: TokenKind, text: &str) -> (Kind, Option<&'static str>) {
    let unless = |closed: bool, what| (!closed).then_some(what);
    match kind {
        // The server reads a byte order mark inside the text as part of a name.
        TokenKind::Whitespace if text.starts_with('\u{feff}') => (Kind::Other, None),
        TokenKind::Whitespace => (Kind::Blank, None),
        TokenKind::LineComment => (Kind::LineComment, None),
        TokenKind::BlockComment { terminated } => {
            (Kind::BlockComment, unless(terminated, "comment"))
        }
        TokenKind::Ident => (Kind::Word, None),
        TokenKind::QuotedIdent { terminated, .. } => {
            (Kind::QuotedName, unless(terminated, "quoted name"))
        }
        TokenKind::Literal { kind } => match kind {
            LiteralKind::Int { .. } | LiteralKind::Numeric { .. } => (Kind::Other, None),
            LiteralKind::DollarQuotedString { terminated } => {
                (Kind::Literal, unless(terminated, "dollar-quoted body"))
            }
            LiteralKind::Str { terminated }
            | LiteralKind::NationalStr { terminated }
            | LiteralKind::ByteStr { terminated }
            | LiteralKind::BitStr { terminated }
            | LiteralKind::UnicodeEscStr { terminated }
            | LiteralKind::EscStr { terminated } => (Kind::Literal, unless(terminated, "string")),
        },
        TokenKind::Semi => (Kind::Semicolon, None),
        TokenKind::OpenParen => (Kind::Open, None),
        TokenKind::CloseParen => (Kind::Close, None),
        TokenKind::Unknown if text == "\\" => (Kind::Backslash, None),
        _ => (Kind::Other, None),
    }
}

/// Where the string that ended at `at` goes on: at a quote after white space with a line break in it, line comments
/// allowed.
fn continuation(text: &str, at: usize) -> Option<usize> {
    if text.as_bytes().get(at.checked_sub(1)?) != Some(&b'\'') {
        return None;
    }
    let mut broken = false;
    let mut rest = &text[at..];
    loop {
        let trimmed = rest.trim_start_matches([' ', '\t', '\n', '\r', '\u{b}', '\u{c}']);
        broken |= rest[..rest.len() - trimmed.len()].contains(['\n', '\r']);
        if let Some(comment) = trimmed.strip_prefix("--") {
            rest = &comment[comment.find(['\n', '\r'])?..];
        } else {
            return (broken && trimmed.starts_with('\'')).then_some(text.len() - trimmed.len());
        }
    }
}

/// The end of a string with backslash escapes whose first character is at `at`.
fn escape_body(text: &str, at: usize) -> (usize, bool) {
    let mut characters = text[at..].char_indices().peekable();
    while let Some((offset, character)) = characters.next() {
        match character {
            '\\' => drop(characters.next()),
            '\'' if characters.next_if(|(_, next)| *next == '\'').is_none() => {
                return (at + offset + 1, true);
            }
            _ => {}
        }
    }
    (text.len(), false)
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
    fn quotes_comments_and_bodies_are_single_tokens() {
        use Kind::{Backslash, Literal, Other, QuotedName, Semicolon, Word};
        let cases: [(&str, &[(Kind, &str)]); 12] = [
            (r"'a\';", &[(Literal, r"'a\'"), (Semicolon, ";")]),
            (r"E'a\';';", &[(Literal, r"E'a\';'"), (Semicolon, ";")]),
            (r"e'a''\\';", &[(Literal, r"e'a''\\'"), (Semicolon, ";")]),
            ("U&'a;'", &[(Literal, "U&'a;'")]),
            ("\"a\"\";\"", &[(QuotedName, "\"a\"\";\"")]),
            ("U&\"a;\"", &[(QuotedName, "U&\"a;\"")]),
            ("$$;'$$", &[(Literal, "$$;'$$")]),
            ("$a_1$;$b$;$a_1$", &[(Literal, "$a_1$;$b$;$a_1$")]),
            ("a$b$c;", &[(Word, "a$b$c"), (Semicolon, ";")]),
            ("$1;", &[(Other, "$1"), (Semicolon, ";")]),
            ("/* /* ; */ ; */;-- ;", &[(Semicolon, ";")]),
            ("\\d", &[(Backslash, "\\"), (Word, "d")]),
        ];
        for (text, expected) in cases {
            assert_eq!(shape(text), expected, "{text}");
        }
    }

    #[test]
    fn an_escape_string_goes_on_in_its_mode_after_a_line_break() {
        use Kind::{Literal, Semicolon};
        assert_eq!(
            shape("E'a'\n'b\\'; c';"),
            [(Literal, "E'a'"), (Literal, "'b\\'; c'"), (Semicolon, ";")]
        );
        assert_eq!(
            shape("E'a' -- it's\n -- and\n '\\'' \n ';';"),
            [
                (Literal, "E'a'"),
                (Literal, "'\\''"),
                (Literal, "';'"),
                (Semicolon, ";")
            ]
        );
        assert_eq!(
            shape("E'a' 'b\\';"),
            [(Literal, "E'a'"), (Literal, "'b\\'"), (Semicolon, ";")],
            "without a line break it is no continuation"
        );
    }

    #[test]
    fn what_never_ends_is_named_with_its_beginning() {
        for (text, at, what) in [
            ("a 'b", 2, "string"),
            ("E'b\\'", 0, "string"),
            ("E'a'\n'b\\'", 5, "string"),
            ("a \"b", 2, "quoted name"),
            ("/* /* */", 0, "comment"),
            ("$x$ $y$", 0, "dollar-quoted body"),
        ] {
            let unclosed = lex(text, 0..text.len()).unclosed.unwrap();
            assert_eq!((unclosed.at, unclosed.what), (at, what), "{text}");
        }
    }

    proptest::proptest! {
        #[test]
        fn tokens_cover_every_text(text in "(?:[Ee$'\"\\\\;()/*ab\n é-]|--|\\$\\$|E'){0,40}") {
            super::super::tests::covers(&lex(&text, 0..text.len()), &text);
        }
    }
}
