//! Why a verb did nothing.

use sanderling_core::RolloutId;

/// Why a verb did nothing.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The caller's claim, lease or leadership is not current any more.
    #[error("not current any more: {0}")]
    Stale(String),
    /// Something changed since the caller read it: read and decide again.
    #[error("changed meanwhile: {0}")]
    Conflict(String),
    /// The verb is not allowed in this state; says what is.
    #[error("{0}")]
    Refused(String),
    /// Some tenants are in an active rollout with another bundle or target.
    #[error(
        "{tenants} of these tenants are in rollout {rollout} ({state}), which applies another bundle or target"
    )]
    Overlap {
        /// That rollout.
        rollout: RolloutId,
        /// Its state.
        state: sanderling_core::RolloutState,
        /// How many tenants overlap.
        tenants: u64,
    },
    /// No such rollout.
    #[error("there is no rollout {0}; `sanderling rollout list` shows the ones there are")]
    NoRollout(RolloutId),
    /// The store could not be reached or did not answer; nothing is known to have changed.
    #[error("control store at {url}: {message}")]
    Unavailable {
        /// Where, without credentials.
        url: String,
        /// What went wrong.
        message: String,
    },
    /// What was read contradicts itself: a person must look.
    #[error("control store is corrupt: {0}")]
    Corrupt(String),
}

impl StoreError {
    /// The kind of error, for metrics.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Stale(_) => "stale",
            Self::Conflict(_) => "conflict",
            Self::Refused(_) => "refused",
            Self::Overlap { .. } => "overlap",
            Self::NoRollout(_) => "no_rollout",
            Self::Unavailable { .. } => "unavailable",
            Self::Corrupt(_) => "corrupt",
        }
    }
}
