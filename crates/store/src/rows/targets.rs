//! Target rows: one tenant in one rollout.

use std::collections::{BTreeMap, BTreeSet};

use sanderling_core::{
    Cause, Epoch, ErrorClass, Failure, HostName, Micros, Nonce, Outcome, Place, RolloutId,
    TenantId, Version, WorkerId, WrittenLabels,
};

use crate::link::{Fault, Row, Tx, Value, corrupt, each};
use crate::port::TargetRef;

/// A target with all that `start` and `report` need to know.
#[derive(Clone, Debug)]
pub(crate) struct Target {
    /// Rollout and tenant.
    pub(crate) key: TargetRef,
    /// Its wave; absent where the plan left it out.
    pub(crate) wave: Option<usize>,
    /// Index into the plan's paths.
    pub(crate) path: usize,
    /// Its host.
    pub(crate) host: HostName,
    /// Where its data lives.
    pub(crate) place: Place,
    /// Its labels when it was submitted.
    pub(crate) labels: WrittenLabels,
    /// Whether the plan found a ledger.
    pub(crate) has_ledger: bool,
    /// What became of it.
    pub(crate) outcome: Outcome,
    /// Versions applied so far, by evidence.
    pub(crate) applied: Vec<Version>,
    /// Why it failed.
    pub(crate) failure: Option<Failure>,
    /// Attempts that ended in a retry, by class.
    pub(crate) attempts: BTreeMap<ErrorClass, u32>,
    /// Not to be started before.
    pub(crate) not_before: Micros,
    /// Its current claim, while there is one; kept after it ended for its epoch.
    pub(crate) claim: Claim,
    /// Whether a person cancelled it while it was in flight, and nobody has said yet what came of that.
    pub(crate) cancels: bool,
}

/// A target's claim.
#[derive(Clone, Debug, Default)]
pub(crate) struct Claim {
    /// Whether it is granted and not ended.
    pub(crate) in_flight: bool,
    /// Its number; 0 before the first.
    pub(crate) epoch: Epoch,
    /// Its nonce.
    pub(crate) nonce: Option<Nonce>,
    /// Who holds it.
    pub(crate) owner: Option<WorkerId>,
    /// Until when.
    pub(crate) lease_until: Micros,
    /// Since when.
    pub(crate) since: Micros,
    /// Whether a message of an older claim may arrive while it lasts.
    pub(crate) takeover: bool,
    /// Whether it may only fence, read and report.
    pub(crate) resolves: bool,
}

impl Target {
    /// Whether its claim has expired.
    pub(crate) fn expired(&self, now: Micros) -> bool {
        self.claim.in_flight && self.claim.lease_until <= now
    }

    /// Whether it could be started in a rollout that runs.
    pub(crate) fn is_due(&self, now: Micros) -> bool {
        !self.claim.in_flight && self.outcome == Outcome::Pending && self.not_before <= now
    }

    /// Its wave; a target in flight has one.
    pub(crate) fn wave(&self) -> Result<usize, Fault> {
        self.wave
            .ok_or_else(|| corrupt(format!("target {} is in no wave", self.key.tenant)))
    }
}

const COLUMNS: &str = "targets.rollout, targets.tenant, wave, path, host, place, has_ledger, outcome, applied,
    failure, attempts, not_before, in_flight, epoch, nonce, owner, lease_until, since, takeover, resolves, labels,
    cancels";

/// Locks targets in order of (rollout, tenant). Those that do not exist are left out.
pub(crate) async fn lock(
    tx: &mut Tx<'_>,
    keys: &BTreeSet<&TargetRef>,
) -> Result<BTreeMap<TargetRef, Target>, Fault> {
    let sql = format!(
        "SELECT {COLUMNS} FROM {{each}} JOIN targets
         ON targets.fleet = f AND targets.rollout = v ->> 0 AND targets.tenant = v ->> 1
         ORDER BY targets.rollout, targets.tenant {{lock_targets}}"
    );
    let rows = tx.rows(&sql, vec![each(&pairs(keys))?]).await?;
    rows.iter()
        .map(|row| read(row).map(|target| (target.key.clone(), target)))
        .collect()
}

/// Rollout and tenant of each key, for `{each}`.
pub(crate) fn pairs<'k>(keys: &BTreeSet<&'k TargetRef>) -> Vec<(&'k RolloutId, &'k TenantId)> {
    keys.iter().map(|k| (&k.rollout, &k.tenant)).collect()
}

fn read(row: &Row) -> Result<Target, Fault> {
    let index = |column| match row.int_or_none(column)? {
        None => Ok(None),
        Some(n) => usize::try_from(n)
            .map(Some)
            .map_err(|_| corrupt(format!("index {n}"))),
    };
    Ok(Target {
        key: TargetRef {
            rollout: RolloutId::new(row.text(0)?),
            tenant: TenantId::new(row.text(1)?),
        },
        wave: index(2)?,
        path: index(3)?.unwrap_or_default(),
        host: HostName::new(row.text(4)?),
        place: row.json(5)?,
        labels: WrittenLabels::from_text(row.text(20)?),
        has_ledger: row.flag(6)?,
        outcome: outcome(row.text(7)?)?,
        applied: row.json(8)?,
        failure: failure(row.text_or_none(9)?)?,
        attempts: row.json(10)?,
        not_before: Micros(row.int(11)?),
        claim: Claim {
            in_flight: row.flag(12)?,
            epoch: Epoch(row.int(13)?),
            nonce: row.text_or_none(14)?.map(Nonce::new),
            owner: row.text_or_none(15)?.map(WorkerId::new),
            lease_until: Micros(row.int_or_none(16)?.unwrap_or_default()),
            since: Micros(row.int_or_none(17)?.unwrap_or_default()),
            takeover: row.flag(18)?,
            resolves: row.flag(19)?,
        },
        cancels: row.flag(21)?,
    })
}

/// The outcome of that name.
pub(crate) fn outcome(name: &str) -> Result<Outcome, Fault> {
    Outcome::parse(name).ok_or_else(|| corrupt(format!("unknown outcome {name}")))
}

/// A failure as stored.
pub(crate) fn failure(json: Option<&str>) -> Result<Option<Failure>, Fault> {
    Ok(json.map(serde_json::from_str).transpose()?)
}

/// Writes claims that were granted or renumbered; the rows are locked.
pub(crate) async fn claimed<'t>(
    tx: &mut Tx<'_>,
    targets: impl IntoIterator<Item = &'t Target>,
) -> Result<(), Fault> {
    let mut rows = Vec::new();
    for Target {
        key,
        claim,
        attempts,
        ..
    } in targets
    {
        rows.push((
            (&key.rollout, &key.tenant, claim.epoch),
            (&claim.nonce, &claim.owner, claim.lease_until, claim.since),
            (i64::from(claim.takeover), i64::from(claim.resolves)),
            serde_json::to_string(attempts)?,
        ));
    }
    let sql = "UPDATE targets SET in_flight = 1, epoch = CAST(v -> 0 ->> 2 AS bigint), nonce = v -> 1 ->> 0,
        owner = v -> 1 ->> 1, lease_until = CAST(v -> 1 ->> 2 AS bigint), since = CAST(v -> 1 ->> 3 AS bigint),
        takeover = CAST(v -> 2 ->> 0 AS bigint), resolves = CAST(v -> 2 ->> 1 AS bigint), attempts = v ->> 3
        FROM {each} WHERE targets.fleet = f AND targets.rollout = v -> 0 ->> 0 AND targets.tenant = v -> 0 ->> 1";
    exactly(tx.exec(sql, vec![each(&rows)?]).await?, rows.len())
}

/// Writes what became of claims; the rows are locked. The claim is over, its epoch stays.
pub(crate) async fn ended<'t>(
    tx: &mut Tx<'_>,
    targets: impl IntoIterator<Item = &'t Target>,
) -> Result<(), Fault> {
    let mut rows = Vec::new();
    for target in targets {
        let cause = target.failure.as_ref().map(|f| &f.cause);
        let failure = target.failure.as_ref().map(serde_json::to_string);
        rows.push((
            (&target.key.rollout, &target.key.tenant),
            (target.outcome, serde_json::to_string(&target.applied)?),
            (
                class(cause),
                cause.map(Cause::to_string),
                failure.transpose()?,
            ),
            (
                serde_json::to_string(&target.attempts)?,
                target.not_before,
                i64::from(target.cancels),
            ),
        ));
    }
    let sql = "UPDATE targets SET in_flight = 0, owner = NULL, lease_until = NULL, outcome = v -> 1 ->> 0,
        applied = v -> 1 ->> 1, class = v -> 2 ->> 0, cause = v -> 2 ->> 1, failure = v -> 2 ->> 2,
        attempts = v -> 3 ->> 0, not_before = CAST(v -> 3 ->> 1 AS bigint), cancels = CAST(v -> 3 ->> 2 AS bigint)
        FROM {each} WHERE targets.fleet = f AND targets.rollout = v -> 0 ->> 0 AND targets.tenant = v -> 0 ->> 1";
    exactly(tx.exec(sql, vec![each(&rows)?]).await?, rows.len())
}

/// Notes that claims in flight are to end as cancelled; the rows are locked.
pub(crate) async fn cancelling(tx: &mut Tx<'_>, keys: &BTreeSet<&TargetRef>) -> Result<(), Fault> {
    let sql = "UPDATE targets SET cancels = 1 FROM {each}
        WHERE targets.fleet = f AND targets.rollout = v ->> 0 AND targets.tenant = v ->> 1";
    exactly(tx.exec(sql, vec![each(&pairs(keys))?]).await?, keys.len())
}

/// The class of a cause, as its column holds it.
pub(crate) fn class(cause: Option<&Cause>) -> Option<&'static str> {
    cause.map(|cause| cause.class.as_str())
}

fn exactly(changed: u64, wanted: usize) -> Result<(), Fault> {
    if changed == wanted as u64 {
        return Ok(());
    }
    Err(corrupt(format!(
        "{changed} of {wanted} locked targets could be changed"
    )))
}

/// Claims in flight of one rollout, by wave: counted from the rows themselves.
pub(crate) async fn in_flight(
    tx: &mut Tx<'_>,
    rollout: &RolloutId,
) -> Result<BTreeMap<usize, u64>, Fault> {
    let sql = "SELECT wave, COUNT(*) FROM targets WHERE fleet = $1 AND rollout = $2 AND in_flight = 1 GROUP BY wave";
    let rows = tx.rows(sql, vec![Value::from(rollout)]).await?;
    rows.iter()
        .map(|row| {
            let wave = usize::try_from(row.count(0)?).map_err(|_| corrupt("a wave's index"))?;
            Ok((wave, row.count(1)?))
        })
        .collect()
}
