//! What workers say of their claims, and what they hear back.

use std::time::Duration;

use sanderling_core::{Failure, Outcome, Version};

use super::Held;

/// What became of one claim.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report {
    /// The claim.
    pub held: Held,
    /// What became of it.
    pub result: TargetResult,
    /// Where the worker keeps the claim's connection, how many it has kept on the host by then, this one included: its place
    /// in the host's budget stays taken.
    pub kept: Option<u64>,
}

/// What became of a claim.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TargetResult {
    /// The target has an outcome.
    Ended {
        /// `Succeeded`, `UpToDate`, `Partial`, `Failed`, `Dirty` or `Deferred`, which is a failure where the wave was
        /// swept.
        outcome: Outcome,
        /// Versions that this rollout applied to it, by evidence, in this claim and those before.
        applied: Vec<Version>,
        /// Why it failed.
        failure: Option<Failure>,
    },
    /// A transient error: pending again, not before `after` has passed; counts one attempt of its class.
    Retry {
        /// What happened.
        failure: Failure,
        /// How long to wait.
        after: Duration,
        /// Versions applied so far, by evidence.
        applied: Vec<Version>,
        /// Whether the claim's epoch was committed to the fence, so that nothing of it is still on its way.
        fenced: bool,
    },
    /// Given back because its host is away: pending again, not before `after` has passed. No attempt of its own.
    HostAway {
        /// What the host did.
        failure: Failure,
        /// How long to wait.
        after: Duration,
        /// Versions applied so far, by evidence.
        applied: Vec<Version>,
        /// As of a retry.
        fenced: bool,
    },
    /// Given back unused or between versions, by a drain: pending again at once.
    Released {
        /// Versions applied so far, by evidence.
        applied: Vec<Version>,
        /// Whether nothing of the claim can still be on its way.
        fenced: bool,
    },
}

/// What `report` did with one report.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Receipt {
    /// Recorded.
    Recorded,
    /// Recorded, and it crossed a limit: the rollout is halted.
    Halted,
    /// The claim was not current: nothing changed.
    Stale,
}

/// What the store says of a claim.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RenewedClaim {
    /// Current, and its rollout runs.
    Live,
    /// Current, but its rollout was halted, paused or cancelled: finish the version at hand, begin no other.
    Stop,
    /// Current, and a person cancelled the target: end what can be taken back, settle, report.
    Cancel,
    /// Not current any more: begin nothing.
    Stale,
}
