//! Ledger and fence of a file: their statements, and how they are read.

use std::time::Duration;

use sanderling_core::{Direction, Epoch, Failure, LedgerRow, StoreId};
use sqlx::sqlite::SqliteRow;
use sqlx::{Row, SqliteConnection};

use super::ask::literal;
use super::errors::is_answer;
use crate::ledger::{RawRow, in_order};
use crate::port::{Claim, Step};

/// The fence's table.
pub(super) const CREATE_FENCE: &str = "CREATE TABLE IF NOT EXISTS main.sanderling_fence (id INTEGER PRIMARY KEY CHECK (id = 0), \
     store_id TEXT NOT NULL, epoch INTEGER NOT NULL, claim TEXT NOT NULL)";

/// The ledger's table.
pub(super) const CREATE_LEDGER: &str = "CREATE TABLE IF NOT EXISTS main.sanderling_migrations (version TEXT PRIMARY KEY NOT NULL, \
     name TEXT NOT NULL, checksum TEXT NOT NULL, state TEXT NOT NULL, step INTEGER NOT NULL DEFAULT 0, \
     steps INTEGER NOT NULL DEFAULT 0, epoch INTEGER NOT NULL, rollout TEXT, applied_at INTEGER NOT NULL, \
     duration_ms INTEGER NOT NULL, applied_by TEXT NOT NULL)";

/// Raises the fence to a claim; touches no row when the fence is ahead or another store's.
pub(super) fn raise_fence(claim: &Claim) -> Result<String, Failure> {
    Ok(format!(
        "INSERT INTO main.sanderling_fence AS f (id, store_id, epoch, claim) VALUES (0, {}, {}, {}) \
         ON CONFLICT (id) DO UPDATE SET epoch = excluded.epoch, claim = excluded.claim \
         WHERE f.store_id = excluded.store_id \
         AND (f.epoch < excluded.epoch OR (f.epoch = excluded.epoch AND f.claim = excluded.claim))",
        literal(claim.store.as_str())?,
        claim.epoch.0,
        literal(claim.nonce.as_str())?
    ))
}

/// Asks for every row of the ledger, which must be there.
pub(super) const READ_LEDGER: &str = "SELECT CAST(version AS TEXT), CAST(checksum AS TEXT), CAST(state AS TEXT), \
     CAST(epoch AS INTEGER), CAST(rollout AS TEXT), CAST(applied_at AS INTEGER) FROM main.sanderling_migrations";

/// Writes a version's row; touches none when another took its place. One that is taken back moves instead, and touches
/// none where it is not as it was: the text was compared behind the fence, in the same transaction.
pub(super) fn write_row(
    step: &Step<'_>,
    claim: &Claim,
    duration: Duration,
) -> Result<String, Failure> {
    let (version, name) = (literal(step.version.as_str())?, literal(step.name)?);
    let checksum = literal(step.checksum.as_str())?;
    let (rollout, worker) = (
        literal(claim.rollout.as_str())?,
        literal(claim.worker.as_str())?,
    );
    let epoch = claim.epoch.0;
    let now = "CAST((julianday('now') - 2440587.5) * 86400000 AS INTEGER) * 1000";
    let duration = i64::try_from(duration.as_millis()).unwrap_or(i64::MAX);
    Ok(match step.direction {
        Direction::Up => format!(
            "INSERT INTO main.sanderling_migrations AS l \
             (version, name, checksum, state, step, steps, epoch, rollout, applied_at, duration_ms, applied_by) \
             VALUES ({version}, {name}, {checksum}, 'applied', 0, 0, {epoch}, {rollout}, {now}, {duration}, {worker}) \
             ON CONFLICT (version) DO UPDATE SET name = excluded.name, checksum = excluded.checksum, state = excluded.state, \
             step = 0, steps = 0, epoch = excluded.epoch, rollout = excluded.rollout, applied_at = excluded.applied_at, \
             duration_ms = excluded.duration_ms, applied_by = excluded.applied_by \
             WHERE l.state = 'reverted' AND l.epoch <= excluded.epoch"
        ),
        Direction::Down => format!(
            "UPDATE main.sanderling_migrations SET name = {name}, checksum = {checksum}, state = 'reverted', step = 0, \
             steps = 0, epoch = {epoch}, rollout = {rollout}, applied_at = {now}, duration_ms = {duration}, \
             applied_by = {worker} \
             WHERE version = {version} AND state = 'applied' AND epoch <= {epoch}"
        ),
    })
}

/// Who holds the fence, if anybody ever did.
pub(super) async fn read_fence(
    connection: &mut SqliteConnection,
) -> Result<Option<(StoreId, Epoch)>, sqlx::Error> {
    let row = sqlx::query("SELECT store_id, epoch FROM main.sanderling_fence WHERE id = 0")
        .fetch_optional(connection)
        .await?;
    row.map(|row| {
        Ok((
            StoreId::new(row.try_get::<String, _>(0)?),
            Epoch(row.try_get(1)?),
        ))
    })
    .transpose()
}

/// Who holds the fence; `None` also where there is no table for it.
pub(super) async fn find_fence(
    connection: &mut SqliteConnection,
) -> Result<Option<(StoreId, Epoch)>, sqlx::Error> {
    match read_fence(&mut *connection).await {
        Err(error) if is_answer(&error) && !has_table(connection, "sanderling_fence").await? => {
            Ok(None)
        }
        found => found,
    }
}

/// Every row of the ledger; `None` where there is no ledger. Asks for the table only when reading failed.
pub(super) async fn read_ledger(
    connection: &mut SqliteConnection,
) -> Result<Option<Result<Vec<LedgerRow>, Failure>>, sqlx::Error> {
    let rows = match sqlx::query(READ_LEDGER).fetch_all(&mut *connection).await {
        Ok(rows) => rows,
        Err(error)
            if is_answer(&error) && !has_table(connection, "sanderling_migrations").await? =>
        {
            return Ok(None);
        }
        Err(error) => return Err(error),
    };
    ledger_of(rows.iter()).map(Some)
}

/// The ledger, from the rows of [`READ_LEDGER`].
pub(super) fn ledger_of<'r>(
    rows: impl Iterator<Item = &'r SqliteRow>,
) -> Result<Result<Vec<LedgerRow>, Failure>, sqlx::Error> {
    let rows = rows.map(raw_row).collect::<Result<Vec<_>, _>>()?;
    let parsed = rows.into_iter().map(RawRow::parse);
    Ok(parsed.collect::<Result<_, _>>().map(in_order))
}

/// Whether the file has a table of ours.
pub(super) async fn has_table(
    connection: &mut SqliteConnection,
    name: &str,
) -> Result<bool, sqlx::Error> {
    sqlx::query("SELECT 1 FROM main.sqlite_schema WHERE type = 'table' AND name = ?1")
        .bind(name)
        .fetch_optional(connection)
        .await
        .map(|row| row.is_some())
}

fn raw_row(row: &SqliteRow) -> Result<RawRow, sqlx::Error> {
    Ok(RawRow {
        version: row.try_get(0)?,
        checksum: row.try_get(1)?,
        state: row.try_get(2)?,
        epoch: row.try_get(3)?,
        rollout: row.try_get(4)?,
        applied_at: row.try_get(5)?,
    })
}
