//! Cutting PostgreSQL statements: at the semicolons outside parentheses and `BEGIN ATOMIC` bodies, and, where such
//! a stretch still holds semicolons, wherever squawk's syntax tree says that a statement ends.
//!
//! A cut too many changes nothing that the server reads, because only a semicolon is ever cut out and whoever sends
//! the pieces puts one back; a cut too few could hide a COMMIT. So the finer reading wins, except in a frame.

use crate::diagnostic::Diagnostic;
use crate::lex::{Kind, Lexed, Token};
use crate::position::Source;
use crate::reading::Segment;

use super::{Piece, cut, tree, whole};

pub(super) fn split(
    source: &Source<'_>,
    segment: &Segment,
    lexed: &Lexed,
) -> Result<Vec<Piece>, Diagnostic> {
    let mut found = boundaries(source, lexed)?;
    let pieces = cut(lexed, &found);
    if segment.framed && pieces.len() > 1 {
        let tokens: Vec<_> = lexed.significant().collect();
        let by_tree = tree::boundaries(source.text, segment.range.clone(), &tokens);
        if by_tree.is_none_or(|ends| cut(lexed, &ends).len() <= 1) {
            // The author says that it is one statement, and nothing certain speaks against it.
            return Ok(whole(lexed));
        }
    }
    for piece in &pieces {
        if piece.tokens.iter().any(|t| t.kind == Kind::Semicolon) {
            found.extend(
                tree::boundaries(source.text, piece.range(), &piece.tokens).unwrap_or_default(),
            );
        }
    }
    found.sort_unstable();
    Ok(cut(lexed, &found))
}

/// The semicolons that end statements, by counting parentheses and bodies.
fn boundaries(source: &Source<'_>, lexed: &Lexed) -> Result<Vec<usize>, Diagnostic> {
    let mut found = Vec::new();
    let mut open = Vec::new();
    let mut body = Body::default();
    for token in lexed.significant() {
        match token.kind {
            Kind::Open => open.push(token.start),
            Kind::Close if open.pop().is_none() => {
                return Err(source
                    .diagnostic(token.start, "a closing parenthesis that nothing opened")
                    .hint("remove it, or open it"));
            }
            Kind::Semicolon if open.is_empty() && body.begun.is_empty() => {
                found.push(token.start);
                body = Body::default();
                continue;
            }
            _ => {}
        }
        if open.is_empty() {
            body.token(source.text, token);
        }
    }
    let parenthesis = open
        .first()
        .map(|at| (*at, "a parenthesis that is never closed"));
    let unclosed = parenthesis.or(body
        .begun
        .last()
        .map(|at| (*at, "a body that no END closes")));
    match unclosed {
        Some((at, message)) => Err(source
            .diagnostic(at, message)
            .hint("close it; everything after it was read as part of it")),
        None => Ok(found),
    }
}

/// Follows one statement to know whether it is inside `BEGIN ATOMIC … END`, which only CREATE FUNCTION, PROCEDURE
/// and, with those inside, SCHEMA have.
#[derive(Default)]
struct Body {
    seen: u32,
    is_create: bool,
    has_routine: bool,
    previous: Option<Token>,
    /// Bytes of BEGIN and of each CASE inside it that is still open.
    begun: Vec<usize>,
}

impl Body {
    /// Takes the next token outside parentheses.
    fn token(&mut self, text: &str, token: Token) {
        let previous = self.previous.replace(token);
        let is = |word| token.is_word(text, word);
        self.seen += 1;
        if self.seen == 1 {
            self.is_create = is("create");
        }
        // CREATE [OR REPLACE] FUNCTION | PROCEDURE
        if self.is_create && self.seen <= 4 && (is("function") || is("procedure") || is("schema")) {
            self.has_routine = true;
        }
        // `x.end` and `AS end` are names.
        let is_name = previous.is_some_and(|p| p.text(text) == "." || p.is_word(text, "as"));
        if !self.has_routine || is_name {
            return;
        }
        let begin = previous.filter(|p| p.is_word(text, "begin"));
        if let Some(begin) = begin.filter(|_| is("atomic")) {
            self.begun.push(begin.start);
        } else if !self.begun.is_empty() && is("case") {
            self.begun.push(token.start);
        } else if is("end") {
            self.begun.pop();
        }
    }
}
