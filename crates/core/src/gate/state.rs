//! How far a gate of a rollout is.

use serde::{Deserialize, Serialize};

use super::{Gate, GateKind, GateTally, Measurement, Number, Verdict};
use crate::ids::{Micros, RolloutId};

/// How long after an error a measurement is tried again, at most, in milliseconds.
const RETRY_ERROR_MS: u64 = 10_000;

/// A gate of a wave: what it asks, what it has seen, what it said.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct GateState {
    /// What it asks.
    pub gate: Gate,
    /// Which evaluation this is, from 1. Verdicts and measurements of an earlier one are never used again.
    pub evaluation: u32,
    /// When this evaluation began: its wave had ended and every gate before it had passed.
    pub since: Option<Micros>,
    /// What it has measured in this evaluation.
    pub tally: GateTally,
    /// Its last measurements. All of them are in the events.
    pub measurements: Vec<Evidence>,
    /// What it said.
    pub verdict: Option<Verdict>,
    /// Why.
    pub reason: Option<String>,
    /// Who went past it.
    pub skipped: Option<SkippedBy>,
}

/// A measurement as a rollout keeps it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Evidence {
    /// Its number in the evaluation, from 1.
    pub number: u32,
    /// When.
    pub at: Micros,
    /// What it says.
    pub result: Verdict,
    /// The value that was judged.
    pub value: Option<Number>,
    /// Why.
    pub why: String,
}

/// Who let a rollout go past a gate.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SkippedBy {
    /// Who.
    pub actor: String,
    /// Why.
    pub reason: String,
}

/// What the leader is to ask a provider: outside of every transaction, because answers take time.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Question {
    /// Index of the wave.
    pub wave: usize,
    /// Index of the gate in it.
    pub gate: usize,
    /// The gate's evaluation.
    pub evaluation: u32,
    /// The number of the measurement.
    pub number: u32,
    /// The provider by name.
    pub provider: String,
    /// The query, ready to be sent.
    pub query: String,
    /// The query for the baseline, if there is one.
    pub baseline: Option<String>,
    /// How long an answer may take, in milliseconds.
    pub timeout_ms: u64,
}

impl GateState {
    /// How many measurements a rollout keeps of a gate: its row is written anew by every event.
    const KEPT: usize = 10;

    /// A gate that has not begun.
    pub fn new(gate: &Gate) -> Self {
        Self {
            gate: gate.clone(),
            evaluation: 1,
            since: None,
            tally: GateTally::default(),
            measurements: Vec::new(),
            verdict: None,
            reason: None,
            skipped: None,
        }
    }

    /// Whether the next wave may open as far as this gate goes.
    pub fn lets_go_on(&self) -> bool {
        self.skipped.is_some() || self.verdict == Some(Verdict::Pass)
    }

    /// Everything that [`GateState::state`] may say.
    pub const STATES: [&str; 7] = [
        "waiting",
        "open",
        "pass",
        "fail",
        "inconclusive",
        "error",
        "skipped",
    ];

    /// `waiting` for its wave, `open`, `skipped`, or its verdict.
    pub fn state(&self) -> &'static str {
        match (&self.skipped, self.verdict, self.since) {
            (Some(_), ..) => "skipped",
            (None, Some(verdict), _) => verdict.as_str(),
            (None, None, Some(_)) => "open",
            (None, None, None) => "waiting",
        }
    }

    /// Why it said what it said, or who skipped it and why.
    pub fn why(&self) -> Option<String> {
        match &self.skipped {
            Some(by) => Some(format!("skipped by {}: {}", by.actor, by.reason)),
            None => self.reason.clone(),
        }
    }

    /// Whether it has seen or said anything in this evaluation.
    pub(crate) fn has_evidence(&self) -> bool {
        self.verdict.is_some() || self.tally.total() > 0
    }

    /// Forgets what it has seen: it is evaluated anew. Not so where a person went past it, which was no evidence.
    pub(crate) fn anew(&mut self) {
        if self.skipped.is_some() {
            return;
        }
        let evaluation = if self.has_evidence() {
            self.evaluation.saturating_add(1)
        } else {
            self.evaluation
        };
        *self = Self {
            evaluation,
            ..Self::new(&self.gate)
        };
    }

    /// Takes a measurement in.
    pub(crate) fn measured(&mut self, at: Micros, measurement: &Measurement) {
        self.tally.count(measurement.result);
        if self.measurements.len() >= Self::KEPT {
            self.measurements.remove(0);
        }
        self.measurements.push(Evidence {
            number: measurement.number,
            at,
            result: measurement.result,
            value: measurement.value,
            why: measurement.why.clone(),
        });
    }

    /// When it is to be looked at next; `None` before it has begun.
    pub(crate) fn due(&self) -> Option<Micros> {
        let since = self.since?;
        let (first, interval) = match &self.gate.kind {
            GateKind::Bake(bake) => (
                bake.duration_ms,
                bake.samples.as_ref().map_or(0, |s| s.interval_ms),
            ),
            GateKind::Promql(promql) => (promql.initial_delay_ms, promql.interval_ms),
        };
        Some(match self.measurements.last() {
            None => since.plus_millis(first),
            Some(last) if last.result == Verdict::Error => {
                last.at.plus_millis(interval.min(RETRY_ERROR_MS))
            }
            Some(last) => last.at.plus_millis(interval),
        })
    }

    /// What to ask now; `None` where time alone decides.
    pub(crate) fn question(
        &self,
        (wave, name): (usize, &str),
        gate: usize,
        rollout: &RolloutId,
    ) -> Option<Question> {
        let (provider, query, baseline, timeout_ms) = match &self.gate.kind {
            GateKind::Bake(bake) => {
                let samples = bake.samples.as_ref()?;
                (&samples.provider, &samples.query, None, samples.timeout_ms)
            }
            GateKind::Promql(promql) => (
                &promql.provider,
                &promql.query,
                promql.baseline.as_ref().map(|b| b.query.as_str()),
                promql.timeout_ms,
            ),
        };
        Some(Question {
            wave,
            gate,
            evaluation: self.evaluation,
            number: self.tally.total().saturating_add(1),
            provider: provider.clone(),
            query: filled(query, name, rollout),
            baseline: baseline.map(|query| filled(query, name, rollout)),
            timeout_ms,
        })
    }
}

/// The query with names for `{{wave}}` and `{{rollout}}`, which stand inside quotes: quotes and backslashes in a name
/// cannot end them.
fn filled(query: &str, wave: &str, rollout: &RolloutId) -> String {
    let quoted = |text: &str| text.replace('\\', "\\\\").replace('"', "\\\"");
    let mut filled = String::with_capacity(query.len());
    let mut rest = query;
    while let Some((before, after)) = rest.split_once("{{") {
        let (word, further) = after.split_once("}}").unwrap_or((after, ""));
        filled.push_str(before);
        filled.push_str(&match word.trim() {
            "wave" => quoted(wave),
            _ => quoted(rollout.as_str()),
        });
        rest = further;
    }
    filled.push_str(rest);
    filled
}
