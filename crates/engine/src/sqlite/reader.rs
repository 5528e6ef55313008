//! Reading a file without leaving a trace beside it.

use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use sanderling_core::{ErrorClass, Failure, Standing};
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{Connection, SqliteConnection};

use super::errors::failure_of;
use super::tables::read_ledger;

/// How long a reader waits for a writer that holds a whole file (rollback journal only).
const WAIT: Duration = Duration::from_secs(2);

/// What tells that nobody wrote between two looks at a file.
#[derive(PartialEq, Eq)]
struct Look {
    length: u64,
    modified: Option<SystemTime>,
    /// A -wal or -journal file: somebody is writing, or died while doing so.
    in_use: bool,
}

fn look(path: &Path) -> Option<Look> {
    let meta = std::fs::metadata(path).ok()?;
    let beside = |suffix: &str| {
        let mut name = path.as_os_str().to_owned();
        name.push(suffix);
        PathBuf::from(name).exists()
    };
    Some(Look {
        length: meta.len(),
        modified: meta.modified().ok(),
        in_use: beside("-wal") || beside("-journal"),
    })
}

/// Opens a file to read. `quiet`: SQLite takes no lock and makes no file, which is right only while nobody writes.
async fn open(path: &Path, quiet: bool) -> Result<SqliteConnection, sqlx::Error> {
    let options = SqliteConnectOptions::new()
        .filename(path)
        .read_only(true)
        .immutable(quiet)
        .busy_timeout(WAIT);
    SqliteConnection::connect_with(&options).await
}

/// Reads a file quietly where nobody uses it; reads it again with locks where somebody does or did meanwhile.
pub(super) async fn read<T, F>(path: &Path, job: F) -> Result<Option<T>, Failure>
where
    F: AsyncFn(&mut SqliteConnection) -> Result<T, sqlx::Error>,
{
    let Some(before) = look(path) else {
        return match std::fs::metadata(path) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(Failure::new(
                ErrorClass::Permission,
                "io",
                error.to_string(),
            )),
            Ok(_) => Err(Failure::new(
                ErrorClass::Connection,
                "io",
                "the file comes and goes",
            )),
        };
    };
    if !before.in_use {
        let read = once(path, true, &job).await;
        if look(path).is_some_and(|after| after == before) {
            return read.map(Some).map_err(|error| failure_of(&error));
        }
    }
    once(path, false, &job)
        .await
        .map(Some)
        .map_err(|error| failure_of(&error))
}

async fn once<T, F>(path: &Path, quiet: bool, job: &F) -> Result<T, sqlx::Error>
where
    F: AsyncFn(&mut SqliteConnection) -> Result<T, sqlx::Error>,
{
    let mut connection = open(path, quiet).await?;
    let read = job(&mut connection).await;
    let _ = connection.close().await;
    read
}

/// The standing of a file.
pub(super) async fn standing(path: &Path) -> Result<Standing, Failure> {
    let read = read(path, async |connection: &mut SqliteConnection| {
        read_ledger(connection).await
    })
    .await?;
    let Some(read) = read else {
        return Ok(Standing::Missing);
    };
    let has_ledger = read.is_some();
    let mut rows = read.transpose()?.unwrap_or_default();
    for row in &mut rows {
        row.applied_at = None;
    }
    Ok(Standing::Present { has_ledger, rows })
}
