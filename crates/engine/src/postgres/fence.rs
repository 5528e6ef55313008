//! The fence's table of a database: made once, whose it is, and whether it is this database's own.
//!
//! `CREATE DATABASE … TEMPLATE` copies a fence with all its rows: epochs and stores of other tenants. So the table's
//! comment, its stamp, names the database that it was made in, by oid and name. Every session asks first:
//!
//! | oid | name | what happened | rows | stamp |
//! |---|---|---|---|---|
//! | same | same | nothing | kept | kept |
//! | same | other | renamed | kept | renewed |
//! | other | same | a dump was restored, or a copy took the original's place | kept | renewed |
//! | other | other | and the server has that very database, by oid and name: a copy of it | deleted | renewed |
//! | other | other | and it has none: a dump under another name, a copy whose original is gone | kept | renewed |
//! | no stamp | | made by hand | kept | none |
//!
//! The stamp is renewed so that two changes, one after the other (renamed, then restored under the new name), do not look
//! like a copy. In doubt rows are kept: a row too many refuses a claim, which then takes a greater number or says whose the
//! fence is; a row too few lets a late message pass.

use sqlx::postgres::PgRow;

use super::connect::{Connection, text};
use super::errors::{ServerError, Trouble};
use super::names::{installation_key, literal};
use super::ownership::{ask_fence, ask_fence_at_first_sight, not_our_fence};

/// What the table's comment begins with.
const STAMP: &str = "fence of database ";

/// Makes sure that the table is there, is ours, and holds no rows of another database's tenants.
pub(super) async fn ensure(connection: &mut Connection) -> Result<(), Trouble> {
    let mut found = look(connection).await?;
    if found.is_empty() {
        let own = stamp(&connection.database_oid, &connection.database);
        alone(connection, &install(&quoted(&own)?)).await?;
        // Asked again: somebody may have been faster, or own the schema.
        found = look(connection).await?;
    }
    let row = found.first();
    if !is_ours(&found) {
        return Err(Trouble::Server(not_our_fence()));
    }
    let Some(stamped) = row.and_then(|row| text(row, 1)) else {
        return Ok(());
    };
    let (oid, name) = (&connection.database_oid, &connection.database);
    let Some((from_oid, from_name)) = made_in(&stamped) else {
        return Ok(());
    };
    if from_oid == oid && from_name == name {
        return Ok(());
    }
    let copy = from_oid != oid && from_name != name;
    let empty = match copy {
        true => empty_copy(&quoted(from_oid)?, &quoted(from_name)?),
        false => String::new(),
    };
    let own = stamp(oid, name);
    let block = renew(&quoted(&stamped)?, &quoted(&own)?, &empty);
    match alone(connection, &block).await {
        // Kept with its old stamp, it refuses no less; only the owner may renew that.
        Err(Trouble::Server(error)) if !copy && error.code == "42501" => Ok(()),
        Err(Trouble::Server(mut error)) => {
            error.message = format!(
                "sanderling.fence bears the stamp of another database, {from_name}, and could not be taken over: {}",
                error.message
            );
            Err(Trouble::Server(error))
        }
        done => done,
    }
}

/// The table, if it is there: whether it is ours, and its stamp. What does not look like it at first sight is looked at
/// closely.
async fn look(connection: &mut Connection) -> Result<Vec<PgRow>, Trouble> {
    let found = connection.rows(ask_fence_at_first_sight()).await?;
    if found.is_empty() || is_ours(&found) {
        return Ok(found);
    }
    connection.rows(ask_fence()).await
}

fn is_ours(found: &[PgRow]) -> bool {
    let row = found.first();
    row.and_then(|row| text(row, 0)).as_deref() == Some("true")
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

/// Both are quoted. Only what is still stamped as it was seen is taken over: somebody may have been faster, and claimed.
fn renew(stamped: &str, own: &str, empty: &str) -> String {
    format!(
        "DO $renew$ BEGIN
IF pg_catalog.obj_description('sanderling.fence'::regclass, 'pg_class') IS NOT DISTINCT FROM {stamped}::text THEN
{empty} EXECUTE pg_catalog.format('COMMENT ON TABLE sanderling.fence IS %L', {own});
END IF;
END $renew$"
    )
}

/// plpgsql; both are quoted. Deletes the rows where the server has the database that they are a copy from.
fn empty_copy(oid: &str, name: &str) -> String {
    format!(
        " IF EXISTS (SELECT FROM pg_catalog.pg_database d WHERE d.oid::text = {oid}::text AND d.datname::text = {name}::text) THEN
  DELETE FROM sanderling.fence;
 END IF;
"
    )
}

fn stamp(oid: &str, name: &str) -> String {
    format!("{STAMP}{oid} {name}")
}

/// Oid and name of the database that a stamp of ours names.
fn made_in(stamped: &str) -> Option<(&str, &str)> {
    stamped.strip_prefix(STAMP)?.split_once(' ')
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
    fn a_stamp_is_read_as_it_was_written() {
        assert_eq!(made_in(&stamp("5", "a b")), Some(("5", "a b")));
        assert_eq!(made_in("somebody's remark"), None);
    }
}
