//! Who lives, and what it cannot work on.

use std::time::Duration;

use sanderling_core::{HostName, Micros, RolloutId, Serves, TenantId, WorkerId};
use serde::{Deserialize, Serialize};

use crate::port::TargetRef;

/// A live worker.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WorkerRecord {
    /// The worker.
    pub worker: WorkerId,
    /// The hosts it serves.
    pub hosts: Vec<HostName>,
    /// Which tenants there.
    pub serves: Serves,
    /// Those among them that it cannot work on.
    pub away: Vec<HostAway>,
    /// Until when its note holds.
    pub until: Micros,
}

/// A host that a worker cannot work on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HostAway {
    /// The host.
    pub host: HostName,
    /// Since when, by the store's clock.
    pub since: Micros,
    /// What it does, and what it said.
    pub reason: String,
    /// Claims of the worker that it cannot settle for that. Absent in what older versions stored.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub cut_off: Vec<ClaimCutOff>,
}

/// A claim that its worker cannot settle: a message of it may have arrived, and nobody can ask.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClaimCutOff {
    /// The rollout.
    pub rollout: RolloutId,
    /// The tenant.
    pub tenant: TenantId,
    /// When the claim was granted.
    pub granted: Micros,
    /// Since when it cannot be settled, by the store's clock.
    pub since: Micros,
}

/// What a worker says of a host that it cannot work on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Away {
    /// The host.
    pub host: HostName,
    /// Since how long.
    pub age: Duration,
    /// What it does, and what it said.
    pub reason: String,
    /// Claims that cannot be settled for that: of which target, granted when, and since how long.
    pub cut_off: Vec<(TargetRef, Micros, Duration)>,
}
