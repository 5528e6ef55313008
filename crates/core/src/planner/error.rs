//! Why a plan cannot be made.

use crate::ids::{HostName, TenantId, Version};
use crate::waves::WaveError;

/// What makes planning impossible.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum PlanError {
    /// The waves do not fit together.
    #[error("waves: {0}")]
    Waves(#[from] WaveError),
    /// One id twice.
    #[error("tenant {0} is selected twice; ids are unique in a fleet")]
    Duplicate(TenantId),
    /// Two tenants at one place.
    #[error("tenants {first} and {second} share {place}; each needs a place of its own")]
    SharedPlace {
        /// One of them.
        first: TenantId,
        /// The other.
        second: TenantId,
        /// The place.
        place: String,
    },
    /// A tenant on a host that is not configured.
    #[error("tenant {tenant} is on host {host}, which is not configured; add [hosts.{host}]")]
    UnknownHost {
        /// The tenant.
        tenant: TenantId,
        /// The host.
        host: HostName,
    },
    /// A host without connections, or a rollout without concurrency: nothing could ever start.
    #[error("{0} is 0, so nothing could ever start; set it to 1 or more")]
    NothingStarts(String),
    /// A `priority` label that is no number.
    #[error(
        "tenant {tenant}: label priority is `{value}`, which is not a whole number; higher goes first"
    )]
    Priority {
        /// The tenant.
        tenant: TenantId,
        /// Its label.
        value: String,
    },
    /// A tenant whose ledger refuses the whole plan.
    #[error("tenant {tenant}: {problem} ({tenants} such tenants); nothing was planned")]
    Refused {
        /// The first such tenant.
        tenant: TenantId,
        /// What is wrong.
        problem: String,
        /// How many tenants refuse the plan.
        tenants: u64,
    },
    /// A path through a version that the bundle does not have, or beyond the target: a fault of the caller.
    #[error(
        "tenant {tenant}: version {version} is not one that this bundle has on the way to the target"
    )]
    ForeignVersion {
        /// The tenant.
        tenant: TenantId,
        /// The version.
        version: Version,
    },
    /// The previous plan has a wave that is not configured any more.
    #[error(
        "the previous plan placed tenant {tenant} in wave {wave}, which is gone; a revised plan keeps its waves"
    )]
    WaveGone {
        /// The tenant.
        tenant: TenantId,
        /// The wave.
        wave: String,
    },
}
