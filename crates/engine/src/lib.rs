#![doc = include_str!("../README.md")]

mod cancelled;
mod fingerprint;
mod grouping;
mod host_fault;
mod hosts;
mod ledger;
mod port;
mod postgres;
mod progress;
mod redact;
mod role;
mod search_path;
mod send;
mod sqlite;

pub use host_fault::HostFault;
pub use hosts::{HostConfig, Hosts};
pub use port::{
    Catalog, Claim, Decision, Driver, EngineError, Evidence, FenceRefusal, Lack, Limits, Session,
    Step, StepOutcome,
};
pub use role::RoleTemplate;
pub use search_path::SearchPath;
