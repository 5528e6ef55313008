//! SQLite: one file on a local disk, write-ahead log, every commit synced.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime};

use async_trait::async_trait;
use sqlx::query::Query;
use sqlx::sqlite::{
    Sqlite, SqliteArguments, SqliteConnectOptions, SqliteConnection, SqliteJournalMode, SqliteRow,
    SqliteSynchronous,
};
use sqlx::{ConnectOptions, Connection as _, Row as _, TypeInfo as _, ValueRef as _};

use super::connection::{Connection, Connector};
use super::dialect::{Dialect, SQLITE};
use super::fault::{Fault, corrupt};
use super::local;
use super::statement::ours;
use super::value::{Row, Value};
use crate::port::StoreError;

/// How long a statement waits for another process's write lock.
const BUSY: Duration = Duration::from_secs(20);

/// Whoever turns a new file to a write-ahead log wants it alone, and SQLite does not wait for that: it is asked again
/// after so long.
const OPEN_AGAIN: Duration = Duration::from_millis(10);

/// SQLITE_BUSY, whatever its extension.
fn is_busy(error: &sqlx::Error) -> bool {
    let code = error.as_database_error().and_then(|error| error.code());
    code.and_then(|code| code.parse::<i32>().ok())
        .is_some_and(|code| code & 0xff == 5)
}

/// Opens connections to a SQLite control store.
pub(crate) struct SqliteConnector {
    file: PathBuf,
    place: String,
    looking: bool,
}

impl SqliteConnector {
    /// From `sqlite://path`, relative to `base_dir`. A store that is only looked at creates nothing beside it.
    pub(crate) fn new(url: &str, base_dir: &Path, looking: bool) -> Result<Self, StoreError> {
        let path = url
            .strip_prefix("sqlite://")
            .or_else(|| url.strip_prefix("sqlite:"))
            .unwrap_or(url);
        if path.is_empty() || path.starts_with(':') || path.contains('?') {
            return Err(StoreError::Refused(format!(
                "the control store's URL {url} must name a file, as in sqlite://.sanderling/control.db, without options"
            )));
        }
        let file = base_dir.join(path);
        local::require(&file)?;
        Ok(Self {
            place: format!("sqlite://{}", file.display()),
            file,
            looking,
        })
    }

    /// The file.
    pub(crate) fn file(&self) -> &Path {
        &self.file
    }

    /// Without a log beside it nobody has the file open, and only `immutable` keeps SQLite from making one to look.
    fn unguarded(&self) -> Option<Unguarded> {
        let mut log = self.file.clone().into_os_string();
        log.push("-wal");
        let log = PathBuf::from(log);
        (self.looking && !log.exists()).then(|| Unguarded {
            modified: Unguarded::modified(&self.file),
            file: self.file.clone(),
            log,
        })
    }

    fn options(&self) -> SqliteConnectOptions {
        let options = SqliteConnectOptions::new()
            .filename(&self.file)
            .busy_timeout(BUSY)
            .statement_cache_capacity(256)
            .disable_statement_logging();
        if self.looking {
            return options.read_only(true);
        }
        options
            .create_if_missing(true)
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(SqliteSynchronous::Full)
            // What takes one statement back is for this connection alone; on a disk it is nearly half of all that is written.
            .pragma("temp_store", "memory")
    }
}

#[async_trait]
impl Connector for SqliteConnector {
    async fn connect(&self) -> Result<Box<dyn Connection>, Fault> {
        let unguarded = self.unguarded();
        let options = self.options().immutable(unguarded.is_some());
        let begun = Instant::now();
        let connection = loop {
            match SqliteConnection::connect_with(&options).await {
                Err(error) if is_busy(&error) && begun.elapsed() < BUSY => {
                    tokio::time::sleep(OPEN_AGAIN).await;
                }
                connected => break connected?,
            }
        };
        Ok(Box::new(SqliteLink {
            connection,
            looking: self.looking,
            unguarded,
        }))
    }

    fn dialect(&self) -> &'static Dialect {
        &SQLITE
    }

    fn place(&self) -> &str {
        &self.place
    }
}

/// The file as it was when a look began that SQLite's own locks do not guard.
struct Unguarded {
    log: PathBuf,
    file: PathBuf,
    modified: Option<SystemTime>,
}

impl Unguarded {
    fn modified(file: &Path) -> Option<SystemTime> {
        file.metadata().and_then(|about| about.modified()).ok()
    }
}

struct SqliteLink {
    connection: SqliteConnection,
    looking: bool,
    unguarded: Option<Unguarded>,
}

type Bound = Query<'static, Sqlite, SqliteArguments>;

fn bound(sql: &str, args: Vec<Value>) -> Bound {
    args.into_iter()
        .fold(sqlx::query(ours(sql)), |query, value| match value {
            Value::Text(text) => query.bind(text),
            Value::Int(n) => query.bind(n),
        })
}

#[async_trait]
impl Connection for SqliteLink {
    async fn batch(&mut self, sql: &str) -> Result<(), Fault> {
        sqlx::raw_sql(ours(sql))
            .execute(&mut self.connection)
            .await?;
        Ok(())
    }

    async fn exec(&mut self, sql: &str, args: Vec<Value>) -> Result<u64, Fault> {
        Ok(bound(sql, args)
            .execute(&mut self.connection)
            .await?
            .rows_affected())
    }

    async fn rows(&mut self, sql: &str, args: Vec<Value>) -> Result<Vec<Row>, Fault> {
        let rows = bound(sql, args).fetch_all(&mut self.connection).await?;
        rows.iter().map(read).collect()
    }

    /// A connection for looking serves one look, because the next must ask anew whether it needs the log.
    fn reusable(&self) -> bool {
        !self.looking
    }

    fn disturbed(&self) -> bool {
        self.unguarded
            .as_ref()
            .is_some_and(|was| was.log.exists() || Unguarded::modified(&was.file) != was.modified)
    }
}

fn read(row: &SqliteRow) -> Result<Row, Fault> {
    let value = |column| {
        let kind = row.try_get_raw(column)?.type_info().name().to_owned();
        match kind.as_str() {
            "TEXT" => Ok(Value::Text(row.try_get(column)?)),
            "INTEGER" => Ok(Value::Int(row.try_get(column)?)),
            "NULL" => Ok(Value::Text(None)),
            other => Err(corrupt(format!("column {column} has type {other}"))),
        }
    };
    Ok(Row((0..row.len()).map(value).collect::<Result<_, _>>()?))
}
