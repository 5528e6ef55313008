//! The verbs, one file each: its arguments, and its transaction.

pub(crate) mod abandon;
pub(crate) mod act;
pub(crate) mod believed;
pub(crate) mod bundles;
pub(crate) mod cancel;
pub(crate) mod cancel_tenants;
pub(crate) mod candidates;
pub(crate) mod events;
pub(crate) mod hold;
pub(crate) mod lead;
pub(crate) mod list;
pub(crate) mod note;
pub(crate) mod overlap;
pub(crate) mod pause;
pub(crate) mod raise;
pub(crate) mod read;
pub(crate) mod reissue;
pub(crate) mod renew;
pub(crate) mod report;
pub(crate) mod resume;
pub(crate) mod retry;
mod room;
pub(crate) mod skip;
pub(crate) mod skip_gate;
pub(crate) mod start;
pub(crate) mod submit;
pub(crate) mod workers;
