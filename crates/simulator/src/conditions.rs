//! What a run meets: how fast tenants are, what fails, who dies.

use std::collections::BTreeMap;

use sanderling_core::{ErrorClass, HostName};

/// Everything that a run is exposed to. Shares are between 0 and 1; times are virtual milliseconds.
#[derive(Clone, Debug)]
pub struct Conditions {
    /// How many workers there are. One that dies is replaced after a lease.
    pub workers: u32,
    /// Targets that a worker has in hand at once.
    pub slots: u32,
    /// Targets in flight on a host at once; a host that is absent has room for none.
    pub budgets: BTreeMap<HostName, u32>,
    /// How long a version takes, from and up to.
    pub version_ms: (u64, u64),
    /// How long a claim holds after its worker's death.
    pub lease_ms: u64,
    /// How often the leader looks, and how long a new one takes to lead.
    pub poll_ms: u64,
    /// The share of attempts at a version that fail, by class.
    pub failing: BTreeMap<ErrorClass, f64>,
    /// The share of tenants that a deterministic fault of the migration hits, at every attempt.
    pub broken: f64,
    /// The share of attempts at a version during which the worker dies.
    pub dying: f64,
    /// Of those, the share whose change commits all the same.
    pub outliving: f64,
    /// The share of a leader's turns at which it is gone.
    pub leaderless: f64,
    /// What a person does at a halt.
    pub person: Person,
}

/// What a person does, some minutes after a halt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Person {
    /// Nothing: the run ends there.
    Sleeps,
    /// Acknowledges, and lets it go on.
    Resumes,
    /// Retries what failed, up to this often.
    Retries(u32),
    /// Cancels.
    Cancels,
}

impl Conditions {
    /// A calm day: nothing fails, nobody dies.
    pub fn calm(budgets: BTreeMap<HostName, u32>) -> Self {
        Self {
            workers: 4,
            slots: 16,
            budgets,
            version_ms: (20, 80),
            lease_ms: 30_000,
            poll_ms: 1_000,
            failing: BTreeMap::new(),
            broken: 0.0,
            dying: 0.0,
            outliving: 0.5,
            leaderless: 0.0,
            person: Person::Sleeps,
        }
    }
}
