//! The only place that vouches for SQL text. All of it is written in this crate; values are always parameters.

use sqlx::AssertSqlSafe;

/// A statement of ours: constants of this crate joined and rendered, never anything that was read.
pub(super) fn ours(sql: &str) -> AssertSqlSafe<String> {
    AssertSqlSafe(sql.to_owned())
}
