//! What the catalog says about a statement whose end nobody heard.

use sanderling_core::Failure;
use sqlx::postgres::PgRow;

use crate::postgres::connect::{Connection, text};
use crate::postgres::errors::Trouble;
use crate::postgres::names::{Schema, ident, literal};

/// What stands in the catalog under an index's name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Seen {
    /// Nothing.
    Nothing,
    /// A table, a view, a sequence.
    NoIndex,
    /// An index that answers queries and is kept up to date.
    Valid,
    /// What a build that broke off has left.
    Invalid,
}

/// What the catalog says of a partition and the table that it is to be one of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Attached {
    /// It is a partition.
    Yes,
    /// A detach has begun and not ended.
    Pending,
    /// It is none.
    No,
}

/// An index, a partition, or a table with indexes, by name.
pub(super) struct Named {
    /// Its qualified name, quoted.
    pub(super) ident: String,
    schema: String,
    name: String,
}

impl Named {
    /// A name in the tenant's schema, unless the statement says another.
    pub(super) fn new(tenant: &Schema, schema: Option<&str>, name: &str) -> Result<Self, Failure> {
        let schema = schema.unwrap_or(&tenant.name);
        Ok(Self {
            ident: format!("{}.{}", ident(schema)?, ident(name)?),
            schema: literal(schema)?.to_string(),
            name: literal(name)?.to_string(),
        })
    }

    /// Looks the index up.
    pub(super) async fn look(&self, connection: &mut Connection) -> Result<Seen, Trouble> {
        let Self { schema, name, .. } = self;
        let ask = format!(
            "SELECT c.relkind::text, (i.indisvalid AND i.indisready AND i.indislive)::text
 FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid OPERATOR(pg_catalog.=) c.relnamespace
 LEFT JOIN pg_catalog.pg_index i ON i.indexrelid OPERATOR(pg_catalog.=) c.oid
 WHERE n.nspname OPERATOR(pg_catalog.=) {schema}::name AND c.relname OPERATOR(pg_catalog.=) {name}::name"
        );
        Ok(seen(connection.rows(ask).await?.first()))
    }

    /// Whether it is a partition of that table.
    pub(super) async fn attached_to(
        &self,
        parent: &Self,
        connection: &mut Connection,
    ) -> Result<Attached, Trouble> {
        let ask = format!(
            "SELECT i.inhdetachpending::text FROM pg_catalog.pg_inherits i
 JOIN pg_catalog.pg_class c ON c.oid OPERATOR(pg_catalog.=) i.inhrelid
 JOIN pg_catalog.pg_namespace n ON n.oid OPERATOR(pg_catalog.=) c.relnamespace
 JOIN pg_catalog.pg_class p ON p.oid OPERATOR(pg_catalog.=) i.inhparent
 JOIN pg_catalog.pg_namespace m ON m.oid OPERATOR(pg_catalog.=) p.relnamespace
 WHERE n.nspname OPERATOR(pg_catalog.=) {}::name AND c.relname OPERATOR(pg_catalog.=) {}::name
 AND m.nspname OPERATOR(pg_catalog.=) {}::name AND p.relname OPERATOR(pg_catalog.=) {}::name",
            self.schema, self.name, parent.schema, parent.name
        );
        let rows = connection.rows(ask).await?;
        Ok(match rows.first().and_then(|row| text(row, 0)).as_deref() {
            Some("true") => Attached::Pending,
            Some(_) => Attached::Yes,
            None => Attached::No,
        })
    }

    /// The INVALID indexes that a broken-off REINDEX CONCURRENTLY has left, of this index's table or of the table of
    /// this name, of their partitions, and, where a table was rebuilt, of what the server keeps its long values in
    /// (TOAST); quoted. The server calls the new index `<name>_ccnew` and the old one `<name>_ccold`, with a number
    /// where it must.
    pub(super) async fn leftovers(
        &self,
        connection: &mut Connection,
        is_table: bool,
    ) -> Result<Vec<String>, Trouble> {
        let Self { schema, name, .. } = self;
        let tables = if is_table {
            "SELECT tree.oid FROM tree UNION SELECT t.reltoastrelid FROM tree
 JOIN pg_catalog.pg_class t ON t.oid OPERATOR(pg_catalog.=) tree.oid"
        } else {
            "SELECT x.indrelid FROM tree JOIN pg_catalog.pg_index x ON x.indexrelid OPERATOR(pg_catalog.=) tree.oid"
        };
        let ask = format!(
            "WITH RECURSIVE tree (oid) AS (
 SELECT c.oid FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid OPERATOR(pg_catalog.=) c.relnamespace
 WHERE n.nspname OPERATOR(pg_catalog.=) {schema}::name AND c.relname OPERATOR(pg_catalog.=) {name}::name
 UNION SELECT p.oid FROM tree JOIN pg_catalog.pg_inherits h ON h.inhparent OPERATOR(pg_catalog.=) tree.oid
 JOIN pg_catalog.pg_class p ON p.oid OPERATOR(pg_catalog.=) h.inhrelid AND p.relispartition
), tables (oid) AS ({tables})
 SELECT pg_catalog.format('%I.%I', n.nspname, c.relname) FROM tables
 JOIN pg_catalog.pg_index i ON i.indrelid OPERATOR(pg_catalog.=) tables.oid
 JOIN pg_catalog.pg_class c ON c.oid OPERATOR(pg_catalog.=) i.indexrelid
 JOIN pg_catalog.pg_namespace n ON n.oid OPERATOR(pg_catalog.=) c.relnamespace
 WHERE NOT i.indisvalid AND c.relname::text OPERATOR(pg_catalog.~) '_cc(new|old)[0-9]*$'
 ORDER BY n.nspname, c.relname"
        );
        let rows = connection.rows(ask).await?;
        Ok(rows.iter().filter_map(|row| text(row, 0)).collect())
    }
}

fn seen(row: Option<&PgRow>) -> Seen {
    let Some(row) = row else {
        return Seen::Nothing;
    };
    match text(row, 1).as_deref() {
        Some("true") => Seen::Valid,
        Some(_) => Seen::Invalid,
        None => Seen::NoIndex,
    }
}
