//! The catalog of one file.

use std::path::Path;

use sanderling_core::{ErrorClass, Failure};
use sqlx::{Row, SqliteConnection};

use super::reader;
use super::tokens::normal;
use crate::fingerprint;
use crate::port::Catalog;

/// What the pragmas say: columns, indexes, foreign keys. Each row is a JSON array.
const PRAGMAS: &str = "
WITH t AS MATERIALIZED (SELECT name FROM main.sqlite_schema WHERE type IN ('table', 'view')
 AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\' AND name NOT IN ('sanderling_migrations', 'sanderling_fence'))
SELECT json_array('column', t.name, c.name, lower(c.type), c.\"notnull\", c.dflt_value, c.pk, c.hidden)
 FROM t JOIN pragma_table_xinfo(t.name) c
UNION ALL
SELECT json_array('index', t.name, CASE WHEN i.origin = 'c' THEN i.name END, i.\"unique\", i.origin, i.partial,
 (SELECT json_group_array(json_array(x.seqno, x.name, x.\"desc\", x.coll, x.key)) FROM pragma_index_xinfo(i.name) x))
 FROM t JOIN pragma_index_list(t.name) i
UNION ALL
SELECT json_array('foreign_key', t.name, f.seq, f.\"table\", f.\"from\", f.\"to\", f.on_update, f.on_delete, f.match,
 (SELECT count(*) FROM pragma_foreign_key_list(t.name) g WHERE g.id = f.id))
 FROM t JOIN pragma_foreign_key_list(t.name) f";

/// The texts, for what no pragma tells: CHECK, COLLATE, WHERE of partial indexes, triggers, views.
const TEXTS: &str = "SELECT type, name, tbl_name, sql FROM main.sqlite_schema WHERE sql IS NOT NULL
 AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\' AND tbl_name NOT IN ('sanderling_migrations', 'sanderling_fence')";

/// The catalog of a file, read without leaving a trace beside it.
pub(super) async fn of_file(path: &Path) -> Result<Catalog, Failure> {
    reader::read(path, async |connection: &mut SqliteConnection| {
        lines(connection).await
    })
    .await?
    .map(|lines| fingerprint::catalog("sqlite", lines))
    .ok_or_else(|| Failure::new(ErrorClass::Precondition, "missing", "there is no such file"))
}

pub(super) async fn lines(connection: &mut SqliteConnection) -> Result<Vec<String>, sqlx::Error> {
    let mut lines = Vec::new();
    for row in sqlx::query(PRAGMAS).fetch_all(&mut *connection).await? {
        lines.push(row.try_get(0)?);
    }
    for row in sqlx::query(TEXTS).fetch_all(&mut *connection).await? {
        let fields: [String; 3] = [row.try_get(0)?, row.try_get(1)?, row.try_get(2)?];
        let sql: String = row.try_get(3)?;
        let [kind, name, table] = fields;
        lines.push(serde_json::json!(["text", kind, name, table, normal(&sql)]).to_string());
    }
    Ok(lines)
}
