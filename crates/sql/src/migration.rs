//! A migration file as a value.

/// The SQL dialect that a text is split for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Dialect {
    /// PostgreSQL.
    Postgres,
    /// SQLite.
    Sqlite,
}

/// One statement of a migration, with its place in the file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Statement {
    /// The text, without the final semicolon.
    pub text: String,
    /// Line of its first token in the file, from 1.
    pub line: u32,
    /// Column of its first token, in characters from 1.
    pub column: u32,
}
