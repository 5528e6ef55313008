//! The rows that several verbs lock and change, one table per file.
//!
//! Lock order, the same in every verb: fleet (with its holds), leader, rollouts by id, targets by (rollout, tenant), hosts by name
//! (with what is kept there), tenants by id. `renew` locks targets without their rollout; everything else that changes a target holds the
//! rollout.

pub(crate) mod holds;
pub(crate) mod hosts;
pub(crate) mod kept;
pub(crate) mod rollouts;
pub(crate) mod seats;
pub(crate) mod targets;
pub(crate) mod tenants;
