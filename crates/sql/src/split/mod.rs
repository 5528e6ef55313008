//! A stretch of SQL to statements.

mod postgres;
mod sqlite;
mod tree;

use std::ops::Range;

use crate::diagnostic::Diagnostic;
use crate::lex::{Kind, Lexed, Token, lex};
use crate::migration::Dialect;
use crate::position::Source;
use crate::reading::Segment;
use crate::refuse;

/// One statement: the tokens that the database sees of it, without the semicolon that ends it. Never empty.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Piece {
    pub(crate) tokens: Vec<Token>,
}

impl Piece {
    /// From its first token to its last: comments before and behind belong to nobody, so that whoever appends a
    /// semicolon never appends it to a comment.
    pub(crate) fn range(&self) -> Range<usize> {
        match (self.tokens.first(), self.tokens.last()) {
            (Some(first), Some(last)) => first.start..last.end,
            _ => 0..0,
        }
    }
}

/// Cuts one segment. Fails where no reading of it can be right: something opened and never closed.
pub(crate) fn split(
    source: &Source<'_>,
    dialect: Dialect,
    segment: &Segment,
) -> Result<Vec<Piece>, Diagnostic> {
    let lexed = lex(dialect, source.text, segment.range.clone());
    if let Some(unclosed) = lexed.unclosed {
        return Err(source
            .diagnostic(unclosed.at, format!("a {} that never ends", unclosed.what))
            .hint("close it; everything after it was read as part of it"));
    }
    match dialect {
        Dialect::Postgres => postgres::split(source, segment, &lexed),
        Dialect::Sqlite => sqlite::split(source, &lexed),
    }
}

/// `COPY … FROM STDIN` in the text before `until`: the data behind it can look like a quote that never ends.
pub(crate) fn copy_before(
    source: &Source<'_>,
    dialect: Dialect,
    until: usize,
) -> Option<Diagnostic> {
    if dialect != Dialect::Postgres {
        return None;
    }
    let lexed = lex(dialect, source.text, 0..until);
    let all: Vec<usize> = lexed
        .significant()
        .filter(|token| token.kind == Kind::Semicolon)
        .map(|token| token.start)
        .collect();
    cut(&lexed, &all)
        .iter()
        .find_map(|piece| refuse::copy_from_client(source, piece))
}

/// Everything as one statement, but for semicolons before and behind it.
fn whole(lexed: &Lexed) -> Vec<Piece> {
    let mut tokens: Vec<Token> = lexed
        .significant()
        .skip_while(|token| token.kind == Kind::Semicolon)
        .collect();
    while tokens.pop_if(|last| last.kind == Kind::Semicolon).is_some() {}
    if tokens.is_empty() {
        Vec::new()
    } else {
        vec![Piece { tokens }]
    }
}

/// Cuts at the semicolons that begin at `boundaries` (ascending).
fn cut(lexed: &Lexed, boundaries: &[usize]) -> Vec<Piece> {
    let mut pieces = Vec::new();
    let mut tokens = Vec::new();
    let mut boundaries = boundaries.iter().peekable();
    for token in lexed.significant() {
        if boundaries.next_if(|at| **at == token.start).is_none() {
            tokens.push(token);
        } else if !tokens.is_empty() {
            pieces.push(Piece {
                tokens: std::mem::take(&mut tokens),
            });
        }
    }
    if !tokens.is_empty() {
        pieces.push(Piece { tokens });
    }
    pieces
}
