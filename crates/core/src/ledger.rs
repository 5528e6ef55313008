//! The ledger inside a tenant, as read from it.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::cause::Failure;
use crate::ids::{Checksum, Epoch, Micros, RolloutId, Version};

/// The state of one ledger row.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RowState {
    /// The version is in effect.
    Applied,
    /// It was in effect and has been undone; the row stays as history.
    Reverted,
    /// A stepwise migration is on its way up, or stopped there.
    Applying,
    /// A stepwise migration is on its way down, or stopped there.
    Reverting,
}

impl RowState {
    /// The name in the ledger.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Applied => "applied",
            Self::Reverted => "reverted",
            Self::Applying => "applying",
            Self::Reverting => "reverting",
        }
    }

    /// The state of that name.
    pub fn parse(name: &str) -> Option<Self> {
        [
            Self::Applied,
            Self::Reverted,
            Self::Applying,
            Self::Reverting,
        ]
        .into_iter()
        .find(|s| s.as_str() == name)
    }
}

impl fmt::Display for RowState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// One row of `sanderling_migrations`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LedgerRow {
    /// The migration's version.
    pub version: Version,
    /// The hash of the text that was applied.
    pub checksum: Checksum,
    /// Whether it is in effect.
    pub state: RowState,
    /// The epoch of the claim that wrote it.
    pub epoch: Epoch,
    /// The rollout that wrote it.
    pub rollout: Option<RolloutId>,
    /// When, by the tenant's own clock; absent where a bulk read leaves it out.
    pub applied_at: Option<Micros>,
}

/// What a look at a tenant's place found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Standing {
    /// The place is there. `has_ledger` is false where no ledger table exists yet (then there are no rows).
    Present {
        /// Whether the ledger table exists.
        has_ledger: bool,
        /// Its rows, in order of version.
        rows: Vec<LedgerRow>,
    },
    /// The schema, database or file is not there. With `create_missing` a worker creates it.
    Missing,
    /// It could not be read: host away, wrong password, no right to look.
    Unreachable(Failure),
}

impl Standing {
    /// The version of a stepwise migration that stands half way.
    pub fn half_way(&self) -> Option<&Version> {
        let Self::Present { rows, .. } = self else {
            return None;
        };
        rows.iter()
            .find(|row| matches!(row.state, RowState::Applying | RowState::Reverting))
            .map(|row| &row.version)
    }

    /// The newest version in effect; `None` also where the place is missing or could not be read.
    pub fn newest(&self) -> Option<&Version> {
        match self {
            Self::Present { rows, .. } => rows
                .iter()
                .filter(|row| row.state == RowState::Applied)
                .map(|row| &row.version)
                .max(),
            Self::Missing | Self::Unreachable(_) => None,
        }
    }
}
