//! PgBouncer for tests.

use std::fs;
use std::net::TcpStream;
use std::path::PathBuf;
use std::process::Command;

use rustix::process::getuid;

use crate::Postgres;
use crate::home::Home;
use crate::server::{Kind, Server};
use crate::spawn::{dying_with_parent, dying_with_parent_as, is_file, missing, on_path};

/// PgBouncer refuses to run as root; then it runs as the user that PostgreSQL's package made.
const USER: &str = "postgres";

/// A pooler in front of a PostgreSQL server, for one test; killed on drop. Whoever comes is the superuser there.
pub struct Pgbouncer {
    server: Server,
}

impl Pgbouncer {
    /// A pooler with PgBouncer's defaults and this `pool_mode`: `session`, `transaction` or `statement`.
    ///
    /// # Panics
    /// When PgBouncer is not installed or does not start.
    pub fn before(postgres: &Postgres, pool_mode: &str) -> Self {
        Self::before_with(postgres, pool_mode, &[])
    }

    /// [`Pgbouncer::before`] with further settings, for example `("ignore_startup_parameters", "options")`.
    ///
    /// # Panics
    /// As [`Pgbouncer::before`]; also when a setting is refused.
    pub fn before_with(postgres: &Postgres, pool_mode: &str, settings: &[(&str, &str)]) -> Self {
        let home = Home::create().expect("a directory for PgBouncer can be made");
        let mut lines = format!(
            "pool_mode = {pool_mode}\nauth_type = any\nlisten_addr = 127.0.0.1\nunix_socket_dir =\n"
        );
        for (name, value) in settings {
            lines.push_str(&format!("{name} = {value}\n"));
        }
        let kind = Bouncer {
            program: program(),
            upstream: postgres.port(),
            config: home.path().join("pgbouncer.ini"),
            lines,
        };
        Self {
            server: Server::start(Box::new(kind), home),
        }
    }

    /// A URL of the server in front of which it stands, through the pooler.
    ///
    /// # Panics
    /// When it is no URL of a server on a port.
    pub fn url_of(&self, direct: &str) -> String {
        let (before, after) = direct.rsplit_once('/').expect("a URL ends with a database");
        let (before, _) = before.rsplit_once(':').expect("a URL names a port");
        format!("{before}:{}/{after}", self.server.port())
    }

    /// What it writes to its log.
    pub fn log_path(&self) -> PathBuf {
        self.server.log_path()
    }
}

/// Debian keeps it where a user's PATH does not lead.
fn program() -> PathBuf {
    let debians = PathBuf::from("/usr/sbin/pgbouncer");
    if is_file(&debians) {
        return debians;
    }
    on_path("pgbouncer").unwrap_or_else(|| missing("pgbouncer", "pgbouncer"))
}

struct Bouncer {
    program: PathBuf,
    upstream: u16,
    config: PathBuf,
    lines: String,
}

impl Kind for Bouncer {
    fn name(&self) -> &'static str {
        "PgBouncer"
    }

    fn command(&self, port: u16) -> Command {
        let text = format!(
            "[databases]\n* = host=127.0.0.1 port={} user=postgres\n[pgbouncer]\nlisten_port = {port}\n{}",
            self.upstream, self.lines
        );
        fs::write(&self.config, text).expect("the pooler's directory is writable");
        let mut command = if getuid().is_root() {
            dying_with_parent_as(USER, &self.program)
        } else {
            dying_with_parent(&self.program)
        };
        command.arg(&self.config);
        command
    }

    fn ready(&self, _pid: u32, port: u16) -> bool {
        TcpStream::connect(("127.0.0.1", port)).is_ok()
    }
}
