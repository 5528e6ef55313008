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

/// A statement that must not be sent.
pub(crate) struct Refused {
    pub(crate) diagnostic: Diagnostic,
    /// What follows is not SQL, so that looking at it would only add noise.
    pub(crate) data_follows: bool,
}

/// What is wrong with a statement, if anything is.
pub(crate) fn refuse(source: &Source<'_>, dialect: Dialect, piece: &Piece) -> Option<Refused> {
    let words = Words::new(source.text, piece);
    let refusal = match dialect {
        Dialect::Postgres => postgres::refuse(&words),
        Dialect::Sqlite => sqlite::refuse(&words),
    }?;
    Some(Refused {
        diagnostic: source
            .diagnostic(refusal.at, refusal.message)
            .hint(refusal.hint),
        data_follows: dialect == Dialect::Postgres && copy_from_client(source, piece).is_some(),
    })
}
