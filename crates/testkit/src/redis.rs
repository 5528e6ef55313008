//! Redis for tests.

use std::env;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::OnceLock;
use std::time::Duration;

use rustix::process::Signal;

use crate::home::Home;
use crate::server::{Kind, Server};
use crate::spawn::{dying_with_parent, on_path, required};

/// Says where the run's shared server is.
const SHARED: &str = "SANDERLING_TEST_REDIS";

/// A Redis server of this run (shared) or of one test (private; killed on drop). It never writes to disk.
pub struct Redis {
    url: String,
    server: Option<Server>,
}

impl Redis {
    /// The server that all tests of this run share: `SANDERLING_TEST_REDIS`, else one that this process
    /// starts once and that ends with it. Each test uses its own fleet name.
    ///
    /// # Panics
    /// When Redis is not installed or does not start.
    pub fn shared() -> &'static Self {
        static SERVER: OnceLock<Redis> = OnceLock::new();
        SERVER.get_or_init(|| match env::var(SHARED) {
            Ok(url) if !url.is_empty() => Self { url, server: None },
            _ => Self::private(),
        })
    }

    /// A server for one test, which may flush, freeze or kill it.
    ///
    /// # Panics
    /// When Redis is not installed or does not start.
    pub fn private() -> Self {
        Self::private_with(&[])
    }

    /// [`Redis::private`] with further settings, for example `("requirepass", "secret")`.
    ///
    /// # Panics
    /// As [`Redis::private`]; also when a setting is refused.
    pub fn private_with(settings: &[(&str, &str)]) -> Self {
        let program = on_path("redis-server")
            .or_else(|| on_path("valkey-server"))
            .unwrap_or_else(|| required("redis-server", "redis-server"));
        let home = Home::create().expect("a directory for Redis can be made");
        let kind = RedisServer {
            program,
            directory: home.path().to_path_buf(),
            settings: settings
                .iter()
                .flat_map(|(key, value)| [format!("--{key}"), (*value).to_owned()])
                .collect(),
        };
        let server = Server::start(Box::new(kind), home);
        Self {
            url: format!("redis://127.0.0.1:{}", server.port()),
            server: Some(server),
        }
    }

    /// `redis://127.0.0.1:PORT`.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Runs one command through `redis-cli` and returns what it prints, for example `&["FLUSHALL"]`.
    ///
    /// # Panics
    /// When `redis-cli` is missing or the command fails.
    pub fn command(&self, words: &[&str]) -> String {
        let client = on_path("redis-cli")
            .or_else(|| on_path("valkey-cli"))
            .unwrap_or_else(|| required("redis-cli", "redis-tools"));
        let output = Command::new(client)
            .args(["-e", "-u", &self.url])
            .args(words)
            .stdin(Stdio::null())
            .output()
            .expect("redis-cli can be started");
        let said = String::from_utf8_lossy(&output.stdout).trim().to_owned();
        assert!(
            output.status.success(),
            "redis-cli {words:?}: {said} {}",
            String::from_utf8_lossy(&output.stderr)
        );
        said
    }

    /// The process id of a private server.
    ///
    /// # Panics
    /// When the server is shared: other tests use it, so it is not for signals.
    pub fn pid(&self) -> u32 {
        self.own().pid()
    }

    /// What a private server writes to its log.
    ///
    /// # Panics
    /// As [`Redis::pid`].
    pub fn log_path(&self) -> PathBuf {
        self.own().log_path()
    }

    /// Freezes a private server (SIGSTOP).
    ///
    /// # Panics
    /// As [`Redis::pid`].
    pub fn stop(&self) {
        self.own().signal(Signal::STOP);
    }

    /// Thaws a frozen server (SIGCONT).
    ///
    /// # Panics
    /// As [`Redis::pid`].
    pub fn cont(&self) {
        self.own().signal(Signal::CONT);
    }

    /// Kills a private server (SIGKILL) and waits for its end.
    ///
    /// # Panics
    /// As [`Redis::pid`].
    pub fn kill(&self) {
        self.own().kill();
    }

    /// Kills a private server and starts it again, empty, on the same port.
    ///
    /// # Panics
    /// As [`Redis::pid`]; also when it does not come up again.
    pub fn restart(&self) {
        self.own().restart();
    }

    fn own(&self) -> &Server {
        self.server
            .as_ref()
            .expect("this server is shared by the whole run; use Redis::private() to signal one")
    }
}

struct RedisServer {
    program: PathBuf,
    directory: PathBuf,
    settings: Vec<String>,
}

impl Kind for RedisServer {
    fn name(&self) -> &'static str {
        "Redis"
    }

    fn command(&self, port: u16) -> Command {
        let mut command = dying_with_parent(&self.program);
        command
            .args(["--port", &port.to_string(), "--bind", "127.0.0.1"])
            .args(["--save", "", "--appendonly", "no", "--daemonize", "no"])
            .arg("--dir")
            .arg(&self.directory)
            .args(&self.settings);
        command
    }

    /// Any answer will do: one that asks for a password is an answer too.
    fn ready(&self, _pid: u32, port: u16) -> bool {
        let answer = || -> std::io::Result<bool> {
            let mut stream = TcpStream::connect(("127.0.0.1", port))?;
            stream.set_read_timeout(Some(Duration::from_secs(1)))?;
            stream.write_all(b"PING\r\n")?;
            let mut first = [0];
            stream.read_exact(&mut first)?;
            Ok(matches!(first, [b'+' | b'-']))
        };
        answer().unwrap_or(false)
    }
}
