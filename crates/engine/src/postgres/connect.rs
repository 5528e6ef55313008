//! One dedicated connection: how it is opened, what its session is set to, how it is spoken to.

use std::time::{Duration, Instant};

use futures::TryStreamExt;
use sanderling_core::{ErrorClass, Failure, HostName};
use sqlx::postgres::{PgConnectOptions, PgRow};
use sqlx::{Connection as _, Either, PgConnection, Row};

use super::budget::Permit;
use super::errors::{MISSING, Trouble, failure_of};
use crate::redact::redact;
use crate::send;

/// How long a connection attempt may take before the host counts as away.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// How long a goodbye may take before the socket is simply closed.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(2);

/// A kept connection that was idle for longer is asked for a sign of life before a migration is trusted to it: a
/// message lost on a dead connection costs a new epoch.
const PING_AFTER: Duration = Duration::from_secs(1);

/// The server ends a session that sits in a transaction for longer: its client is paused or gone.
const IDLE_IN_TRANSACTION: &str = "30s";

/// The server ends a session that nobody spoke to for longer: its client, which closes idle ones much sooner, is frozen
/// or cut off, and the place in the host's budget is wanted by others.
const IDLE: &str = "10s";

/// How often the server looks whether the client is still there while a statement runs.
const CLIENT_CHECK: &str = "2s";

/// What a connection is set up for. Connections of different purposes are never exchanged.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Purpose {
    /// Reading only: surveys and catalogs.
    Look,
    /// Migrations under these limits, in milliseconds.
    Change {
        lock_timeout_ms: u64,
        statement_timeout_ms: u64,
    },
}

/// Which connections can stand for one another.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Key {
    /// Replaces the database of the URL.
    pub(crate) database: Option<String>,
    pub(crate) purpose: Purpose,
}

/// One dedicated connection.
pub(crate) struct Connection {
    inner: PgConnection,
    pub(crate) key: Key,
    secrets: Vec<String>,
    /// Sessions that it has served.
    pub(crate) uses: u32,
    pub(crate) idle_since: Instant,
    /// The database's oid, as the server gave it: part of every lock key.
    pub(crate) database_oid: String,
    /// The database's name, as the server gave it.
    pub(crate) database: String,
    /// Its place in the host's budget; none while it waits idle, where it is counted otherwise. Last, so that it is
    /// given back after the connection is gone.
    pub(crate) permit: Option<Permit<Connection>>,
}

/// What came back for one message.
pub(crate) struct Exchange {
    /// Statements that completed.
    pub(crate) completed: usize,
    /// The rows that were asked to be kept.
    pub(crate) rows: Vec<PgRow>,
    /// What ended the message early.
    pub(crate) trouble: Option<Trouble>,
}

impl Connection {
    /// Sends one message and reads its whole answer; keeps the rows that `keep` wants.
    pub(crate) async fn exchange(
        &mut self,
        text: String,
        keep: impl Fn(&PgRow) -> bool + Send,
    ) -> Exchange {
        let mut exchange = Exchange {
            completed: 0,
            rows: Vec::new(),
            trouble: None,
        };
        let mut answer = send::message(text).fetch_many(&mut self.inner);
        loop {
            match answer.try_next().await {
                Ok(Some(Either::Left(_))) => exchange.completed += 1,
                Ok(Some(Either::Right(row))) if keep(&row) => exchange.rows.push(row),
                Ok(Some(Either::Right(_))) => {}
                Ok(None) => return exchange,
                Err(error) => {
                    exchange.trouble = Some(Trouble::of(&error, &self.secrets));
                    return exchange;
                }
            }
        }
    }

    /// Sends one message of ours and returns all its rows.
    pub(crate) async fn rows(&mut self, text: String) -> Result<Vec<PgRow>, Trouble> {
        let exchange = self.exchange(text, |_| true).await;
        exchange.trouble.map_or(Ok(exchange.rows), Err)
    }

    /// Whether a kept connection still answers.
    pub(crate) async fn alive(&mut self) -> bool {
        self.idle_since.elapsed() < PING_AFTER || self.inner.ping().await.is_ok()
    }

    /// Says goodbye to the server, then gives the place in the budget back.
    pub(crate) async fn close(self) {
        let Self { inner, permit, .. } = self;
        // A connection that cannot even be closed is gone, which is what was wanted.
        let _ = tokio::time::timeout(CLOSE_TIMEOUT, inner.close()).await;
        drop(permit);
    }
}

/// The text of a column of a row of ours; every such column is cast to text.
pub(crate) fn text(row: &PgRow, column: usize) -> Option<String> {
    row.try_get::<Option<String>, _>(column).ok().flatten()
}

/// How connections of one host are opened.
pub(crate) struct Opener {
    host: HostName,
    options: PgConnectOptions,
    secrets: Vec<String>,
}

impl Opener {
    /// Reads the URL; connects nowhere yet.
    pub(crate) fn new(host: HostName, url: &str) -> Result<Self, Failure> {
        let secrets = crate::redact::secrets_of(url);
        let options: PgConnectOptions = url.parse().map_err(|error: sqlx::Error| {
            let why = redact(&error.to_string(), &secrets);
            Failure::new(
                ErrorClass::Precondition,
                "url",
                format!("hosts.{host}.url is not a PostgreSQL URL: {why}"),
            )
        })?;
        Ok(Self {
            host,
            options,
            secrets,
        })
    }

    /// Opens a connection under a permit. Never cancelled half way: only the attempt to connect has a limit.
    ///
    /// # Errors
    /// With code [`MISSING`], where the server says that there is no such database.
    pub(crate) async fn open(
        &self,
        key: &Key,
        permit: Permit<Connection>,
    ) -> Result<Connection, Failure> {
        let options = self.options_for(key);
        let connecting = PgConnection::connect_with(&options);
        let inner = match tokio::time::timeout(CONNECT_TIMEOUT, connecting).await {
            Ok(Ok(inner)) => inner,
            Ok(Err(error)) => {
                let failure = failure_of(&error, &self.secrets);
                return Err(self.named(refused(failure, key.database.is_some())));
            }
            Err(_) => {
                return Err(self.named(Failure::new(
                    ErrorClass::Connection,
                    "connect_timeout",
                    format!("no answer within {} s", CONNECT_TIMEOUT.as_secs()),
                )));
            }
        };
        let mut connection = Connection {
            inner,
            key: key.clone(),
            secrets: self.secrets.clone(),
            uses: 0,
            idle_since: Instant::now(),
            database_oid: String::new(),
            database: String::new(),
            permit: Some(permit),
        };
        self.identify(&mut connection).await?;
        Ok(connection)
    }

    async fn identify(&self, connection: &mut Connection) -> Result<(), Failure> {
        let rows = connection
            .rows(
                "SELECT d.oid::text, d.datname::text, current_setting('server_version_num') \
                 FROM pg_catalog.pg_database d WHERE d.datname = pg_catalog.current_database()"
                    .to_owned(),
            )
            .await
            .map_err(|trouble| self.named(trouble.failure()))?;
        let row = rows.first().and_then(|row| {
            Some((
                text(row, 0)?,
                text(row, 1)?,
                text(row, 2)?.parse::<u32>().ok()?,
            ))
        });
        let Some((oid, database, version)) = row else {
            return Err(self.named(Failure::new(
                ErrorClass::Connection,
                "protocol",
                "the server did not say which database this is; connect to PostgreSQL itself, not to a pooler",
            )));
        };
        if version < 140_000 {
            return Err(self.named(Failure::new(
                ErrorClass::Precondition,
                "server_version",
                format!(
                    "PostgreSQL {} is too old; 14 is the oldest supported",
                    version / 10_000
                ),
            )));
        }
        connection.database_oid = oid;
        connection.database = database;
        Ok(())
    }

    /// Start-up options outrank the settings of roles and databases, and RESET ALL returns to them.
    fn options_for(&self, key: &Key) -> PgConnectOptions {
        let mut options = self
            .options
            .clone()
            .statement_cache_capacity(0)
            .application_name(&format!("sanderling/{}", self.host));
        if let Some(database) = &key.database {
            options = options.database(database);
        }
        options = options.options([
            ("default_transaction_isolation", "read committed"),
            ("default_transaction_deferrable", "off"),
            ("standard_conforming_strings", "on"),
            ("TimeZone", "UTC"),
            // What is sent outside a guard must not meet anybody's names, nor run anybody's policies.
            ("search_path", "pg_catalog,pg_temp"),
            ("row_security", "off"),
            ("client_min_messages", "warning"),
            ("idle_in_transaction_session_timeout", IDLE_IN_TRANSACTION),
            ("idle_session_timeout", IDLE),
            ("client_connection_check_interval", CLIENT_CHECK),
        ]);
        let (read_only, lock_ms, statement_ms) = match key.purpose {
            Purpose::Look => ("on", 5_000, 60_000),
            Purpose::Change {
                lock_timeout_ms,
                statement_timeout_ms,
            } => ("off", lock_timeout_ms, statement_timeout_ms),
        };
        options
            .options([("default_transaction_read_only", read_only)])
            .options([
                ("lock_timeout", milliseconds(lock_ms)),
                ("statement_timeout", milliseconds(statement_ms)),
            ])
    }

    /// Says which host, so that the message stands alone.
    pub(crate) fn named(&self, mut failure: Failure) -> Failure {
        failure.message = format!("host {}: {}", self.host, failure.message);
        failure
    }
}

/// A limit as PostgreSQL takes it: its settings are 32-bit.
pub(crate) fn milliseconds(ms: u64) -> String {
    format!("{}ms", ms.min(i32::MAX.unsigned_abs().into()))
}

/// What a refused connection means: a database that is not there has the same word as a schema that is not there.
/// `named`: by a tenant's row, not by the host's URL, from whose database others are made.
fn refused(mut failure: Failure, named: bool) -> Failure {
    if failure.cause.code == "3D000" {
        failure.cause.code = MISSING.into();
        let way = if named {
            "create it, or set fleet.create_missing"
        } else {
            "create it"
        };
        failure.message = format!("{}; {way}", failure.message);
    }
    failure
}
