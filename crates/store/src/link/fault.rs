//! Why a transaction did not come to its end, told apart by what its runner does next.

use sanderling_core::FoldError;

use crate::port::StoreError;

/// Why a transaction did not come to its end.
#[derive(Debug)]
pub(crate) enum Fault {
    /// The verb itself says no: rolled back, and the connection is as good as before.
    Verb(StoreError),
    /// Deadlock or serialisation failure: rolled back by the server, run it again.
    Again(String),
    /// The database or the way to it failed: the connection is thrown away.
    Link(String),
}

impl From<StoreError> for Fault {
    fn from(error: StoreError) -> Self {
        Self::Verb(error)
    }
}

impl From<FoldError> for Fault {
    /// Events are only made under the rollout's lock, so one that does not fit means that log and state disagree.
    fn from(error: FoldError) -> Self {
        Self::Verb(StoreError::Corrupt(error.to_string()))
    }
}

impl From<serde_json::Error> for Fault {
    fn from(error: serde_json::Error) -> Self {
        Self::Verb(StoreError::Corrupt(format!("stored JSON: {error}")))
    }
}

impl From<sqlx::Error> for Fault {
    fn from(error: sqlx::Error) -> Self {
        let Some(said) = error.as_database_error() else {
            return Self::Link(error.to_string());
        };
        match said.code().as_deref() {
            Some("40001" | "40P01") => Self::Again(said.message().to_owned()),
            Some("5" | "261" | "517") => Self::Link(format!(
                "{}: another process has held its write lock too long; stop that process or wait for it",
                said.message()
            )),
            Some("8" | "1032") => Self::Link(format!(
                "{}: it was opened for looking only",
                said.message()
            )),
            Some("25006") => Self::Link("it was opened for looking only".to_owned()),
            Some(code) => Self::Link(format!("{} ({code})", said.message())),
            None => Self::Link(said.message().to_owned()),
        }
    }
}

/// A stored value that cannot be what we wrote.
pub(crate) fn corrupt(what: impl Into<String>) -> Fault {
    Fault::Verb(StoreError::Corrupt(what.into()))
}
