//! Statements that a migration must not contain: they would leave the transaction, the place or the role that the
//! guard stands on, or cannot be sent at all.

mod alone;
mod postgres;
mod sqlite;
mod words;

use crate::diagnostic::Diagnostic;
use crate::migration::Dialect;
use crate::position::Source;
use crate::sending::{Alone, Sending};
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

/// How a statement may be sent, or what is wrong with it. `apart`: the file says `transaction=off`, so its statements
/// are sent one by one.
pub(crate) fn sending(
    source: &Source<'_>,
    dialect: Dialect,
    piece: &Piece,
    apart: bool,
) -> Result<Sending, Refused> {
    let words = Words::new(source.text, piece);
    classify(&words, dialect, apart).map_err(|refusal| Refused {
        diagnostic: source
            .diagnostic(refusal.at, refusal.message)
            .hint(refusal.hint),
        data_follows: dialect == Dialect::Postgres && copy_from_client(source, piece).is_some(),
    })
}

fn classify(words: &Words<'_>, dialect: Dialect, apart: bool) -> Result<Sending, Refusal> {
    let (refused, refused_apart) = match dialect {
        Dialect::Postgres => (postgres::refuse(words), postgres::refuse_apart(words)),
        Dialect::Sqlite => (sqlite::refuse(words), sqlite::refuse_apart(words)),
    };
    if let Some(refusal) = refused.or(refused_apart.filter(|_| apart)) {
        return Err(refusal);
    }
    let alone = match dialect {
        Dialect::Postgres => alone::alone(words)?,
        Dialect::Sqlite => sqlite::alone(words),
    };
    match alone {
        Some(alone) if apart => Ok(Sending::Alone(alone)),
        Some(alone) => Err(in_a_transaction(words, &alone)),
        None if dialect == Dialect::Postgres && words.begins("set|reset") => Ok(Sending::Setting),
        None => Ok(Sending::Shared),
    }
}

fn in_a_transaction(words: &Words<'_>, alone: &Alone) -> Refusal {
    Refusal {
        at: words.at(),
        message: format!(
            "{} cannot run in a transaction: it needs a file with `-- sanderling: transaction=off`",
            alone.what
        ),
        hint: "put it into a file of its own whose first line is `-- sanderling: transaction=off`: its statements are \
               then sent one by one",
    }
}
