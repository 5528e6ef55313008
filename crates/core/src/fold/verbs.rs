//! An operator's verbs. They are rare, so they work on a copy: a refused one changes nothing.

use std::collections::BTreeMap;

use super::error::Checked;
use super::holds;
use crate::amend::Amendment;
use crate::event::RetriedTargets;
use crate::halt::Tally;
use crate::ids::{BundleHash, Micros, TenantId};
use crate::outcome::Outcome;
use crate::rollout::{Rollout, RolloutState};

/// A person stopped starts. Nothing that was counted is forgotten: a failure that comes in now may still halt it.
pub(super) fn paused(rollout: &mut Rollout) -> Checked {
    if !matches!(rollout.state, RolloutState::Running | RolloutState::Waiting) {
        return Err("only a running or waiting rollout is paused".into());
    }
    rollout.state = RolloutState::Paused;
    Ok(())
}

/// A person lets it go on. To resume a halted one is to have seen what failed: counting begins anew, while outcomes and
/// causes stay. A pause acknowledges nothing, else whoever pauses and resumes often enough would never be halted.
pub(super) fn resumed(rollout: &mut Rollout) -> Checked {
    if !matches!(
        rollout.state,
        RolloutState::Halted | RolloutState::Paused | RolloutState::Waiting
    ) {
        return Err("only a halted, paused or waiting rollout resumes".into());
    }
    if rollout.state == RolloutState::Halted {
        rollout.tally = Tally::default();
        for wave in &mut rollout.waves {
            wave.tally = Tally::default();
        }
        for claim in rollout.in_flight.values_mut() {
            claim.acknowledged = true;
        }
    }
    rollout.halt = None;
    rollout.state = RolloutState::Running;
    Ok(())
}

/// A person corrected a migration: from here on its new text is applied, under a revised plan. Nothing may be in flight,
/// and nothing may begin, or tenants of one moment would get two texts. What the rollout waits for stays.
pub(super) fn amended(
    rollout: &mut Rollout,
    amendment: &Amendment,
    bundle: &BundleHash,
    plan_hash: &str,
) -> Checked {
    if !rollout.may_be_amended() {
        return Err(
            "only a halted or paused rollout, or one that completed with failures, is amended"
                .into(),
        );
    }
    if let Some(tenant) = rollout.in_flight.keys().next() {
        return Err(format!("tenant {tenant} is in flight"));
    }
    if *bundle == rollout.bundle {
        return Err("it brings no other bundle".into());
    }
    rollout.bundle = bundle.clone();
    rollout.plan_hash = plan_hash.to_owned();
    *rollout
        .amended
        .entry(amendment.version.clone())
        .or_default() += 1;
    Ok(())
}

/// Targets go back to pending and out of tallies and causes; the rollout runs, unless a person has paused it.
///
/// Tallies may have been reset by `Resumed` since these targets failed, hence they saturate. `consecutive` begins
/// anew: a person stepped in between; not so where targets only go on from where a pause stopped them. A group's examples
/// stay until the whole group is retried.
pub(super) fn retried(rollout: &mut Rollout, at: Micros, targets: &[RetriedTargets]) -> Checked {
    if rollout.state == RolloutState::Cancelled {
        return Err("a cancelled rollout stays so; start a new one".into());
    }
    if targets.iter().all(|retried| retried.targets == 0) {
        return Err("it retries nothing, and would lift a halt that nobody acknowledged".into());
    }
    let mut next = rollout.clone();
    for retried in targets {
        put_back(&mut next, retried)?;
    }
    if targets
        .iter()
        .any(|retried| retried.outcome != Outcome::Partial)
    {
        next.tally.consecutive = 0;
        for wave in &mut next.waves {
            wave.tally.consecutive = 0;
        }
    }
    next.halt = None;
    next.ended_at = None;
    next.window_at = Some(at);
    if next.state != RolloutState::Paused {
        next.state = RolloutState::Running;
    }
    *rollout = next;
    Ok(())
}

fn put_back(rollout: &mut Rollout, retried: &RetriedTargets) -> Checked {
    let RetriedTargets {
        wave,
        outcome,
        cause,
        targets,
    } = retried;
    if matches!(
        outcome,
        Outcome::Pending | Outcome::Succeeded | Outcome::UpToDate
    ) {
        return Err(format!("targets that are {outcome} are not retried"));
    }
    let into = rollout
        .waves
        .get_mut(*wave)
        .ok_or_else(|| format!("there is no wave {wave}"))?;
    if !into.counts.remove(*outcome, *targets) {
        return Err(format!(
            "wave {} has {} targets that are {outcome}, not {targets}",
            into.name,
            into.counts.get(*outcome)
        ));
    }
    into.counts.add(Outcome::Pending, *targets);
    // A person gave them fresh budgets, and with them a sweep of their own; what only goes on has its budgets still.
    if *outcome != Outcome::Partial {
        into.swept_at = None;
    }
    if !outcome.counts_to_halt() {
        return Ok(());
    }
    let cause = cause
        .as_deref()
        .ok_or_else(|| format!("{targets} retried targets are {outcome} without a cause"))?;
    into.tally.forgive(cause, *targets);
    rollout.tally.forgive(cause, *targets);
    forget(rollout, cause, *targets)
}

/// Takes targets out of the group of their cause.
fn forget(rollout: &mut Rollout, cause: &str, targets: u64) -> Checked {
    let group = rollout
        .causes
        .get_mut(cause)
        .filter(|group| group.tenants >= targets)
        .ok_or_else(|| format!("fewer than {targets} targets failed for {cause}"))?;
    group.tenants -= targets;
    group.moved = group.moved.min(group.tenants);
    if group.tenants == 0 {
        rollout.causes.remove(cause);
    }
    Ok(())
}

/// A person leaves a target out. Its failure, if it had failed, is no cause to look into any more, and stays counted: a
/// limit that was crossed is not uncrossed by looking away.
pub(super) fn skipped(
    rollout: &mut Rollout,
    (tenant, wave, was): (&TenantId, usize, Outcome),
    cause: Option<&str>,
) -> Checked {
    if !matches!(
        was,
        Outcome::Pending
            | Outcome::Deferred
            | Outcome::Held
            | Outcome::Partial
            | Outcome::Failed
            | Outcome::Dirty
    ) {
        return Err(format!("a target that is {was} is not skipped"));
    }
    let mut next = rollout.clone();
    set_aside(&mut next, (tenant, wave, was), Outcome::Skipped)?;
    if was.counts_to_halt() {
        let cause = cause.ok_or_else(|| format!("tenant {tenant} is {was} without a cause"))?;
        if let Some(group) = next.causes.get_mut(cause) {
            group.examples.retain(|example| example != tenant);
        }
        forget(&mut next, cause, 1)?;
    }
    *rollout = next;
    Ok(())
}

/// A person cancels a target that has not begun; one between two versions is partial.
pub(super) fn tenant_cancelled(
    rollout: &mut Rollout,
    target: (&TenantId, usize, Outcome),
    outcome: Outcome,
) -> Checked {
    let was = target.2;
    if !matches!(was, Outcome::Pending | Outcome::Deferred | Outcome::Held) {
        return Err(format!("a target that is {was} is not cancelled"));
    }
    if !matches!(outcome, Outcome::Cancelled | Outcome::Partial) {
        return Err(format!("a target is not cancelled as {outcome}"));
    }
    let mut next = rollout.clone();
    set_aside(&mut next, target, outcome)?;
    *rollout = next;
    Ok(())
}

/// A person cancels a target that is in flight. It stays there until its claim has ended, whatever that comes to.
pub(super) fn cancel_asked(rollout: &mut Rollout, tenant: &TenantId, wave: usize) -> Checked {
    match rollout.in_flight.get_mut(tenant) {
        Some(held) if held.wave != wave => Err(format!(
            "tenant {tenant} is in wave {}, not {wave}",
            held.wave
        )),
        Some(held) if held.cancelling => Err(format!("tenant {tenant} is cancelled already")),
        Some(held) => {
            held.cancelling = true;
            Ok(())
        }
        None => Err(format!("tenant {tenant} is not in flight")),
    }
}

/// Takes one target that nobody has in hand out of what is left to do.
fn set_aside(
    rollout: &mut Rollout,
    (tenant, wave, was): (&TenantId, usize, Outcome),
    becomes: Outcome,
) -> Checked {
    if !rollout.state.is_active() {
        return Err("it has ended".into());
    }
    if rollout.in_flight.contains_key(tenant) {
        return Err(format!("tenant {tenant} is in flight"));
    }
    let of = rollout
        .waves
        .get_mut(wave)
        .ok_or_else(|| format!("there is no wave {wave}"))?;
    let startable = was != Outcome::Pending || of.startable() > 0;
    if !startable || !of.counts.remove(was, 1) {
        return Err(format!("wave {} has no {was} target left", of.name));
    }
    of.counts.add(becomes, 1);
    holds::fewer(rollout);
    Ok(())
}

/// What has not begun, or waits for a sweep or for its hold to end, is cancelled; what is in flight drains. The event must name exactly what there is, so that
/// the store's targets and these counts cannot drift apart.
pub(super) fn cancelled(
    rollout: &mut Rollout,
    at: Micros,
    targets: &[(usize, u64)],
    partial: &[(usize, u64)],
) -> Checked {
    if !rollout.state.is_active() {
        return Err("it has ended".into());
    }
    let (cancelled, partial) = (by_wave(rollout, targets)?, by_wave(rollout, partial)?);
    let mut next = rollout.clone();
    for (index, wave) in next.waves.iter_mut().enumerate() {
        let of = |named: &BTreeMap<usize, u64>| named.get(&index).copied().unwrap_or(0);
        let (pending, deferred, held) = (wave.startable(), wave.deferred(), wave.held());
        let (there, said) = (pending + deferred + held, of(&cancelled) + of(&partial));
        if there != said
            || !wave.counts.remove(Outcome::Pending, pending)
            || !wave.counts.remove(Outcome::Deferred, deferred)
            || !wave.counts.remove(Outcome::Held, held)
        {
            return Err(format!(
                "wave {} has {there} targets to cancel, not {said}",
                wave.name
            ));
        }
        wave.counts.add(Outcome::Cancelled, of(&cancelled));
        wave.counts.add(Outcome::Partial, of(&partial));
    }
    next.halt = None;
    next.hold_ends_at = None;
    next.state = RolloutState::Cancelled;
    next.ended_at = Some(at);
    *rollout = next;
    Ok(())
}

/// Counts by the index of their wave, each of which there must be.
fn by_wave(rollout: &Rollout, counts: &[(usize, u64)]) -> Result<BTreeMap<usize, u64>, String> {
    let mut by_wave = BTreeMap::new();
    for &(wave, n) in counts {
        if wave >= rollout.waves.len() {
            return Err(format!("there is no wave {wave}"));
        }
        *by_wave.entry(wave).or_default() += n;
    }
    Ok(by_wave)
}

#[cfg(test)]
mod tests;
