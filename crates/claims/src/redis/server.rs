//! Which server, and how to speak of it without its passwords.

use std::time::{Duration, Instant};

use redis::aio::MultiplexedConnection;
use redis::{AsyncConnectionConfig, Client, RedisResult};

use super::address::{self, Address, Parsed};
use super::trouble::{Failure, Trouble};
use crate::access::Access;
use crate::connect::Pong;
use crate::port::ClaimsError;

/// A server that has been named, not yet asked.
#[derive(Clone)]
pub(crate) struct Server {
    address: Address,
    access: Access,
    /// `redis://host:port`, without credentials.
    shown: String,
    passwords: Vec<String>,
    tls: bool,
}

impl Server {
    pub(crate) fn parse(url: &str, access: &Access) -> Result<Self, ClaimsError> {
        let Parsed {
            address,
            shown,
            passwords,
            tls,
        } = address::parse(url)?;
        if tls && rustls::crypto::CryptoProvider::get_default().is_none() {
            // Somebody else may install one at the same moment, which does as well.
            let _ = rustls::crypto::ring::default_provider().install_default();
        }
        let server = Self {
            address,
            access: access.clone(),
            shown,
            passwords,
            tls,
        };
        // What is wrong with the settings is said now, not with the first call.
        let named: Vec<_> = match &server.address {
            Address::One(info) => vec![info.as_ref()],
            Address::Sentinels(sentinels) => sentinels.nodes.iter().collect(),
        };
        for info in named {
            access
                .client(info.clone())
                .map_err(|wrong| server.error(wrong))?;
        }
        Ok(server)
    }

    pub(super) fn shown(&self) -> &str {
        &self.shown
    }

    /// An error about this server; a password that the server echoes is cut out.
    pub(super) fn error(&self, message: impl ToString) -> ClaimsError {
        let message = self
            .passwords
            .iter()
            .fold(message.to_string(), |message, password| {
                message.replace(password, "***")
            });
        ClaimsError {
            url: self.shown.clone(),
            message,
        }
    }

    /// The error that a call ends with.
    pub(super) fn failed(&self, trouble: &Trouble) -> ClaimsError {
        match trouble.failure {
            // Redis takes the beginning of a handshake for a command that is not complete yet.
            Failure::Silent if self.tls => self.error(format!(
                "{trouble} (over TLS: a port that speaks no TLS is silent like this)"
            )),
            _ => self.error(trouble),
        }
    }

    /// A connection to the server that is master now, made by `config`. Where sentinels are asked for it, each may take
    /// half of `patience`; the rest is bounded by `config` and by the caller.
    pub(super) async fn connect(
        &self,
        config: &AsyncConnectionConfig,
        patience: Duration,
    ) -> Result<MultiplexedConnection, Trouble> {
        Ok(self.reach(config, patience).await?.1)
    }

    /// A client of the server that is master now, for connections of another kind. The caller bounds the time.
    pub(super) async fn client(&self, patience: Duration) -> Result<Client, Trouble> {
        match &self.address {
            Address::One(info) => self.access.client(*info.clone()).map_err(Trouble::broken),
            Address::Sentinels(_) => Ok(self.reach(&unbounded(), patience).await?.0),
        }
    }

    async fn reach(
        &self,
        config: &AsyncConnectionConfig,
        patience: Duration,
    ) -> Result<(Client, MultiplexedConnection), Trouble> {
        match &self.address {
            Address::One(info) => {
                let client = self.access.client(*info.clone()).map_err(Trouble::broken)?;
                let connection = client
                    .get_multiplexed_async_connection_with_config(config)
                    .await?;
                Ok((client, connection))
            }
            Address::Sentinels(sentinels) => {
                let master = sentinels.master(&self.access, config, patience).await?;
                Ok((master.client, master.connection))
            }
        }
    }

    /// Asks for the server's name and version over a connection of its own.
    pub(crate) async fn ping(&self, patience: Duration) -> Result<Pong, ClaimsError> {
        let asked = async {
            let (client, mut connection) = self.reach(&unbounded(), patience).await?;
            let start = Instant::now();
            let pong: RedisResult<()> = redis::cmd("PING").query_async(&mut connection).await;
            pong?;
            let took = start.elapsed();
            // Who may not ask these is not told.
            let mut info = async |about: &str| -> String {
                let told: RedisResult<String> = redis::cmd("INFO")
                    .arg(about)
                    .query_async(&mut connection)
                    .await;
                told.unwrap_or_default()
            };
            let pong = Pong {
                server: named(&info("server").await),
                at: match &self.address {
                    Address::One(_) => None,
                    Address::Sentinels(_) => {
                        Some(address::shown(client.get_connection_info().addr()))
                    }
                },
                round_trip: took,
                evicts_by: evicts_by(&info("memory").await),
            };
            Ok(pong)
        };
        self.within(patience, asked)
            .await
            .map_err(|trouble| self.failed(&trouble))
    }

    /// Ok once the server answers anything at all over a connection of its own: what it refuses, it refuses at once.
    pub(super) async fn probe(&self, patience: Duration) -> Result<(), ClaimsError> {
        let asked = async {
            let mut connection = self.connect(&unbounded(), patience).await?;
            Ok(redis::cmd("PING").exec_async(&mut connection).await?)
        };
        match self.within(patience, asked).await {
            Err(trouble) if trouble.failure != Failure::Refused => Err(self.failed(&trouble)),
            Ok(()) | Err(_) => Ok(()),
        }
    }

    async fn within<T>(
        &self,
        patience: Duration,
        asked: impl Future<Output = Result<T, Trouble>>,
    ) -> Result<T, Trouble> {
        let answer = tokio::time::timeout(patience, asked).await;
        answer.unwrap_or_else(|_| Err(Trouble::silent(patience)))
    }
}

/// Without bounds in time: the caller sets one for the whole, in place of the client's for its parts.
fn unbounded() -> AsyncConnectionConfig {
    AsyncConnectionConfig::new()
        .set_connection_timeout(None)
        .set_response_timeout(None)
}

/// A field of an `INFO` text.
fn field<'a>(info: &'a str, name: &str) -> Option<&'a str> {
    info.lines()
        .find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))
        .map(str::trim)
}

/// By which policy keys are dropped, from the `INFO memory` text. Without a limit none ever are.
fn evicts_by(info: &str) -> Option<String> {
    let policy = field(info, "maxmemory_policy")?;
    let limited = field(info, "maxmemory").is_some_and(|bytes| bytes != "0");
    (limited && policy != "noeviction").then(|| policy.to_owned())
}

/// The server's name and version from its `INFO server` text.
fn named(info: &str) -> String {
    match (field(info, "valkey_version"), field(info, "redis_version")) {
        (Some(version), _) => format!("valkey {version}"),
        (None, Some(version)) => format!("redis {version}"),
        (None, None) => "a server that does not tell its version".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_is_shown_without_its_credentials() {
        let server = Server::parse(
            "rediss://ops:hunter2@redis.internal:6380/3",
            &Access::default(),
        )
        .unwrap();
        assert_eq!(server.shown(), "rediss://redis.internal:6380");
        let said = server.error("hunter2 is not the password").to_string();
        assert_eq!(
            said,
            "claims at rediss://redis.internal:6380: *** is not the password"
        );
    }

    #[test]
    fn only_a_server_with_a_limit_and_a_policy_drops_keys() {
        for (limit, policy, evicts) in [
            ("0", "allkeys-lru", false),
            ("1048576", "noeviction", false),
            ("1048576", "volatile-ttl", true),
        ] {
            let info = format!("maxmemory:{limit}\r\nmaxmemory_policy:{policy}\r\n");
            assert_eq!(evicts_by(&info), evicts.then(|| policy.to_owned()));
        }
        assert_eq!(evicts_by(""), None);
    }

    #[test]
    fn versions_are_read_from_the_servers_words() {
        assert_eq!(
            named("# Server\r\nredis_version:7.0.15\r\n"),
            "redis 7.0.15"
        );
        assert_eq!(
            named("redis_version:7.2.4\r\nvalkey_version:9.1.2\r\n"),
            "valkey 9.1.2"
        );
    }
}
