//! The ledger row of a stepwise file, as the server shows it.

use sanderling_core::Failure;
use sqlx::postgres::PgRow;

use crate::ledger::RawRow;
use crate::postgres::connect::text;
use crate::postgres::survey::malformed;
use crate::progress::Row;

/// Reads the columns that `Script::read` selects, from `first` on.
pub(super) fn read(row: &PgRow, first: usize) -> Result<Row, Failure> {
    let raw = || {
        Some((
            RawRow {
                version: text(row, first)?,
                checksum: text(row, first + 1)?,
                state: text(row, first + 2)?,
                epoch: text(row, first + 3)?.parse().ok()?,
                rollout: text(row, first + 4),
                applied_at: text(row, first + 5).and_then(|micros| micros.parse().ok()),
            },
            text(row, first + 6)?.parse().ok()?,
            text(row, first + 7)?.parse().ok()?,
        ))
    };
    let (ledger, step, steps) = raw().ok_or_else(malformed)?;
    Ok(Row {
        ledger: ledger.parse()?,
        step,
        steps,
    })
}
