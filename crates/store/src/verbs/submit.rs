//! `submit`: a plan becomes a rollout, or joins the one that is already doing it.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use async_trait::async_trait;
use sanderling_core::plan::Plan;
use sanderling_core::{
    EventKind, HostName, Micros, Outcome, Place, Rollout, RolloutId, TenantId, WrittenLabels,
};
use serde::Serialize;

use super::{overlap, written_hosts};
use crate::link::{Fault, Tx, each, values};
use crate::perform::{Mode, Verb};
use crate::port::{StoreError, Submission, Submitted};
use crate::rows::rollouts::{self, Locked};
use crate::rows::{holds, targets, tenants};

/// How many rows one statement inserts.
const CHUNK: usize = 1_000;

/// The arguments of `Store::submit`.
pub(crate) struct Submit {
    pub(crate) submission: Submission,
}

#[async_trait]
impl Verb for Submit {
    type Out = Submitted;
    const NAME: &str = "submit";
    const MODE: Mode = Mode::Write;
    const LIMIT: Duration = Duration::from_secs(300);

    async fn run(&self, tx: &mut Tx<'_>) -> Result<Submitted, Fault> {
        let Submission {
            id, plan, hosts, ..
        } = &self.submission;
        check(plan, tx.fleet())?;
        let number = lock_fleet(tx).await? + 1;
        written_hosts::keep(tx, hosts).await?;
        if let Some(before) = submitted_before(tx, id).await? {
            return joined(before, plan);
        }
        let tenants: Vec<_> = plan.targets.iter().map(|t| &t.tenant).collect();
        let owners = overlap::owners(tx, &tenants, id).await?;
        let same = |r: &Rollout| {
            (&r.bundle, &r.target, r.direction) == (&plan.bundle, &plan.target, plan.direction)
        };
        if let Some(other) = owners.iter().find(|owner| !same(&owner.rollout)) {
            return Err(other.refusal().into());
        }
        if let Some(owner) = owners.into_iter().next() {
            let left = tenants.into_iter().filter(|t| !owner.tenants.contains(t));
            return Ok(Submitted {
                left_for_next: left.cloned().collect(),
                rollout: owner.rollout.id,
                joined: true,
            });
        }
        self.create(tx, number).await?;
        Ok(Submitted {
            rollout: id.clone(),
            joined: false,
            left_for_next: Vec::new(),
        })
    }
}

impl Submit {
    async fn create(&self, tx: &mut Tx<'_>, number: i64) -> Result<(), Fault> {
        let Submission {
            id, plan, actor, ..
        } = &self.submission;
        tx.exec(
            "UPDATE fleets SET rollouts = $2 WHERE fleet = $1",
            values![number],
        )
        .await?;
        let now = tx.now().await?;
        let mut locked = Locked::new(Rollout::new(id, plan));
        let kept = Plan {
            targets: Vec::new(),
            left_out: Vec::new(),
            ..plan.clone()
        };
        let sql = "INSERT INTO rollouts (fleet, id, number, state, target, actor, last_seq, plan, body, created_at, direction)
            VALUES ($1, $2, $3, $4, $5, $6, 0, $7, '', $8, $9)";
        let state = locked.rollout.state.as_str();
        let plan_text = serde_json::to_string(&kept)?;
        let args = values![
            id,
            number,
            state,
            &plan.target,
            actor.as_str(),
            plan_text,
            now,
            plan.direction.as_str()
        ];
        tx.exec(sql, args).await?;
        let tenants = (plan.targets.len() + plan.left_out.len()) as u64;
        locked.record(now, EventKind::Submitted { tenants })?;
        self.insert_targets(tx, number).await?;
        // The plan left out who was pinned when it was made; somebody may have been since.
        holds::settle(tx, &mut locked, now, None).await?;
        rollouts::save(tx, [&locked]).await?;
        self.note(tx, &locked, now).await
    }

    async fn insert_targets(&self, tx: &mut Tx<'_>, number: i64) -> Result<(), Fault> {
        let Submission {
            id, plan, labels, ..
        } = &self.submission;
        let rows = rows(plan, labels)?;
        let insert = "INSERT INTO targets (fleet, rollout, number, tenant, active, wave, position, path, host, place,
                has_ledger, outcome, applied, class, cause, failure, attempts, not_before, in_flight, epoch, takeover, resolves,
                labels)
            SELECT $1, $3, $4, v -> 0 ->> 0, CAST(v -> 0 ->> 1 AS bigint), CAST(v -> 0 ->> 2 AS bigint),
                CAST(v -> 0 ->> 3 AS bigint), CAST(v -> 0 ->> 4 AS bigint), v -> 1 ->> 0, v -> 1 ->> 1,
                CAST(v -> 1 ->> 2 AS bigint), v -> 2 ->> 0, '[]', v -> 2 ->> 1, v -> 2 ->> 2, v -> 2 ->> 3, '{}', 0, 0, 0, 0, 0,
                v -> 1 ->> 3
            FROM {each}";
        for chunk in rows.chunks(CHUNK) {
            let mut args = vec![each(chunk)?];
            args.extend(values![id, number]);
            tx.exec(insert, args).await?;
        }
        let tenants: BTreeSet<_> = plan.targets.iter().map(|t| &t.tenant).collect();
        let tenants: Vec<_> = tenants.into_iter().collect();
        for chunk in tenants.chunks(CHUNK) {
            tenants::known(tx, &chunk.iter().copied().collect()).await?;
        }
        let hosts: BTreeSet<[&HostName; 1]> =
            plan.targets.iter().map(|t| [&t.place.host]).collect();
        let hosts: Vec<_> = hosts.into_iter().collect();
        let insert = "INSERT INTO hosts (fleet, host, in_flight)
            SELECT $1, v ->> 0, 0 FROM {each} WHERE $1 <> '' ON CONFLICT DO NOTHING";
        tx.exec(insert, vec![each(&hosts)?]).await?;
        Ok(())
    }

    async fn note(&self, tx: &mut Tx<'_>, locked: &Locked, now: Micros) -> Result<(), Fault> {
        let actor = self.submission.actor.as_str();
        let hash = locked.rollout.plan_hash.clone();
        rollouts::audit(tx, (now, actor, "submit"), locked, "", &hash).await
    }
}

/// One target as its INSERT reads it: where in the plan, where in the world, what became of it already.
#[derive(Serialize)]
struct NewTarget<'p>(
    (&'p TenantId, i64, Option<usize>, u32, Option<usize>),
    (&'p HostName, String, i64, &'p str),
    (
        Outcome,
        Option<&'static str>,
        Option<String>,
        Option<String>,
    ),
);

fn rows<'p>(
    plan: &'p Plan,
    labels: &'p BTreeMap<TenantId, WrittenLabels>,
) -> Result<Vec<NewTarget<'p>>, Fault> {
    let labels = |tenant| labels.get(tenant).map_or("", WrittenLabels::as_str);
    let place = |place: &Place| serde_json::to_string(place);
    let mut rows = Vec::with_capacity(plan.targets.len() + plan.left_out.len());
    for target in &plan.targets {
        rows.push(NewTarget(
            (
                &target.tenant,
                1,
                Some(target.wave),
                target.position,
                Some(target.path),
            ),
            (
                &target.place.host,
                place(&target.place)?,
                i64::from(target.has_ledger),
                labels(&target.tenant),
            ),
            (Outcome::Pending, None, None, None),
        ));
    }
    for left in &plan.left_out {
        let cause = left.failure.as_ref().map(|f| &f.cause);
        let failure = left.failure.as_ref().map(serde_json::to_string);
        rows.push(NewTarget(
            (&left.tenant, 0, None, 0, None),
            (&left.place.host, place(&left.place)?, 0, ""),
            (
                left.outcome,
                targets::class(cause),
                cause.map(ToString::to_string),
                failure.transpose()?,
            ),
        ));
    }
    Ok(rows)
}

fn check(plan: &Plan, fleet: &str) -> Result<(), Fault> {
    let refuse = |why: String| Err(Fault::Verb(StoreError::Refused(why)));
    if plan.fleet != fleet {
        return refuse(format!(
            "the plan is for fleet {} and this control store was opened for fleet {fleet}",
            plan.fleet
        ));
    }
    let mut seen = BTreeSet::new();
    let left = plan.left_out.iter().map(|l| &l.tenant);
    for tenant in plan.targets.iter().map(|t| &t.tenant).chain(left) {
        if !seen.insert(tenant) {
            return refuse(format!("tenant {tenant} is in the plan twice"));
        }
    }
    let strays = plan
        .targets
        .iter()
        .find(|t| t.wave >= plan.waves.len() || t.path >= plan.paths.len());
    match strays {
        Some(t) => refuse(format!(
            "the plan names a wave or path for tenant {} that it does not have",
            t.tenant
        )),
        None => Ok(()),
    }
}

/// Locks the fleet's row, so that submissions and re-opened rollouts come one after the other; the number of the
/// last rollout.
pub(super) async fn lock_fleet(tx: &mut Tx<'_>) -> Result<i64, Fault> {
    let insert = "INSERT INTO fleets (fleet, rollouts) VALUES ($1, 0) ON CONFLICT DO NOTHING";
    tx.exec(insert, Vec::new()).await?;
    let row = tx
        .row(
            "SELECT rollouts FROM fleets WHERE fleet = $1 {lock}",
            Vec::new(),
        )
        .await?;
    row.map_or(Ok(0), |row| row.int(0))
}

async fn submitted_before(tx: &mut Tx<'_>, id: &RolloutId) -> Result<Option<Rollout>, Fault> {
    let sql = "SELECT body FROM rollouts WHERE fleet = $1 AND id = $2";
    let row = tx.row(sql, values![id]).await?;
    row.map(|row| row.json(0)).transpose()
}

/// The same submission again: its first answer was lost.
fn joined(before: Rollout, plan: &Plan) -> Result<Submitted, Fault> {
    if before.plan_hash != plan.hash() {
        return Err(StoreError::Conflict(format!(
            "rollout {} exists with another plan; submit this one under a new id",
            before.id
        ))
        .into());
    }
    Ok(Submitted {
        rollout: before.id,
        joined: true,
        left_for_next: Vec::new(),
    })
}
