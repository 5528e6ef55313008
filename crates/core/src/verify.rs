//! Invariants of a fleet at rest: ledger, bundle, store and catalogs must tell one story.

mod catalogs;
mod fence;
mod known;
mod ledger;
mod leftovers;
mod notes;
mod store;

#[cfg(test)]
mod tests;

pub use known::{Known, Word};

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::amend::Accepted;
use crate::assess::MigrationMeta;
use crate::direction::Direction;
use crate::ids::{Epoch, RolloutId, StoreId, TenantId, Version};
use crate::inspection::Inspection;
use crate::ledger::Standing;
use crate::outcome::Outcome;
use crate::tenant::Place;

/// What was read about one tenant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Facts {
    /// The tenant.
    pub tenant: TenantId,
    /// Where it is.
    pub place: Place,
    /// The engine and its major version: catalogs are compared only within one.
    pub engine: String,
    /// What its place and ledger look like.
    pub standing: Standing,
    /// The hash of its normalised catalog, if it was read.
    pub fingerprint: Option<String>,
    /// What lies at its place beside the ledger, if it was read.
    pub inspection: Option<Inspection>,
    /// What the control store believes, if it knows the tenant.
    pub belief: Option<Belief>,
    /// The highest number that the control store has given to a claim on it, read after everything else; 0 before
    /// the first.
    pub issued: Epoch,
    /// Whether a claim was out at some time while it was looked at: then the place may be ahead of what was reported,
    /// its parts of different moments, and its lock rightly held.
    pub moving: bool,
}

/// What the control store believes about a tenant: its newest target, and what earlier ones proved.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Belief {
    /// The rollout of the newest target.
    pub rollout: RolloutId,
    /// Where the tenant was then.
    pub place: Place,
    /// What became of the target.
    pub outcome: Outcome,
    /// The version the rollout led to.
    pub version: Version,
    /// Which way it led.
    pub direction: Direction,
    /// What the rollout applied, or took back, by evidence.
    pub applied: Vec<Version>,
    /// The target's last epoch.
    pub epoch: Epoch,
    /// What the rollouts before it say, back to the last one up that got there.
    pub earlier: Known,
}

impl Belief {
    /// What all of its rollouts say together.
    pub(crate) fn known(&self) -> Known {
        self.earlier.clone().then(Word {
            direction: self.direction,
            version: &self.version,
            outcome: self.outcome,
            applied: &self.applied,
        })
    }
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
    /// Something holds the tenant, though no claim on it is in flight.
    Lock,
    /// An index is not valid or not kept up to date.
    InvalidIndex,
    /// The fence would refuse the next claim, or would let an old one pass.
    Fence,
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
            Self::Lock => "lock",
            Self::InvalidIndex => "invalid_index",
            Self::Fence => "fence",
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

/// Checks every tenant that could be read. One fault gives one violation: a tenant whose ledger or index is wrong is
/// not compared with others by catalog, because its version is not known then, or the index is the difference.
///
/// `bundle` is ascending by version; `store` is the control store's identity, where there is one: without it nobody
/// knows whose a fence or a lock ought to be. The result is in the order of `tenants`, catalogs last.
pub fn check(
    bundle: &[MigrationMeta],
    accepted: &Accepted,
    store: Option<&StoreId>,
    tenants: &[Facts],
) -> Vec<Violation> {
    let mut found = Vec::new();
    let mut sound = Vec::new();
    for facts in tenants {
        let mut of_tenant = ledger::check(bundle, accepted, facts);
        of_tenant.extend(store::check(bundle, facts));
        of_tenant.extend(leftovers::indexes(facts));
        let is_sound = of_tenant.is_empty();
        if let Some(store) = store {
            of_tenant.extend(fence::check(facts, store, is_sound));
            of_tenant.extend(leftovers::locks(facts));
        }
        if is_sound && !facts.moving {
            sound.push(facts);
        }
        found.extend(of_tenant.into_iter().map(|(kind, detail)| Violation {
            tenant: facts.tenant.clone(),
            kind,
            detail,
        }));
    }
    found.extend(catalogs::check(&sound));
    found
}

/// What a person should know that is no violation: what could not be seen, and places that look like copies.
pub fn notes(store: Option<&StoreId>, tenants: &[Facts]) -> Vec<String> {
    notes::notes(store, tenants)
}
