//! One dedicated connection: how it is opened, what its session is set to, how it is spoken to.

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use futures::TryStreamExt;
use sanderling_core::{ErrorClass, Failure, HostName};
use sqlx::postgres::{PgConnectOptions, PgRow};
use sqlx::{Connection as _, Either, PgConnection, Row};

use super::budget::Permit;
use super::errors::{MISSING, Trouble, failure_of};
use super::guard::AS_LOGIN;
use super::startup::{Startup, is_poolers, pooler};
use crate::redact::redact;
use crate::send;

/// How long a connection attempt may take before the host counts as away.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// How long a goodbye may take before the socket is simply closed.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(2);

/// A kept connection that was idle for longer is asked for a sign of life before a migration is trusted to it: a
/// message lost on a dead connection costs a new epoch.
const PING_AFTER: Duration = Duration::from_secs(1);

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
    /// The login role's name.
    pub(crate) login: String,
    /// The server's version as a number, 150004 for 15.4.
    pub(crate) version: u32,
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
    /// Sends one message and reads its whole answer, until the server has ended what it began; keeps the rows that `keep`
    /// wants.
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
                    break;
                }
            }
        }
        drop(answer);
        if let Some(Trouble::Server(_)) = exchange.trouble {
            // The server tells an error before it lets go of the transaction's locks. Whoever comes next for the tenant
            // must not find it held by an exchange that is over. A connection that ends meanwhile changes nothing.
            let _ = self.inner.ping().await;
        }
        exchange
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
    /// The setting that the URL is from.
    pub(crate) setting: &'static str,
    options: PgConnectOptions,
    secrets: Vec<String>,
    /// The server ends a session that is silent for longer.
    silence: Duration,
    /// The version of the server that answered last, as a number; 0 before one has.
    pub(crate) answered: AtomicU32,
}

impl Opener {
    /// Reads the URL; connects nowhere yet.
    pub(crate) fn new(
        host: HostName,
        setting: &'static str,
        url: &str,
        silence: Duration,
    ) -> Result<Self, Failure> {
        let secrets = crate::redact::secrets_of(url);
        let options: PgConnectOptions = url.parse().map_err(|error: sqlx::Error| {
            let why = redact(&error.to_string(), &secrets);
            Failure::new(
                ErrorClass::Precondition,
                "url",
                format!("hosts.{host}.{setting} is not a PostgreSQL URL: {why}"),
            )
        })?;
        Ok(Self {
            host,
            setting,
            options,
            secrets,
            silence,
            answered: AtomicU32::new(0),
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
        let startup = Startup::new(&key.purpose, self.silence);
        let options = self.options_for(key, &startup);
        let connecting = PgConnection::connect_with(&options);
        let inner = match tokio::time::timeout(CONNECT_TIMEOUT, connecting).await {
            Ok(Ok(inner)) => inner,
            Ok(Err(error)) => {
                let failure = failure_of(&error, &self.secrets);
                if is_poolers(&failure) {
                    let why = format!("the start-up was refused ({})", failure.message);
                    return Err(self.pooler(&why));
                }
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
            login: String::new(),
            version: 0,
            permit: Some(permit),
        };
        self.identify(&mut connection, &startup).await?;
        Ok(connection)
    }

    /// Takes leave of a role that the login role's settings take on (`ALTER ROLE … SET role`), which `RESET ALL` would not;
    /// asks who answers and whether the start-up options are in force there. One message.
    async fn identify(
        &self,
        connection: &mut Connection,
        startup: &Startup,
    ) -> Result<(), Failure> {
        let rows = connection
            .rows(format!(
                "{}; SELECT d.oid::text, d.datname::text, pg_catalog.current_setting('server_version_num'), \
                 session_user::text, {} \
                 FROM pg_catalog.pg_database d WHERE d.datname = pg_catalog.current_database()",
                AS_LOGIN.join("; "),
                startup.columns()
            ))
            .await
            .map_err(|trouble| self.named(trouble.failure()))?;
        let row = rows.first().and_then(|row| {
            let version = text(row, 2)?.parse::<u32>().ok()?;
            Some((row, text(row, 0)?, text(row, 1)?, version, text(row, 3)?))
        });
        let Some((row, oid, database, version, login)) = row else {
            return Err(self.pooler("what answers did not say which database it is"));
        };
        startup.in_force(row, 4).map_err(|why| self.pooler(&why))?;
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
        connection.login = login;
        connection.version = version;
        self.answered.store(version, Ordering::Relaxed);
        Ok(())
    }

    fn options_for(&self, key: &Key, startup: &Startup) -> PgConnectOptions {
        let mut options = self
            .options
            .clone()
            .statement_cache_capacity(0)
            .application_name(&format!("sanderling/{}", self.host));
        if let Some(database) = &key.database {
            options = options.database(database);
        }
        startup.options(options)
    }

    fn pooler(&self, why: &str) -> Failure {
        self.named(pooler(self.host.as_str(), self.setting, why))
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
