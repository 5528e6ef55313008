//! Events folded into a rollout: the only way its state changes.
//!
//! One family of transitions per file; each checks everything before it changes anything, so that a refused event
//! leaves the rollout as it was.

mod claims;
mod error;
mod gates;
mod holds;
mod lifecycle;
mod record;
mod transition;
mod verbs;

#[cfg(test)]
mod tests;

pub use error::FoldError;
pub use transition::fold;
