//! `report`: what became of claims, and the halt, in one transaction.

use std::collections::{BTreeMap, BTreeSet};

use async_trait::async_trait;
use sanderling_core::{
    ErrorClass, EventKind, HostName, Micros, Outcome, RolloutId, RolloutState, Version,
};
use sanderling_failpoints::failpoint;

use super::start::until;
use crate::link::{Fault, Tx, corrupt};
use crate::perform::{Mode, Verb};
use crate::port::{Receipt, Report, StoreError, TargetRef, TargetResult};
use crate::rows::rollouts::Locked;
use crate::rows::targets::Target;
use crate::rows::{holds, hosts, kept, rollouts, targets, tenants};

/// The arguments of `Store::report`.
pub(crate) struct Reporting {
    pub(crate) reports: Vec<Report>,
}

#[async_trait]
impl Verb for Reporting {
    type Out = Vec<Receipt>;
    const NAME: &str = "report";
    const MODE: Mode = Mode::Write;

    async fn run(&self, tx: &mut Tx<'_>) -> Result<Vec<Receipt>, Fault> {
        self.reports.iter().try_for_each(check)?;
        let ids: BTreeSet<_> = self.targets().map(|key| &key.rollout).collect();
        let mut locked = rollouts::lock(tx, &ids).await?;
        let now = tx.now().await?;
        let mut found = targets::lock(tx, &self.targets().collect()).await?;
        let mut changed = BTreeSet::new();
        let mut proved = BTreeMap::new();
        let mut kept = BTreeMap::new();
        let mut receipts = Vec::with_capacity(self.reports.len());
        for report in &self.reports {
            let key = &report.held.target;
            let current = found
                .get_mut(key)
                .filter(|t| t.claim.in_flight && t.claim.epoch == report.held.epoch);
            let Some(target) = current else {
                receipts.push(Receipt::Stale);
                continue;
            };
            let rollout = locked
                .get_mut(&key.rollout)
                .ok_or_else(|| corrupt(format!("rollout {} is gone", key.rollout)))?;
            if proves(target, &report.result) {
                proved.insert(key.tenant.clone(), report.held.epoch);
            }
            if let Some((owner, by_then)) = target.claim.owner.clone().zip(report.kept) {
                let most: &mut u64 = kept.entry((target.host.clone(), owner)).or_default();
                *most = by_then.max(*most);
            }
            receipts.push(end(rollout, target, &report.result, now)?);
            changed.insert(key.clone());
        }
        found.retain(|key, _| changed.contains(key));
        if !found.is_empty() {
            write(tx, &mut locked, &found, now).await?;
            kept::by_then(tx, &kept).await?;
            tenants::resolved(tx, &proved).await?;
        }
        if receipts.contains(&Receipt::Halted) {
            failpoint!("store.halting");
        }
        Ok(receipts)
    }
}

impl Reporting {
    fn targets(&self) -> impl Iterator<Item = &TargetRef> {
        self.reports.iter().map(|report| &report.held.target)
    }
}

/// A report that contradicts itself is the caller's mistake and stops the batch before anything is read.
fn check(report: &Report) -> Result<(), Fault> {
    let TargetResult::Ended {
        outcome, failure, ..
    } = &report.result
    else {
        return Ok(());
    };
    let wrong = match outcome {
        Outcome::Failed | Outcome::Dirty | Outcome::Deferred if failure.is_none() => {
            "without its cause"
        }
        Outcome::Failed | Outcome::Dirty | Outcome::Deferred => return Ok(()),
        Outcome::Succeeded | Outcome::UpToDate | Outcome::Partial => return Ok(()),
        _ => "which is no end of a claim",
    };
    Err(StoreError::Refused(format!(
        "tenant {} was reported {outcome}, {wrong}",
        report.held.target.tenant
    ))
    .into())
}

/// Whether the report proves that no message of this claim *or an older one* can still take effect.
///
/// A claim without `takeover` only has its own messages to answer for. Every end of such a claim proves that they
/// are answered, except a retry or release that says it is not fenced. A claim with `takeover` answers for messages
/// of dead claims as well, and only a committed fence stops those: a resolving claim always fences, a failure may
/// only be reported after the fence, a retry says so. Success does not prove it (every version may have been there
/// already, so that no guard of this epoch committed), nor does what is deferred or released, which speaks of its own
/// claim only.
/// Being wrong on this side costs nothing: the next claim is told `takeover` and fences before it reports a failure.
fn proves(target: &Target, result: &TargetResult) -> bool {
    let older = target.claim.takeover;
    match result {
        TargetResult::Ended { outcome, .. } => {
            !older || target.claim.resolves || matches!(outcome, Outcome::Failed | Outcome::Dirty)
        }
        TargetResult::Retry { fenced, .. } | TargetResult::HostAway { fenced, .. } => *fenced,
        TargetResult::Released { fenced, .. } => *fenced && !older,
    }
}

/// Ends a claim in the target and in the rollout.
fn end(
    locked: &mut Locked,
    target: &mut Target,
    result: &TargetResult,
    now: Micros,
) -> Result<Receipt, Fault> {
    let (tenant, wave, epoch) = (
        target.key.tenant.clone(),
        target.wave()?,
        target.claim.epoch,
    );
    target.claim.in_flight = false;
    let stands = match target.cancels {
        true => as_cancelled(result),
        false => result.clone(),
    };
    let kind = match &as_it_stands(locked, wave, target.cancels, &stands) {
        TargetResult::Ended {
            outcome,
            applied,
            failure,
        } => {
            target.outcome = *outcome;
            target.applied = applied.clone();
            target.failure = failure.clone();
            EventKind::Ended {
                tenant,
                wave,
                epoch,
                outcome: *outcome,
                applied: applied.clone(),
                failure: failure.clone(),
                duration_ms: now.millis_since(target.claim.since),
            }
        }
        TargetResult::Retry {
            failure,
            after,
            applied,
            ..
        } => {
            let class = failure.cause.class;
            *target.attempts.entry(class).or_default() += 1;
            target.not_before = until(now, *after);
            target.applied = applied.clone();
            released(target, wave, Some(class))
        }
        TargetResult::HostAway {
            failure,
            after,
            applied,
            ..
        } => {
            target.not_before = until(now, *after);
            target.applied = applied.clone();
            released(target, wave, Some(failure.cause.class))
        }
        TargetResult::Released { applied, .. } => {
            target.not_before = Micros(0);
            target.applied = applied.clone();
            released(target, wave, None)
        }
    };
    if matches!(kind, EventKind::Released { .. }) {
        target.outcome = locked.rollout.outcome_of_release();
        target.failure = None;
    }
    // What is pending still is settled by the next claim, which only says what became of it.
    target.cancels &= target.outcome == Outcome::Pending;
    Ok(if locked.record(now, kind)? {
        Receipt::Halted
    } else {
        Receipt::Recorded
    })
}

/// What a report of a claim means whose target a person cancelled. It has ended where nothing of it can take effect any
/// more; else it is pending until a claim has settled it. What was committed before, or failed, did so.
fn as_cancelled(result: &TargetResult) -> TargetResult {
    let (applied, fenced) = match result {
        TargetResult::Retry {
            applied, fenced, ..
        }
        | TargetResult::HostAway {
            applied, fenced, ..
        }
        | TargetResult::Released { applied, fenced } => (applied.clone(), *fenced),
        TargetResult::Ended {
            outcome: Outcome::Deferred,
            applied,
            ..
        } => (applied.clone(), false),
        TargetResult::Ended { .. } => return result.clone(),
    };
    if !fenced {
        return TargetResult::Released { applied, fenced };
    }
    TargetResult::Ended {
        outcome: match applied.is_empty() {
            true => Outcome::Cancelled,
            false => Outcome::Partial,
        },
        applied,
        failure: None,
    }
}

/// What a report means now, which may be another thing than when the worker asked: a tenant between two versions goes
/// on when its rollout runs again, one that is given back to a cancelled rollout has moved all the same, and nothing is
/// deferred where no sweep comes any more.
fn as_it_stands(
    locked: &Locked,
    wave: usize,
    cancels: bool,
    result: &TargetResult,
) -> TargetResult {
    let partial = |applied: &Vec<Version>| TargetResult::Ended {
        outcome: Outcome::Partial,
        applied: applied.clone(),
        failure: None,
    };
    match (locked.rollout.state, result) {
        (
            state,
            TargetResult::Ended {
                outcome: Outcome::Deferred,
                applied,
                failure,
            },
        ) if !locked.rollout.may_defer(wave) => match state {
            RolloutState::Cancelled if !applied.is_empty() => partial(applied),
            RolloutState::Cancelled => TargetResult::Released {
                applied: Vec::new(),
                fenced: true,
            },
            _ => TargetResult::Ended {
                outcome: Outcome::Failed,
                applied: applied.clone(),
                failure: failure.clone(),
            },
        },
        (
            RolloutState::Running,
            TargetResult::Ended {
                outcome: Outcome::Partial,
                applied,
                ..
            },
        ) if !cancels => TargetResult::Released {
            applied: applied.clone(),
            fenced: true,
        },
        (
            RolloutState::Cancelled,
            TargetResult::Retry { applied, .. }
            | TargetResult::HostAway { applied, .. }
            | TargetResult::Released { applied, .. },
        ) if !applied.is_empty() => partial(applied),
        _ => result.clone(),
    }
}

fn released(target: &Target, wave: usize, class: Option<ErrorClass>) -> EventKind {
    EventKind::Released {
        tenant: target.key.tenant.clone(),
        wave,
        epoch: target.claim.epoch,
        class,
        not_before: class.map(|_| target.not_before),
    }
}

async fn write(
    tx: &mut Tx<'_>,
    locked: &mut BTreeMap<RolloutId, Locked>,
    ended: &BTreeMap<TargetRef, Target>,
    now: Micros,
) -> Result<(), Fault> {
    targets::ended(tx, ended.values()).await?;
    // What was given back may have been pinned while it was in flight.
    let given_back: BTreeSet<_> = ended
        .values()
        .filter(|target| matches!(target.outcome, Outcome::Pending | Outcome::Deferred))
        .map(|target| &target.key.rollout)
        .collect();
    for (_, rollout) in locked.iter_mut().filter(|(id, _)| given_back.contains(id)) {
        holds::settle(tx, rollout, now, None).await?;
    }
    let mut freed: BTreeMap<HostName, i64> = BTreeMap::new();
    for target in ended.values() {
        *freed.entry(target.host.clone()).or_default() -= 1;
    }
    hosts::lock(tx, &freed).await?;
    hosts::add(tx, &freed).await?;
    rollouts::save(tx, locked.values()).await
}
