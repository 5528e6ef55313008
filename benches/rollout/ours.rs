//! Sanderling itself, as an operator runs it: the released program, a directory with its files, real servers.

use std::fmt::Write as _;
use std::path::PathBuf;
use std::process::Command;
use std::time::{Duration, Instant};

use sanderling_testkit::{Process, scratch, unique};
use serde_json::Value;
use tempfile::TempDir;

/// A fleet on disk.
pub(crate) struct Ours {
    dir: TempDir,
    name: String,
    processes: Vec<Process>,
}

/// Where its parts live, and how much at a time.
pub(crate) struct Setting<'a> {
    /// The control store.
    pub(crate) control: &'a str,
    /// The claims.
    pub(crate) claims: &'a str,
    /// The tenants' host.
    pub(crate) host: &'a str,
    /// Connections to it, over all workers.
    pub(crate) k: usize,
    /// Targets in flight, over all workers.
    pub(crate) in_flight: usize,
    /// `version` or `tenant`.
    pub(crate) atomic: &'a str,
}

/// What a rollout took.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Took {
    /// From its submission to its end, by the control store's clock, in seconds.
    pub(crate) rollout: f64,
    /// From the start of the process to its end: registry, survey and plan included.
    pub(crate) process: f64,
}

impl Ours {
    /// Writes configuration and registry; `rows` are lines of `id,host,database,schema,file`.
    pub(crate) fn new(setting: &Setting<'_>, rows: &[String]) -> Self {
        let ours = Self {
            dir: scratch(),
            name: unique("b"),
            processes: Vec::new(),
        };
        let Setting {
            control,
            claims,
            host,
            k,
            in_flight,
            atomic,
        } = setting;
        ours.write(
            "sanderling.toml",
            &format!(
                "[fleet]\nname = \"{}\"\nmigrations = \"migrations\"\ntenants = [\"tenants/*.csv\"]\n\
                 [control]\nurl = \"{control}\"\n[claims]\nurl = \"{claims}\"\n[worker]\nslots = {in_flight}\n\
                 [hosts.tenants]\nurl = \"{host}\"\nconnections = {k}\nin_flight = {in_flight}\n\
                 [rollout]\nconcurrency = {in_flight}\natomic = \"{atomic}\"\n\
                 [[rollout.waves]]\nname = \"all\"\nrest = true\n",
                ours.name
            ),
        );
        let mut csv = String::from("id,host,database,schema,file\n");
        for row in rows {
            let _ = writeln!(csv, "{row}");
        }
        ours.write("tenants/fleet.csv", &csv);
        std::fs::create_dir_all(ours.path("migrations")).unwrap();
        ours
    }

    /// Writes the next migration.
    pub(crate) fn migration(&self, version: &str, body: &str) {
        let text = format!("-- +migrate Up\n{body}\n");
        self.write(&format!("migrations/{version}_change.sql"), &text);
    }

    /// Lets what is missing be created.
    pub(crate) fn creating(&self) {
        let toml = std::fs::read_to_string(self.path("sanderling.toml")).unwrap();
        let toml = toml.replacen("[control]", "create_missing = true\n[control]", 1);
        self.write("sanderling.toml", &toml);
    }

    /// The fleet's name.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// What [`Ours::start`] started: the coordinator, then the workers.
    pub(crate) fn processes(&self) -> &[Process] {
        &self.processes
    }

    /// Starts a coordinator and workers, for a cluster.
    pub(crate) fn start(&mut self, workers: usize) {
        self.processes
            .push(Process::spawn(self.command(&["coordinator"])));
        for _ in 0..workers {
            self.processes
                .push(Process::spawn(self.command(&["worker"])));
        }
    }

    /// Takes every tenant to the newest version.
    pub(crate) fn up(&self) -> Took {
        let (summary, process) = self.json(&["up", "--yes"]);
        assert_eq!(summary["state"], "succeeded", "{summary}");
        let millis = summary["duration_ms"].as_u64().unwrap();
        Took {
            rollout: Duration::from_millis(millis).as_secs_f64(),
            process,
        }
    }

    /// Runs a command, and gives the last line as JSON, and the seconds that the process took.
    pub(crate) fn json(&self, args: &[&str]) -> (Value, f64) {
        let mut all = vec!["--json", "--quiet"];
        all.extend(args);
        let begun = Instant::now();
        let status = self.command(&all).stdout(self.out()).status().unwrap();
        let took = begun.elapsed().as_secs_f64();
        let said = std::fs::read_to_string(self.path("out")).unwrap();
        assert!(status.success(), "sanderling {args:?}: {status}\n{said}");
        let line = said.lines().last().unwrap_or_default();
        (serde_json::from_str(line).unwrap(), took)
    }

    fn out(&self) -> std::fs::File {
        std::fs::File::create(self.path("out")).unwrap()
    }

    /// The program with its configuration.
    pub(crate) fn command(&self, args: &[&str]) -> Command {
        let mut command = Process::command(env!("CARGO_BIN_EXE_sanderling"));
        command
            .arg("--config")
            .arg(self.path("sanderling.toml"))
            .args(args)
            .current_dir(self.dir.path());
        command
    }

    /// A path in its directory.
    pub(crate) fn path(&self, path: &str) -> PathBuf {
        self.dir.path().join(path)
    }

    fn write(&self, path: &str, text: &str) {
        let path = self.path(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }
}
