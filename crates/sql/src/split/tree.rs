//! The second opinion on PostgreSQL text: squawk's syntax tree.

use std::ops::Range;

use squawk_syntax::{SourceFile, SyntaxKind, ast::AstNode};

use crate::lex::{Kind, Token};

/// The parser recurses, most deeply at parentheses: text beyond these bounds is left to the count of tokens, so
/// that no migration can exhaust a thread's stack.
const MAX_NESTING: usize = 32;
const MAX_TOKENS: usize = 600;

/// The semicolons that end statements in `text[range]`, which consists of `tokens`. Nothing where the parser does
/// not understand the text, as its word would mean nothing.
pub(super) fn boundaries(text: &str, range: Range<usize>, tokens: &[Token]) -> Option<Vec<usize>> {
    if !is_small(tokens) {
        return None;
    }
    let start = range.start;
    let parse = SourceFile::parse(&text[range]);
    if !parse.errors().is_empty() {
        return None;
    }
    let root = parse.tree().syntax().clone();
    Some(
        root.children_with_tokens()
            // A statement owns the semicolon that ends it; one that ends nothing stands alone.
            .filter_map(|element| match element.as_node() {
                Some(statement) => statement.last_token(),
                None => element.into_token(),
            })
            .filter(|token| token.kind() == SyntaxKind::SEMICOLON)
            .map(|token| start + usize::from(token.text_range().start()))
            .collect(),
    )
}

fn is_small(tokens: &[Token]) -> bool {
    let mut depth = 0usize;
    tokens.len() <= MAX_TOKENS
        && tokens.iter().all(|token| {
            match token.kind {
                Kind::Open => depth += 1,
                Kind::Close => depth = depth.saturating_sub(1),
                _ => {}
            }
            depth <= MAX_NESTING
        })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lex::lex;
    use crate::migration::Dialect;

    fn ends(text: &str) -> Option<Vec<usize>> {
        let tokens: Vec<_> = lex(Dialect::Postgres, text, 0..text.len())
            .significant()
            .collect();
        boundaries(text, 0..text.len(), &tokens)
    }

    #[test]
    fn statements_end_where_the_grammar_says() {
        assert_eq!(ends("select 1; select 2;"), Some(vec![8, 18]));
        assert_eq!(ends("select 1;;"), Some(vec![8, 9]));
        let body = "create function f() returns int begin atomic select 1; select 2; end";
        assert_eq!(ends(body), Some(vec![]));
        assert_eq!(ends("selekt 1; select 2"), None, "not understood");
    }

    /// Each shape makes the parser recurse, or its tree deep, as far as the bounds let it. A worker's thread has
    /// 2 MiB; three quarters of it have to do, in a build without optimisation.
    #[test]
    fn nothing_within_the_bounds_exhausts_a_stack() {
        let shapes = [
            ("", "( ", "1"),
            ("", "( select ", "1"),
            ("1", " or 1", ""),
            ("", "not ", "true"),
            ("", "- ", "1"),
            ("", "case when ", "1"),
            ("1", " :: int", ""),
            ("a", " [ 1", ""),
            ("", "array [ ", ""),
            ("1", " union select 1", ""),
            ("", "exists ( select ", "1"),
            ("", "case when not - ( select ", "1"),
        ];
        let parse = move || {
            shapes.map(|(head, part, tail)| {
                let count = if part.contains('(') {
                    MAX_NESTING
                } else {
                    (MAX_TOKENS - 4) / part.split_whitespace().count()
                };
                ends(&format!("select {head}{}{tail}", part.repeat(count)))
            })
        };
        let thread = std::thread::Builder::new().stack_size(3 << 19);
        let results = thread.spawn(parse).unwrap().join().unwrap();
        assert!(results[2..5].iter().all(Option::is_some), "{results:?}");
        let long = format!("select 1{}", ", 1".repeat(MAX_TOKENS));
        assert_eq!(ends(&long), None, "too long");
        let deep = format!("select {}1{}", "(".repeat(33), ")".repeat(33));
        assert_eq!(ends(&deep), None, "too deep");
    }
}
