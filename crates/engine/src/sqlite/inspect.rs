//! What lies in and beside a file apart from its ledger: the fence, and what a dead writer left.

use std::path::Path;

use sanderling_core::{Failure, FenceSight, Holder, Inspection};

use super::errors::is_hot_journal;
use super::leftovers::{self, Wal};
use super::reader;
use super::tables::find_fence;

/// The inspection of a file, without leaving a trace beside it.
pub(super) async fn file(path: &Path) -> Result<Inspection, Failure> {
    let mut inspection = Inspection::default();
    let read = reader::read(path, async |connection: &mut sqlx::SqliteConnection| {
        find_fence(connection).await
    })
    .await;
    match read {
        Ok(found) => {
            let held = found.flatten();
            inspection.fence = held.map_or(FenceSight::Absent, |(store, epoch)| FenceSight::Held {
                store,
                epoch,
            });
        }
        // SQLite itself looks whether the journal's writer still lives.
        Err(failure) if is_hot_journal(&failure) => {
            inspection.holders.push(Holder {
                what: "a -journal of a writer that died lies beside its file".into(),
                remedy: rolled_back(path),
            });
            return Ok(inspection);
        }
        Err(failure) => return Err(failure),
    }
    match leftovers::wal(path) {
        Wal::None | Wal::InUse => {}
        Wal::Unknown => inspection.unseen.push(
            "a -wal lies beside its file, and whether somebody has the file open cannot be seen from here (/proc/locks \
             shows only this container's processes, or is not there)"
                .into(),
        ),
        Wal::Abandoned => inspection.holders.push(Holder {
            what: "a -wal of a writer that died in a transaction lies beside its file".into(),
            remedy: rolled_back(path),
        }),
    }
    Ok(inspection)
}

/// Opening repairs, closing cleans up: both are SQLite's own.
fn rolled_back(path: &Path) -> String {
    format!(
        "`sqlite3 '{}' 'SELECT count(*) FROM sqlite_schema'`, typed as the file's owner, takes over what was committed and \
         rolls back the rest",
        path.display()
    )
}
