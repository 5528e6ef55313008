//! The fence's table of a database: made once, whose it is, and whether it is this database's own.
//!
//! `CREATE DATABASE … TEMPLATE` copies a fence with all its rows: epochs and stores of other tenants. So the table's
//! comment names the database that it was made in. Where that is another one, both by oid and by name, the rows are
//! a copy: nobody has claimed anything here yet, because every session asks first, and they are deleted. A fence that
//! came back under its database's own name (a dump that was restored) is kept: it refuses more, never less.

use super::connect::{Connection, text};
use super::errors::{ServerError, Trouble};
use super::names::{installation_key, literal};
use super::ownership::{ask_fence, not_our_fence};

/// What the table's comment begins with.
const STAMP: &str = "fence of database ";

/// Makes sure that the table is there, is ours, and holds no rows of another database's tenants.
pub(super) async fn ensure(connection: &mut Connection) -> Result<(), Trouble> {
    let mut found = connection.rows(ask_fence()).await?;
    if found.is_empty() {
        let own = stamp(&connection.database_oid, &connection.database);
        alone(connection, &install(&quoted(&own)?)).await?;
        // Asked again: somebody may have been faster, or own the schema.
        found = connection.rows(ask_fence()).await?;
    }
    let row = found.first();
    if row.and_then(|row| text(row, 0)).as_deref() != Some("true") {
        return Err(Trouble::Server(not_our_fence()));
    }
    let Some(stamped) = row.and_then(|row| text(row, 1)) else {
        return Ok(());
    };
    let Some(from) = copied_from(&stamped, &connection.database_oid, &connection.database) else {
        return Ok(());
    };
    let own = stamp(&connection.database_oid, &connection.database);
    let empty = empty(&quoted(&stamped)?, &quoted(&own)?);
    alone(connection, &empty).await.map_err(|trouble| match trouble {
        Trouble::Server(mut error) => {
            error.message = format!(
                "sanderling.fence came with a copy of database {from} and has to be emptied: {}",
                error.message
            );
            Trouble::Server(error)
        }
        lost => lost,
    })
}

/// Runs a block as a transaction of its own, under a lock that makes the race of two sessions impossible. A transaction
/// that failed does not stay open.
async fn alone(connection: &mut Connection, block: &str) -> Result<(), Trouble> {
    let message = format!(
        "BEGIN; SET LOCAL lock_timeout = '30s'; SELECT pg_catalog.pg_advisory_xact_lock({}); {block}; COMMIT",
        installation_key()
    );
    let done = connection.rows(message).await.map(drop);
    if done.is_err() {
        // The trouble itself is what matters.
        let _ = connection.rows("ROLLBACK".to_owned()).await;
    }
    done
}

/// `own` is quoted.
fn install(own: &str) -> String {
    format!(
        "DO $install$ BEGIN
CREATE SCHEMA IF NOT EXISTS sanderling;
IF pg_catalog.to_regclass('sanderling.fence') IS NULL THEN
 CREATE TABLE sanderling.fence (place text COLLATE \"C\" PRIMARY KEY, store_id text NOT NULL, epoch bigint NOT NULL, claim text NOT NULL);
 EXECUTE pg_catalog.format('COMMENT ON TABLE sanderling.fence IS %L', {own});
END IF;
END $install$"
    )
}

/// Both are quoted. Only what is still stamped as it was seen is emptied: somebody may have been faster, and claimed.
fn empty(stamped: &str, own: &str) -> String {
    format!(
        "DO $empty$ BEGIN
IF pg_catalog.obj_description('sanderling.fence'::regclass, 'pg_class') IS NOT DISTINCT FROM {stamped}::text THEN
 DELETE FROM sanderling.fence;
 EXECUTE pg_catalog.format('COMMENT ON TABLE sanderling.fence IS %L', {own});
END IF;
END $empty$"
    )
}

fn stamp(oid: &str, name: &str) -> String {
    format!("{STAMP}{oid} {name}")
}

/// The database that a stamp names, where it is certainly another one. No stamp of ours says nothing.
fn copied_from<'a>(stamped: &'a str, oid: &str, name: &str) -> Option<&'a str> {
    let (stamped_oid, stamped_name) = stamped.strip_prefix(STAMP)?.split_once(' ')?;
    (stamped_oid != oid && stamped_name != name).then_some(stamped_name)
}

fn quoted(text: &str) -> Result<String, Trouble> {
    literal(text)
        .map(|quoted| quoted.to_string())
        .map_err(|failure| {
            Trouble::Server(ServerError {
                code: failure.cause.code,
                message: failure.message,
                position: None,
            })
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_another_database_by_oid_and_name_is_another() {
        let own = stamp("5", "a b");
        for (oid, name, from) in [
            ("5", "a b", None),
            ("5", "renamed", None),
            ("6", "a b", None),
            ("6", "copy", Some("a b")),
        ] {
            assert_eq!(copied_from(&own, oid, name), from, "{oid} {name}");
        }
        assert_eq!(copied_from("somebody's remark", "6", "copy"), None);
    }
}
