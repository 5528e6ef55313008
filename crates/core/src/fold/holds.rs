//! Holds: targets that are pinned, let go, and waited for.

use super::error::Checked;
use crate::event::HeldTargets;
use crate::ids::Micros;
use crate::outcome::Outcome;
use crate::rollout::{Rollout, RolloutState};

/// Targets that nobody has in hand are pinned. One in flight finishes, and is pinned if its claim gives it back.
pub(super) fn held(
    rollout: &mut Rollout,
    targets: &[HeldTargets],
    until: Option<Micros>,
) -> Checked {
    if !rollout.state.is_active() {
        return Err("it has ended".into());
    }
    let mut next = rollout.clone();
    for pinned in targets {
        let HeldTargets {
            wave,
            outcome,
            targets,
        } = pinned;
        let of = next
            .waves
            .get_mut(*wave)
            .ok_or_else(|| format!("there is no wave {wave}"))?;
        let there = match outcome {
            Outcome::Pending => of.startable(),
            Outcome::Deferred => of.deferred(),
            other => return Err(format!("targets that are {other} are not held")),
        };
        if there < *targets || !of.counts.remove(*outcome, *targets) {
            return Err(format!(
                "wave {} has {there} {outcome} targets to hold, not {targets}",
                of.name
            ));
        }
        of.counts.add(Outcome::Held, *targets);
    }
    next.hold_ends_at = until;
    *rollout = next;
    Ok(())
}

/// Targets are let go. A rollout that waited for them runs, and so does one that waits at a gate of their wave: what the
/// gate said was said without them. A paused or halted one stays so.
pub(super) fn hold_ended(
    rollout: &mut Rollout,
    at: Micros,
    targets: &[(usize, u64)],
    until: Option<Micros>,
) -> Checked {
    if !rollout.state.is_active() {
        return Err("it has ended".into());
    }
    let mut next = rollout.clone();
    for &(wave, targets) in targets {
        let of = next
            .waves
            .get_mut(wave)
            .ok_or_else(|| format!("there is no wave {wave}"))?;
        if !of.counts.remove(Outcome::Held, targets) {
            return Err(format!(
                "wave {} has {} held targets, not {targets}",
                of.name,
                of.held()
            ));
        }
        of.counts.add(Outcome::Pending, targets);
        // Let go by a person or by time: a sweep of its own is still to come, as after a retry.
        if targets > 0 {
            of.swept_at = None;
            of.moves(at);
        }
    }
    next.hold_ends_at = until;
    let to_start = |&(wave, n): &(usize, u64)| n > 0 && next.waves[wave].opened_at.is_some();
    if next.state == RolloutState::Waiting && targets.iter().any(to_start) {
        next.state = RolloutState::Running;
    }
    *rollout = next;
    Ok(())
}

/// Nothing is left but what is held.
pub(super) fn waiting(rollout: &mut Rollout, held: u64) -> Checked {
    if rollout.state != RolloutState::Running {
        return Err("only a running rollout begins to wait".into());
    }
    if let Some(open) = rollout
        .waves
        .iter()
        .find(|wave| wave.opened_at.is_none() || !wave.has_ended())
    {
        return Err(format!("wave {} has not ended", open.name));
    }
    let there = rollout.held();
    if held == 0 || held != there {
        return Err(format!("{there} targets are held, not {held}"));
    }
    rollout.state = RolloutState::Waiting;
    Ok(())
}

/// After targets were taken out of their holds one by one: a rollout that waits for nobody any more runs, and so ends.
pub(super) fn fewer(rollout: &mut Rollout) {
    if rollout.held() > 0 {
        return;
    }
    rollout.hold_ends_at = None;
    if rollout.waits_for_holds() {
        rollout.state = RolloutState::Running;
    }
}

#[cfg(test)]
mod tests;
