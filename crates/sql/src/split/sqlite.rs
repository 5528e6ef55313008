//! Cutting SQLite statements: at every semicolon, but a trigger ends only at the END that follows one.

use crate::diagnostic::Diagnostic;
use crate::lex::{Kind, Lexed, Token};
use crate::position::Source;

use super::{Piece, cut};

pub(super) fn split(source: &Source<'_>, lexed: &Lexed) -> Result<Vec<Piece>, Diagnostic> {
    let text = source.text;
    let mut found = Vec::new();
    let mut statement: Vec<Token> = Vec::new();
    for token in lexed.significant() {
        let ends = token.kind == Kind::Semicolon
            && (!is_trigger(text, &statement) || has_ended(text, &statement));
        if ends {
            found.push(token.start);
            statement.clear();
        } else {
            statement.push(token);
        }
    }
    if let Some(first) = statement.first()
        && is_trigger(text, &statement)
        && !has_ended(text, &statement)
    {
        return Err(source
            .diagnostic(first.start, "a trigger whose body no END closes")
            .hint("end each statement of the body with `;` and the body with `END;`"));
    }
    Ok(cut(lexed, &found))
}

/// `[EXPLAIN [QUERY PLAN]] CREATE [TEMP | TEMPORARY] TRIGGER`
fn is_trigger(text: &str, statement: &[Token]) -> bool {
    let mut words = statement.iter().copied().peekable();
    if words.next_if(|t| t.is_word(text, "explain")).is_some()
        && words.next_if(|t| t.is_word(text, "query")).is_some()
    {
        words.next_if(|t| t.is_word(text, "plan"));
    }
    if words.next_if(|t| t.is_word(text, "create")).is_none() {
        return false;
    }
    words.next_if(|t| t.is_word(text, "temp") || t.is_word(text, "temporary"));
    words.next().is_some_and(|t| t.is_word(text, "trigger"))
}

/// Whether a trigger's last tokens are `; END`: the END of a CASE never follows a semicolon.
fn has_ended(text: &str, statement: &[Token]) -> bool {
    matches!(statement, [.., before, last]
        if before.kind == Kind::Semicolon && last.is_word(text, "end"))
}
