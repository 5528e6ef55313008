//! Which server, and how to speak of it without its password.

use std::time::{Duration, Instant};

use redis::aio::MultiplexedConnection;
use redis::{Client, ConnectionInfo, IntoConnectionInfo, ProtocolVersion, RedisError, RedisResult};

use crate::connect::Pong;
use crate::port::ClaimsError;

/// A server that has been named, not yet asked.
#[derive(Clone)]
pub(crate) struct Server {
    client: Client,
    /// `redis://host:port`, without credentials.
    shown: String,
    password: String,
}

impl Server {
    pub(crate) fn parse(url: &str) -> Result<Self, ClaimsError> {
        let scheme = url.split_once("://").map_or("redis", |(scheme, _)| scheme);
        // The parser's own words may quote the URL, and so the password.
        let unclear = |_: RedisError| ClaimsError {
            url: format!("{scheme}://…"),
            message: "claims.url is not understood; it has the form \
                      redis://[user:password@]host[:port][/database], with reserved characters \
                      of the password written as %XX"
                .to_owned(),
        };
        let info: ConnectionInfo = url.into_connection_info().map_err(unclear)?;
        let password = info.redis_settings().password().unwrap_or("").to_owned();
        let shown = format!("{scheme}://{}", info.addr());
        // RESP3 lets the client notice a connection that was closed while nothing was sent.
        let settings = info
            .redis_settings()
            .clone()
            .set_protocol(ProtocolVersion::RESP3);
        if scheme == "rediss" && rustls::crypto::CryptoProvider::get_default().is_none() {
            // Somebody else may install one at the same moment, which does as well.
            let _ = rustls::crypto::ring::default_provider().install_default();
        }
        let client = Client::open(info.set_redis_settings(settings)).map_err(unclear)?;
        Ok(Self {
            client,
            shown,
            password,
        })
    }

    pub(super) fn client(&self) -> &Client {
        &self.client
    }

    pub(super) fn shown(&self) -> &str {
        &self.shown
    }

    /// An error about this server; a password that the server echoes is cut out.
    pub(super) fn error(&self, message: impl ToString) -> ClaimsError {
        let message = message.to_string();
        let message = match self.password.as_str() {
            "" => message,
            password => message.replace(password, "***"),
        };
        ClaimsError {
            url: self.shown.clone(),
            message,
        }
    }

    /// Asks for the server's name and version over a connection of its own.
    pub(crate) async fn ping(&self, patience: Duration) -> Result<Pong, ClaimsError> {
        let asked = async {
            let mut connection = self.fresh().await?;
            let start = Instant::now();
            let info: String = redis::cmd("INFO")
                .arg("server")
                .query_async(&mut connection)
                .await?;
            let took = start.elapsed();
            // Who may not ask this is not told.
            let memory: RedisResult<String> = redis::cmd("INFO")
                .arg("memory")
                .query_async(&mut connection)
                .await;
            Ok((info, took, memory.unwrap_or_default()))
        };
        let (info, round_trip, memory) = self
            .within(patience, asked)
            .await?
            .map_err(|error| self.error(error))?;
        Ok(Pong {
            server: named(&info),
            round_trip,
            evicts_by: evicts_by(&memory),
        })
    }

    /// Ok once the server answers anything at all over a connection of its own: what it refuses, it refuses at once.
    pub(super) async fn probe(&self, patience: Duration) -> Result<(), ClaimsError> {
        let asked = async {
            let mut connection = self.fresh().await?;
            redis::cmd("PING").exec_async(&mut connection).await
        };
        match self.within(patience, asked).await? {
            Err(error) if error.is_io_error() => Err(self.error(error)),
            Ok(()) | Err(_) => Ok(()),
        }
    }

    /// A connection without bounds in time: the caller sets one for the whole, in place of the client's for its parts.
    async fn fresh(&self) -> RedisResult<MultiplexedConnection> {
        let config = redis::AsyncConnectionConfig::new()
            .set_connection_timeout(None)
            .set_response_timeout(None);
        self.client
            .get_multiplexed_async_connection_with_config(&config)
            .await
    }

    async fn within<T>(
        &self,
        patience: Duration,
        asked: impl Future<Output = RedisResult<T>>,
    ) -> Result<RedisResult<T>, ClaimsError> {
        tokio::time::timeout(patience, asked)
            .await
            .map_err(|_| self.error(format!("no answer within {patience:?}")))
    }
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
        let server = Server::parse("redis://ops:hunter2@redis.internal:6380/3").unwrap();
        assert_eq!(server.shown(), "redis://redis.internal:6380");
        let said = server.error("hunter2 is not the password").to_string();
        assert_eq!(
            said,
            "claims at redis://redis.internal:6380: *** is not the password"
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
