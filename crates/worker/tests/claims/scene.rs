//! A control store, tenants in schemas `t0`, `t1`, …, one migration, and a rollout whose first wave is open.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use sanderling_claims::Claims;
use sanderling_core::halt::Limits as HaltLimits;
use sanderling_core::plan::{Path as VersionPath, Plan, PlannedTarget, PlannedWave};
use sanderling_core::policy::{Atomic, Policy};
use sanderling_core::rollout::Action;
use sanderling_core::{
    Bundle, BundleFile, Checksum, Direction, Epoch, ErrorClass, Failure, HostName, Nonce, Place,
    Rollout, RolloutId, Serves, TenantId, Version, WorkerId,
};
use sanderling_engine::{Claim, HostConfig, Hosts, Limits, SearchPath, Session, Step, StepOutcome};
use sanderling_secrets::Reference;
use sanderling_sql::{Dialect, Sending, Statement, parse};
use sanderling_store::{
    Grant, Held, Report, Store, Submission, TargetFilter, TargetRecord, TargetRef, TargetResult,
    Wanted,
};
use sanderling_testkit::{Postgres, Process, Proxy, scratch, unique, until};
use sanderling_worker::{Worker, WorkerOptions};
use tempfile::TempDir;
use tokio_util::sync::CancellationToken;

pub(crate) const LEASE: Duration = Duration::from_secs(3);
/// A lease that has expired when the answer arrives.
pub(crate) const TINY: Duration = Duration::from_micros(1);
pub(crate) const DEADLINE: Duration = Duration::from_secs(60);

const LIMITS: Limits = Limits {
    lock_timeout_ms: 1_000,
    statement_timeout_ms: 0,
    create_missing: false,
    room: u32::MAX,
};

pub(crate) struct Scene {
    pub(crate) store: Arc<dyn Store>,
    pub(crate) id: RolloutId,
    /// Between everybody here and the tenants' server.
    pub(crate) proxy: Proxy,
    fleet: String,
    url: String,
    hosts: Arc<Hosts>,
    version: Version,
    name: String,
    checksum: Checksum,
    direction: Direction,
    statements: Vec<Statement>,
    _directory: TempDir,
}

/// A stranger's session. Its server process outlives a killed client, so it is ended by name.
pub(crate) struct Holder {
    _process: Process,
    url: String,
    name: String,
}

impl Holder {
    pub(crate) fn let_go(self) {
        let sql = format!(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = '{}'",
            self.name
        );
        Postgres::shared().sql(&self.url, &sql);
    }
}

/// A worker at work.
pub(crate) struct AtWork {
    drain: CancellationToken,
    task: tokio::task::JoinHandle<()>,
}

impl AtWork {
    /// Drains it.
    pub(crate) async fn end(self) {
        self.drain.cancel();
        self.task.await.unwrap();
    }
}

pub(crate) fn failure() -> Failure {
    Failure::new(ErrorClass::MigrationSql, "42703", "no such column")
}

impl Scene {
    /// Tenants whose first version is to be applied.
    pub(crate) async fn new(tenants: usize, body: &str) -> Self {
        let text = format!("-- +migrate Up\n{body}\n");
        Self::staged(tenants, text, Direction::Up).await
    }

    /// The same body as a way up, and as the way back of a version that every tenant has.
    pub(crate) async fn both_ways(tenants: usize, body: &str) -> [Self; 2] {
        let text = format!("-- +migrate Up\nSELECT 1;\n-- +migrate Down\n{body}\n");
        let down = Self::staged(tenants, text, Direction::Down).await;
        for n in 0..tenants {
            down.apply_before(n).await;
        }
        [Self::new(tenants, body).await, down]
    }

    /// Applies the version as a rollout before this one did.
    async fn apply_before(&self, n: usize) {
        let claim = Claim {
            store: self.store.id().clone(),
            rollout: RolloutId::new("before"),
            tenant: self.key(n).tenant,
            epoch: Epoch(0),
            nonce: Nonce::new("before"),
            worker: WorkerId::new("before"),
        };
        let step = Step {
            direction: Direction::Up,
            ..self.harmless_saying("SELECT 1")
        };
        let driver = self.hosts.driver(&HostName::new("pg")).unwrap();
        let place = self.target(n).await.place;
        let mut session = driver.open(&place, &claim, &LIMITS).await.unwrap();
        let outcome = session.step(&step).await;
        assert!(matches!(outcome, StepOutcome::Applied(_)), "{outcome:?}");
        session.close().await;
    }

    async fn staged(tenants: usize, text: String, direction: Direction) -> Self {
        let (directory, fleet) = (scratch(), unique("w"));
        let url = Postgres::shared().create_database();
        let schemas: String = (0..tenants)
            .map(|n| format!("CREATE SCHEMA t{n}; CREATE TABLE t{n}.probe (version integer);"))
            .collect();
        Postgres::shared().sql(&url, &schemas);
        let migration = parse("0001_body.sql", &text).unwrap();
        let bundle = Bundle::new(vec![BundleFile {
            name: "0001_body.sql".into(),
            text,
        }]);
        let store = sanderling_store::open("sqlite://control.db", &fleet, directory.path())
            .await
            .unwrap();
        store.put_bundle(&bundle).await.unwrap();
        let plan = plan(&fleet, &bundle, tenants, direction);
        let id = RolloutId::new(unique("r"));
        store
            .submit(&Submission {
                id: id.clone(),
                plan,
                actor: "test".into(),
                hosts: BTreeMap::new(),
                labels: BTreeMap::new(),
            })
            .await
            .unwrap();
        let leader = store
            .lead(&WorkerId::new("leader"), LEASE)
            .await
            .unwrap()
            .unwrap();
        store
            .act(&leader, &id, 1, &Action::OpenWave(0))
            .await
            .unwrap();
        let proxy = Proxy::postgres(&url);
        let host = HostConfig {
            name: HostName::new("pg"),
            url: Reference::new(proxy.url()),
            direct_url: None,
            role: None,
            search_path: SearchPath::default(),
            connections: 8,
            in_flight: None,
            base_dir: Path::new("/").to_owned(),
        };
        Self {
            store,
            id,
            proxy,
            fleet,
            url,
            hosts: Arc::new(Hosts::new(vec![host]).unwrap()),
            version: Version::new("0001"),
            name: migration.name.clone(),
            checksum: Checksum::new(&migration.checksum),
            direction,
            statements: match direction {
                Direction::Up => migration.statements(Dialect::Postgres).unwrap(),
                Direction::Down => migration.undo(Dialect::Postgres).unwrap(),
            },
            _directory: directory,
        }
    }

    /// Claims for workers that share them.
    pub(crate) fn claims(&self) -> Arc<dyn Claims> {
        sanderling_claims::connect("memory://", &self.fleet, LEASE).unwrap()
    }

    /// Starts a real worker that alone serves the host.
    pub(crate) fn work(&self) -> AtWork {
        self.work_with(self.claims())
    }

    /// Starts a real worker that renews so seldom that no renewal tells it of a halt.
    pub(crate) fn work_untold(&self) -> AtWork {
        self.work_for(self.claims(), Duration::from_secs(3_600))
    }

    /// Starts a real worker, one of several.
    pub(crate) fn work_with(&self, claims: Arc<dyn Claims>) -> AtWork {
        self.work_for(claims, LEASE)
    }

    fn work_for(&self, claims: Arc<dyn Claims>, lease: Duration) -> AtWork {
        let options = WorkerOptions {
            id: WorkerId::new(unique("successor")),
            fleet: self.fleet.clone(),
            serves: Serves::everyone(),
            base_dir: Path::new("/").to_owned(),
            slots: 1,
            poll: Duration::from_millis(50),
            lease,
            ttl: lease,
        };
        let drain = CancellationToken::new();
        let worker = Worker::new(options, self.store.clone(), claims, self.hosts.clone());
        AtWork {
            task: tokio::spawn(worker.run(drain.clone())),
            drain,
        }
    }

    /// A claim by a worker that will never be heard of again.
    pub(crate) async fn claim(&self, n: usize, lease: Duration) -> Grant {
        self.start("dead", n, lease).await
    }

    /// A claim by a worker that lives elsewhere.
    pub(crate) async fn claim_elsewhere(&self, n: usize) -> Grant {
        self.start("elsewhere", n, LEASE).await
    }

    async fn start(&self, worker: &str, n: usize, lease: Duration) -> Grant {
        let wanted = Wanted {
            target: self.key(n),
            nonce: Nonce::new(unique("n")),
        };
        let budgets = BTreeMap::from([(HostName::new("pg"), 8.into())]);
        self.store
            .start(
                &WorkerId::new(worker),
                &[wanted],
                &budgets,
                &Serves::everyone(),
                lease,
            )
            .await
            .unwrap()
            .remove(0)
    }

    pub(crate) async fn report(&self, grant: &Grant, result: TargetResult) {
        let held = Held {
            target: grant.target.clone(),
            epoch: grant.epoch,
        };
        self.store
            .report(&[Report {
                held,
                result,
                kept: None,
            }])
            .await
            .unwrap();
    }

    /// A session as the claim's own worker would open it.
    pub(crate) async fn open(&self, grant: &Grant) -> Box<dyn Session> {
        let claim = Claim {
            store: self.store.id().clone(),
            rollout: self.id.clone(),
            tenant: grant.target.tenant.clone(),
            epoch: grant.epoch,
            nonce: grant.nonce.clone(),
            worker: WorkerId::new("dead"),
        };
        self.hosts
            .driver(&grant.place.host)
            .unwrap()
            .open(&grant.place, &claim, &LIMITS)
            .await
            .unwrap()
    }

    /// The migration as the worker sends it.
    pub(crate) fn real_step(&self) -> Step<'_> {
        self.step(&self.statements)
    }

    /// The same version with a body that succeeds and leaves a mark.
    pub(crate) fn harmless(&self) -> Step<'static> {
        self.harmless_saying("INSERT INTO probe (version) VALUES (1)")
    }

    fn harmless_saying(&self, text: &str) -> Step<'static> {
        let statement = Statement {
            text: text.into(),
            line: 1,
            column: 1,
            sending: Sending::Shared,
        };
        let statements: &'static [Statement] = Box::leak(Box::new([statement]));
        let version: &'static Version = Box::leak(Box::new(self.version.clone()));
        let checksum: &'static Checksum = Box::leak(Box::new(self.checksum.clone()));
        Step {
            version,
            name: "body",
            checksum,
            accepted: None,
            file: "0001_body.sql",
            statements,
            lock_timeout_ms: None,
            statement_timeout_ms: None,
            has_ledger: false,
            stepwise: false,
            direction: self.direction,
        }
    }

    fn step<'a>(&'a self, statements: &'a [Statement]) -> Step<'a> {
        Step {
            version: &self.version,
            name: &self.name,
            checksum: &self.checksum,
            accepted: None,
            file: "0001_body.sql",
            statements,
            lock_timeout_ms: None,
            statement_timeout_ms: None,
            has_ledger: false,
            stepwise: false,
            direction: self.direction,
        }
    }

    pub(crate) async fn target(&self, n: usize) -> TargetRecord {
        let all = self
            .store
            .targets(&self.id, TargetFilter::All, None, 100)
            .await
            .unwrap();
        all.into_iter().find(|t| t.target == self.key(n)).unwrap()
    }

    pub(crate) async fn rollout(&self) -> Rollout {
        self.store.rollout(&self.id).await.unwrap().unwrap().rollout
    }

    fn key(&self, n: usize) -> TargetRef {
        TargetRef {
            rollout: self.id.clone(),
            tenant: TenantId::new(format!("t{n}")),
        }
    }

    /// Plain SQL on the tenants' database.
    pub(crate) async fn rows(&self, sql: &str) -> String {
        let (url, sql) = (self.url.clone(), sql.to_owned());
        let said = tokio::task::spawn_blocking(move || Postgres::shared().sql(&url, &sql))
            .await
            .unwrap();
        said.lines().last().unwrap_or_default().trim().to_owned()
    }

    /// A stranger's session that holds the fence row of a tenant until it is let go.
    pub(crate) fn hold_the_fence(&self, n: usize) -> Holder {
        let fence = format!(
            "CREATE SCHEMA sanderling; CREATE TABLE sanderling.fence (place text COLLATE \"C\" PRIMARY KEY, store_id text NOT NULL, \
             epoch bigint NOT NULL, claim text NOT NULL); INSERT INTO sanderling.fence VALUES ('t{n}', '{}', 0, '')",
            self.store.id()
        );
        Postgres::shared().sql(&self.url, &fence);
        self.hold(&format!(
            "SELECT 'held' FROM sanderling.fence WHERE place = 't{n}' FOR UPDATE"
        ))
    }

    /// A stranger's session that holds the table of a tenant until it is let go.
    pub(crate) fn hold_the_table(&self, n: usize) -> Holder {
        self.hold(&format!("LOCK TABLE t{n}.probe; SELECT 'held'"))
    }

    fn hold(&self, sql: &str) -> Holder {
        let mut command = Process::command("psql");
        for sql in format!("BEGIN; {sql}; SELECT pg_sleep(600)").split("; ") {
            command.arg("-c").arg(sql);
        }
        let name = unique("holder");
        command.arg("-X").arg(&self.url).env("PGAPPNAME", &name);
        let holder = Process::spawn(command);
        until(DEADLINE, "the lock to be held", || {
            holder.stdout().contains("held").then_some(())
        });
        Holder {
            _process: holder,
            url: self.url.clone(),
            name,
        }
    }
}

fn plan(fleet: &str, bundle: &Bundle, tenants: usize, direction: Direction) -> Plan {
    let size = u32::try_from(tenants).unwrap();
    let target = |n: u32| PlannedTarget {
        tenant: TenantId::new(format!("t{n}")),
        place: Place {
            host: HostName::new("pg"),
            database: None,
            schema: Some(format!("t{n}")),
            file: None,
        },
        wave: 0,
        position: n,
        path: 0,
        has_ledger: false,
        missing: false,
    };
    Plan {
        fleet: fleet.to_owned(),
        bundle: bundle.hash().clone(),
        target: match direction {
            Direction::Up => Version::new("0001"),
            Direction::Down => Version::nothing(),
        },
        direction,
        policy: Policy {
            concurrency: size,
            atomic: Atomic::Version,
            lock_timeout_ms: 1_000,
            statement_timeout_ms: 0,
            host_patience_ms: sanderling_core::policy::HOST_PATIENCE_MS,
            create_missing: false,
            limits: HaltLimits {
                max_failures: Some(0),
                ..HaltLimits::default()
            },
            retry: sanderling_core::retry::defaults(),
        },
        waves: vec![PlannedWave {
            name: "all".into(),
            tenants: size,
            concurrency: None,
            strict: false,
            limits: HaltLimits::default(),
            max_in_flight: size,
            gates: Vec::new(),
        }],
        paths: vec![VersionPath {
            from: None,
            versions: vec![Version::new("0001")],
        }],
        targets: (0..size).map(target).collect(),
        left_out: Vec::new(),
        accepted: Default::default(),
    }
}
