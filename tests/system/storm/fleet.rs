//! The fleet of the storm, its servers and its processes.

use std::process::Command;
use std::sync::Arc;

use sanderling_testkit::{Postgres, Process, Redis, until};
use serde_json::json;

use crate::fleet::{DEADLINE, Fleet, last_json};

/// Versions that every tenant is taken through.
pub(super) const VERSIONS: usize = 8;
/// Connections to the PostgreSQL host, as `Fleet` configures them.
pub(super) const BUDGET: usize = 24;
/// The version that builds an index CONCURRENTLY where there is such a thing.
const INDEXED: usize = 5;

/// How many tenants of each kind.
#[derive(Clone, Copy, Debug)]
pub(super) struct Size {
    pub(super) schemas: usize,
    pub(super) databases: usize,
    pub(super) files: usize,
}

impl Size {
    /// `SANDERLING_STORM=2000,100,100`, or what every run of the tests can afford.
    pub(super) fn wanted() -> Self {
        let words = std::env::var("SANDERLING_STORM").unwrap_or_else(|_| "160,8,8".into());
        let sizes: Vec<usize> = words.split(',').map(|n| n.parse().unwrap()).collect();
        let [schemas, databases, files] = sizes[..] else {
            panic!("SANDERLING_STORM={words}: write schemas,databases,files");
        };
        Self {
            schemas,
            databases,
            files,
        }
    }

    pub(super) fn tenants(self) -> usize {
        self.schemas + self.databases + self.files
    }
}

/// Servers of its own, two configurations of one fleet (a bundle for each engine), coordinators and workers.
pub(super) struct Storm {
    pub(super) fleet: Fleet,
    pub(super) size: Size,
    pub(super) postgres: Postgres,
    pub(super) redis: Arc<Redis>,
    pub(super) coordinators: Vec<Process>,
    pub(super) workers: Vec<Process>,
    pub(super) strikes: u32,
}

impl Storm {
    pub(super) fn prepared(size: Size) -> Self {
        // Crashes are part of it: what was committed must be there afterwards, so the log is written for real.
        let postgres = Postgres::private_with(&[("max_connections", "200")]);
        let redis = Redis::private();
        let fleet = Fleet::cluster(&postgres, &redis)
            .schemas(size.schemas)
            .databases(size.databases)
            .files(size.files)
            .rollout("[[rollout.waves]]\nname = \"canary\"\ncount = 5\n[[rollout.waves]]\nname = \"rest\"\nrest = true")
            // A tenant may be in hand whenever a worker is struck; by default a fourth time is one too many.
            .settings("[retry.worker_lost]\nattempts = 12")
            .written();
        let config = std::fs::read_to_string(fleet.path("sanderling.toml")).unwrap();
        let other = config.replace("migrations = \"migrations\"", "migrations = \"for-files\"");
        assert_ne!(config, other);
        fleet.write("files.toml", other);
        for n in 1..=VERSIONS {
            let up = body(n);
            let (header, alone) = if n == INDEXED {
                ("-- sanderling: transaction=off\n", "CONCURRENTLY ")
            } else {
                ("", "")
            };
            let write = |directory: &str, header: &str, alone: &str| {
                let up = up.replace("{concurrently}", alone);
                let text = format!(
                    "{header}-- +migrate Up\n{up}\n-- +migrate Down\nDROP TABLE things_{n};\n"
                );
                fleet.write(&format!("{directory}/{n:04}_step.sql"), text);
            };
            write("migrations", header, alone);
            write("for-files", "", "");
        }
        Self {
            fleet,
            size,
            postgres,
            redis: Arc::new(redis),
            coordinators: Vec::new(),
            workers: Vec::new(),
            strikes: 0,
        }
    }

    pub(super) fn start(&mut self) {
        self.coordinators = (0..2).map(|_| self.fleet.spawn(&["coordinator"])).collect();
        self.workers = (0..3).map(|_| self.fleet.spawn(&["worker"])).collect();
    }

    pub(super) fn up(&self, tenants: &str, config: &str) -> Process {
        Process::spawn(self.command(config, &["--json", "up", "--yes", "--tenants", tenants]))
    }

    /// Waits until `verify` has nothing to say: what dead processes left is gone soon.
    pub(super) fn verify(&self, tenants: &str, config: &str) {
        until(DEADLINE, "a clean verify", || {
            let command = self.command(config, &["--json", "verify", "--tenants", tenants]);
            let ended = Process::spawn(command).wait_with_deadline(DEADLINE);
            let verdict = last_json(&ended.stdout);
            (ended.code() == Some(0) && verdict["violations"] == json!([]))
                .then_some(())
                .ok_or(format!("{verdict}"))
        });
    }

    fn command(&self, config: &str, args: &[&str]) -> Command {
        let mut command = Process::command(env!("CARGO_BIN_EXE_sanderling"));
        let config = self.fleet.path(config);
        command.current_dir(config.parent().unwrap());
        command.arg("--config").arg(config).args(args);
        command
    }
}

/// One version: a table of its own, and a row in `probe`, which has no key.
fn body(n: usize) -> String {
    let probe = if n == 1 {
        "CREATE TABLE probe (version integer NOT NULL);\n"
    } else {
        ""
    };
    let index = if n == INDEXED {
        "CREATE INDEX {concurrently}things_1_by_name ON things_1 (name);\n"
    } else {
        ""
    };
    format!(
        "{probe}CREATE TABLE things_{n} (id integer PRIMARY KEY, name text NOT NULL);\n\
         INSERT INTO probe (version) VALUES ({n});\n{index}"
    )
}
