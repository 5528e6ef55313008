//! A statement as words to match against.

use crate::lex::{Kind, Token, begins};
use crate::split::Piece;

/// The tokens of one statement.
pub(super) struct Words<'a> {
    text: &'a str,
    tokens: &'a [Token],
}

impl<'a> Words<'a> {
    pub(super) fn new(text: &'a str, piece: &'a Piece) -> Self {
        Self {
            text,
            tokens: &piece.tokens,
        }
    }

    /// Byte of the first token.
    pub(super) fn at(&self) -> usize {
        self.tokens.first().map_or(0, |token| token.start)
    }

    pub(super) fn len(&self) -> usize {
        self.tokens.len()
    }

    pub(super) fn tokens(&self) -> impl Iterator<Item = Token> + '_ {
        self.tokens.iter().copied()
    }

    /// The text of a token; empty past the end.
    pub(super) fn text(&self, index: usize) -> &'a str {
        self.tokens
            .get(index)
            .map_or("", |token| token.text(self.text))
    }

    /// A token as a keyword in small letters; empty where it is none.
    pub(super) fn word(&self, index: usize) -> String {
        match self.tokens.get(index) {
            Some(token) if token.kind == Kind::Word => token.text(self.text).to_ascii_lowercase(),
            _ => String::new(),
        }
    }

    /// Whether the statement begins with these keywords; `a|b` accepts either.
    pub(super) fn begins(&self, pattern: &str) -> bool {
        begins(self.text, self.tokens, pattern)
    }

    /// Whether a token is this keyword; `a|b` accepts either.
    pub(super) fn is(&self, index: usize, word: &str) -> bool {
        self.tokens
            .get(index..)
            .is_some_and(|rest| begins(self.text, rest, word))
    }

    /// Index of the first such keyword outside parentheses, from `from` on.
    pub(super) fn find(&self, word: &str, from: usize) -> Option<usize> {
        let mut depth = 0usize;
        for (index, token) in self.tokens.iter().enumerate() {
            match token.kind {
                Kind::Open => depth += 1,
                Kind::Close => depth = depth.saturating_sub(1),
                Kind::Word if depth == 0 && index >= from && self.is(index, word) => {
                    return Some(index);
                }
                _ => {}
            }
        }
        None
    }

    /// Index of the first such keyword anywhere.
    pub(super) fn find_anywhere(&self, word: &str) -> Option<usize> {
        (0..self.tokens.len()).find(|index| self.is(*index, word))
    }

    /// A name or a literal as the database understands it, in small letters: quotes removed.
    pub(super) fn value(&self, index: usize) -> String {
        let text = self.text(index);
        let inner = match self.tokens.get(index).map(|token| token.kind) {
            Some(Kind::Literal) if text.starts_with('$') => {
                let tag = text[1..].find('$').map_or(1, |at| at + 2);
                text.get(tag..text.len().saturating_sub(tag)).unwrap_or("")
            }
            Some(Kind::Literal | Kind::QuotedName) => {
                // A prefix like E or U& stands before the first quote.
                let quote = text.find(['\'', '"', '`', '[']).unwrap_or(0);
                text.get(quote + 1..text.len() - 1).unwrap_or("")
            }
            _ => text,
        };
        inner.to_lowercase()
    }

    /// A name as PostgreSQL stores it: small letters where it has no quotes. `None` where the token is no name, or one
    /// in `U&` quotes.
    pub(super) fn name(&self, index: usize) -> Option<String> {
        let text = self.text(index);
        match self.tokens.get(index)?.kind {
            Kind::Word => Some(text.to_ascii_lowercase()),
            Kind::QuotedName => {
                let inner = text.strip_prefix('"')?.strip_suffix('"')?;
                Some(inner.replace("\"\"", "\""))
            }
            _ => None,
        }
    }

    /// Byte of a token; of the last where there is none.
    pub(super) fn at_index(&self, index: usize) -> usize {
        self.tokens
            .get(index)
            .or(self.tokens.last())
            .map_or(0, |token| token.start)
    }
}
