#![doc = include_str!("../README.md")]

pub mod bundle;
pub mod cause;
pub mod event;
pub mod halt;
pub mod ids;
pub mod ledger;
pub mod outcome;
pub mod plan;
pub mod policy;
pub mod rollout;
pub mod tenant;

pub use bundle::{Bundle, BundleFile};
pub use cause::{Cause, ErrorClass, Failure};
pub use event::{Event, EventKind};
pub use ids::{
    BundleHash, Checksum, Epoch, HostName, Micros, Nonce, RolloutId, StoreId, TenantId, Version,
    WorkerId,
};
pub use ledger::{LedgerRow, RowState, Standing};
pub use outcome::{Outcome, OutcomeCounts};
pub use plan::Plan;
pub use rollout::{Rollout, RolloutState};
pub use tenant::{Place, Tenant};
