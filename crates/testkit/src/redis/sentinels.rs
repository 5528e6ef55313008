//! A Redis master with two replicas, and three sentinels that promote one of them when the master is gone.

use std::fs;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use super::{Client, Listens, Redis, answers, program};
use crate::certificates::Signed;
use crate::home::Home;
use crate::server::{Kind, Server};
use crate::spawn::dying_with_parent;
use crate::until;

/// Servers that have to find each other, on a loaded machine.
const SETTLED: Duration = Duration::from_secs(60);
/// The name that the sentinels know the master by.
const MASTER: &str = "main";

/// A set of one test; all of it is killed on drop.
pub struct Sentinels {
    servers: Vec<Redis>,
    sentinels: Vec<Sentinel>,
    tls: bool,
}

struct Sentinel {
    server: Server,
    client: Client,
}

impl Sentinels {
    /// Starts a set, and waits until a failover would succeed.
    ///
    /// # Panics
    /// When Redis is not installed, or the set does not settle.
    pub fn start() -> Self {
        Self::with(None)
    }

    /// The same, where everybody speaks TLS and shows this certificate.
    ///
    /// # Panics
    /// As [`Sentinels::start`].
    pub fn start_tls(certificate: &Signed) -> Self {
        Self::with(Some(certificate))
    }

    fn with(certificate: Option<&Signed>) -> Self {
        let server = || match certificate {
            Some(certificate) => Redis::private_tls(certificate, &[]),
            None => Redis::private(),
        };
        let servers: Vec<_> = (0..3).map(|_| server()).collect();
        let port = servers[0].port().to_string();
        for replica in &servers[1..] {
            replica.command(&["REPLICAOF", "127.0.0.1", &port]);
        }
        until(SETTLED, "the replicas to follow", || {
            let said = servers[0].command(&["INFO", "replication"]);
            (said.matches("state=online").count() == 2)
                .then_some(())
                .ok_or(said)
        });
        let sentinel = || Sentinel::start(servers[0].port(), certificate);
        let set = Self {
            sentinels: (0..3).map(|_| sentinel()).collect(),
            servers,
            tls: certificate.is_some(),
        };
        for sentinel in &set.sentinels {
            until(SETTLED, "a sentinel to know the others", || {
                let said = sentinel.client.run(&["SENTINEL", "MASTER", MASTER])?;
                let words: Vec<_> = said.lines().collect();
                let knows =
                    |field: &str, value: &str| words.windows(2).any(|pair| pair == [field, value]);
                let all = knows("num-slaves", "2")
                    && knows("num-other-sentinels", "2")
                    && knows("flags", "master");
                all.then_some(()).ok_or(said)
            });
        }
        set
    }

    /// `redis+sentinel://…/main`, or `rediss+sentinel://…/main`.
    pub fn url(&self) -> String {
        let scheme = if self.tls { "rediss" } else { "redis" };
        let sentinels: Vec<_> = self
            .sentinels
            .iter()
            .map(|sentinel| format!("127.0.0.1:{}", sentinel.server.port()))
            .collect();
        format!("{scheme}+sentinel://{}/{MASTER}", sentinels.join(","))
    }

    /// The server that every sentinel names as master; `None` while they do not agree.
    ///
    /// # Panics
    /// When a sentinel does not answer.
    pub fn master(&self) -> Option<&Redis> {
        let named = |sentinel: &Sentinel| {
            let said = sentinel
                .client
                .run(&["SENTINEL", "GET-MASTER-ADDR-BY-NAME", MASTER]);
            let said = said.expect("a sentinel answers");
            said.lines().nth(1)?.parse::<u16>().ok()
        };
        let mut named = self.sentinels.iter().map(named);
        let first = named.next()??;
        named.all(|port| port == Some(first)).then_some(())?;
        self.servers.iter().find(|server| server.port() == first)
    }

    /// Makes each sentinel watch another master as well, at any address.
    ///
    /// # Panics
    /// When a sentinel refuses.
    pub fn watch(&self, name: &str, host: &str, port: u16) {
        for sentinel in &self.sentinels {
            let words = ["SENTINEL", "MONITOR", name, host, &port.to_string(), "2"];
            sentinel
                .client
                .run(&words)
                .expect("a sentinel watches what it is told to");
        }
    }

    /// A server that was a replica when the set was started.
    pub fn replica(&self) -> &Redis {
        &self.servers[1]
    }

    /// Kills the master, and waits until the sentinels have made another of the servers the master, which is returned.
    ///
    /// # Panics
    /// When they do not.
    pub fn fail_over(&self) -> &Redis {
        let old = until(SETTLED, "the sentinels to agree", || {
            self.master().ok_or("they do not agree")
        });
        old.kill();
        self.promoted(old)
    }

    /// Waits until a server other than `old` is master.
    ///
    /// # Panics
    /// When none is.
    pub fn promoted(&self, old: &Redis) -> &Redis {
        until(SETTLED, "a replica to be promoted", || {
            let master = self.master().filter(|master| master.port() != old.port());
            master.ok_or("the sentinels name no other master")
        })
    }
}

impl Sentinel {
    fn start(master: u16, certificate: Option<&Signed>) -> Self {
        let home = Home::create().expect("a directory for a sentinel can be made");
        let kind = SentinelServer {
            program: program(),
            directory: home.path().to_path_buf(),
            master,
            listens: Listens::by(certificate),
        };
        let server = Server::start(Box::new(kind), home);
        let client = Client::of(server.port(), certificate);
        Self { server, client }
    }
}

struct SentinelServer {
    program: PathBuf,
    directory: PathBuf,
    master: u16,
    listens: Listens,
}

impl Kind for SentinelServer {
    fn name(&self) -> &'static str {
        "a sentinel"
    }

    fn command(&self, port: u16) -> Command {
        // A sentinel writes what it learns into its configuration.
        let file = self.directory.join("sentinel.conf");
        let text = format!(
            "{}dir {}\nsentinel monitor {MASTER} 127.0.0.1 {} 2\n\
             sentinel down-after-milliseconds {MASTER} 2000\n\
             sentinel failover-timeout {MASTER} 4000\n",
            self.listens.lines(port),
            self.directory.display(),
            self.master,
        );
        fs::write(&file, text).expect("the sentinel's directory is writable");
        let mut command = dying_with_parent(&self.program);
        command.arg(file).arg("--sentinel");
        command
    }

    fn ready(&self, _pid: u32, port: u16) -> bool {
        answers(port, self.listens.certificate.as_ref())
    }
}
