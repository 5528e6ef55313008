//! Gates: what must be seen after a wave before the next one opens.
//!
//! A gate is asked only when every target of its wave has ended, in order: the bake first, then the queries. What it
//! measures is evidence, and a wave opens on evidence alone: no answer, an answer without a number, several series
//! where one was meant, or an answer of another type never passes. Everything here is pure; the leader asks.

mod condition;
mod judge;
mod measure;
mod number;
mod spec;
mod state;

#[cfg(test)]
mod tests;

pub use condition::{Condition, ConditionError};
pub use judge::{GateTally, judge};
pub use measure::{Measurement, Reading, measure};
pub use number::Number;
pub use spec::{Bake, Baseline, Gate, GateError, GateKind, OnNoData, Promql, Reduce, Samples};
pub use state::{Evidence, GateState, Question, SkippedBy};

use serde::{Deserialize, Serialize};

/// What one measurement says, and what a gate says in the end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// It may go on.
    Pass,
    /// It may not: the rollout halts.
    Fail,
    /// There is an answer, and it says neither.
    Inconclusive,
    /// There is no answer: the provider is away, slow, or answers with something else.
    Error,
}

impl Verdict {
    /// The name used in JSON and in text.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pass => "pass",
            Self::Fail => "fail",
            Self::Inconclusive => "inconclusive",
            Self::Error => "error",
        }
    }
}

impl std::fmt::Display for Verdict {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(self.as_str())
    }
}
