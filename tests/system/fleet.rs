//! A fleet on disk and on servers: configuration, registry, migrations, and the program to run over it.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use sanderling_testkit::{Ended, Postgres, Process, Redis, scratch, unique, until};
use serde_json::Value;
use tempfile::TempDir;

/// The longest that any run of the program may take here.
pub(crate) const DEADLINE: Duration = Duration::from_secs(240);

/// The waves of a fleet that is given none: nobody waits ten minutes for a bake here.
const WAVES: &str = "[[rollout.waves]]\nname = \"canary\"\ncount = 5\nhalt = { max_failures = 0 }\n\
    [[rollout.waves]]\nname = \"early\"\npercent = 10\nhalt = { max_failure_percent = 1 }\n\
    [[rollout.waves]]\nname = \"rest\"\nrest = true\nhalt = { max_failure_percent = 1 }\n";

/// A fleet of its own: directory, fleet name (so Redis prefix and store rows), database.
pub(crate) struct Fleet {
    dir: TempDir,
    name: String,
    control: String,
    claims: String,
    ttl: &'static str,
    claims_settings: String,
    postgres: Option<String>,
    schemas: Vec<String>,
    databases: Vec<String>,
    files: Vec<String>,
    rollout: String,
    settings: String,
    connections: u32,
    default_waves: bool,
}

impl Fleet {
    /// SQLite control store, claims in memory, no tenants yet.
    pub(crate) fn embedded() -> Self {
        Self {
            dir: scratch(),
            name: unique("f"),
            control: "sqlite://control.db".into(),
            claims: "memory://".into(),
            ttl: "3s",
            claims_settings: String::new(),
            postgres: None,
            schemas: Vec::new(),
            databases: Vec::new(),
            files: Vec::new(),
            rollout: String::new(),
            settings: String::new(),
            connections: 24,
            default_waves: false,
        }
    }

    /// PostgreSQL control store in a database of its own, claims in Redis, tenants in another database.
    pub(crate) fn cluster(postgres: &Postgres, redis: &Redis) -> Self {
        let mut fleet = Self::embedded();
        fleet.control = postgres.create_database();
        fleet.claims = redis.url().to_owned();
        fleet.postgres = Some(postgres.create_database());
        fleet
    }

    /// An embedded fleet whose tenants may live in a PostgreSQL database of its own.
    pub(crate) fn with_postgres(mut self, postgres: &Postgres) -> Self {
        self.postgres = Some(postgres.create_database());
        self
    }

    /// With its control store at this URL.
    pub(crate) fn with_control(mut self, url: String) -> Self {
        self.control = url;
        self
    }

    /// With its claims at this URL, and further lines of `[claims]`.
    pub(crate) fn with_claims(mut self, url: &str, toml: &str) -> Self {
        self.claims = url.into();
        self.claims_settings = format!("{toml}\n");
        self
    }

    /// With locks that last so long, instead of 3 seconds: a third of it bounds each call to Redis.
    pub(crate) fn ttl(mut self, ttl: &'static str) -> Self {
        self.ttl = ttl;
        self
    }

    /// Adds tenants `t0000…` in schemas of those names.
    pub(crate) fn schemas(mut self, n: usize) -> Self {
        self.schemas = (0..n).map(|i| format!("t{i:04}")).collect();
        self
    }

    /// Adds tenants that each have a PostgreSQL database of their own, of the tenant's name.
    pub(crate) fn databases(mut self, n: usize) -> Self {
        self.databases = (0..n).map(|i| format!("{}_d{i:03}", self.name)).collect();
        self
    }

    /// Adds tenants `file000…` in SQLite files.
    pub(crate) fn files(mut self, n: usize) -> Self {
        self.files = (0..n).map(|i| format!("file{i:03}")).collect();
        self
    }

    /// Connections to the PostgreSQL host, instead of 24.
    pub(crate) fn pg_connections(mut self, n: u32) -> Self {
        self.connections = n;
        self
    }

    /// With a name that other fleets have too: for tests that compare what is said of an order, in a store of their own.
    pub(crate) fn named(mut self, name: &str) -> Self {
        self.name = name.into();
        self
    }

    /// Lines below `[rollout]`.
    pub(crate) fn rollout(mut self, toml: &str) -> Self {
        self.rollout = toml.into();
        self
    }

    /// With the waves of a configuration that has none, their bake of ten minutes included.
    pub(crate) fn default_waves(mut self) -> Self {
        self.default_waves = true;
        self
    }

    /// Whole sections at the end of the configuration.
    pub(crate) fn settings(mut self, toml: &str) -> Self {
        self.settings = toml.into();
        self
    }

    /// Writes configuration and registry; sizes grow with the number, so tenants start in order. Migrations are written by `migration`.
    pub(crate) fn written(self) -> Self {
        self.write("sanderling.toml", self.toml());
        let mut csv = String::from("id,host,database,schema,file,size,ring\n");
        for (i, schema) in self.schemas.iter().enumerate() {
            let _ = writeln!(csv, "{schema},pg,,{schema},,{i},r{}", i % 4);
        }
        for database in &self.databases {
            let _ = writeln!(csv, "{database},pg,{database},,,,rd");
        }
        for file in &self.files {
            let _ = writeln!(csv, "{file},files,,,{file}.db,,rf");
        }
        self.write("tenants/fleet.csv", &csv);
        std::fs::create_dir_all(self.path("migrations")).unwrap();
        std::fs::create_dir_all(self.path("data")).unwrap();
        self
    }

    fn toml(&self) -> String {
        let postgres = self.postgres.as_ref().map_or_else(String::new, |url| {
            format!(
                "[hosts.pg]\nurl = \"{url}\"\nconnections = {}\n",
                self.connections
            )
        });
        let own = |text: &str| text.contains("[[rollout.waves]]");
        let waves = match self.default_waves || own(&self.rollout) || own(&self.settings) {
            true => "",
            false => WAVES,
        };
        format!(
            "[fleet]\nname = \"{}\"\nmigrations = \"migrations\"\ntenants = [\"tenants/*.csv\"]\ncreate_missing = true\n\
             [control]\nurl = \"{}\"\nlease = \"3s\"\npoll = \"100ms\"\n[claims]\nurl = \"{}\"\nttl = \"{}\"\n{}\
             [worker]\nslots = 16\n{postgres}[hosts.files]\nurl = \"sqlite://data\"\nconnections = 4\n\
             [rollout]\nconcurrency = 16\n{}\n{waves}{}\n",
            self.name,
            self.control,
            self.claims,
            self.ttl,
            self.claims_settings,
            self.rollout,
            self.settings
        )
    }

    /// Writes one migration file.
    pub(crate) fn migration(&self, version: &str, name: &str, up: &str, down: &str) {
        let text = format!("-- +migrate Up\n{up}\n-- +migrate Down\n{down}\n");
        self.write(&format!("migrations/{version}_{name}.sql"), &text);
    }

    /// Writes migrations 0001… of which each adds a row to the keyless table `probe`: what was applied twice shows.
    pub(crate) fn probe_migrations(&self, n: usize) {
        for i in 1..=n {
            let create = if i == 1 {
                "CREATE TABLE probe (version integer NOT NULL);\n"
            } else {
                ""
            };
            let up = format!(
                "{create}CREATE TABLE things_{i} (id integer PRIMARY KEY, name text NOT NULL);\nINSERT INTO probe (version) VALUES ({i});"
            );
            self.migration(
                &format!("{i:04}"),
                &format!("step_{i}"),
                &up,
                &format!("DROP TABLE things_{i};"),
            );
        }
    }

    /// Writes any file of the fleet's directory.
    pub(crate) fn write(&self, path: &str, text: impl AsRef<[u8]>) {
        let path = self.path(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }

    /// A path in the fleet's directory.
    pub(crate) fn path(&self, path: &str) -> PathBuf {
        self.dir.path().join(path)
    }

    /// The tenants' PostgreSQL database.
    pub(crate) fn tenants_url(&self) -> &str {
        self.postgres
            .as_deref()
            .expect("the fleet has PostgreSQL tenants")
    }

    /// The tenants' PostgreSQL database, where there is one.
    pub(crate) fn postgres_url(&self) -> Option<&str> {
        self.postgres.as_deref()
    }

    /// The control store's URL.
    pub(crate) fn control_url(&self) -> &str {
        &self.control
    }

    /// The schemas.
    pub(crate) fn schema_names(&self) -> &[String] {
        &self.schemas
    }

    /// The databases of tenants that have one each.
    pub(crate) fn database_names(&self) -> &[String] {
        &self.databases
    }

    /// The fleet's name.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// The SQLite tenants' names; each is in `data/<name>.db`.
    pub(crate) fn file_names(&self) -> &[String] {
        &self.files
    }

    /// The program with its configuration, ready to run.
    pub(crate) fn command(&self, args: &[&str]) -> Command {
        let mut command = Process::command(env!("CARGO_BIN_EXE_sanderling"));
        command
            .arg("--config")
            .arg(self.path("sanderling.toml"))
            .args(args)
            .current_dir(self.dir.path());
        command
    }

    /// Starts the program and leaves it running.
    pub(crate) fn spawn(&self, args: &[&str]) -> Process {
        Process::spawn(self.command(args))
    }

    /// Runs the program to its end.
    pub(crate) fn run(&self, args: &[&str]) -> Ended {
        self.spawn(args).wait_with_deadline(DEADLINE)
    }

    /// Runs the program, expects an exit code, and gives its output.
    #[track_caller]
    pub(crate) fn expect(&self, code: i32, args: &[&str]) -> Ended {
        let ended = self.run(args);
        assert_eq!(
            ended.code(),
            Some(code),
            "sanderling {args:?}\nstdout: {}\nstderr: {}",
            ended.stdout,
            ended.stderr
        );
        ended
    }

    /// Runs the program with `--json` and gives the last line as JSON.
    #[track_caller]
    pub(crate) fn json(&self, code: i32, args: &[&str]) -> Value {
        let mut all = vec!["--json"];
        all.extend(args);
        let ended = self.expect(code, &all);
        last_json(&ended.stdout)
    }

    /// Waits until `verify` finds nothing, as it must once nothing is in flight and every lease of a killed process has
    /// ended. At the deadline the last violations are told.
    #[track_caller]
    pub(crate) fn verified_clean(&self) {
        until(DEADLINE, "verify to find nothing", || {
            let ended = self.run(&["--json", "verify"]);
            match ended.code() {
                Some(0) => Ok(()),
                _ => Err(format!("{}{}", ended.stdout, ended.stderr)),
            }
        });
    }

    /// Counts rows of `probe` by plain SQL: per PostgreSQL tenant and version.
    pub(crate) fn probes_in_schemas(&self) -> BTreeMap<(String, String), u64> {
        let unions: Vec<_> = self
            .schemas
            .iter()
            .map(|s| format!("SELECT '{s}' AS tenant, version FROM \"{s}\".probe"))
            .collect();
        let sql = format!(
            "SELECT tenant || ' ' || version || ' ' || count(*) FROM ({}) p GROUP BY tenant, version",
            unions.join(" UNION ALL ")
        );
        parse_counts(&Postgres::shared().sql(self.tenants_url(), &sql))
    }

    /// The same for one tenant's database.
    pub(crate) fn probes_in_database(&self, database: &str) -> BTreeMap<(String, String), u64> {
        let sql = format!(
            "SELECT '{database} ' || version || ' ' || count(*) FROM probe GROUP BY version"
        );
        let (server, _) = self.tenants_url().rsplit_once('/').unwrap();
        parse_counts(&Postgres::shared().sql(&format!("{server}/{database}"), &sql))
    }

    /// The same for one SQLite file, through the `sqlite3` program.
    pub(crate) fn probes_in_file(&self, file: &str) -> BTreeMap<(String, String), u64> {
        let sql =
            format!("SELECT '{file} ' || version || ' ' || count(*) FROM probe GROUP BY version");
        parse_counts(&sqlite(&self.path(&format!("data/{file}.db")), &sql))
    }

    /// Asserts that every tenant's probe table holds exactly one row per version.
    #[track_caller]
    pub(crate) fn assert_exactly_once(&self, versions: usize) {
        let mut counts = if self.schemas.is_empty() {
            BTreeMap::new()
        } else {
            self.probes_in_schemas()
        };
        for database in &self.databases {
            counts.extend(self.probes_in_database(database));
        }
        for file in &self.files {
            counts.extend(self.probes_in_file(file));
        }
        let wrong: Vec<_> = counts.iter().filter(|(_, n)| **n != 1).collect();
        assert!(wrong.is_empty(), "applied other than once: {wrong:?}");
        assert_eq!(
            counts.len(),
            (self.schemas.len() + self.databases.len() + self.files.len()) * versions,
            "tenant versions with an effect"
        );
    }
}

/// Runs plain SQL on a SQLite file.
#[track_caller]
pub(crate) fn sqlite(path: &Path, sql: &str) -> String {
    let output = Command::new("sqlite3")
        .arg(path)
        .arg(sql)
        .output()
        .expect("sqlite3 is installed; scripts/test installs it");
    assert!(
        output.status.success(),
        "sqlite3 {}: {}",
        path.display(),
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// The last line of an output as JSON.
#[track_caller]
pub(crate) fn last_json(stdout: &str) -> Value {
    let line = stdout.lines().last().unwrap_or_default();
    serde_json::from_str(line)
        .unwrap_or_else(|error| panic!("{error} in the last line of: {stdout}"))
}

fn parse_counts(text: &str) -> BTreeMap<(String, String), u64> {
    text.lines()
        .filter(|line| !line.trim().is_empty())
        .map(|line| {
            let words: Vec<_> = line.split_whitespace().collect();
            (
                (words[0].to_owned(), words[1].to_owned()),
                words[2].parse().unwrap(),
            )
        })
        .collect()
}
