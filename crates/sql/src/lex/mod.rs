//! Tokens of either dialect, in one shape: enough to tell quotes, comments and semicolons from everything else.

mod postgres;
mod sqlite;

use std::ops::Range;

use crate::migration::Dialect;

/// What a token is, as far as splitting and refusing need to know.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// White space.
    Blank,
    /// `-- …`, without its line feed.
    LineComment,
    /// `/* … */`
    BlockComment,
    /// A keyword or a name without quotes.
    Word,
    /// A name in quotes of any kind.
    QuotedName,
    /// A literal in quotes of any kind, dollar-quoted bodies included.
    Literal,
    /// `;`
    Semicolon,
    /// `(`
    Open,
    /// `)`
    Close,
    /// `\` outside quotes: no database reads it, only psql does.
    Backslash,
    /// A place for a value that nobody will bind: `?`, `:name`, `$name` (SQLite).
    Parameter,
    /// A `$` that begins nothing in this dialect.
    Dollar,
    /// Everything else: operators, numbers, commas.
    Other,
}

impl Kind {
    /// Whether the database sees nothing of it.
    pub(crate) fn is_trivia(self) -> bool {
        matches!(self, Self::Blank | Self::LineComment | Self::BlockComment)
    }
}

/// A token and the bytes it covers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Token {
    pub(crate) kind: Kind,
    pub(crate) start: usize,
    pub(crate) end: usize,
}

impl Token {
    pub(crate) fn text(self, source: &str) -> &str {
        &source[self.start..self.end]
    }

    /// The first character of it outside quotes and comments that looks like nothing and that readers disagree on:
    /// SQLite skips a byte order mark in front of a word and a vertical tab behind a blank, so that what stands
    /// behind them is not the word that it seems to be.
    pub(crate) fn unseen(self, source: &str) -> Option<(usize, char)> {
        let quoted = [
            Kind::LineComment,
            Kind::BlockComment,
            Kind::QuotedName,
            Kind::Literal,
        ];
        if quoted.contains(&self.kind) {
            return None;
        }
        let mut characters = self.text(source).char_indices();
        let (offset, character) = characters.find(|(_, c)| ['\u{feff}', '\u{b}'].contains(c))?;
        Some((self.start + offset, character))
    }

    /// Whether it is this keyword, in any case. A quoted name never is.
    pub(crate) fn is_word(self, source: &str, word: &str) -> bool {
        self.kind == Kind::Word && self.text(source).eq_ignore_ascii_case(word)
    }
}

/// A quote, comment or body that never ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Unclosed {
    pub(crate) at: usize,
    pub(crate) what: &'static str,
}

/// A text as tokens that cover all of it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Lexed {
    pub(crate) tokens: Vec<Token>,
    pub(crate) unclosed: Option<Unclosed>,
}

impl Lexed {
    fn push(&mut self, kind: Kind, range: Range<usize>) {
        self.tokens.push(Token {
            kind,
            start: range.start,
            end: range.end,
        });
    }

    /// Notes the first thing that never ends.
    fn unclosed(&mut self, at: usize, what: &'static str) {
        self.unclosed.get_or_insert(Unclosed { at, what });
    }

    /// The tokens that the database sees.
    pub(crate) fn significant(&self) -> impl DoubleEndedIterator<Item = Token> + '_ {
        self.tokens.iter().copied().filter(|t| !t.kind.is_trivia())
    }
}

/// Whether these tokens begin with these keywords; `a|b` accepts either.
pub(crate) fn begins(text: &str, tokens: &[Token], pattern: &str) -> bool {
    pattern.split(' ').enumerate().all(|(index, word)| {
        let mut choices = word.split('|');
        tokens
            .get(index)
            .is_some_and(|token| choices.any(|choice| token.is_word(text, choice)))
    })
}

/// Reads `text[range]` as the dialect does; offsets are those of `text`.
pub(crate) fn lex(dialect: Dialect, text: &str, range: Range<usize>) -> Lexed {
    match dialect {
        Dialect::Postgres => postgres::lex(text, range),
        Dialect::Sqlite => sqlite::lex(text, range),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Fails unless the tokens follow each other without a gap from the first byte to the last.
    pub(super) fn covers(lexed: &Lexed, text: &str) {
        let mut at = 0;
        for token in &lexed.tokens {
            assert!(token.start == at && token.end > at, "{token:?} in {text:?}");
            at = token.end;
        }
        assert_eq!(at, text.len(), "{text:?}");
    }

    #[test]
    fn a_range_is_lexed_as_if_it_stood_alone() {
        let text = "'a' ;'b";
        for dialect in [Dialect::Postgres, Dialect::Sqlite] {
            let lexed = lex(dialect, text, 4..5);
            assert_eq!(lexed.tokens.len(), 1);
            assert_eq!(lexed.tokens[0].text(text), ";");
            assert_eq!(lexed.unclosed, None);
        }
    }
}
