//! What became of a target, and how many of each there are.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};

/// What became of one tenant in one rollout. The counts always sum to the number of tenants.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// Reached the target version in this rollout; proved by its own ledger.
    Succeeded,
    /// Was there already.
    UpToDate,
    /// Stopped between two versions by a halt or a drain; consistent.
    Partial,
    /// Failed for good; what it had applied before the failing version stays.
    Failed,
    /// A stepwise migration stopped half way; a person must look.
    Dirty,
    /// Its locks were not to be had within its budget: it is tried once more when the rest of its wave has ended.
    Deferred,
    /// Pinned by an operator.
    Held,
    /// Left out on purpose: by an operator, or because it is ahead of the target.
    Skipped,
    /// The rollout was cancelled before it began here.
    Cancelled,
    /// Its host or place could not be read when the plan was made.
    Unreachable,
    /// Not begun, or in flight.
    Pending,
}

impl Outcome {
    /// Every outcome, in the order of the public summary.
    pub const ALL: [Self; 11] = [
        Self::Succeeded,
        Self::UpToDate,
        Self::Partial,
        Self::Failed,
        Self::Dirty,
        Self::Deferred,
        Self::Held,
        Self::Skipped,
        Self::Cancelled,
        Self::Unreachable,
        Self::Pending,
    ];

    /// The name used in JSON, the store and metrics.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Succeeded => "succeeded",
            Self::UpToDate => "up_to_date",
            Self::Partial => "partial",
            Self::Failed => "failed",
            Self::Dirty => "dirty",
            Self::Deferred => "deferred",
            Self::Held => "held",
            Self::Skipped => "skipped",
            Self::Cancelled => "cancelled",
            Self::Unreachable => "unreachable",
            Self::Pending => "pending",
        }
    }

    /// The outcome of that name.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|o| o.as_str() == name)
    }

    /// Whether a finished rollout with such a target is `completed_with_failures` (exit code 4).
    pub fn is_failure(self) -> bool {
        matches!(
            self,
            Self::Failed | Self::Dirty | Self::Partial | Self::Deferred | Self::Unreachable
        )
    }

    /// Whether a target that ends so counts to the halt limits: what was tried and did not work.
    pub fn counts_to_halt(self) -> bool {
        matches!(self, Self::Failed | Self::Dirty)
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// How many targets have each outcome. An absent outcome counts 0.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct OutcomeCounts(BTreeMap<Outcome, u64>);

impl OutcomeCounts {
    /// How many have this outcome.
    pub fn get(&self, outcome: Outcome) -> u64 {
        self.0.get(&outcome).copied().unwrap_or(0)
    }

    /// Adds `n` targets with this outcome.
    pub fn add(&mut self, outcome: Outcome, n: u64) {
        if n > 0 {
            *self.0.entry(outcome).or_default() += n;
        }
    }

    /// Takes `n` targets away; false, and nothing changed, when there are fewer.
    #[must_use]
    pub fn remove(&mut self, outcome: Outcome, n: u64) -> bool {
        let have = self.get(outcome);
        if have < n {
            return false;
        }
        if have == n {
            self.0.remove(&outcome);
        } else {
            self.0.insert(outcome, have - n);
        }
        true
    }

    /// The number of targets.
    pub fn total(&self) -> u64 {
        self.0.values().sum()
    }

    /// Adds all of another's counts.
    pub fn merge(&mut self, other: &Self) {
        for (&outcome, &n) in &other.0 {
            self.add(outcome, n);
        }
    }
}
