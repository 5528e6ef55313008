//! Holds: tenants that an operator has pinned, and what that means for the targets of a rollout.
//!
//! Written only under the lock of the fleet's row. A hold is kept in the table and, for a rollout that is active, in the
//! outcomes of its targets: every verb that may have made a target pending, or a hold end, calls [`settle`] before it
//! saves, so that `candidates` and `start` need not know of holds.

use std::collections::BTreeSet;

use sanderling_core::event::HeldTargets;
use sanderling_core::{EventKind, Micros, RolloutId, TenantId};

use crate::link::{Fault, Row, Tx, corrupt, each, values};
use crate::port::HoldRecord;
use crate::rows::rollouts::Locked;
use crate::rows::targets;

/// A hold that has not ended; `$3` is now.
const LIVE: &str = "holds.fleet = $1 AND (holds.until IS NULL OR holds.until > $3)";

/// Targets of a rollout that nobody has in hand and that would start later.
const TO_START: &str = "targets.fleet = $1 AND targets.rollout = $2 AND targets.wave IS NOT NULL
    AND targets.in_flight = 0 AND targets.outcome IN ('pending', 'deferred')";

/// Held targets of a rollout.
const HELD: &str = "targets.fleet = $1 AND targets.rollout = $2 AND targets.wave IS NOT NULL AND targets.outcome = 'held'";

/// Who did it, and why; a person let something go where there is no reason.
pub(crate) type By<'b> = (&'b str, Option<&'b str>);

/// Makes a rollout's targets what the holds say: what is pinned is held, what is not is pending again. `by` is the person
/// who changed the holds just now, if one did. Returns how many targets moved.
pub(crate) async fn settle(
    tx: &mut Tx<'_>,
    locked: &mut Locked,
    now: Micros,
    by: Option<By<'_>>,
) -> Result<u64, Fault> {
    if !locked.rollout.state.is_active() {
        return Ok(0);
    }
    let id = locked.rollout.id.clone();
    let pinned = pin(tx, &id, now).await?;
    let let_go = match locked.rollout.held() {
        0 => Vec::new(),
        _ => let_go(tx, &id, now).await?,
    };
    let moved: u64 = pinned.iter().map(|pinned| pinned.targets).sum();
    let moved = moved + let_go.iter().map(|(_, n)| n).sum::<u64>();
    let held_before = locked.rollout.held() > 0 || locked.rollout.hold_ends_at.is_some();
    if moved == 0 && !held_before {
        return Ok(0);
    }
    let until = first_end(tx, &id, now).await?;
    let actor = by.map(|(actor, _)| actor.to_owned());
    let changed = until != locked.rollout.hold_ends_at;
    if !pinned.is_empty() || (changed && let_go.is_empty()) {
        let kind = EventKind::Held {
            targets: pinned,
            actor: actor.clone(),
            reason: by.and_then(|(_, reason)| reason).map(str::to_owned),
            until,
        };
        locked.record(now, kind)?;
    }
    if !let_go.is_empty() {
        let kind = EventKind::HoldEnded {
            actor,
            targets: let_go,
            until,
        };
        locked.record(now, kind)?;
    }
    Ok(moved)
}

/// Targets whose tenants are pinned are held from here on; how many of which.
async fn pin(tx: &mut Tx<'_>, id: &RolloutId, now: Micros) -> Result<Vec<HeldTargets>, Fault> {
    let sql = format!(
        "SELECT wave, outcome, COUNT(*) FROM holds JOIN targets ON targets.fleet = $1 AND targets.tenant = holds.tenant
         WHERE {LIVE} AND {TO_START} GROUP BY wave, outcome ORDER BY wave, outcome"
    );
    let rows = tx.rows(&sql, values![id, now]).await?;
    let pinned = rows
        .iter()
        .map(|row| {
            Ok(HeldTargets {
                wave: wave(row)?,
                outcome: targets::outcome(row.text(1)?)?,
                targets: row.count(2)?,
            })
        })
        .collect::<Result<Vec<_>, Fault>>()?;
    if !pinned.is_empty() {
        let sql = format!(
            "UPDATE targets SET outcome = 'held', class = NULL, cause = NULL, failure = NULL
             WHERE {TO_START} AND tenant IN (SELECT holds.tenant FROM holds WHERE {LIVE})"
        );
        tx.exec(&sql, values![id, now]).await?;
    }
    Ok(pinned)
}

/// Held targets whose tenants are not pinned any more are pending; how many in which wave.
async fn let_go(tx: &mut Tx<'_>, id: &RolloutId, now: Micros) -> Result<Vec<(usize, u64)>, Fault> {
    let free = format!(
        "{HELD} AND NOT EXISTS (SELECT 1 FROM holds WHERE holds.tenant = targets.tenant AND {LIVE})"
    );
    let sql =
        format!("SELECT wave, COUNT(*) FROM targets WHERE {free} GROUP BY wave ORDER BY wave");
    let rows = tx.rows(&sql, values![id, now]).await?;
    let let_go = rows
        .iter()
        .map(|row| Ok((wave(row)?, row.count(1)?)))
        .collect::<Result<Vec<_>, Fault>>()?;
    if !let_go.is_empty() {
        let sql = format!("UPDATE targets SET outcome = 'pending', not_before = 0 WHERE {free}");
        tx.exec(&sql, values![id, now]).await?;
    }
    Ok(let_go)
}

/// When the first hold on a held target of the rollout ends by itself.
async fn first_end(tx: &mut Tx<'_>, id: &RolloutId, now: Micros) -> Result<Option<Micros>, Fault> {
    let sql = format!(
        "SELECT MIN(holds.until) FROM holds JOIN targets ON targets.fleet = $1 AND targets.tenant = holds.tenant
         WHERE {LIVE} AND {HELD}"
    );
    let row = tx.row(&sql, values![id, now]).await?;
    let end = row.map(|row| row.int_or_none(0)).transpose()?;
    Ok(end.flatten().map(Micros))
}

fn wave(row: &Row) -> Result<usize, Fault> {
    usize::try_from(row.count(0)?).map_err(|_| corrupt("a wave's index"))
}

const COLUMNS: &str = "tenant, actor, reason, at, until";

/// Reads holds that have not ended, by tenant.
pub(crate) async fn live(tx: &mut Tx<'_>, now: Micros) -> Result<Vec<HoldRecord>, Fault> {
    let sql = format!(
        "SELECT {COLUMNS} FROM holds WHERE fleet = $1 AND (until IS NULL OR until > $2) ORDER BY tenant"
    );
    let rows = tx.rows(&sql, values![now]).await?;
    rows.iter().map(record).collect()
}

fn record(row: &Row) -> Result<HoldRecord, Fault> {
    Ok(HoldRecord {
        tenant: TenantId::new(row.text(0)?),
        actor: row.text(1)?.to_owned(),
        reason: row.text(2)?.to_owned(),
        at: Micros(row.int(3)?),
        until: row.int_or_none(4)?.map(Micros),
    })
}

/// The active rollouts that have one of these tenants.
pub(crate) async fn rollouts_of(
    tx: &mut Tx<'_>,
    tenants: &BTreeSet<&TenantId>,
) -> Result<BTreeSet<RolloutId>, Fault> {
    let sql = "SELECT DISTINCT targets.rollout FROM {each} JOIN targets
        ON targets.fleet = f AND targets.tenant = v ->> 0 AND targets.active = 1";
    let rows = tx.rows(sql, vec![each(&keys(tenants))?]).await?;
    rows.iter()
        .map(|row| Ok(RolloutId::new(row.text(0)?)))
        .collect()
}

/// Those of these tenants that a claim is at work on, by id.
pub(crate) async fn in_flight(
    tx: &mut Tx<'_>,
    tenants: &BTreeSet<&TenantId>,
) -> Result<Vec<TenantId>, Fault> {
    let sql = "SELECT targets.tenant FROM {each} JOIN targets
        ON targets.fleet = f AND targets.tenant = v ->> 0 AND targets.in_flight = 1 ORDER BY targets.tenant";
    let rows = tx.rows(sql, vec![each(&keys(tenants))?]).await?;
    rows.iter()
        .map(|row| Ok(TenantId::new(row.text(0)?)))
        .collect()
}

/// Tenants as rows of one column, for `{each}`.
pub(crate) fn keys<'t>(tenants: &BTreeSet<&'t TenantId>) -> Vec<[&'t TenantId; 1]> {
    tenants.iter().map(|tenant| [*tenant]).collect()
}
