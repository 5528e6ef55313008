//! The one place where a name or a value becomes SQL text.
//!
//! Everything that comes from an operator, a registry or a database and has to stand in SQL goes through here:
//! schema names, roles, ids, checksums. Whoever formats SQL takes a [`Quoted`], never a `&str`.

use std::fmt;

use crate::migration::Dialect;

/// PostgreSQL cuts longer names off, so that two of them could collide. In bytes.
const POSTGRES_NAME_BYTES: usize = 63;

/// SQL text that stands for exactly one name or one value, quotes included.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Quoted(String);

impl Quoted {
    /// The SQL text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Quoted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Why a text cannot be a name or a value.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum QuoteError {
    /// A name without characters.
    #[error("an empty text cannot be a name in SQL")]
    Empty,
    /// It holds a NUL character, which no database accepts in SQL text.
    #[error("{0:?} holds a NUL character, which cannot stand in SQL: rename it")]
    Nul(String),
    /// PostgreSQL would cut the name off, and two tenants could end up as one.
    #[error(
        "the name {name:?} has {bytes} bytes; PostgreSQL keeps only {limit}, so that names would collide: shorten it"
    )]
    TooLong {
        /// The name.
        name: String,
        /// Its length in bytes of UTF-8.
        bytes: usize,
        /// The most that PostgreSQL keeps.
        limit: usize,
    },
}

/// A name (schema, table, role, …) in double quotes: taken as it is, case included.
///
/// # Errors
/// Refuses an empty name, one with a NUL, and for PostgreSQL one of more than 63 bytes.
pub fn ident(dialect: Dialect, name: &str) -> Result<Quoted, QuoteError> {
    if name.is_empty() {
        return Err(QuoteError::Empty);
    }
    if dialect == Dialect::Postgres && name.len() > POSTGRES_NAME_BYTES {
        return Err(QuoteError::TooLong {
            name: name.to_owned(),
            bytes: name.len(),
            limit: POSTGRES_NAME_BYTES,
        });
    }
    enclose(name, '"')
}

/// A text value in single quotes. For PostgreSQL one with a backslash becomes `E'…'` with every backslash doubled, so
/// that it means the same whatever `standard_conforming_strings` says; for SQLite a backslash is always itself.
///
/// What stands directly in front of it must not be part of a name: leave a blank, as `SELECT {literal}`.
///
/// # Errors
/// Refuses a value with a NUL.
pub fn literal(dialect: Dialect, value: &str) -> Result<Quoted, QuoteError> {
    if dialect == Dialect::Postgres && value.contains('\\') {
        let escaped = enclose(&value.replace('\\', r"\\"), '\'')?;
        return Ok(Quoted(format!("E{escaped}")));
    }
    enclose(value, '\'')
}

fn enclose(text: &str, quote: char) -> Result<Quoted, QuoteError> {
    if text.contains('\0') {
        return Err(QuoteError::Nul(text.to_owned()));
    }
    let mut quoted = String::with_capacity(text.len() + 2);
    quoted.push(quote);
    for character in text.chars() {
        quoted.push(character);
        if character == quote {
            quoted.push(quote);
        }
    }
    quoted.push(quote);
    Ok(Quoted(quoted))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lex::{Kind, lex};
    use proptest::prelude::*;

    const DIALECTS: [Dialect; 2] = [Dialect::Postgres, Dialect::Sqlite];

    /// Fails unless `sql` is one token of that kind that reads as `text`: only the doubled quote is special, and in
    /// `E'…'` the doubled backslash. Nothing else may hold a backslash in PostgreSQL.
    fn stands_for(dialect: Dialect, sql: &str, kind: Kind, text: &str) {
        let lexed = lex(dialect, sql, 0..sql.len());
        assert_eq!(lexed.unclosed, None, "{sql}");
        assert_eq!(lexed.tokens.len(), 1, "{sql}");
        assert_eq!(lexed.tokens[0].kind, kind, "{sql}");
        let bare = sql.strip_prefix('E').unwrap_or(sql);
        let quote = &bare[..1];
        let mut read = bare[1..bare.len() - 1].replace(&quote.repeat(2), quote);
        if bare.len() < sql.len() {
            assert_eq!(dialect, Dialect::Postgres, "{sql}");
            assert!(!read.replace(r"\\", "").contains('\\'), "{sql}");
            read = read.replace(r"\\", r"\");
        } else if dialect == Dialect::Postgres && kind == Kind::Literal {
            assert!(!read.contains('\\'), "a setting decides what it is: {sql}");
        }
        assert_eq!(read, text, "{sql}");
    }

    #[test]
    fn hostile_names_stay_names() {
        for name in [
            r#"a"; DROP SCHEMA x; --"#,
            r#"""#,
            "a'b",
            r"back\slash\",
            "tenant é 漢字 \u{202e}",
            "-- x",
            "/*",
            "$$",
            "new\nline",
            "Select",
            "[a]`b`",
        ] {
            for dialect in DIALECTS {
                stands_for(
                    dialect,
                    ident(dialect, name).unwrap().as_str(),
                    Kind::QuotedName,
                    name,
                );
                stands_for(
                    dialect,
                    literal(dialect, name).unwrap().as_str(),
                    Kind::Literal,
                    name,
                );
            }
        }
        assert_eq!(
            ident(Dialect::Postgres, r#"a"; DROP SCHEMA x; --"#)
                .unwrap()
                .as_str(),
            r#""a""; DROP SCHEMA x; --""#
        );
        assert_eq!(
            literal(Dialect::Postgres, r"it's\").unwrap().as_str(),
            r"E'it''s\\'"
        );
        assert_eq!(
            literal(Dialect::Sqlite, r"it's\").unwrap().as_str(),
            r"'it''s\'"
        );
    }

    #[test]
    fn what_cannot_be_quoted_is_refused() {
        for dialect in DIALECTS {
            assert_eq!(ident(dialect, ""), Err(QuoteError::Empty));
            assert_eq!(literal(dialect, "").unwrap().as_str(), "''");
            for result in [ident(dialect, "a\0b"), literal(dialect, "a\0b")] {
                assert_eq!(result, Err(QuoteError::Nul("a\0b".into())));
            }
        }
        let longest = "é".repeat(31) + "x";
        assert!(ident(Dialect::Postgres, &longest).is_ok());
        let too_long = ident(Dialect::Postgres, &"é".repeat(32)).unwrap_err();
        assert!(matches!(too_long, QuoteError::TooLong { bytes: 64, .. }));
        assert!(ident(Dialect::Sqlite, &"é".repeat(32)).is_ok());
    }

    proptest! {
        #[test]
        fn any_text_comes_back(text in "[^\0]{0,20}") {
            for dialect in DIALECTS {
                stands_for(dialect, literal(dialect, &text).unwrap().as_str(), Kind::Literal, &text);
                if let Ok(name) = ident(dialect, &text) {
                    stands_for(dialect, name.as_str(), Kind::QuotedName, &text);
                }
            }
        }

        #[test]
        fn quoting_is_safe_next_to_any_other_text(a in "['\"\\\\a-]{0,8}", b in "['\"\\\\a-]{0,8}") {
            let sql = format!("{} , {}", literal(Dialect::Postgres, &a).unwrap(), literal(Dialect::Postgres, &b).unwrap());
            let lexed = lex(Dialect::Postgres, &sql, 0..sql.len());
            prop_assert_eq!(lexed.significant().count(), 3);
        }
    }
}
