//! The one place where text that was put together at run time becomes a statement.
//!
//! Everything that goes in is either a constant of ours, a name or literal that `sanderling_sql::quote` has quoted,
//! or a migration's own statement. Nothing else in this crate may say that a string is safe.

#![expect(clippy::disallowed_types, reason = "this is that module")]

use sqlx::{AssertSqlSafe, RawSql};

/// A message of the simple protocol (PostgreSQL), or statements to prepare one after the other (SQLite).
pub(crate) fn message(text: String) -> RawSql {
    sqlx::raw_sql(AssertSqlSafe(text))
}
