//! What a rollout is allowed to do, with every limit resolved to a number.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::cause::ErrorClass;
use crate::halt::Limits;

/// How much of a tenant's path moves in one transaction.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Atomic {
    /// Each version is a transaction of its own.
    #[default]
    Version,
    /// All transactional versions of a tenant are one transaction: it moves wholly or not at all.
    Tenant,
}

/// The resolved policy of a rollout: part of the plan, immutable once submitted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Policy {
    /// Targets in flight over the whole rollout, at most.
    pub concurrency: u32,
    /// How much moves in one transaction.
    pub atomic: Atomic,
    /// How long a migration waits for a lock, in milliseconds: the worst stall that the application sees.
    pub lock_timeout_ms: u64,
    /// How long one statement may run, in milliseconds; 0 is without limit.
    pub statement_timeout_ms: u64,
    /// How long tenants wait for a host that is away before they fail for it, in milliseconds. Plans that older
    /// versions stored have none and get the default.
    #[serde(default = "default_host_patience")]
    pub host_patience_ms: u64,
    /// Whether missing schemas and files are created.
    pub create_missing: bool,
    /// Limits of the whole rollout.
    pub limits: Limits,
    /// Retry budgets by class; a class that is absent is never retried.
    pub retry: BTreeMap<ErrorClass, Backoff>,
}

/// Five minutes: longer than a server's restart or a failover takes.
pub const HOST_PATIENCE_MS: u64 = 5 * 60 * 1_000;

fn default_host_patience() -> u64 {
    HOST_PATIENCE_MS
}

/// A retry budget: full jitter between 0 and `min(max, base * 2^attempt)`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Backoff {
    /// Attempts in all, the first one included.
    pub attempts: u32,
    /// The first delay's ceiling, in milliseconds.
    pub base_ms: u64,
    /// The ceiling of every delay, in milliseconds.
    pub max_ms: u64,
}
