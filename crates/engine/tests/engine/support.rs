//! Fleets to test with: real databases, and hands that touch them without going through the engine.

#![expect(
    clippy::disallowed_types,
    reason = "tests touch tenants by their own hands"
)]

use std::path::PathBuf;
use std::sync::Arc;

use sanderling_core::{
    Checksum, Direction, Epoch, HostName, LedgerRow, Nonce, Place, RolloutId, StoreId, TenantId,
    Version, WorkerId,
};
use sanderling_engine::{
    Claim, Driver, HostConfig, Hosts, Limits, SearchPath, Session, Step, StepOutcome,
};
use sanderling_secrets::Reference;
use sanderling_sql::{Dialect, Sending, Statement};
use sanderling_testkit::{Postgres, unique};
use sqlx::postgres::PgConnectOptions;
use sqlx::{AssertSqlSafe, Connection, PgConnection, SqliteConnection};
use tempfile::TempDir;

pub(crate) const LIMITS: Limits = Limits {
    lock_timeout_ms: 2_000,
    statement_timeout_ms: 30_000,
    create_missing: false,
    room: u32::MAX,
};

/// A fleet of one host.
pub(crate) struct Fleet {
    pub(crate) hosts: Hosts,
    pub(crate) host: HostName,
    config: HostConfig,
    kind: Kind,
}

enum Kind {
    /// Schemas of the database at `url`.
    Postgres {
        url: String,
    },
    /// Databases beside the one at `url`, whose names all begin alike.
    Databases {
        url: String,
        prefix: String,
    },
    Sqlite {
        directory: TempDir,
    },
}

impl Fleet {
    /// Schemas of a fresh database on the shared server.
    pub(crate) fn postgres() -> Self {
        let url = Postgres::shared().create_database();
        Self::postgres_at(&url, &url)
    }

    /// Schemas of the database at `url`, reached by the engine through `through`.
    pub(crate) fn postgres_at(url: &str, through: &str) -> Self {
        let kind = Kind::Postgres {
            url: url.to_owned(),
        };
        Self::over(through, PathBuf::new(), kind)
    }

    /// Databases of the shared server.
    pub(crate) fn postgres_databases() -> Self {
        let url = Postgres::shared().create_database();
        let kind = Kind::Databases {
            url: url.clone(),
            prefix: unique("place"),
        };
        Self::over(&url, PathBuf::new(), kind)
    }

    /// Files of a fresh directory.
    pub(crate) fn sqlite() -> Self {
        let directory = sanderling_testkit::scratch();
        let base = directory.path().to_owned();
        Self::over("sqlite://tenants", base, Kind::Sqlite { directory })
    }

    /// The same fleet with its host configured otherwise.
    pub(crate) fn with(mut self, change: impl Fn(&mut HostConfig)) -> Self {
        let mut config = self.config.clone();
        change(&mut config);
        self.hosts = Hosts::new(vec![config.clone()]).unwrap();
        self.config = config;
        self
    }

    /// The same fleet as another process sees it, which remembers nothing.
    pub(crate) fn hosts_anew(&self) -> Self {
        let Kind::Databases { url, prefix } = &self.kind else {
            panic!("only for databases")
        };
        let kind = Kind::Databases {
            url: url.clone(),
            prefix: prefix.clone(),
        };
        Self::over(url, PathBuf::new(), kind)
    }

    fn over(url: &str, base_dir: PathBuf, kind: Kind) -> Self {
        let host = HostName::new("h1");
        let config = HostConfig {
            name: host.clone(),
            url: Reference::new(url.replace('$', "$$")),
            direct_url: None,
            role: None,
            search_path: SearchPath::default(),
            connections: 4,
            in_flight: None,
            base_dir,
        };
        Self {
            hosts: Hosts::new(vec![config.clone()]).unwrap(),
            host,
            config,
            kind,
        }
    }

    pub(crate) fn dialect(&self) -> Dialect {
        match self.kind {
            Kind::Sqlite { .. } => Dialect::Sqlite,
            _ => Dialect::Postgres,
        }
    }

    pub(crate) fn driver(&self) -> Arc<dyn Driver> {
        self.hosts.driver(&self.host).unwrap()
    }

    /// A place of that name, there or not.
    pub(crate) fn place(&self, name: &str) -> Place {
        let mut place = Place {
            host: self.host.clone(),
            database: None,
            schema: None,
            file: None,
        };
        match &self.kind {
            Kind::Postgres { .. } => place.schema = Some(name.to_owned()),
            Kind::Databases { prefix, .. } => place.database = Some(format!("{prefix} {name}")),
            Kind::Sqlite { .. } => place.file = Some(format!("{name}.db")),
        }
        place
    }

    /// A place of that name, created empty.
    pub(crate) async fn create(&self, name: &str) -> Place {
        let place = self.place(name);
        match &self.kind {
            Kind::Postgres { .. } => {
                let quoted = name.replace('"', "\"\"");
                self.run(&place, &format!("CREATE SCHEMA \"{quoted}\""))
                    .await;
            }
            Kind::Databases { url, .. } => {
                let database = place.database.as_deref().unwrap();
                Postgres::shared().sql(url, &format!("CREATE DATABASE \"{database}\""));
            }
            Kind::Sqlite { .. } => {
                self.run(&place, "CREATE TABLE born (x); DROP TABLE born")
                    .await
            }
        }
        place
    }

    pub(crate) fn file(&self, place: &Place) -> PathBuf {
        match &self.kind {
            Kind::Sqlite { directory } => directory
                .path()
                .join("tenants")
                .join(place.file.as_deref().unwrap()),
            Kind::Postgres { .. } | Kind::Databases { .. } => panic!("a schema is not a file"),
        }
    }

    pub(crate) fn url(&self) -> &str {
        match &self.kind {
            Kind::Postgres { url } | Kind::Databases { url, .. } => url,
            Kind::Sqlite { .. } => panic!("a directory has no server"),
        }
    }

    /// Statements in a place, by other means than the engine.
    pub(crate) async fn run(&self, place: &Place, sql: &str) {
        self.count(place, &format!("{sql}; SELECT 0")).await;
    }

    /// The number that the last statement returns.
    pub(crate) async fn count(&self, place: &Place, sql: &str) -> i64 {
        match &self.kind {
            Kind::Postgres { url } | Kind::Databases { url, .. } => {
                let mut options: PgConnectOptions = url.parse().unwrap();
                if let Some(database) = &place.database {
                    options = options.database(database);
                }
                let mut connection = PgConnection::connect_with(&options).await.unwrap();
                let schema = place.schema.as_deref().unwrap_or("public");
                let schema = schema.replace('"', "\"\"");
                let sql = format!("SET search_path = \"{schema}\"; {sql}");
                let rows = sqlx::raw_sql(AssertSqlSafe(sql))
                    .fetch_all(&mut connection)
                    .await;
                let rows = rows.unwrap();
                use sqlx::Row;
                let row = rows.last().unwrap();
                row.try_get::<i64, _>(0)
                    .or_else(|_| row.try_get::<i32, _>(0).map(i64::from))
                    .unwrap()
            }
            Kind::Sqlite { .. } => {
                let path = self.file(place);
                std::fs::create_dir_all(path.parent().unwrap()).unwrap();
                let options = sqlx::sqlite::SqliteConnectOptions::new()
                    .filename(path)
                    .create_if_missing(true);
                let mut connection = SqliteConnection::connect_with(&options).await.unwrap();
                let rows = sqlx::raw_sql(AssertSqlSafe(sql.to_owned())).fetch_all(&mut connection);
                let rows = rows.await.unwrap();
                use sqlx::Row;
                let number = rows.last().unwrap().get::<i64, _>(0);
                connection.close().await.unwrap();
                number
            }
        }
    }

    pub(crate) async fn open(&self, place: &Place, claim: &Claim) -> Box<dyn Session> {
        self.driver().open(place, claim, &LIMITS).await.unwrap()
    }

    /// Opens, takes one step, closes.
    pub(crate) async fn apply(
        &self,
        place: &Place,
        claim: &Claim,
        migration: &Migration,
    ) -> StepOutcome {
        let mut session = self.open(place, claim).await;
        let outcome = session.step(&migration.step()).await;
        session.close().await;
        outcome
    }

    pub(crate) async fn ledger(&self, place: &Place) -> Vec<LedgerRow> {
        match self
            .hosts
            .survey(std::slice::from_ref(place))
            .await
            .remove(0)
        {
            sanderling_core::Standing::Present { rows, .. } => rows,
            other => panic!("{place} is {other:?}"),
        }
    }
}

/// A claim of store `a`.
pub(crate) fn claim(epoch: i64) -> Claim {
    claim_of("store-a", epoch, "nonce-1")
}

pub(crate) fn claim_of(store: &str, epoch: i64, nonce: &str) -> Claim {
    Claim {
        store: StoreId::new(store),
        rollout: RolloutId::new("0195-rollout"),
        tenant: TenantId::new("acme"),
        epoch: Epoch(epoch),
        nonce: Nonce::new(nonce),
        worker: WorkerId::new("worker-h-1"),
    }
}

/// A migration whose statements the parser never saw.
pub(crate) struct Migration {
    pub(crate) version: Version,
    pub(crate) checksum: Checksum,
    pub(crate) statements: Vec<Statement>,
    pub(crate) has_ledger: bool,
    pub(crate) stepwise: bool,
    pub(crate) direction: Direction,
}

impl Migration {
    pub(crate) fn new(version: &str, statements: &[&str]) -> Self {
        let statement = |(line, text): (usize, &&str)| Statement {
            text: (*text).to_owned(),
            line: u32::try_from(10 * (line + 1)).unwrap(),
            column: 1,
            sending: Sending::Shared,
        };
        Self {
            version: Version::new(version),
            checksum: Checksum::new(format!("{version:0>64}")),
            statements: statements.iter().enumerate().map(statement).collect(),
            has_ledger: false,
            stepwise: false,
            direction: Direction::Up,
        }
    }

    /// The way back of a migration: the same version and text, by these statements.
    pub(crate) fn back(&self, statements: &[&str]) -> Self {
        Self {
            checksum: self.checksum.clone(),
            has_ledger: true,
            direction: Direction::Down,
            ..Self::new(self.version.as_str(), statements)
        }
    }

    /// A file with `transaction=off`, as the parser reads it.
    pub(crate) fn apart(dialect: Dialect, version: &str, body: &str) -> Self {
        let text = format!("-- sanderling: transaction=off\n-- +migrate Up\n{body}\n");
        let parsed = sanderling_sql::parse(&format!("{version}_sample.sql"), &text).unwrap();
        Self {
            version: Version::new(version),
            checksum: Checksum::new(&parsed.checksum),
            statements: parsed.statements(dialect).unwrap(),
            has_ledger: false,
            stepwise: true,
            direction: Direction::Up,
        }
    }

    pub(crate) fn step(&self) -> Step<'_> {
        Step {
            version: &self.version,
            name: "sample",
            checksum: &self.checksum,
            accepted: None,
            file: "migrations/sample.sql",
            statements: &self.statements,
            lock_timeout_ms: None,
            statement_timeout_ms: None,
            has_ledger: self.has_ledger,
            stepwise: self.stepwise,
            direction: self.direction,
        }
    }
}

/// Creates `t` and counts its own runs in it.
pub(crate) fn first() -> Migration {
    Migration::new(
        "1",
        &["CREATE TABLE t (n INTEGER)", "INSERT INTO t VALUES (1)"],
    )
}

pub(crate) fn is_applied(outcome: &StepOutcome) -> bool {
    matches!(outcome, StepOutcome::Applied(_))
}

#[track_caller]
pub(crate) fn applied(outcome: StepOutcome) -> LedgerRow {
    match outcome {
        StepOutcome::Applied(evidence) => evidence.row().clone(),
        other => panic!("not applied: {other:?}"),
    }
}

#[track_caller]
pub(crate) fn failed(outcome: StepOutcome) -> sanderling_core::Failure {
    match outcome {
        StepOutcome::Failed(failure) => failure,
        other => panic!("not failed: {other:?}"),
    }
}
