//! Exit codes. They are public: scripts rely on them.

use sanderling_core::RolloutState;

/// How a command ended, short of an error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Exit {
    /// 0: done; also `plan` and `status`, whatever they find.
    Done,
    /// 1: registry, migration or connection error, a refused verb, a cancelled rollout.
    Error,
    /// 2: flags, configuration, a selector that matches nothing.
    Usage,
    /// 3: halted by policy.
    Halted,
    /// 4: finished, and some tenants failed, are partial, deferred or unreachable.
    Failures,
    /// 5: paused or waiting.
    Waiting,
    /// 6: `verify` found something.
    Findings,
    /// 130 or 143: interrupted by SIGINT or SIGTERM.
    Interrupted(Interrupt),
}

/// The signal that interrupted a command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Interrupt {
    /// ^C.
    Sigint,
    /// `kill`, or a service manager.
    Sigterm,
}

impl Exit {
    /// The process's exit status.
    pub(crate) fn code(self) -> u8 {
        match self {
            Self::Done => 0,
            Self::Error => 1,
            Self::Usage => 2,
            Self::Halted => 3,
            Self::Failures => 4,
            Self::Waiting => 5,
            Self::Findings => 6,
            Self::Interrupted(Interrupt::Sigint) => 130,
            Self::Interrupted(Interrupt::Sigterm) => 143,
        }
    }

    /// What following a rollout to this state means.
    pub(crate) fn of(state: RolloutState) -> Self {
        match state {
            RolloutState::Succeeded => Self::Done,
            RolloutState::CompletedWithFailures => Self::Failures,
            RolloutState::Halted => Self::Halted,
            RolloutState::Cancelled => Self::Error,
            RolloutState::Running | RolloutState::Paused | RolloutState::Waiting => Self::Waiting,
        }
    }
}

/// An error in what was typed or configured: exit code 2 instead of 1.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(crate) struct UsageError(pub(crate) String);

/// The exit of an error.
pub(crate) fn of_error(error: &anyhow::Error) -> Exit {
    if error.is::<UsageError>() {
        Exit::Usage
    } else {
        Exit::Error
    }
}
