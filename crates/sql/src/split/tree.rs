//! The second opinion on PostgreSQL text: squawk's syntax tree.

use std::ops::Range;

use squawk_syntax::{SourceFile, SyntaxKind, ast::AstNode};

use crate::lex::{Kind, Lexed};

/// The parser recurses and its tree is dropped recursively: text beyond these bounds is left to the token count,
/// so that no migration can exhaust a worker's stack.
const MAX_NESTING: usize = 64;
const MAX_TOKENS: usize = 2_000;

/// The semicolons between statements of `text[range]`, or nothing where the parser does not understand it, and its
/// word would therefore mean nothing.
pub(super) fn boundaries(text: &str, range: Range<usize>, lexed: &Lexed) -> Option<Vec<usize>> {
    if !is_small(lexed) {
        return None;
    }
    let start = range.start;
    let parse = SourceFile::parse(&text[range]);
    if !parse.errors().is_empty() {
        return None;
    }
    Some(
        parse
            .tree()
            .syntax()
            .children_with_tokens()
            .filter(|element| element.kind() == SyntaxKind::SEMICOLON)
            .map(|element| start + usize::from(element.text_range().start()))
            .collect(),
    )
}

fn is_small(lexed: &Lexed) -> bool {
    let mut depth = 0usize;
    let mut count = 0usize;
    for token in lexed.significant() {
        count += 1;
        match token.kind {
            Kind::Open => depth += 1,
            Kind::Close => depth = depth.saturating_sub(1),
            _ => {}
        }
        if depth > MAX_NESTING || count > MAX_TOKENS {
            return false;
        }
    }
    true
}
