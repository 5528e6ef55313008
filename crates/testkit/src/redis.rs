//! Redis for tests.

mod client;
mod sentinels;

use std::env;
use std::path::PathBuf;
use std::process::Command;
use std::sync::OnceLock;

use rustix::process::Signal;

use crate::certificates::Signed;
use crate::home::Home;
use crate::server::{Kind, Server};
use crate::spawn::{dying_with_parent, on_path, required};

use client::{Client, answers};
pub use sentinels::Sentinels;

/// Says where the run's shared server is.
const SHARED: &str = "SANDERLING_TEST_REDIS";

/// A Redis server of this run (shared) or of one test (private; killed on drop). It never writes to disk.
pub struct Redis {
    url: String,
    client: Client,
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
            Ok(url) if !url.is_empty() => Self {
                client: Client::at(&url),
                url,
                server: None,
            },
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
        Self::start(None, settings)
    }

    /// A private server that speaks TLS only and shows this certificate, with further settings. Whoever connects need
    /// not show one, unless `("tls-auth-clients", "yes")` says so.
    ///
    /// # Panics
    /// As [`Redis::private_with`].
    pub fn private_tls(certificate: &Signed, settings: &[(&str, &str)]) -> Self {
        Self::start(Some(certificate), settings)
    }

    fn start(certificate: Option<&Signed>, settings: &[(&str, &str)]) -> Self {
        let home = Home::create().expect("a directory for Redis can be made");
        let kind = RedisServer {
            program: program(),
            directory: home.path().to_path_buf(),
            listens: Listens::by(certificate),
            settings: settings
                .iter()
                .flat_map(|(key, value)| [format!("--{key}"), (*value).to_owned()])
                .collect(),
        };
        let server = Server::start(Box::new(kind), home);
        let scheme = if certificate.is_some() {
            "rediss"
        } else {
            "redis"
        };
        Self {
            url: format!("{scheme}://127.0.0.1:{}", server.port()),
            client: Client::of(server.port(), certificate),
            server: Some(server),
        }
    }

    /// `redis://127.0.0.1:PORT`, or `rediss://…`.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Runs one command through `redis-cli` and returns what it prints, for example `&["FLUSHALL"]`.
    ///
    /// # Panics
    /// When `redis-cli` is missing or the command fails.
    pub fn command(&self, words: &[&str]) -> String {
        self.client
            .run(words)
            .unwrap_or_else(|said| panic!("redis-cli {words:?}: {said}"))
    }

    /// The port of a private server.
    ///
    /// # Panics
    /// As [`Redis::pid`].
    pub fn port(&self) -> u16 {
        self.own().port()
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

/// Where Redis's server is.
fn program() -> PathBuf {
    on_path("redis-server")
        .or_else(|| on_path("valkey-server"))
        .unwrap_or_else(|| required("redis-server", "redis-server"))
}

struct RedisServer {
    program: PathBuf,
    directory: PathBuf,
    listens: Listens,
    settings: Vec<String>,
}

impl Kind for RedisServer {
    fn name(&self) -> &'static str {
        "Redis"
    }

    fn command(&self, port: u16) -> Command {
        let mut command = dying_with_parent(&self.program);
        command
            .args(self.listens.arguments(port))
            .args(["--save", "", "--appendonly", "no", "--daemonize", "no"])
            .arg("--dir")
            .arg(&self.directory)
            .args(&self.settings);
        command
    }

    fn ready(&self, _pid: u32, port: u16) -> bool {
        answers(port, self.listens.certificate.as_ref())
    }
}

/// On which port, in the clear or by TLS.
struct Listens {
    certificate: Option<Signed>,
}

impl Listens {
    fn by(certificate: Option<&Signed>) -> Self {
        Self {
            certificate: certificate.cloned(),
        }
    }

    fn settings(&self, port: u16) -> Vec<(&'static str, String)> {
        let mut settings = vec![("bind", "127.0.0.1".to_owned())];
        match &self.certificate {
            None => settings.push(("port", port.to_string())),
            Some(certificate) => settings.extend([
                ("port", "0".to_owned()),
                ("tls-port", port.to_string()),
                ("tls-cert-file", certificate.cert.display().to_string()),
                ("tls-key-file", certificate.key.display().to_string()),
                ("tls-ca-cert-file", certificate.ca.display().to_string()),
                ("tls-auth-clients", "no".to_owned()),
                ("tls-replication", "yes".to_owned()),
            ]),
        }
        settings
    }

    /// As arguments of a command.
    fn arguments(&self, port: u16) -> impl Iterator<Item = String> {
        let of = |(key, value)| [format!("--{key}"), value];
        self.settings(port).into_iter().flat_map(of)
    }

    /// As lines of a file.
    fn lines(&self, port: u16) -> String {
        let line = |(key, value): (&str, String)| format!("{key} {value}\n");
        self.settings(port).into_iter().map(line).collect()
    }
}
