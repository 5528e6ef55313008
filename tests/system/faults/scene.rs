//! What every case is played on: two coordinators, three workers, forty tenants, five migrations, one of which fails
//! on one marked tenant; leases and locks of two seconds.

use std::any::Any;
use std::path::PathBuf;

use sanderling_testkit::{Ended, Postgres, Process, Redis};

use super::watch::Sampler;
use crate::fleet::{DEADLINE, Fleet};

/// Fails at the fourth version, in the last wave.
pub(crate) const MARKED: &str = "t0023";
/// What the last version alters; an application may have it before the first.
pub(crate) const ALTERED: &str = "legacy";
const SCHEMAS: usize = 24;
const DATABASES: usize = 8;
const FILES: usize = 4;
/// Connections to the PostgreSQL host, of all workers together.
pub(crate) const BUDGET: usize = 8;

const WAVES: &str = "halt = { max_failures = 2 }
[[rollout.waves]]
name = \"canary\"
count = 4
[[rollout.waves]]
name = \"some\"
percent = 25
[[rollout.waves]]
name = \"rest\"
rest = true
halt = { max_failures = 2 }
";

/// A statement of a migration lasts a moment, as it does where tables are not empty: what strikes finds work under way.
const SLOW: &str = "CREATE FUNCTION public.slow() RETURNS event_trigger LANGUAGE plpgsql AS
  $$ BEGIN IF tg_tag <> 'CREATE SCHEMA' THEN PERFORM pg_catalog.pg_sleep(0.02); END IF; END $$;
  CREATE EVENT TRIGGER slow ON ddl_command_start EXECUTE FUNCTION public.slow()";

/// The fourth version fails on the marked tenant, whose catalog is otherwise like that of all others: `verify` would find
/// a table of its own.
const REFUSED: &str = "CREATE FUNCTION public.refuse() RETURNS event_trigger LANGUAGE plpgsql AS
  $$ BEGIN IF EXISTS (SELECT FROM pg_catalog.pg_event_trigger_ddl_commands() WHERE object_identity = 'MARKED.things_4') THEN
    RAISE EXCEPTION USING ERRCODE = '42P07', MESSAGE = 'relation \"things_4\" already exists';
  END IF; END $$;
  CREATE EVENT TRIGGER refuse ON ddl_command_end WHEN TAG IN ('CREATE TABLE') EXECUTE FUNCTION public.refuse()";

/// Servers, fleet and processes of one case.
pub(crate) struct Scene {
    pub(crate) fleet: Fleet,
    pub(crate) redis: Redis,
    /// The tenants' server where a case breaks it, else the run's.
    pub(crate) tenants: Option<Postgres>,
    /// The control store's server where a case breaks it, else the run's.
    pub(crate) control: Option<Postgres>,
    pub(crate) coordinators: Vec<Process>,
    pub(crate) workers: Vec<Process>,
    up: Option<Process>,
    extra: Vec<(String, String)>,
    /// Servers that must outlive the processes.
    kept: Vec<Box<dyn Any>>,
    sampler: Option<Sampler>,
    expected: Expected,
}

/// How a rollout has to end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Expected {
    /// All but the marked tenant.
    Done,
    /// By the marked tenant's failure.
    Halted,
    /// All of them, at the first version again.
    Down,
}

impl Scene {
    /// A fleet on the run's PostgreSQL, with a Redis of its own.
    pub(crate) fn on_shared() -> Self {
        Self::staged(None, None)
    }

    /// With a PostgreSQL of its own for the tenants.
    pub(crate) fn with_own_tenants() -> Self {
        Self::staged(Some(Postgres::private()), None)
    }

    /// With a PostgreSQL of its own for the control store.
    pub(crate) fn with_own_control() -> Self {
        Self::staged(None, Some(Postgres::private()))
    }

    fn staged(tenants: Option<Postgres>, control: Option<Postgres>) -> Self {
        let redis = Redis::private();
        let server = tenants.as_ref().unwrap_or_else(|| Postgres::shared());
        let store = control.as_ref().unwrap_or_else(|| Postgres::shared());
        let fleet = Fleet::cluster(server, &redis)
            .with_control(store.create_database())
            .schemas(SCHEMAS)
            .databases(DATABASES)
            .files(FILES)
            .rollout(WAVES)
            .written();
        server.sql(fleet.tenants_url(), SLOW);
        server.sql(fleet.tenants_url(), &REFUSED.replace("MARKED", MARKED));
        migrations(&fleet);
        Self {
            fleet,
            redis,
            tenants,
            control,
            coordinators: Vec::new(),
            workers: Vec::new(),
            up: None,
            extra: Vec::new(),
            kept: Vec::new(),
            sampler: None,
            expected: Expected::Done,
        }
    }

    /// No failure is tolerated: the marked tenant halts the rollout.
    pub(crate) fn halting(mut self) -> Self {
        let text = std::fs::read_to_string(self.fleet.path("sanderling.toml")).unwrap();
        let strict = text.replace("max_failures = 2", "max_failures = 0");
        assert_ne!(text, strict);
        self.fleet.write("sanderling.toml", strict);
        self.expected = Expected::Halted;
        self
    }

    /// Everybody is at the newest version, and the rollout takes all of them back to the first.
    pub(crate) fn descending(mut self) -> Self {
        let server = self.tenants.as_ref().unwrap_or_else(|| Postgres::shared());
        server.sql(self.fleet.tenants_url(), "DROP EVENT TRIGGER refuse");
        let ended = self.run(&["--json", "up", "--embedded", "--yes"]);
        assert_eq!(ended.code(), Some(0), "{}\n{}", ended.stdout, ended.stderr);
        self.expected = Expected::Down;
        self
    }

    /// Keeps a server until the case is over.
    pub(crate) fn keep(&mut self, server: impl Any) {
        self.kept.push(Box::new(server));
    }

    /// A setting of every process from here on.
    pub(crate) fn set(&mut self, name: &str, value: &str) {
        self.extra.push((name.into(), value.into()));
    }

    /// Starts the coordinators and workers that are missing, then the rollout.
    pub(crate) fn begin(&mut self) {
        self.fill_up();
        self.begin_alone();
    }

    /// Starts the workers that are missing.
    pub(crate) fn fill_up(&mut self) {
        for _ in self.workers.len()..3 {
            self.add_worker(&[]);
        }
    }

    /// Starts the rollout with the workers that there are.
    pub(crate) fn begin_alone(&mut self) {
        for _ in self.coordinators.len()..2 {
            let coordinator = self.process("coordinator", &[]);
            self.coordinators.push(coordinator);
        }
        self.sampler = Some(Sampler::start(&self.fleet));
        let rollout: &[_] = match self.expected {
            Expected::Done | Expected::Halted => &["--json", "up", "--yes"],
            Expected::Down => &["--json", "down", "--all-tenants", "--to", "0001", "--yes"],
        };
        self.up = Some(self.spawn(rollout, &[]));
    }

    /// Starts a worker with variables of its own; gives its process id.
    pub(crate) fn add_worker(&mut self, environment: &[(&str, &str)]) -> u32 {
        let worker = self.process("worker", environment);
        let pid = worker.pid();
        self.workers.push(worker);
        pid
    }

    /// Starts a process of the cluster.
    pub(crate) fn process(&self, kind: &str, environment: &[(&str, &str)]) -> Process {
        self.spawn(&[kind], environment)
    }

    fn spawn(&self, arguments: &[&str], environment: &[(&str, &str)]) -> Process {
        let mut command = self.fleet.command(arguments);
        let budget = BUDGET.to_string();
        command
            .env("SANDERLING_CONTROL__LEASE", "2s")
            .env("SANDERLING_CLAIMS__TTL", "2s")
            .env("SANDERLING_WORKER__SLOTS", "4")
            .env("SANDERLING_ROLLOUT__CONCURRENCY", "6")
            .env("SANDERLING_HOSTS__PG__CONNECTIONS", budget)
            .env("SANDERLING_FAILPOINTS_LOG", self.reached_path())
            .envs(self.extra.iter().map(|(name, value)| (name, value)))
            .envs(environment.iter().copied());
        Process::spawn(command)
    }

    /// Where failpoints note what they did.
    pub(crate) fn reached_path(&self) -> PathBuf {
        self.fleet.path("reached")
    }

    /// What the rollout has to end as.
    pub(crate) fn expected(&self) -> Expected {
        self.expected
    }

    /// Tenants in all.
    pub(crate) fn size(&self) -> usize {
        SCHEMAS + DATABASES + FILES
    }

    /// What `up` has printed so far.
    pub(crate) fn printed(&self) -> String {
        self.up.as_ref().map(Process::stdout).unwrap_or_default()
    }

    /// Waits for the end of `up`.
    pub(crate) fn ended(&mut self) -> Ended {
        let mut up = self.up.take().expect("the rollout was started");
        up.wait_with_deadline(DEADLINE)
    }

    /// The most connections that were seen at once, if it was looked.
    pub(crate) fn peak(&mut self) -> Option<usize> {
        self.sampler.take().map(Sampler::peak)
    }

    /// Runs the program to its end.
    pub(crate) fn run(&self, arguments: &[&str]) -> Ended {
        self.spawn(arguments, &[]).wait_with_deadline(DEADLINE)
    }
}

/// Five versions; each adds a row to the keyless table `probe`, and its way back to `undone`, so that what was done twice
/// shows.
fn migrations(fleet: &Fleet) {
    let bodies = [
        (
            "CREATE TABLE probe (version integer NOT NULL);\nCREATE TABLE undone (version integer NOT NULL);\nCREATE TABLE things_1 (id integer PRIMARY KEY, name text NOT NULL);\nCREATE TABLE IF NOT EXISTS legacy (id integer);",
            "DROP TABLE things_1;",
        ),
        (
            "CREATE TABLE things_2 (id integer PRIMARY KEY, name text NOT NULL);\nCREATE INDEX things_2_by_name ON things_2 (name);",
            "DROP TABLE things_2;",
        ),
        (
            "INSERT INTO things_1 VALUES (1, 'one'), (2, 'two');\nUPDATE things_1 SET name = name || '!' WHERE id = 2;",
            "DELETE FROM things_1;",
        ),
        (
            "CREATE TABLE things_4 (id integer PRIMARY KEY);",
            "DROP TABLE things_4;",
        ),
        (
            "ALTER TABLE legacy ADD COLUMN note text NOT NULL DEFAULT '';",
            "ALTER TABLE legacy DROP COLUMN note;",
        ),
    ];
    for (version, (up, down)) in (1..).zip(bodies) {
        let up = format!("{up}\nINSERT INTO probe (version) VALUES ({version});");
        let down = format!("{down}\nINSERT INTO undone (version) VALUES ({version});");
        fleet.migration(&format!("{version:04}"), "step", &up, &down);
    }
}
