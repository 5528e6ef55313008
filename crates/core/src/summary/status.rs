//! `status --json`.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::RolloutSummary;
use crate::assess::Assessment;
use crate::ids::{HostName, Micros, Version};
use crate::ledger::Standing;

/// The document that `status --json` prints. Each tenant is in exactly one of the counts.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct StatusSummary {
    /// Selected tenants.
    pub tenants: u64,
    /// Those at the newest version of the bundle.
    pub up_to_date: u64,
    /// Those with something to apply.
    pub behind: u64,
    /// Those with versions that the bundle does not lead to.
    pub ahead: u64,
    /// Those where a version in effect was applied from another text than the bundle has.
    pub edited: u64,
    /// Those where a stepwise migration stopped half way.
    pub dirty: u64,
    /// Those pinned by an operator; null where no control store was read. They are in the other counts too.
    pub held: Option<u64>,
    /// Those that could not be read.
    pub unreachable: u64,
    /// How many tenants are at which version, ascending; the unreachable ones are not among them.
    pub versions: Vec<VersionSummary>,
    /// Active rollouts; null where no control store was read.
    pub rollouts: Option<Vec<RolloutSummary>>,
    /// Hosts that live workers cannot work on; null where no control store was read.
    #[serde(default)]
    pub hosts_away: Option<Vec<AwayHost>>,
}

/// A host that workers cannot work on: its tenants wait.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AwayHost {
    /// The host.
    pub host: HostName,
    /// Since when, as the first of them saw it; microseconds since 1970, UTC.
    pub since: Micros,
    /// What it does, and what it said.
    pub reason: String,
    /// How many workers see it so.
    pub workers: u64,
}

/// Tenants at one version.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct VersionSummary {
    /// The newest version in effect; null where there is none.
    pub version: Option<Version>,
    /// How many tenants.
    pub tenants: u64,
}

/// Where a tenant stands towards the newest version of the bundle. Each tenant is in exactly one of these.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TenantState {
    /// At the newest version of the bundle.
    UpToDate,
    /// Something is to be applied.
    Behind,
    /// At versions that the bundle does not lead to.
    Ahead,
    /// A version in effect was applied from another text than the bundle has.
    Edited,
    /// A stepwise migration stopped half way.
    Dirty,
    /// It could not be read.
    Unreachable,
}

impl TenantState {
    /// As it is now, whatever the next rollout would make of it.
    pub fn of(standing: &Standing, assessment: &Assessment) -> Self {
        if standing.half_way().is_some() {
            return Self::Dirty;
        }
        match assessment {
            Assessment::UpToDate => Self::UpToDate,
            Assessment::Pending { .. } | Assessment::OutOfOrder { .. } | Assessment::Held(_) => {
                Self::Behind
            }
            Assessment::Ahead { .. } | Assessment::Foreign { .. } => Self::Ahead,
            Assessment::Edited { .. } => Self::Edited,
            Assessment::Dirty { .. } => Self::Dirty,
            Assessment::Unreachable(_) => Self::Unreachable,
        }
    }

    /// The word for a person.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::UpToDate => "up to date",
            Self::Behind => "behind",
            Self::Ahead => "ahead",
            Self::Edited => "edited",
            Self::Dirty => "dirty",
            Self::Unreachable => "unreachable",
        }
    }
}

impl StatusSummary {
    /// The document of a survey: each tenant's standing with its assessment against the newest version. `rollouts`
    /// are the active ones, `None` where no control store was read.
    pub fn new<'a>(
        survey: impl IntoIterator<Item = (&'a Standing, &'a Assessment)>,
        rollouts: Option<Vec<RolloutSummary>>,
    ) -> Self {
        let mut status = Self {
            tenants: 0,
            up_to_date: 0,
            behind: 0,
            ahead: 0,
            edited: 0,
            dirty: 0,
            held: rollouts.as_ref().map(|_| 0),
            unreachable: 0,
            versions: Vec::new(),
            rollouts,
            hosts_away: None,
        };
        let mut versions: BTreeMap<Option<&Version>, u64> = BTreeMap::new();
        for (standing, assessment) in survey {
            status.tenants += 1;
            *status.count(TenantState::of(standing, assessment)) += 1;
            if !matches!(assessment, Assessment::Unreachable(_)) {
                *versions.entry(standing.newest()).or_default() += 1;
            }
        }
        status.versions = versions
            .into_iter()
            .map(|(version, tenants)| VersionSummary {
                version: version.cloned(),
                tenants,
            })
            .collect();
        status
    }

    fn count(&mut self, state: TenantState) -> &mut u64 {
        match state {
            TenantState::UpToDate => &mut self.up_to_date,
            TenantState::Behind => &mut self.behind,
            TenantState::Ahead => &mut self.ahead,
            TenantState::Edited => &mut self.edited,
            TenantState::Dirty => &mut self.dirty,
            TenantState::Unreachable => &mut self.unreachable,
        }
    }
}
