//! Why an event could not be folded.

use crate::ids::RolloutId;
use crate::rollout::RolloutState;

/// An event that does not fit the rollout. The rollout is unchanged; the log and the state disagree, so a person
/// must look.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FoldError {
    /// Events between the last one folded and this one are missing.
    #[error(
        "rollout {rollout}: event {seq} cannot follow event {last}; the events between them are missing"
    )]
    Gap {
        /// The rollout.
        rollout: RolloutId,
        /// The last event folded.
        last: i64,
        /// The event at hand.
        seq: i64,
    },
    /// The event cannot have happened in this state.
    #[error(
        "rollout {rollout}, {state} after event {last}, contradicts event {seq} ({event}): {problem}"
    )]
    Contradiction {
        /// The rollout.
        rollout: RolloutId,
        /// Its state.
        state: RolloutState,
        /// The last event folded.
        last: i64,
        /// The event at hand.
        seq: i64,
        /// Its type.
        event: &'static str,
        /// What does not fit.
        problem: String,
    },
}

/// What a transition answers: done, or what does not fit (and nothing changed).
pub(super) type Checked = Result<(), String>;
