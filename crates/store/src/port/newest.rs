//! What became of a tenant last.

use sanderling_core::RolloutState;

use super::TargetRecord;

/// A tenant's target in the newest rollout that has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewestTarget {
    /// The target.
    pub record: TargetRecord,
    /// The state of its rollout.
    pub state: RolloutState,
    /// Whether a claim is at work on it.
    pub in_flight: bool,
}
