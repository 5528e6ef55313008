//! Claims: granted, renumbered, ended, given back.

use super::error::Checked;
use crate::cause::Failure;
use crate::ids::{Epoch, HostName, Micros, TenantId, Version};
use crate::outcome::Outcome;
use crate::rollout::{CauseGroup, InFlight, Rollout, RolloutState};

/// A claim as an event names it: tenant, wave, epoch.
type Claim<'a> = (&'a TenantId, usize, Epoch);

/// A claim was granted. One that takes over a claim in flight replaces it and counts nothing twice; it is no new
/// start either, so after a halt (where it only resolves) it leaves `started_after_halt` alone.
pub(super) fn started(
    rollout: &mut Rollout,
    at: Micros,
    (tenant, wave, epoch): Claim<'_>,
    host: &HostName,
    takeover: bool,
) -> Checked {
    let mut claim = InFlight {
        wave,
        host: host.clone(),
        epoch,
        since: at,
        cancelling: false,
        acknowledged: false,
    };
    if let Some(held) = rollout.in_flight.get_mut(tenant) {
        if !takeover {
            return Err(format!("tenant {tenant} is in flight as {}", named(held)));
        }
        if held.wave != wave || held.epoch >= epoch {
            return Err(format!(
                "tenant {tenant} is in flight as {}, and the takeover says wave {wave}, epoch {epoch}",
                named(held)
            ));
        }
        claim.cancelling = held.cancelling;
        claim.acknowledged = held.acknowledged;
        *held = claim;
        return Ok(());
    }
    if !matches!(rollout.state, RolloutState::Running | RolloutState::Halted) {
        return Err(format!("no claim is granted on {tenant} in this state"));
    }
    let into = rollout
        .waves
        .get_mut(wave)
        .ok_or_else(|| format!("there is no wave {wave}"))?;
    if into.opened_at.is_none() {
        return Err(format!("wave {} is not open", into.name));
    }
    if into.startable() == 0 {
        return Err(format!("wave {} has no target left to start", into.name));
    }
    into.in_flight += 1;
    into.moves(at);
    if rollout.state == RolloutState::Halted {
        rollout.started_after_halt += 1;
    }
    rollout.in_flight.insert(tenant.clone(), claim);
    Ok(())
}

/// The claim in flight got a greater number.
pub(super) fn reissued(rollout: &mut Rollout, (tenant, wave, epoch): Claim<'_>) -> Checked {
    match rollout.in_flight.get_mut(tenant) {
        Some(held) if held.wave == wave && held.epoch < epoch => {
            held.epoch = epoch;
            Ok(())
        }
        Some(held) => Err(format!(
            "tenant {tenant} is in flight as {}, which cannot become wave {wave}, epoch {epoch}",
            named(held)
        )),
        None => Err(format!("tenant {tenant} is not in flight")),
    }
}

/// The claim ended with an outcome. Folds in every state: a halted, cancelled or paused rollout drains.
pub(super) fn ended(
    rollout: &mut Rollout,
    at: Micros,
    claim: Claim<'_>,
    outcome: Outcome,
    applied: &[Version],
    failure: Option<&Failure>,
) -> Checked {
    let tenant = claim.0;
    if outcome == Outcome::Pending {
        return Err(format!("tenant {tenant} cannot end as pending"));
    }
    if outcome == Outcome::Deferred && !rollout.may_defer(claim.1) {
        return Err(format!(
            "tenant {tenant} cannot be deferred: no sweep of its wave is to come"
        ));
    }
    let counted = match (outcome.counts_to_halt(), failure) {
        (true, None) => return Err(format!("tenant {tenant} ended {outcome} without a cause")),
        (true, Some(failure)) => Some(failure),
        (false, _) => None,
    };
    leave_flight(rollout, at, claim, outcome)?;
    let tallies = [&mut rollout.tally, &mut rollout.waves[claim.1].tally];
    for tally in tallies {
        match counted {
            Some(failure) => tally.fail(&failure.cause),
            None if outcome == Outcome::Succeeded => tally.consecutive = 0,
            None => {}
        }
    }
    if let Some(failure) = counted {
        CauseGroup::add_to(&mut rollout.causes, tenant, failure, !applied.is_empty());
    }
    Ok(())
}

/// The claim was given back: its target is pending again from `due` on, or cancelled where the rollout is.
pub(super) fn released(rollout: &mut Rollout, due: Micros, claim: Claim<'_>) -> Checked {
    let outcome = rollout.outcome_of_release();
    leave_flight(rollout, due, claim, outcome)
}

/// Takes the claim out of flight and moves its target from pending to the outcome.
fn leave_flight(
    rollout: &mut Rollout,
    at: Micros,
    (tenant, wave, epoch): Claim<'_>,
    outcome: Outcome,
) -> Checked {
    let held = rollout
        .in_flight
        .get(tenant)
        .ok_or_else(|| format!("tenant {tenant} is not in flight"))?;
    if (held.wave, held.epoch) != (wave, epoch) {
        return Err(format!(
            "tenant {tenant} is in flight as {}, not as wave {wave}, epoch {epoch}",
            named(held)
        ));
    }
    let from = &mut rollout.waves[wave];
    if !from.counts.remove(Outcome::Pending, 1) {
        return Err(format!("wave {} has no pending target", from.name));
    }
    from.counts.add(outcome, 1);
    from.in_flight = from.in_flight.saturating_sub(1);
    from.moves(at);
    rollout.in_flight.remove(tenant);
    Ok(())
}

fn named(held: &InFlight) -> String {
    format!("wave {}, epoch {}", held.wave, held.epoch)
}
