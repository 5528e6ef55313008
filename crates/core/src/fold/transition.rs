//! The one entry: order first, then the transition of that kind.

use super::error::{Checked, FoldError};
use super::{claims, gates, holds, lifecycle, verbs};
use crate::event::{Event, EventKind};
use crate::ids::Micros;
use crate::rollout::Rollout;

/// Folds one event into the rollout.
///
/// An event that was folded before (`seq <= last_seq`) is ignored, so replaying is harmless.
///
/// # Errors
/// [`FoldError::Gap`] when events before it are missing, [`FoldError::Contradiction`] when it cannot have happened
/// in this state. The rollout is unchanged then.
pub fn fold(rollout: &mut Rollout, event: &Event) -> Result<(), FoldError> {
    if event.seq <= rollout.last_seq {
        return Ok(());
    }
    if event.seq != rollout.last_seq.saturating_add(1) {
        return Err(FoldError::Gap {
            rollout: rollout.id.clone(),
            last: rollout.last_seq,
            seq: event.seq,
        });
    }
    let before = rollout.state;
    match apply(rollout, event) {
        Ok(()) => {
            gates::follow(rollout, before, event.at);
            rollout.last_seq = event.seq;
            debug_assert!(adds_up(rollout), "counts of {} broke", rollout.id);
            Ok(())
        }
        Err(problem) => Err(FoldError::Contradiction {
            rollout: rollout.id.clone(),
            state: rollout.state,
            last: rollout.last_seq,
            seq: event.seq,
            event: event.kind.as_str(),
            problem,
        }),
    }
}

fn apply(rollout: &mut Rollout, event: &Event) -> Checked {
    if rollout.submitted_at.is_none() && !matches!(event.kind, EventKind::Submitted { .. }) {
        return Err("the rollout has not been submitted yet".into());
    }
    let at = event.at;
    match &event.kind {
        EventKind::Submitted { tenants } => lifecycle::submitted(rollout, at, *tenants),
        EventKind::WaveOpened { wave } => lifecycle::wave_opened(rollout, at, *wave),
        EventKind::Swept { wave, targets } => lifecycle::swept(rollout, at, *wave, *targets),
        EventKind::Started {
            tenant,
            wave,
            host,
            epoch,
            worker: _,
            takeover,
        } => claims::started(rollout, at, (tenant, *wave, *epoch), host, *takeover),
        EventKind::Reissued {
            tenant,
            wave,
            epoch,
        } => claims::reissued(rollout, (tenant, *wave, *epoch)),
        EventKind::Ended {
            tenant,
            wave,
            epoch,
            outcome,
            applied,
            failure,
            duration_ms: _,
        } => claims::ended(
            rollout,
            at,
            (tenant, *wave, *epoch),
            *outcome,
            applied,
            failure.as_ref(),
        ),
        EventKind::Released {
            tenant,
            wave,
            epoch,
            class: _,
            not_before,
        } => claims::released(
            rollout,
            (*not_before).unwrap_or(at).max(at),
            (tenant, *wave, *epoch),
        ),
        EventKind::Halted { halt } => lifecycle::halted(rollout, halt),
        EventKind::Paused { .. }
        | EventKind::Resumed { .. }
        | EventKind::Retried { .. }
        | EventKind::Amended { .. }
        | EventKind::Skipped { .. }
        | EventKind::CancelAsked { .. }
        | EventKind::TenantCancelled { .. }
        | EventKind::Cancelled { .. } => apply_verb(rollout, at, &event.kind),
        EventKind::GateMeasured { .. }
        | EventKind::GateJudged { .. }
        | EventKind::GateSkipped { .. } => apply_gate(rollout, at, &event.kind),
        EventKind::Held { targets, until, .. } => holds::held(rollout, targets, *until),
        EventKind::HoldEnded { targets, until, .. } => {
            holds::hold_ended(rollout, at, targets, *until)
        }
        EventKind::Waiting { held } => holds::waiting(rollout, *held),
        EventKind::Finished { state } => lifecycle::finished(rollout, at, *state),
    }
}

/// What a person did.
fn apply_verb(rollout: &mut Rollout, at: Micros, kind: &EventKind) -> Checked {
    match kind {
        EventKind::Paused { .. } => verbs::paused(rollout),
        EventKind::Resumed { .. } => verbs::resumed(rollout),
        EventKind::Retried { targets, .. } => verbs::retried(rollout, at, targets),
        EventKind::Amended {
            amendment,
            bundle,
            plan_hash,
            ..
        } => verbs::amended(rollout, amendment, bundle, plan_hash),
        EventKind::Skipped {
            tenant,
            wave,
            was,
            cause,
            ..
        } => verbs::skipped(rollout, (tenant, *wave, *was), cause.as_deref()),
        EventKind::Cancelled {
            targets, partial, ..
        } => verbs::cancelled(rollout, at, targets, partial),
        EventKind::CancelAsked { tenant, wave, .. } => verbs::cancel_asked(rollout, tenant, *wave),
        EventKind::TenantCancelled {
            tenant,
            wave,
            was,
            outcome,
            ..
        } => verbs::tenant_cancelled(rollout, (tenant, *wave, *was), *outcome),
        other => Err(format!("{} is no verb of a person", other.as_str())),
    }
}

/// What became of a gate.
fn apply_gate(rollout: &mut Rollout, at: Micros, kind: &EventKind) -> Checked {
    match kind {
        EventKind::GateMeasured {
            wave,
            gate,
            evaluation,
            measurement,
        } => gates::measured(rollout, at, (*wave, gate, *evaluation), measurement),
        EventKind::GateJudged {
            wave,
            gate,
            evaluation,
            verdict,
            reason,
        } => gates::judged(rollout, at, (*wave, gate, *evaluation), *verdict, reason),
        EventKind::GateSkipped {
            wave,
            gate,
            actor,
            reason,
        } => gates::skipped(rollout, (*wave, gate), actor, reason),
        other => Err(format!("{} is no event of a gate", other.as_str())),
    }
}

/// The counts that must agree after every event.
fn adds_up(rollout: &Rollout) -> bool {
    let in_flight: u64 = rollout.waves.iter().map(|w| w.in_flight).sum();
    in_flight == rollout.in_flight.len() as u64
        && rollout
            .waves
            .iter()
            .all(|w| w.counts.total() == w.planned && w.in_flight <= w.pending())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::RolloutId;
    use crate::outcome::Outcome;
    use crate::testing::{plan, started};

    #[test]
    fn counts_that_disagree_are_noticed() {
        let mut sound = Rollout::new(&RolloutId::new("r1"), &plan(&[(2, None), (1, None)]));
        let EventKind::Started { tenant, .. } = started("a", 0, 1) else {
            panic!("a start")
        };
        assert!(adds_up(&sound));
        let mut uncounted = sound.clone();
        uncounted.waves[0].in_flight = 1;
        assert!(!adds_up(&uncounted), "nobody is named as in flight");
        let claim = crate::rollout::InFlight {
            wave: 0,
            host: crate::ids::HostName::new("h"),
            epoch: crate::ids::Epoch(1),
            since: crate::ids::Micros(1),
            cancelling: false,
            acknowledged: false,
        };
        sound.in_flight.insert(tenant, claim);
        assert!(!adds_up(&sound), "no wave counts it");
        sound.waves[0].in_flight = 1;
        assert!(adds_up(&sound));
        let mut gone = sound.clone();
        assert!(gone.waves[0].counts.remove(Outcome::Pending, 1));
        assert!(!adds_up(&gone), "fewer than planned");
        let mut busy = sound;
        assert!(busy.waves[0].counts.remove(Outcome::Pending, 2));
        busy.waves[0].counts.add(Outcome::Succeeded, 2);
        assert!(!adds_up(&busy), "more in flight than have not ended");
    }
}
