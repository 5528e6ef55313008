//! The plan: an immutable assignment of tenants to waves, with every limit resolved.

mod audit;

pub use audit::audit;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::amend::Accepted;
use crate::bundle::hex;
use crate::cause::Failure;
use crate::direction::Direction;
use crate::gate::Gate;
use crate::halt::Limits;
use crate::ids::{BundleHash, TenantId, Version};
use crate::outcome::Outcome;
use crate::policy::Policy;
use crate::tenant::Place;

/// What a rollout will do, to whom and in which order. Leaves workers no choices.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Plan {
    /// The fleet's name.
    pub fleet: String,
    /// The bundle whose migrations are applied.
    pub bundle: BundleHash,
    /// The version every target is taken to; on the way down the newest that may stay in effect, [`Version::nothing`]
    /// where none may.
    pub target: Version,
    /// Which way. Left out of the JSON on the way up, so that those plans keep their hashes.
    #[serde(default, skip_serializing_if = "Direction::is_up")]
    pub direction: Direction,
    /// Policy of the whole rollout.
    pub policy: Policy,
    /// The waves in order; none is empty.
    pub waves: Vec<PlannedWave>,
    /// The distinct lists of versions that targets have yet to apply, or to take back.
    pub paths: Vec<Path>,
    /// The targets, in order of wave and position.
    pub targets: Vec<PlannedTarget>,
    /// Selected tenants that are in no wave, with the reason.
    pub left_out: Vec<LeftOut>,
    /// Texts that are right besides the bundle's own, for versions that were amended. Left out of the JSON where there
    /// are none, so that a plan without amendments keeps its hash.
    #[serde(default, skip_serializing_if = "Accepted::is_empty")]
    pub accepted: Accepted,
}

impl Plan {
    /// The plan where these texts are right besides the bundle's own.
    pub fn with_accepted(self, accepted: Accepted) -> Self {
        Self { accepted, ..self }
    }

    /// SHA-256 over the plan's canonical JSON (fields in the order of this type, maps by key): 64 hex digits.
    pub fn hash(&self) -> String {
        let mut hasher = Sha256::new();
        hasher.update(b"sanderling plan 1\n");
        // A plan is text, numbers and maps keyed by text: its JSON cannot fail.
        let json = serde_json::to_vec(self).expect("a plan serialises");
        hasher.update(&json);
        hex(&hasher.finalize())
    }
}

/// One wave of a plan.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlannedWave {
    /// The wave's name, unique in the plan.
    pub name: String,
    /// How many targets it has.
    pub tenants: u32,
    /// Its own concurrency limit, if it has one.
    pub concurrency: Option<u32>,
    /// Whether permits shrink with failures, so that at most `tolerated + 1` tenants can fail.
    pub strict: bool,
    /// Its own limits.
    pub limits: Limits,
    /// The most targets of this wave that can be in flight at once: the number that `plan` prints.
    pub max_in_flight: u32,
    /// What must be seen after it before the next one opens, in order. Left out of the JSON where there are none, so
    /// that a plan without gates keeps its hash.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub gates: Vec<Gate>,
}

/// A list of versions to apply, or to take back.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Path {
    /// The newest version in effect, or none on an empty tenant.
    pub from: Option<Version>,
    /// The versions to apply, ascending; those to take back, descending; never empty.
    pub versions: Vec<Version>,
}

/// One tenant of a plan.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlannedTarget {
    /// The tenant.
    pub tenant: TenantId,
    /// Where its data lives.
    pub place: Place,
    /// Index into `waves`.
    pub wave: usize,
    /// Its rank inside the wave, from 0.
    pub position: u32,
    /// Index into `paths`.
    pub path: usize,
    /// Whether the plan found a ledger table there. Where not, the first claim creates it.
    pub has_ledger: bool,
    /// Whether the schema or file itself was missing (`create_missing` allows to create it).
    pub missing: bool,
}

/// A selected tenant that is in no wave.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LeftOut {
    /// The tenant.
    pub tenant: TenantId,
    /// Where its data lives.
    pub place: Place,
    /// `up_to_date`, `unreachable`, `held`, `skipped`, `failed` or `dirty`.
    pub outcome: Outcome,
    /// Why, unless it is up to date.
    pub failure: Option<Failure>,
}
