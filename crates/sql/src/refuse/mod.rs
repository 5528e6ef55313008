//! Statements that a migration must not contain: they would leave the transaction, the place or the role that the
//! guard stands on, or cannot be sent at all.

mod postgres;
mod sqlite;
mod words;

use crate::diagnostic::Diagnostic;
use crate::migration::Dialect;
use crate::position::Source;
use crate::split::Piece;

pub(crate) use postgres::copy_from_client;
use words::Words;

/// A refusal: the byte it points at, what is wrong, the way out.
struct Refusal {
    at: usize,
    message: String,
    hint: &'static str,
}

/// What is wrong with a statement, if anything is.
pub(crate) fn refuse(source: &Source<'_>, dialect: Dialect, piece: &Piece) -> Option<Diagnostic> {
    let words = Words::new(source.text, piece);
    let refusal = match dialect {
        Dialect::Postgres => postgres::refuse(&words),
        Dialect::Sqlite => sqlite::refuse(&words),
    }?;
    Some(
        source
            .diagnostic(refusal.at, refusal.message)
            .hint(refusal.hint),
    )
}
