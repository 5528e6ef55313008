#![doc = include_str!("../README.md")]

mod port;

pub use port::{
    Candidate, ClaimMode, Command, CommandReceipt, Grant, Held, Leadership, Receipt, RenewedClaim,
    Report, RolloutRecord, Store, StoreError, Submission, Submitted, TargetFilter, TargetRecord,
    TargetRef, TargetResult, Wanted, WorkerRecord,
};
