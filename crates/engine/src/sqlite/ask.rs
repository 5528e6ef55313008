//! Several statements of ours in one call. A call goes to the connection's own thread and back, which costs more than
//! most statements of ours do.

use futures::TryStreamExt;
use sanderling_core::{ErrorClass, Failure};
use sanderling_sql::Dialect;
use sqlx::sqlite::SqliteRow;
use sqlx::{Either, SqliteConnection};

use crate::send;

/// What came back.
#[derive(Default)]
pub(super) struct Answer {
    /// How many rows each statement that completed changed; of one that changes none, any number.
    pub(super) changed: Vec<u64>,
    /// Each row with the index of its statement.
    rows: Vec<(usize, SqliteRow)>,
    /// What ended the call early.
    pub(super) error: Option<sqlx::Error>,
}

impl Answer {
    /// The rows of a statement.
    pub(super) fn rows(&self, statement: usize) -> impl Iterator<Item = &SqliteRow> {
        let rows = self.rows.iter().filter(move |(of, _)| *of == statement);
        rows.map(|(_, row)| row)
    }

    /// How many rows a statement changed; an error where the call did not come to all its statements.
    pub(super) fn completed(&mut self, statement: usize) -> Result<u64, sqlx::Error> {
        match self.error.take() {
            Some(error) => Err(error),
            None => Ok(self.changed.get(statement).copied().unwrap_or_default()),
        }
    }
}

/// Runs statements, one after the other, until one fails.
pub(super) async fn ask(connection: &mut SqliteConnection, statements: &[&str]) -> Answer {
    let mut answer = Answer::default();
    let mut results = send::message(statements.join(";\n")).fetch_many(connection);
    loop {
        match results.try_next().await {
            Ok(Some(Either::Left(done))) => answer.changed.push(done.rows_affected()),
            Ok(Some(Either::Right(row))) => answer.rows.push((answer.changed.len(), row)),
            Ok(None) => break,
            Err(error) => {
                answer.error = Some(error);
                break;
            }
        }
    }
    drop(results);
    answer
}

/// A text as SQLite reads it.
pub(super) fn literal(value: &str) -> Result<String, Failure> {
    sanderling_sql::quote::literal(Dialect::Sqlite, value)
        .map(|quoted| quoted.to_string())
        .map_err(|error| Failure::new(ErrorClass::Precondition, "name", error.to_string()))
}
