//! What scripts read: the JSON documents of `plan`, `up`, `status`, `verify` and `repair`, built from plans and rollouts.
//!
//! Field names are public. Fields are only ever added.

mod estimate;
mod plan;
mod repair;
mod rollout;
mod status;
mod verify;

#[cfg(test)]
mod tests;

pub use plan::{
    CanarySummary, CoverageSummary, ExcludeSummary, HostSummary, MemberSummary, MissSummary,
    PathSummary, PlanContext, PlanSummary, PlannedGateSummary, WaveSummary,
};
pub use repair::{EpochRepair, ForeignFence, RaisedEpoch, UnreadFence};
pub use rollout::{
    CauseSummary, GateSummary, HaltSummary, InFlightSummary, OutcomeSummary, RolloutSummary,
};
pub use status::{AwayHost, StatusSummary, TenantState, VersionSummary};
pub use verify::VerifySummary;
