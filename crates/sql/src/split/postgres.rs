//! Cutting PostgreSQL statements: by the syntax tree where the parser understands the text, else by the semicolons
//! that stand outside parentheses and `BEGIN ATOMIC` bodies.

use crate::diagnostic::Diagnostic;
use crate::lex::{Kind, Lexed, Token};
use crate::position::Source;
use crate::reading::Segment;

use super::{Piece, cut, tree};

pub(super) fn split(
    source: &Source<'_>,
    segment: &Segment,
    lexed: &Lexed,
) -> Result<Vec<Piece>, Diagnostic> {
    let by_tokens = boundaries(source, lexed)?;
    let by_tree = tree::boundaries(source.text, segment.range.clone(), lexed);
    match by_tree {
        Some(by_tree) if by_tree != by_tokens => {
            if segment.framed {
                // Two readings, and an author who says that it is one statement.
                return Ok(cut(lexed, &[]));
            }
            let odd = by_tree
                .iter()
                .chain(&by_tokens)
                .filter(|at| !(by_tree.contains(at) && by_tokens.contains(at)))
                .min();
            Err(source
                .diagnostic(
                    odd.copied().unwrap_or(segment.range.start),
                    "it is not certain whether a statement ends at this semicolon",
                )
                .hint("frame the statement by `-- +migrate StatementBegin` and `-- +migrate StatementEnd`"))
        }
        _ => Ok(cut(lexed, &by_tokens)),
    }
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
            Kind::Semicolon if open.is_empty() && body.is_closed() => {
                found.push(token.start);
                body = Body::default();
            }
            _ if open.is_empty() => body.token(source.text, token),
            _ => {}
        }
    }
    let unclosed = open
        .first()
        .map(|at| (*at, "a parenthesis that is never closed"));
    let unclosed = unclosed.or(body
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

/// Follows one statement to know whether it is inside `BEGIN ATOMIC … END`, which only functions and procedures
/// have.
#[derive(Default)]
struct Body {
    seen: u32,
    creates_routine: bool,
    previous: Option<Token>,
    /// Bytes of BEGIN and of CASE expressions inside it.
    begun: Vec<usize>,
}

impl Body {
    fn is_closed(&self) -> bool {
        self.begun.is_empty()
    }

    fn token(&mut self, text: &str, token: Token) {
        let previous = self.previous.replace(token);
        self.seen += 1;
        if self.seen == 1 && !token.is_word(text, "create") {
            self.seen = u32::MAX / 2;
        }
        // CREATE [OR REPLACE] FUNCTION | PROCEDURE
        if self.seen <= 4
            && ["function", "procedure"]
                .iter()
                .any(|w| token.is_word(text, w))
        {
            self.creates_routine = true;
        }
        if !self.creates_routine || token.kind != Kind::Word {
            return;
        }
        // `x.end` and `AS end` are names.
        let is_name = previous.is_some_and(|p| p.text(text) == "." || p.is_word(text, "as"));
        if is_name {
            return;
        }
        let after_begin = previous.filter(|p| p.is_word(text, "begin"));
        if let Some(begin) = after_begin.filter(|_| token.is_word(text, "atomic")) {
            self.begun.push(begin.start);
        } else if !self.begun.is_empty() && token.is_word(text, "case") {
            self.begun.push(token.start);
        } else if token.is_word(text, "end") {
            self.begun.pop();
        }
    }
}
