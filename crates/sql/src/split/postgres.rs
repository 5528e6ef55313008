//! Cutting PostgreSQL statements: at the semicolons outside parentheses and `BEGIN ATOMIC` bodies, and, where such
//! a stretch still holds semicolons, wherever squawk's syntax tree says that a statement ends.
//!
//! A cut too many changes nothing that the server reads, because only a semicolon is ever cut out and whoever sends
//! the pieces puts one back; a cut too few could hide a COMMIT. So the finer reading wins, and a frame is one
//! statement only where the tree is sure of it.

use crate::diagnostic::Diagnostic;
use crate::lex::{Kind, Lexed, Token, begins};
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
        if by_tree.is_some_and(|ends| cut(lexed, &ends).len() <= 1) {
            // The author says that it is one statement, and so does the grammar.
            return Ok(whole(lexed));
        }
    }
    for piece in &pieces {
        let inner = piece.tokens.iter().find(|t| t.kind == Kind::Semicolon);
        let Some(inner) = inner else { continue };
        match tree::boundaries(source.text, piece.range(), &piece.tokens) {
            Some(ends) => found.extend(ends),
            None if may_hold_semicolons(source.text, &piece.tokens) => {}
            None => {
                return Err(source
                    .diagnostic(inner.start, "a semicolon inside a statement")
                    .hint(
                        "only the actions of CREATE RULE and the bodies of functions and procedures hold semicolons: \
                         close the parenthesis or body before it, or make the statement shorter",
                    ));
            }
        }
    }
    found.sort_unstable();
    Ok(cut(lexed, &found))
}

const ROUTINE: [&str; 2] = [
    "create function|procedure",
    "create or replace function|procedure",
];
const RULE: [&str; 2] = ["create rule", "create or replace rule"];

/// Whether the semicolons in a stretch that counting left whole are where the server allows them: in the
/// parentheses of a rule, or in the body of a routine and outside its parentheses.
fn may_hold_semicolons(text: &str, tokens: &[Token]) -> bool {
    let one_of = |forms: [&str; 2]| forms.iter().any(|form| begins(text, tokens, form));
    if one_of(RULE) {
        return true;
    }
    let mut depth = 0usize;
    one_of(ROUTINE)
        && tokens.iter().all(|token| {
            match token.kind {
                Kind::Open => depth += 1,
                Kind::Close => depth = depth.saturating_sub(1),
                _ => {}
            }
            depth == 0 || token.kind != Kind::Semicolon
        })
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
            // No CASE goes on behind a semicolon: one that is still open was a name.
            Kind::Semicolon if open.is_empty() => body.begun.truncate(1),
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
    /// Its first tokens, as many as say what it creates.
    head: Vec<Token>,
    previous: Option<Token>,
    /// Bytes of BEGIN and of each CASE inside it that is still open.
    begun: Vec<usize>,
}

impl Body {
    /// Takes the next token outside parentheses.
    fn token(&mut self, text: &str, token: Token) {
        let previous = self.previous.replace(token);
        let is = |word| token.is_word(text, word);
        if self.head.len() < 4 {
            self.head.push(token);
        }
        let creates = |form: &&str| begins(text, &self.head, form);
        let has_routine = ROUTINE.iter().any(creates) || creates(&"create schema");
        // `x.end` and `AS end` are names.
        let is_name = previous.is_some_and(|p| p.text(text) == "." || p.is_word(text, "as"));
        if !has_routine || is_name {
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
