//! From measurements to the verdict of a gate.

use serde::{Deserialize, Serialize};

use super::{GateKind, GateState, Verdict};
use crate::ids::Micros;

/// What a gate has measured so far in this evaluation.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct GateTally {
    /// Measurements that passed.
    pub passed: u32,
    /// Measurements that failed.
    pub failed: u32,
    /// Measurements that said neither.
    pub inconclusive: u32,
    /// Measurements without an answer.
    pub errors: u32,
    /// Of those, the ones in a row up to now.
    pub errors_in_a_row: u32,
}

impl GateTally {
    pub(super) fn count(&mut self, result: Verdict) {
        match result {
            Verdict::Pass => self.passed += 1,
            Verdict::Fail => self.failed += 1,
            Verdict::Inconclusive => self.inconclusive += 1,
            Verdict::Error => self.errors += 1,
        }
        self.errors_in_a_row = match result {
            Verdict::Error => self.errors_in_a_row + 1,
            _ => 0,
        };
    }

    /// Measurements in all.
    pub fn total(&self) -> u32 {
        self.answered().saturating_add(self.errors)
    }

    /// Measurements that had an answer.
    pub fn answered(&self) -> u32 {
        self.passed
            .saturating_add(self.failed)
            .saturating_add(self.inconclusive)
    }
}

/// The verdict that a gate has earned at this moment, with the reason; `None` while it is open.
///
/// A failure weighs more than an error, an error more than what is inconclusive. Without a measurement that passed
/// nothing passes, except a bake that asks for time alone.
pub fn judge(gate: &GateState, at: Micros) -> Option<(Verdict, String)> {
    let since = gate.since?;
    let tally = &gate.tally;
    let last = gate.measurements.last();
    match &gate.gate.kind {
        GateKind::Bake(bake) => {
            if at < since.plus_millis(bake.duration_ms) {
                return None;
            }
            let Some(samples) = &bake.samples else {
                return Some((Verdict::Pass, "its time has passed".into()));
            };
            match last {
                Some(seen) if seen.result == Verdict::Pass => {
                    Some((Verdict::Pass, seen.why.clone()))
                }
                Some(seen) if at >= since.plus_millis(samples.give_up_after_ms) => {
                    let verdict = match seen.result {
                        Verdict::Error => Verdict::Error,
                        _ => Verdict::Inconclusive,
                    };
                    Some((
                        verdict,
                        format!("too little was seen in time: {}", seen.why),
                    ))
                }
                _ => None,
            }
        }
        GateKind::Promql(promql) => {
            let because = |result: Verdict, n: u32, tolerated: u32| {
                let why = gate
                    .measurements
                    .iter()
                    .rev()
                    .find(|m| m.result == result)
                    .map_or("", |m| m.why.as_str());
                Some((
                    result,
                    match n {
                        1 => format!("1 measurement says {result}, {tolerated} tolerated: {why}"),
                        n => format!(
                            "{n} measurements say {result}, {tolerated} tolerated; the last: {why}"
                        ),
                    },
                ))
            };
            if tally.failed > promql.failure_limit {
                return because(Verdict::Fail, tally.failed, promql.failure_limit);
            }
            if tally.errors_in_a_row > promql.error_limit {
                return because(Verdict::Error, tally.errors_in_a_row, promql.error_limit);
            }
            if tally.inconclusive > promql.inconclusive_limit {
                let (n, limit) = (tally.inconclusive, promql.inconclusive_limit);
                return because(Verdict::Inconclusive, n, limit);
            }
            if tally.answered() < promql.count {
                return None;
            }
            if tally.passed == 0 {
                return Some((Verdict::Inconclusive, "no measurement passed".into()));
            }
            let (passed, all) = (tally.passed, tally.answered());
            let why = last.map_or("", |m| m.why.as_str());
            Some((
                Verdict::Pass,
                format!("{passed} of {all} measurements pass; the last: {why}"),
            ))
        }
    }
}
