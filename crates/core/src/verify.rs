//! Invariants of a fleet at rest: ledger, bundle, store and catalogs must tell one story.

mod catalogs;
mod ledger;
mod store;

#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use serde::{Deserialize, Serialize};

use crate::assess::MigrationMeta;
use crate::ids::{Checksum, Epoch, RolloutId, TenantId, Version};
use crate::ledger::Standing;
use crate::outcome::Outcome;

/// Checksums that are right for a version besides the bundle's own: texts that were amended.
pub type Accepted = BTreeMap<Version, BTreeSet<Checksum>>;

/// What was read about one tenant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Facts {
    /// The tenant.
    pub tenant: TenantId,
    /// The engine and its major version: catalogs are compared only within one.
    pub engine: String,
    /// What its place and ledger look like.
    pub standing: Standing,
    /// The hash of its normalised catalog, if it was read.
    pub fingerprint: Option<String>,
    /// What the control store believes, if it knows the tenant.
    pub belief: Option<Belief>,
}

/// What the control store believes about a tenant: its newest target.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Belief {
    /// The rollout.
    pub rollout: RolloutId,
    /// What became of the target.
    pub outcome: Outcome,
    /// The version the rollout led to.
    pub version: Version,
    /// What the rollout applied, by evidence.
    pub applied: Vec<Version>,
    /// The target's last epoch.
    pub epoch: Epoch,
    /// Whether a claim is out: then the ledger may be ahead of what was reported.
    pub in_flight: bool,
}

/// Something that does not hold.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Violation {
    /// The tenant.
    pub tenant: TenantId,
    /// What kind of thing.
    pub kind: ViolationKind,
    /// In words: what was expected, what was found.
    pub detail: String,
}

/// What does not hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ViolationKind {
    /// A version that must be in the ledger is not.
    MissingRow,
    /// A version is in effect that the bundle does not have.
    UnknownVersion,
    /// A version was applied from another text.
    Checksum,
    /// The catalog differs from that of other tenants at the version.
    Catalog,
    /// Store and ledger disagree in another way.
    StoreMismatch,
}

impl ViolationKind {
    /// The name used in JSON.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::MissingRow => "missing_row",
            Self::UnknownVersion => "unknown_version",
            Self::Checksum => "checksum",
            Self::Catalog => "catalog",
            Self::StoreMismatch => "store_mismatch",
        }
    }
}

impl fmt::Display for ViolationKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl Facts {
    /// Whether its place could be looked at (it may have been found missing).
    pub fn is_readable(&self) -> bool {
        !matches!(self.standing, Standing::Unreachable(_))
    }
}

/// Checks every tenant that could be read. One fault gives one violation: a tenant whose ledger is wrong is not
/// compared with others by catalog, because its version is not known then.
///
/// `bundle` is ascending by version. The result is in the order of `tenants`, catalogs last.
pub fn check(bundle: &[MigrationMeta], accepted: &Accepted, tenants: &[Facts]) -> Vec<Violation> {
    let mut found = Vec::new();
    let mut sound = Vec::new();
    for facts in tenants {
        let before = found.len();
        for (kind, detail) in ledger::check(bundle, accepted, facts)
            .into_iter()
            .chain(store::check(bundle, facts))
        {
            found.push(Violation {
                tenant: facts.tenant.clone(),
                kind,
                detail,
            });
        }
        if found.len() == before {
            sound.push(facts);
        }
    }
    found.extend(catalogs::check(&sound));
    found
}
