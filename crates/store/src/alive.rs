//! Who lives, and what it cannot work on.

use sanderling_core::{HostName, Micros, Serves, WorkerId};
use serde::{Deserialize, Serialize};

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
}
