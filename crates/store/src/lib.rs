#![doc = include_str!("../README.md")]

mod alive;
mod budget;
mod control;
mod link;
mod open;
mod perform;
mod port;
mod rows;
mod schema;
mod verbs;

pub use open::{open, open_existing};
pub use port::{
    Amend, Away, Believed, Budget, Candidate, ClaimCutOff, ClaimMode, Command, CommandReceipt,
    Grant, Held, Hold, HoldRecord, HostAway, Idle, Leadership, NewestTarget, Receipt, RenewedClaim,
    Report, RolloutRecord, Store, StoreError, Submission, Submitted, TargetFilter, TargetRecord,
    TargetRef, TargetResult, TenantsReceipt, Wanted, WorkerRecord, WrittenHostRecord,
    refuses_amendment,
};
