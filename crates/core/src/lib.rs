#![doc = include_str!("../README.md")]

pub mod amend;
pub mod assess;
pub mod bundle;
pub mod cause;
pub mod decide;
mod direction;
mod eta;
pub mod event;
pub mod fold;
pub mod gate;
pub mod halt;
mod host;
pub mod ids;
pub mod inspection;
pub mod ledger;
pub mod outcome;
mod permits;
pub mod plan;
pub mod planner;
pub mod policy;
pub mod retry;
pub mod rollout;
pub mod selector;
pub mod summary;
pub mod tenant;
#[cfg(test)]
mod testing;
pub mod verify;
pub mod waves;

pub use bundle::{Bundle, BundleFile};
pub use cause::{Cause, ErrorClass, Failure};
pub use decide::{Decision, decide};
pub use direction::Direction;
pub use event::{Event, EventKind};
pub use fold::{FoldError, fold};
pub use host::WrittenHost;
pub use ids::{
    BundleHash, Checksum, Epoch, HostName, Micros, Nonce, RolloutId, StoreId, TenantId, Version,
    WorkerId,
};
pub use inspection::{BrokenIndex, FenceSight, Holder, Inspection};
pub use ledger::{LedgerRow, RowState, Standing};
pub use outcome::{Outcome, OutcomeCounts};
pub use plan::Plan;
pub use rollout::{Rollout, RolloutState};
pub use selector::{Selector, Serves, WrittenLabels};
pub use tenant::{Place, Tenant};
