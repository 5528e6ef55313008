//! PostgreSQL for tests.

mod install;

use std::env;
use std::fs;
use std::io::{Seek, Write};
use std::net::TcpStream;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::OnceLock;

use rustix::process::Signal;

use crate::home::Home;
use crate::names::unique;
use crate::server::{Kind, Server};
use install::Install;

/// Longer texts go to `psql` by a file.
const LONGEST_ARGUMENT: usize = 100_000;

/// Says where the run's shared server is.
const SHARED: &str = "SANDERLING_TEST_POSTGRES";

/// Commit works as in production; what is left out only matters when the machine loses power.
const SETTINGS: &[(&str, &str)] = &[
    ("listen_addresses", "127.0.0.1"),
    ("fsync", "off"),
    ("full_page_writes", "off"),
    ("max_connections", "300"),
    ("shared_buffers", "32MB"),
    ("max_wal_size", "1GB"),
    ("checkpoint_timeout", "1h"),
    ("log_timezone", "UTC"),
    ("timezone", "UTC"),
    ("logging_collector", "off"),
];

/// A PostgreSQL server of this run (shared) or of one test (private; killed and removed on drop).
pub struct Postgres {
    url: String,
    server: Option<Server>,
}

impl Postgres {
    /// The server that all tests of this run share: `SANDERLING_TEST_POSTGRES`, else one that this process
    /// starts once and that ends with it. Each test makes its own database.
    ///
    /// # Panics
    /// When PostgreSQL is not installed or does not start.
    pub fn shared() -> &'static Self {
        static SERVER: OnceLock<Postgres> = OnceLock::new();
        SERVER.get_or_init(|| match env::var(SHARED) {
            Ok(url) if !url.is_empty() => Self { url, server: None },
            _ => Self::private(),
        })
    }

    /// A server for one test, which may break it.
    ///
    /// # Panics
    /// When PostgreSQL is not installed or does not start.
    pub fn private() -> Self {
        Self::private_with(&[])
    }

    /// [`Postgres::private`] with further server settings, for example `("log_statement", "all")`.
    ///
    /// # Panics
    /// As [`Postgres::private`]; also when a setting is refused.
    pub fn private_with(settings: &[(&str, &str)]) -> Self {
        let install = Install::find();
        let home = Home::create().expect("a directory for PostgreSQL can be made");
        install.furnish(home.path());
        let mut all = SETTINGS.to_vec();
        all.extend_from_slice(settings);
        let kind = Postmaster {
            data: home.path().join("data"),
            sockets: home.path().join("sockets"),
            settings: all.iter().map(|(k, v)| format!("{k}={v}")).collect(),
            install,
        };
        let server = Server::start(Box::new(kind), home);
        Self {
            url: format!("postgres://postgres@127.0.0.1:{}/postgres", server.port()),
            server: Some(server),
        }
    }

    /// The superuser's URL of database `postgres`.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// The superuser's URL of another database of this server.
    pub fn url_of(&self, database: &str) -> String {
        let (server, _) = self
            .url
            .rsplit_once('/')
            .expect("the URL of a test server ends with a database");
        format!("{server}/{database}")
    }

    /// The port of the server, which listens on 127.0.0.1.
    pub(crate) fn port(&self) -> u16 {
        let authority = self.url.rsplit_once('/').map_or("", |(before, _)| before);
        authority
            .rsplit_once(':')
            .and_then(|(_, port)| port.parse().ok())
            .expect("the URL of a test server names its port")
    }

    /// Makes an empty database with a unique name and returns its URL.
    ///
    /// # Panics
    /// When the server refuses.
    pub fn create_database(&self) -> String {
        let name = unique("test");
        self.sql(&self.url, &format!("CREATE DATABASE {name}"));
        self.url_of(&name)
    }

    /// Runs SQL through `psql` and returns its rows: `|` between columns, a line per row, no headings.
    ///
    /// # Panics
    /// On the first error, with what the server said.
    pub fn sql(&self, url: &str, statements: &str) -> String {
        self.try_sql(url, statements)
            .unwrap_or_else(|said| panic!("psql: {said}\nin: {statements}"))
    }

    /// [`Postgres::sql`], giving what the server said on the first error.
    ///
    /// # Errors
    /// The text that `psql` wrote to stderr.
    pub fn try_sql(&self, url: &str, statements: &str) -> Result<String, String> {
        let mut psql = Command::new(install::psql());
        psql.args(["-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1", "-d", url]);
        // Linux takes no argument of 128 KiB or more; a text from a file is as good for all but several statements.
        let output = if statements.len() < LONGEST_ARGUMENT {
            psql.args(["-c", statements]).stdin(Stdio::null()).output()
        } else {
            let mut text = tempfile::tempfile().map_err(|error| error.to_string())?;
            text.write_all(statements.as_bytes())
                .and_then(|()| text.rewind())
                .map_err(|error| error.to_string())?;
            psql.args(["-f", "-"]).stdin(text).output()
        };
        let output = output.map_err(|error| error.to_string())?;
        if output.status.success() {
            Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
        } else {
            Err(String::from_utf8_lossy(&output.stderr).trim().to_owned())
        }
    }

    /// The process id of the postmaster of a private server.
    ///
    /// # Panics
    /// When the server is shared: other tests use it, so it is not for signals.
    pub fn pid(&self) -> u32 {
        self.own().pid()
    }

    /// What a private server writes to its log.
    ///
    /// # Panics
    /// As [`Postgres::pid`].
    pub fn log_path(&self) -> PathBuf {
        self.own().log_path()
    }

    /// The data directory of a private server: for what a test does to it while it is down.
    ///
    /// # Panics
    /// As [`Postgres::pid`].
    pub fn data_path(&self) -> PathBuf {
        self.own().home_path().join("data")
    }

    /// Freezes a private server and its sessions (SIGSTOP).
    ///
    /// # Panics
    /// As [`Postgres::pid`].
    pub fn stop(&self) {
        self.own().signal(Signal::STOP);
    }

    /// Thaws what [`Postgres::stop`] froze (SIGCONT).
    ///
    /// # Panics
    /// As [`Postgres::pid`].
    pub fn cont(&self) {
        self.own().signal(Signal::CONT);
    }

    /// Kills a private server (SIGKILL) and waits for its end.
    ///
    /// # Panics
    /// As [`Postgres::pid`].
    pub fn kill(&self) {
        self.own().kill();
    }

    /// Kills a private server and starts it again: same port, same data, as after a crash.
    ///
    /// # Panics
    /// As [`Postgres::pid`]; also when it does not come up again.
    pub fn restart(&self) {
        self.own().restart();
    }

    fn own(&self) -> &Server {
        self.server
            .as_ref()
            .expect("this server is shared by the whole run; use Postgres::private() to signal one")
    }
}

struct Postmaster {
    install: Install,
    data: PathBuf,
    sockets: PathBuf,
    settings: Vec<String>,
}

impl Kind for Postmaster {
    fn name(&self) -> &'static str {
        "PostgreSQL"
    }

    fn command(&self, port: u16) -> Command {
        let mut command = self.install.run("postgres");
        command
            .args(["-p", &port.to_string()])
            .arg("-D")
            .arg(&self.data)
            .arg("-k")
            .arg(&self.sockets);
        for setting in &self.settings {
            command.args(["-c", setting]);
        }
        command
    }

    /// The eighth line of `postmaster.pid` says so; the first tells it from a killed predecessor's.
    fn ready(&self, pid: u32, port: u16) -> bool {
        let Ok(text) = fs::read_to_string(self.data.join("postmaster.pid")) else {
            return false;
        };
        let lines: Vec<_> = text.lines().map(str::trim).collect();
        lines.first().and_then(|line| line.parse().ok()) == Some(pid)
            && lines.get(7) == Some(&"ready")
            && TcpStream::connect(("127.0.0.1", port)).is_ok()
    }
}
