//! Rollout rows: locked, folded into, saved together with their events.

use std::collections::{BTreeMap, BTreeSet};

use sanderling_core::plan::Plan;
use sanderling_core::{Event, EventKind, Micros, Rollout, RolloutId, RolloutState};

use crate::link::{Fault, Row, Tx, corrupt, each, values};
use crate::port::StoreError;

/// A rollout whose row is locked until the transaction ends.
pub(crate) struct Locked {
    /// Its state, the events recorded here included.
    pub(crate) rollout: Rollout,
    plan: String,
    events: Vec<Event>,
}

impl Locked {
    /// A rollout that is being submitted.
    pub(crate) fn new(rollout: Rollout) -> Self {
        Self {
            rollout,
            plan: String::new(),
            events: Vec::new(),
        }
    }

    /// Numbers and folds an event. True where it crossed a limit: the rollout is halted.
    pub(crate) fn record(&mut self, at: Micros, kind: EventKind) -> Result<bool, Fault> {
        let events = self.rollout.record(at, kind)?;
        let halted = events
            .iter()
            .any(|event| matches!(event.kind, EventKind::Halted { .. }));
        self.events.extend(events);
        Ok(halted)
    }

    /// Whether targets may start.
    pub(crate) fn runs(&self) -> bool {
        self.rollout.state == RolloutState::Running
    }

    /// Whether a wave's deferred targets had their last try.
    pub(crate) fn is_swept(&self, wave: usize) -> bool {
        let wave = self.rollout.waves.get(wave);
        wave.is_some_and(|wave| wave.swept_at.is_some())
    }

    /// The plan without its targets.
    pub(crate) fn plan(&self) -> Result<Plan, Fault> {
        Ok(serde_json::from_str(&self.plan)?)
    }
}

/// Locks the rollouts that exist among `ids`, in order of id.
pub(crate) async fn lock(
    tx: &mut Tx<'_>,
    ids: &BTreeSet<&RolloutId>,
) -> Result<BTreeMap<RolloutId, Locked>, Fault> {
    let keys: Vec<_> = ids.iter().map(|id| [id.as_str()]).collect();
    let sql = "SELECT plan, body FROM rollouts
        WHERE fleet = $1 AND id IN (SELECT v ->> 0 FROM {each}) ORDER BY id {lock}";
    let rows = tx.rows(sql, vec![each(&keys)?]).await?;
    rows.iter()
        .map(|row| {
            let rollout: Rollout = row.json(1)?;
            let locked = Locked {
                plan: row.text(0)?.to_owned(),
                events: Vec::new(),
                rollout,
            };
            Ok((locked.rollout.id.clone(), locked))
        })
        .collect()
}

/// Locks one rollout.
///
/// # Errors
/// `NoRollout` where there is none of that id.
pub(crate) async fn lock_one(tx: &mut Tx<'_>, id: &RolloutId) -> Result<Locked, Fault> {
    lock(tx, &BTreeSet::from([id]))
        .await?
        .remove(id)
        .ok_or_else(|| StoreError::NoRollout(id.clone()).into())
}

/// Writes the recorded events and the states that they led to.
pub(crate) async fn save<'l>(
    tx: &mut Tx<'_>,
    changed: impl IntoIterator<Item = &'l Locked>,
) -> Result<(), Fault> {
    let (mut events, mut states) = (Vec::new(), Vec::new());
    for locked in changed {
        if locked.events.is_empty() {
            continue;
        }
        let rollout = &locked.rollout;
        states.push((
            rollout.id.as_str(),
            rollout.state.as_str(),
            rollout.last_seq,
            serde_json::to_string(rollout)?,
        ));
        for event in &locked.events {
            events.push((
                rollout.id.as_str(),
                event.seq,
                event.at,
                serde_json::to_string(&event.kind)?,
            ));
        }
    }
    if states.is_empty() {
        return Ok(());
    }
    let sql = "INSERT INTO events (fleet, rollout, seq, at, kind)
        SELECT $1, v ->> 0, CAST(v ->> 1 AS bigint), CAST(v ->> 2 AS bigint), v ->> 3 FROM {each}";
    tx.exec(sql, vec![each(&events)?]).await?;
    let sql =
        "UPDATE rollouts SET state = v ->> 1, last_seq = CAST(v ->> 2 AS bigint), body = v ->> 3
        FROM {each} WHERE rollouts.fleet = f AND rollouts.id = v ->> 0";
    let saved = tx.exec(sql, vec![each(&states)?]).await?;
    if saved != states.len() as u64 {
        return Err(corrupt(format!(
            "{saved} of {} rollouts could be saved",
            states.len()
        )));
    }
    Ok(())
}

/// Reads a rollout's state out of a row's column.
pub(crate) fn state(row: &Row, column: usize) -> Result<RolloutState, Fault> {
    let name = row.text(column)?;
    RolloutState::parse(name).ok_or_else(|| corrupt(format!("unknown rollout state {name}")))
}

/// Gives the rollout's tenants free for others. A claim still in flight keeps its tenant until it ends.
pub(crate) async fn free_tenants(tx: &mut Tx<'_>, id: &RolloutId) -> Result<(), Fault> {
    let sql = "UPDATE targets SET active = 0 WHERE fleet = $1 AND rollout = $2 AND active = 1";
    tx.exec(sql, values![id]).await?;
    Ok(())
}

/// Notes an operator's verb for ever.
pub(crate) async fn audit(
    tx: &mut Tx<'_>,
    (at, actor, verb): (Micros, &str, &str),
    locked: &Locked,
    before: &str,
    detail: &str,
) -> Result<(), Fault> {
    let sql =
        "INSERT INTO audit (fleet, at, actor, verb, rollout, state_before, state_after, detail)
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8)";
    let rollout = &locked.rollout;
    let args = values![
        at,
        actor,
        verb,
        &rollout.id,
        before,
        rollout.state.as_str(),
        detail
    ];
    tx.exec(sql, args).await?;
    Ok(())
}
