//! A person's word on a statement whose end nobody heard and no catalog shows.

use sanderling_core::{Failure, StoreId, Version};

use crate::port::Decision;
use crate::postgres::connect::{Connection, text};
use crate::postgres::errors::{Trouble, state};
use crate::postgres::message::marker;
use crate::postgres::names::{Schema, literal};
use crate::postgres::ownership;
use crate::postgres::survey;
use crate::progress::nothing_open;

/// Writes the word into the row of the version: under the tenant's lock, so that no session is at work, under a fence of
/// this store, and only if the row is as it was read.
pub(crate) async fn decide(
    connection: &mut Connection,
    schema: &Schema,
    store: &StoreId,
    version: &Version,
    role: Option<&str>,
    took_effect: bool,
) -> Result<Decision, Failure> {
    let found = find(connection, schema, version).await?;
    let number = found.step.unsigned_abs();
    let (state, step) = match number.saturating_sub(1) {
        _ if took_effect => ("applying", number),
        0 => ("reverted", 0),
        before => ("applying", before),
    };
    let ledger = schema.ledger();
    let tag = marker();
    let owned = ownership::demand(
        literal(&ledger)?.as_str(),
        state::OWNER,
        "'the ledger is not a table of the login role'",
        role,
    );
    let message = format!(
        "DO ${tag}$ BEGIN
IF NOT pg_catalog.pg_try_advisory_xact_lock({key}::bigint) THEN
 RAISE EXCEPTION USING ERRCODE = '{BUSY}', MESSAGE = 'a session is still at work on the tenant: wait for it, or end it';
END IF;
PERFORM 1 FROM sanderling.fence f WHERE f.place::text = {place} AND f.store_id::text = {store} FOR UPDATE;
IF NOT FOUND THEN
 RAISE EXCEPTION USING ERRCODE = '{FENCED}', MESSAGE = 'the fence of the tenant is not this control store''s';
END IF;
LOCK TABLE {ledger} IN ROW EXCLUSIVE MODE;
{owned}UPDATE {ledger} AS l SET state = '{state}', step = {step} WHERE l.version::text = {version}
 AND l.state::text = 'applying' AND l.step::bigint = ({was})::bigint AND l.epoch::bigint = {epoch}::bigint;
IF NOT FOUND THEN
 RAISE EXCEPTION USING ERRCODE = '{TAKEN}', MESSAGE = 'the ledger row has changed meanwhile: look again';
END IF;
END ${tag}$",
        key = schema.lock_key(&connection.database_oid),
        place = schema.place,
        store = literal(store.as_str())?,
        version = literal(version.as_str())?,
        was = found.step,
        epoch = found.epoch,
        BUSY = state::BUSY,
        FENCED = state::FENCED,
        TAKEN = state::TAKEN,
    );
    connection.rows(message).await.map_err(refused)?;
    Ok(Decision {
        statement: number,
        statements: found.steps,
    })
}

struct Found {
    step: i64,
    steps: u64,
    epoch: i64,
}

async fn find(
    connection: &mut Connection,
    schema: &Schema,
    version: &Version,
) -> Result<Found, Failure> {
    let ours = connection
        .rows(ownership::ask_ledger(schema.literal.as_str()))
        .await
        .map_err(refused)?;
    match ours.first().and_then(|row| text(row, 0)).as_deref() {
        Some("true") => {}
        Some(_) => return Err(survey::strange()),
        None => return Err(nothing_open(version)),
    }
    let ask = format!(
        "SELECT step::bigint::text, steps::bigint::text, epoch::bigint::text FROM {} \
         WHERE version::text OPERATOR(pg_catalog.=) {} AND state::text OPERATOR(pg_catalog.=) 'applying'",
        schema.ledger(),
        literal(version.as_str())?
    );
    let rows = connection.rows(ask).await.map_err(refused)?;
    let found = rows.first().and_then(|row| {
        Some(Found {
            step: text(row, 0)?.parse().ok()?,
            steps: text(row, 1)?.parse().ok()?,
            epoch: text(row, 2)?.parse().ok()?,
        })
    });
    found
        .filter(|found| found.step < 0)
        .ok_or_else(|| nothing_open(version))
}

fn refused(trouble: Trouble) -> Failure {
    trouble.failure()
}
