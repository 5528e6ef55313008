//! Gates in a driven fleet: measured at random, skipped, and asked for evidence when a wave opens.

use sanderling_core::event::{Event, EventKind};
use sanderling_core::gate::{
    Bake, Condition, Gate, GateKind, Measurement, OnNoData, Promql, Question, Verdict,
};
use sanderling_core::{Micros, Rollout, RolloutState};

use crate::driver::{Dice, Driver};

/// No gate, time, a query, or both.
pub(crate) fn gates(dice: &mut Dice) -> Vec<Gate> {
    let bake = Gate {
        name: "bake".into(),
        kind: GateKind::Bake(Bake {
            duration_ms: 1,
            samples: None,
        }),
    };
    let errors = Gate {
        name: "errors".into(),
        kind: GateKind::Promql(Promql {
            provider: "main".into(),
            query: "errors".into(),
            baseline: None,
            pass: Some(Condition::parse("value < 1").unwrap()),
            fail: None,
            reduce: None,
            on_no_data: OnNoData::Inconclusive,
            initial_delay_ms: 0,
            interval_ms: 1,
            count: 2,
            timeout_ms: 1,
            failure_limit: 0,
            inconclusive_limit: 0,
            error_limit: 1,
        }),
    };
    match dice.roll(4) {
        0 => vec![bake],
        1 => vec![errors],
        2 => vec![bake, errors],
        _ => Vec::new(),
    }
}

impl Driver {
    /// The answer to a question: a pass mostly.
    pub(crate) fn measure(&mut self, question: &Question, dice: &mut Dice) {
        let result = match dice.roll(8) {
            0 => Verdict::Fail,
            1 => Verdict::Inconclusive,
            2 => Verdict::Error,
            _ => Verdict::Pass,
        };
        let gate = &self.rollout.waves[question.wave].gates[question.gate];
        let kind = EventKind::GateMeasured {
            wave: question.wave,
            gate: gate.gate.name.clone(),
            evaluation: question.evaluation,
            measurement: Measurement {
                number: question.number,
                result,
                value: None,
                why: "so it says".into(),
                query: question.query.clone(),
                answer: String::new(),
            },
        };
        self.record(kind);
    }

    /// A person goes past a gate that keeps the next wave shut.
    pub(crate) fn skip_gate(&mut self) {
        let next = self
            .rollout
            .waves
            .iter()
            .position(|w| w.opened_at.is_none());
        let Some(wave) = next.and_then(|next| next.checked_sub(1)) else {
            return;
        };
        let of = &self.rollout.waves[wave];
        let Some(gate) = of.shut_gate().filter(|_| self.rollout.state.is_active()) else {
            return;
        };
        self.record(EventKind::GateSkipped {
            wave,
            gate: of.gates[gate].gate.name.clone(),
            actor: "eve".into(),
            reason: "test".into(),
        });
    }
}

/// A wave opened on what was seen after the last target before it had begun and ended, or past a gate that a person
/// skipped.
pub(crate) fn opened_on_evidence(rollout: &Rollout, log: &[Event], wave: usize) {
    let Some(before) = wave.checked_sub(1) else {
        return;
    };
    let moved = log.iter().rev().find(|event| {
        matches!(
            event.kind,
            EventKind::Started { .. } | EventKind::Ended { .. }
        )
    });
    let moved = moved.map_or(Micros(0), |event| event.at);
    for gate in &rollout.waves[before].gates {
        let seen = gate.verdict == Some(Verdict::Pass) && gate.since >= Some(moved);
        assert!(seen || gate.skipped.is_some(), "{gate:?} after {moved:?}");
    }
}

/// What a rollout waits for can be told, and nothing that could start waits with it.
pub(crate) fn waits_for_something(rollout: &Rollout) {
    if rollout.state != RolloutState::Waiting {
        return;
    }
    let said = rollout
        .kept_by_gate()
        .and_then(|(wave, gate)| rollout.waves[wave].gates[gate].verdict);
    let at_gate = matches!(said, Some(Verdict::Inconclusive | Verdict::Error));
    let for_holds = rollout.waits_for_holds() && rollout.held() > 0;
    assert!(at_gate || for_holds, "{rollout:?}");
    let mut open = rollout.waves.iter().filter(|w| w.opened_at.is_some());
    assert!(open.all(|wave| wave.has_ended()), "{rollout:?}");
}
