//! Halt policy: how many failures a scope tolerates, and the one question that stops it.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// Limits of a scope (the rollout or one wave), resolved to counts of tenants. `None` is no limit.
///
/// A limit is what is *tolerated*: the rule trips when the count is greater.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Limits {
    /// Failed tenants tolerated, from `max_failures`.
    pub max_failures: Option<u32>,
    /// Failed tenants tolerated, from `max_failure_percent` of the planned size, rounded down.
    pub max_failure_percent: Option<u32>,
    /// Failed tenants in a row tolerated, in the order of their reports.
    pub max_consecutive: Option<u32>,
    /// Tenants with one and the same deterministic cause tolerated.
    pub same_cause: Option<u32>,
}

/// The rule that stopped a rollout.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Rule {
    /// More failed tenants than the count allows.
    MaxFailures,
    /// More failed tenants than the percentage allows.
    MaxFailurePercent,
    /// Too many failed tenants in a row.
    MaxConsecutive,
    /// Too many tenants failed for one and the same cause.
    SameCause,
}

impl Rule {
    /// The name used in configuration and JSON.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::MaxFailures => "max_failures",
            Self::MaxFailurePercent => "max_failure_percent",
            Self::MaxConsecutive => "max_consecutive",
            Self::SameCause => "same_cause",
        }
    }
}

/// What a scope has counted so far. A cache: it can be rebuilt from the targets.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tally {
    /// Failed tenants since the last acknowledgement.
    pub failed: u64,
    /// Failed tenants in a row, in the order of their reports.
    pub consecutive: u64,
    /// Failed tenants by deterministic cause (the cause's text form).
    pub by_cause: BTreeMap<String, u64>,
}

/// A rule that was crossed, with the numbers that crossed it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trip {
    /// The rule.
    pub rule: Rule,
    /// What it tolerates.
    pub tolerated: u64,
    /// What was counted; greater than `tolerated`.
    pub failures: u64,
    /// The cause that repeated, for `same_cause`.
    pub cause: Option<String>,
}
