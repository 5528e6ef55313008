//! What the rows of a ledger say about the versions of a claim, and how that is put.

use sanderling_core::{Cause, ErrorClass, Failure, LedgerRow, RowState, Version};
use sanderling_engine::Step;

/// Somebody else has held the tenant's lock for as long as a lock is waited for.
pub(crate) fn busy() -> Failure {
    let message = "another session holds the tenant's lock, or the file is locked; find it with pg_locks or lsof";
    Failure::new(ErrorClass::LockTimeout, "busy", message)
}

pub(crate) fn in_effect(rows: &[LedgerRow], step: &Step<'_>) -> bool {
    rows.iter()
        .any(|row| row.version == *step.version && row.state == RowState::Applied)
}

/// Whether a stepwise version has begun and is not in effect.
pub(crate) fn half_way(rows: &[LedgerRow], version: &Version) -> bool {
    rows.iter().any(|row| {
        row.version == *version && matches!(row.state, RowState::Applying | RowState::Reverting)
    })
}

/// Its worker was lost, or its rollout stopped, between two statements.
pub(crate) fn left_half_way(version: &Version) -> Failure {
    let mut failure = Failure::new(
        ErrorClass::WorkerLost,
        "half_way",
        format!(
            "version {version} (transaction=off) stopped between two of its statements when its worker was lost or its rollout stopped; \
             `sanderling rollout retry ID --failed` lets it go on where it stands"
        ),
    );
    failure.cause.version = Some(version.clone());
    failure
}

pub(crate) fn edited(step: &Step<'_>, row: &LedgerRow) -> Failure {
    Failure {
        cause: Cause {
            class: ErrorClass::Precondition,
            code: "checksum".into(),
            version: Some(step.version.clone()),
            statement: None,
        },
        message: format!(
            "the ledger has version {} with checksum {}, the bundle with {}",
            step.version, row.checksum, step.checksum
        ),
        file: Some(step.file.into()),
        line: None,
        column: None,
    }
}
