//! Foreign keys around a migration.
//!
//! They are not enforced while it runs: rebuilding a table (new table, copy, drop, rename) would fire `ON DELETE` on
//! the rows of its children. What it broke is looked for before it commits.

use std::collections::BTreeMap;

use sanderling_core::{ErrorClass, Failure};
use sqlx::{Row, SqliteConnection};

/// Asks for the tables that have a foreign key.
pub(super) const TABLES: &str = "SELECT DISTINCT CAST(m.name AS TEXT) FROM main.sqlite_schema m \
     JOIN pragma_foreign_key_list(m.name, 'main') WHERE m.type = 'table'";

const BROKEN: &str = "SELECT CAST(parent AS TEXT), count(*) FROM pragma_foreign_key_check(?1, 'main') GROUP BY parent";

/// How many rows of a table (first) point at no row of its parent (second). Rows are counted, because rebuilding a
/// table may number them anew.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Keys(BTreeMap<(String, String), i64>);

impl Keys {
    /// Looks at every table that has a foreign key; reads each of its rows.
    pub(super) async fn broken(connection: &mut SqliteConnection) -> Result<Self, sqlx::Error> {
        let tables: Vec<String> = sqlx::query_scalar(TABLES)
            .fetch_all(&mut *connection)
            .await?;
        Self::of(connection, tables).await
    }

    /// Looks at these tables; reads each of their rows.
    pub(super) async fn of(
        connection: &mut SqliteConnection,
        tables: Vec<String>,
    ) -> Result<Self, sqlx::Error> {
        let mut broken = BTreeMap::new();
        for table in tables {
            let rows = sqlx::query(BROKEN).bind(&table).fetch_all(&mut *connection);
            match rows.await {
                Ok(rows) => {
                    for row in rows {
                        broken.insert((table.clone(), row.try_get(0)?), row.try_get(1)?);
                    }
                }
                // The parent has no unique key on what is referenced: no row can be judged, and none inserted later.
                Err(sqlx::Error::Database(error))
                    if error.message().contains("foreign key mismatch") =>
                {
                    broken.insert((table, error.message().to_owned()), 1);
                }
                Err(error) => return Err(error),
            }
        }
        Ok(Self(broken))
    }

    /// What is broken here and was not in `before`.
    pub(super) fn newly(&self, before: &Self) -> Option<Failure> {
        let new = self
            .0
            .iter()
            .map(|(key, count)| (key, count - before.0.get(key).unwrap_or(&0)));
        let found: Vec<_> = new
            .filter(|(_, count)| *count > 0)
            .map(|((table, parent), count)| {
                if parent.contains("foreign key mismatch") {
                    parent.clone()
                } else {
                    format!("{count} rows of {table} point at no row of {parent}")
                }
            })
            .collect();
        if found.is_empty() {
            return None;
        }
        Some(Failure::new(
            ErrorClass::MigrationSql,
            "foreign_key",
            format!(
                "the migration breaks foreign keys: {}; ON DELETE and ON UPDATE do not act while a migration runs, so \
                 change the rows on both sides in it",
                found.join(", ")
            ),
        ))
    }
}
