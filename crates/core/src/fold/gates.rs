//! Gates: measured, judged, skipped; and when their time begins.

use super::error::Checked;
use crate::gate::{GateState, Measurement, SkippedBy, Verdict, judge};
use crate::ids::Micros;
use crate::rollout::{Rollout, RolloutState};

/// A gate as an event names it: wave, name, evaluation.
type Named<'a> = (usize, &'a str, u32);

/// A measurement counts for the one gate that is being evaluated, in its order and not before its time.
pub(super) fn measured(
    rollout: &mut Rollout,
    at: Micros,
    gate: Named<'_>,
    measurement: &Measurement,
) -> Checked {
    let (wave, index) = current(rollout, gate)?;
    let state = &mut rollout.waves[wave].gates[index];
    let next = state.tally.total().saturating_add(1);
    if measurement.number != next {
        return Err(format!(
            "measurement {next} of gate {} is next, not {}",
            gate.1, measurement.number
        ));
    }
    if state.due().is_none_or(|due| at < due) {
        return Err(format!(
            "measurement {next} of gate {} is not due yet",
            gate.1
        ));
    }
    state.measured(at, measurement);
    Ok(())
}

/// A gate says what it has earned, and nothing else: the store, not the leader, keeps waves shut.
pub(super) fn judged(
    rollout: &mut Rollout,
    at: Micros,
    gate: Named<'_>,
    verdict: Verdict,
    reason: &str,
) -> Checked {
    let (wave, index) = current(rollout, gate)?;
    let state = &mut rollout.waves[wave].gates[index];
    let earned = judge(state, at).map(|(verdict, _)| verdict);
    if earned != Some(verdict) {
        let earned = earned.map_or("nothing yet", Verdict::as_str);
        return Err(format!("gate {} says {earned}, not {verdict}", gate.1));
    }
    state.verdict = Some(verdict);
    state.reason = Some(reason.to_owned());
    if matches!(verdict, Verdict::Inconclusive | Verdict::Error) {
        rollout.state = RolloutState::Waiting;
    }
    Ok(())
}

/// A person goes past a gate, in advance too. A rollout that waits for this gate runs again; a halt stays until it is
/// acknowledged.
pub(super) fn skipped(
    rollout: &mut Rollout,
    (wave, name): (usize, &str),
    actor: &str,
    reason: &str,
) -> Checked {
    if !rollout.state.is_active() {
        return Err("it has ended".into());
    }
    let opened = |index: usize| rollout.waves.get(index).and_then(|w| w.opened_at);
    if opened(wave + 1).is_some() {
        return Err(format!("the wave after gate {name} is open"));
    }
    let of = rollout
        .waves
        .get_mut(wave)
        .ok_or_else(|| format!("there is no wave {wave}"))?;
    let state = of
        .gates
        .iter_mut()
        .find(|gate| gate.gate.name == name)
        .ok_or_else(|| format!("wave {} has no gate {name}", of.name))?;
    if state.lets_go_on() {
        return Err(format!("gate {name} lets it go on already"));
    }
    state.skipped = Some(SkippedBy {
        actor: actor.to_owned(),
        reason: reason.to_owned(),
    });
    let said = state.verdict;
    if rollout.state == RolloutState::Waiting
        && matches!(said, Some(Verdict::Inconclusive | Verdict::Error))
    {
        rollout.state = RolloutState::Running;
    }
    Ok(())
}

/// The gate that an event names, if it is the one that is being evaluated and has not said anything.
fn current(
    rollout: &Rollout,
    (wave, name, evaluation): Named<'_>,
) -> Result<(usize, usize), String> {
    if rollout.state != RolloutState::Running {
        return Err("gates are judged only while it is running".into());
    }
    let Some((at, index)) = rollout.at_gate() else {
        return Err("it stands at no gate".into());
    };
    let state = &rollout.waves[at].gates[index];
    if (at, state.gate.name.as_str(), state.evaluation) != (wave, name, evaluation) {
        return Err(format!(
            "it stands at gate {} of wave {}, evaluation {}, not at {name} of wave {wave}, evaluation {evaluation}",
            state.gate.name, rollout.waves[at].name, state.evaluation
        ));
    }
    if state.verdict.is_some() {
        return Err(format!("gate {name} has said what it says"));
    }
    Ok((at, index))
}

/// What follows from any event: when waves end, the gates before the next one begin, and evidence that is no longer
/// about what is there is forgotten.
///
/// Only the gates of the last open wave are judged, once every open wave has ended: a retry in any of them, or a hold
/// that ends there, begins them anew. Gates whose next wave is open have done their work and stay as they are. While it
/// stands still nothing is forgotten, for nothing starts: what a person looks at is what it stopped for.
pub(super) fn follow(rollout: &mut Rollout, before: RolloutState, at: Micros) {
    let runs = rollout.state == RolloutState::Running;
    let resumed = before != RolloutState::Running && runs;
    if resumed {
        rollout.window_at = Some(at);
    }
    let next = rollout.waves.iter().position(|w| w.opened_at.is_none());
    let open = next.unwrap_or(rollout.waves.len());
    let (mut ended, mut reopened) = (true, false);
    for wave in rollout.waves.iter_mut().take(open) {
        if wave.has_ended() {
            wave.ended_at.get_or_insert(at);
        } else {
            ended = false;
            if runs && wave.ended_at.take().is_some() {
                reopened = true;
                wave.reopened_at = Some(at);
                wave.moves(at);
            }
        }
    }
    let Some(last) = next.and_then(|next| next.checked_sub(1)) else {
        return;
    };
    let gates = &mut rollout.waves[last].gates;
    if reopened {
        gates.iter_mut().for_each(GateState::anew);
    } else if resumed {
        // A person stepped in between: what was seen before may be about another state of things.
        gates
            .iter_mut()
            .filter(|gate| !gate.lets_go_on() && gate.has_evidence())
            .for_each(GateState::anew);
    }
    if ended && let Some(gate) = gates.iter_mut().find(|gate| !gate.lets_go_on()) {
        gate.since.get_or_insert(at);
    }
}
