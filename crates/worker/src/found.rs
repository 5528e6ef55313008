//! What the rows of a ledger and a grant say about a claim, and how that is put.

use sanderling_core::{Cause, ErrorClass, Failure, LedgerRow, RowState, Version};
use sanderling_engine::Step;
use sanderling_store::Grant;

/// Somebody else has held the tenant's lock for as long as a lock is waited for.
pub(crate) fn busy() -> Failure {
    let message = "another session holds the tenant's lock, or the file is locked; find it with pg_locks or lsof";
    Failure::new(ErrorClass::LockTimeout, "busy", message)
}

/// Whether a step's version has gone its way: it is in effect, or has been taken back.
pub(crate) fn is_done(rows: &[LedgerRow], step: &Step<'_>) -> bool {
    rows.iter()
        .any(|row| row.version == *step.version && row.state == step.direction.done())
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

/// A tenant whose workers die one after the other: the migration itself may be what kills them.
pub(crate) fn lost_too_many_workers(grant: &Grant) -> Option<Failure> {
    let lost = grant.attempts.get(&ErrorClass::WorkerLost).copied();
    let lost = lost.unwrap_or(0);
    let most = grant.policy.retry.get(&ErrorClass::WorkerLost)?.attempts;
    let message = format!(
        "{lost} workers in a row were lost while they had this tenant; look at their logs before it is tried again"
    );
    (lost >= most).then(|| Failure::new(ErrorClass::WorkerLost, "worker_lost", message))
}
