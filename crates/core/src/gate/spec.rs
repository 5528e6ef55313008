//! What an operator asks of a gate, resolved; part of the plan.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::{Condition, Number};

/// One gate after a wave.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Gate {
    /// Its name, unique in its wave.
    pub name: String,
    /// What it asks.
    pub kind: GateKind,
}

/// The kinds of gates.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum GateKind {
    /// Time passes, and enough is seen meanwhile.
    Bake(Bake),
    /// A number from a Prometheus.
    Promql(Promql),
}

/// Time to wait after a wave, and how much must have been seen by then.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Bake {
    /// How long, in milliseconds.
    pub duration_ms: u64,
    /// What must have been seen; absent where time is enough.
    pub samples: Option<Samples>,
}

/// The least that must have been seen: requests, logins, jobs. Time without traffic proves nothing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Samples {
    /// The provider by name.
    pub provider: String,
    /// The query that counts them.
    pub query: String,
    /// How many there must be.
    pub at_least: Number,
    /// Pause between two looks, in milliseconds.
    pub interval_ms: u64,
    /// How long one answer may take, in milliseconds.
    pub timeout_ms: u64,
    /// From the bake's beginning: when to give up waiting for more, in milliseconds.
    pub give_up_after_ms: u64,
}

/// A query with the conditions that its value is held against.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Promql {
    /// The provider by name.
    pub provider: String,
    /// The query; `{{wave}}` and `{{rollout}}` stand for names.
    pub query: String,
    /// What the value is compared with, if it is.
    pub baseline: Option<Baseline>,
    /// When a value passes.
    pub pass: Option<Condition>,
    /// When a value fails. Where absent, what does not pass fails.
    pub fail: Option<Condition>,
    /// How several series become one value. Where absent, several are no evidence.
    pub reduce: Option<Reduce>,
    /// What an answer without a number is.
    pub on_no_data: OnNoData,
    /// Pause before the first measurement, in milliseconds.
    pub initial_delay_ms: u64,
    /// Pause between two measurements, in milliseconds.
    pub interval_ms: u64,
    /// How many measurements are needed.
    pub count: u32,
    /// How long one answer may take, in milliseconds.
    pub timeout_ms: u64,
    /// Failed measurements tolerated.
    pub failure_limit: u32,
    /// Inconclusive measurements tolerated.
    pub inconclusive_limit: u32,
    /// Errors in a row tolerated.
    pub error_limit: u32,
}

/// What a value is compared with: the same a day ago, or the tenants that have not moved yet.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Baseline {
    /// The query.
    pub query: String,
    /// The value may be at most so many times the baseline.
    pub max_ratio: Number,
    /// A value up to this passes whatever the baseline is: ratios of small numbers say nothing.
    pub min_abs: Number,
}

/// How several series become one verdict.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reduce {
    /// The greatest value counts.
    Max,
    /// The worst verdict counts.
    All,
    /// The best verdict counts.
    Any,
}

/// What an answer without a number is. Never a pass.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OnNoData {
    /// It says nothing.
    #[default]
    Inconclusive,
    /// It is a failure.
    Fail,
}

/// A gate that could never be judged.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum GateError {
    /// Neither `pass` nor `baseline`.
    #[error(
        "gate {0} has neither `pass` nor `baseline`, so nothing would ever pass it; add `pass = \"value < 0.01\"`"
    )]
    NothingPasses(String),
    /// A condition of both kinds that can never be met, or a limit that makes it meaningless.
    #[error("gate {name}: {what}")]
    Numbers {
        /// The gate.
        name: String,
        /// What is wrong, and what to write.
        what: String,
    },
    /// A `{{word}}` that stands for nothing.
    #[error(
        "gate {name}: `{{{{{word}}}}}` stands for nothing; there are {{{{wave}}}} and {{{{rollout}}}}"
    )]
    Placeholder {
        /// The gate.
        name: String,
        /// The word.
        word: String,
    },
}

impl Gate {
    /// The name of a bake; no other gate has it.
    pub const BAKE: &str = "bake";

    /// Checks that it can be judged at all.
    ///
    /// # Errors
    /// The first thing that is wrong.
    pub fn validate(&self) -> Result<(), GateError> {
        let numbers = |what: &str| {
            Err(GateError::Numbers {
                name: self.name.clone(),
                what: what.into(),
            })
        };
        match &self.kind {
            GateKind::Bake(bake) => {
                let Some(samples) = &bake.samples else {
                    return Ok(());
                };
                self.placeholders(&samples.query)?;
                if !(samples.at_least.is_finite() && samples.at_least.get() > 0.0) {
                    return numbers("`min_samples` must be more than 0");
                }
                if samples.interval_ms == 0 || samples.timeout_ms == 0 {
                    return numbers("`interval` and `timeout` must be more than 0");
                }
                if samples.give_up_after_ms < bake.duration_ms {
                    return numbers("`give_up_after` must not be shorter than `duration`");
                }
                Ok(())
            }
            GateKind::Promql(promql) => {
                self.placeholders(&promql.query)?;
                if promql.pass.is_none() && promql.baseline.is_none() {
                    return Err(GateError::NothingPasses(self.name.clone()));
                }
                if let Some(baseline) = &promql.baseline {
                    self.placeholders(&baseline.query)?;
                    if promql.reduce.is_some_and(|reduce| reduce != Reduce::Max) {
                        return numbers("with a `baseline`, `reduce` can only be \"max\"");
                    }
                    if !(baseline.max_ratio.is_finite() && baseline.max_ratio.get() > 0.0) {
                        return numbers("`max_ratio` must be more than 0");
                    }
                    if !(baseline.min_abs.is_finite() && baseline.min_abs.get() >= 0.0) {
                        return numbers("`min_abs` must not be negative");
                    }
                }
                if promql.count == 0 || promql.interval_ms == 0 || promql.timeout_ms == 0 {
                    return numbers("`count`, `interval` and `timeout` must be more than 0");
                }
                let tolerated = promql
                    .failure_limit
                    .saturating_add(promql.inconclusive_limit);
                if tolerated >= promql.count {
                    return numbers(
                        "`failure_limit` and `inconclusive_limit` together must be less than `count`, for one measurement at least has to pass",
                    );
                }
                Ok(())
            }
        }
    }

    fn placeholders(&self, query: &str) -> Result<(), GateError> {
        let mut rest = query;
        while let Some((_, after)) = rest.split_once("{{") {
            // PromQL has `{{` nowhere itself: a selector cannot be empty between two braces.
            let (word, further) = after.split_once("}}").unwrap_or((after, ""));
            if !matches!(word.trim(), "wave" | "rollout") {
                return Err(GateError::Placeholder {
                    name: self.name.clone(),
                    word: word.trim().into(),
                });
            }
            rest = further;
        }
        Ok(())
    }

    /// The providers it asks.
    pub fn provider(&self) -> Option<&str> {
        match &self.kind {
            GateKind::Bake(bake) => bake.samples.as_ref().map(|s| s.provider.as_str()),
            GateKind::Promql(promql) => Some(&promql.provider),
        }
    }

    /// The least time it takes, in milliseconds.
    pub fn least_ms(&self) -> u64 {
        match &self.kind {
            GateKind::Bake(bake) => bake.duration_ms,
            GateKind::Promql(promql) => {
                let pauses = u64::from(promql.count.saturating_sub(1));
                let between = promql.interval_ms.saturating_mul(pauses);
                promql.initial_delay_ms.saturating_add(between)
            }
        }
    }
}

impl GateKind {
    /// The word for programs: labels of metrics.
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Bake(_) => "bake",
            Self::Promql(_) => "promql",
        }
    }
}

impl fmt::Display for GateKind {
    /// What must be seen, in words.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Bake(Bake { samples: None, .. }) => f.write_str("time passes"),
            Self::Bake(Bake {
                samples: Some(samples),
                ..
            }) => write!(
                f,
                "at least {} by `{}` on {}",
                samples.at_least, samples.query, samples.provider
            ),
            Self::Promql(promql) => {
                write!(f, "`{}` on {}", promql.query, promql.provider)?;
                if let Some(pass) = &promql.pass {
                    write!(f, ", passes at {pass}")?;
                }
                if let Some(fail) = &promql.fail {
                    write!(f, ", fails at {fail}")?;
                }
                if let Some(baseline) = &promql.baseline {
                    write!(
                        f,
                        ", at most {} times `{}`",
                        baseline.max_ratio, baseline.query
                    )?;
                }
                Ok(())
            }
        }
    }
}
