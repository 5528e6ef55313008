//! The rollout as a whole: submitted, wave by wave, halted, finished.

use super::error::Checked;
use crate::ids::Micros;
use crate::outcome::Outcome;
use crate::rollout::{Halt, Rollout, RolloutState};

/// The first event.
pub(super) fn submitted(rollout: &mut Rollout, at: Micros, tenants: u64) -> Checked {
    if rollout.submitted_at.is_some() {
        return Err("it was submitted before".into());
    }
    let planned = rollout.outcomes().total();
    if tenants != planned {
        return Err(format!("the plan has {planned} tenants, not {tenants}"));
    }
    rollout.submitted_at = Some(at);
    Ok(())
}

/// A wave opens once, in order, after every target of the waves before it has ended.
pub(super) fn wave_opened(rollout: &mut Rollout, at: Micros, wave: usize) -> Checked {
    if rollout.state != RolloutState::Running {
        return Err("waves open only while it is running".into());
    }
    if wave >= rollout.waves.len() {
        return Err(format!("there is no wave {wave}"));
    }
    if rollout.waves[wave].opened_at.is_some() {
        return Err(format!("wave {} is open", rollout.waves[wave].name));
    }
    if let Some(before) = rollout.waves[..wave]
        .iter()
        .find(|w| w.opened_at.is_none() || !w.has_ended())
    {
        return Err(format!(
            "wave {} comes first and has not ended",
            before.name
        ));
    }
    if let Some(gate) = wave
        .checked_sub(1)
        .and_then(|before| rollout.waves[before].shut_gate())
    {
        return Err(format!(
            "gate {} has not passed",
            rollout.waves[wave - 1].gates[gate].gate.name
        ));
    }
    rollout.waves[wave].opened_at = Some(at);
    rollout.waves[wave].moves(at);
    Ok(())
}

/// Deferred targets are put back once per wave, when nothing else of it is left. The event must name exactly how many
/// there are, so that the store's targets and these counts cannot drift apart.
pub(super) fn swept(rollout: &mut Rollout, at: Micros, wave: usize, targets: u64) -> Checked {
    if rollout.state != RolloutState::Running {
        return Err("waves are swept only while it is running".into());
    }
    let of = rollout
        .waves
        .get_mut(wave)
        .ok_or_else(|| format!("there is no wave {wave}"))?;
    if !of.awaits_sweep() || of.deferred() != targets {
        return Err(format!(
            "wave {} has {} pending and {} deferred targets, swept: {}; it is not to be swept of {targets}",
            of.name,
            of.pending(),
            of.deferred(),
            of.swept_at.is_some()
        ));
    }
    if !of.counts.remove(Outcome::Deferred, targets) {
        return Err(format!("wave {} has fewer deferred targets", of.name));
    }
    of.counts.add(Outcome::Pending, targets);
    of.swept_at = Some(at);
    of.moves(at);
    Ok(())
}

/// Policy stopped it: in the transaction of the failure that crossed the limit, or by the leader where a limit of time
/// was crossed or a gate failed. A paused one halts too: else to resume it would lead past a limit that nobody
/// acknowledged.
pub(super) fn halted(rollout: &mut Rollout, halt: &Halt) -> Checked {
    if !matches!(rollout.state, RolloutState::Running | RolloutState::Paused) {
        return Err("only a running or paused rollout halts".into());
    }
    rollout.state = RolloutState::Halted;
    rollout.halt = Some(halt.clone());
    rollout.started_after_halt = 0;
    Ok(())
}

/// Everything has ended.
pub(super) fn finished(rollout: &mut Rollout, at: Micros, state: RolloutState) -> Checked {
    if rollout.state != RolloutState::Running {
        return Err("only a running rollout finishes".into());
    }
    if let Some(open) = rollout.waves.iter().find(|w| !w.has_ended()) {
        return Err(format!(
            "wave {} has targets that have not ended",
            open.name
        ));
    }
    if rollout.held() > 0 {
        return Err(format!("{} targets are held", rollout.held()));
    }
    let earned = rollout.final_state();
    if state != earned {
        return Err(format!("its outcomes make it {earned}, not {state}"));
    }
    rollout.state = state;
    rollout.ended_at = Some(at);
    Ok(())
}
