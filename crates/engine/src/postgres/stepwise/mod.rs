//! Files with `transaction=off`: statement by statement on one connection that holds the tenant for as long.
//!
//! A statement that can share a transaction takes the ledger's step along in it. One that must run alone is announced
//! in the ledger first; where nobody heard its end, the catalog says whether it took effect, or a person does.

mod alone;
mod repair;
mod row;
mod run;
mod script;
mod traces;

pub(super) use repair::decide;
pub(super) use run::{End, run};
