//! From a URL to a backend.

use std::sync::Arc;
use std::time::Duration;

use crate::access::Access;
use crate::memory::MemoryClaims;
use crate::metered::Metered;
use crate::port::{Claims, ClaimsError};
use crate::redis::{RedisClaims, Server};

/// What `doctor` says about a claims server that answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pong {
    /// What the server calls itself, for example `redis 7.0.15`; `memory` for the in-process backend.
    pub server: String,
    /// Which server the sentinels led to, as `host:port`; `None` where the URL names the server.
    pub at: Option<String>,
    /// How long the answer took.
    pub round_trip: Duration,
    /// The policy by which the server drops keys when its memory is full; `None` where it drops none, or does not tell.
    pub evicts_by: Option<String>,
}

/// Makes the backend that `url` names, for locks that live `ttl` between renewals, by the default [`Access`].
///
/// Does not wait for a server: one that is away now is used once it is back, until then calls fail. Handles of one
/// fleet share their locks: within the process for `memory://`, else through the server. Call it inside a Tokio
/// runtime.
///
/// # Errors
/// As [`Access::connect`].
pub fn connect(url: &str, fleet: &str, ttl: Duration) -> Result<Arc<dyn Claims>, ClaimsError> {
    Access::default().connect(url, fleet, ttl)
}

/// Asks the server once, by the default [`Access`], waiting for at most `patience`.
///
/// # Errors
/// As [`Access::ping`].
pub async fn ping(url: &str, patience: Duration) -> Result<Pong, ClaimsError> {
    Access::default().ping(url, patience).await
}

pub(crate) fn connect_by(
    access: &Access,
    url: &str,
    fleet: &str,
    ttl: Duration,
) -> Result<Arc<dyn Claims>, ClaimsError> {
    if is_memory(url) {
        let memory = MemoryClaims::of_fleet(fleet);
        return Ok(Arc::new(Metered::new("memory", memory)));
    }
    let redis = RedisClaims::new(server(url, access)?, fleet, ttl);
    Ok(Arc::new(Metered::new("redis", redis)))
}

pub(crate) async fn ping_by(
    access: &Access,
    url: &str,
    patience: Duration,
) -> Result<Pong, ClaimsError> {
    if is_memory(url) {
        return Ok(Pong {
            server: "memory".to_owned(),
            at: None,
            round_trip: Duration::ZERO,
            evicts_by: None,
        });
    }
    server(url, access)?.ping(patience).await
}

fn is_memory(url: &str) -> bool {
    url == "memory:" || url.starts_with("memory://")
}

fn server(url: &str, access: &Access) -> Result<Server, ClaimsError> {
    let scheme = url.split_once("://").map_or("", |(scheme, _)| scheme);
    let refuse = |message: &str| {
        Err(ClaimsError {
            url: format!("{scheme}://…"),
            message: message.to_owned(),
        })
    };
    match scheme {
        "redis" | "rediss" | "redis+unix" | "redis+sentinel" | "rediss+sentinel" => {
            Server::parse(url, access)
        }
        "redis+cluster" | "rediss+cluster" => refuse(
            "Redis Cluster is not supported: a fleet's locks fit into one server; name it, or the sentinels of one",
        ),
        _ => refuse(
            "claims.url is not understood; use memory://, redis://host:port, rediss://host:port, \
             redis+sentinel://host:port,host:port/MASTER_NAME or redis+unix:///path",
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(url: &str) -> String {
        server(url, &Access::default())
            .map(drop)
            .unwrap_err()
            .to_string()
    }

    #[test]
    fn refusals_say_what_would_do_and_keep_the_password() {
        for url in [
            "redis+cluster://u:hunter2@a:1,b:2",
            "redis+sentinel://u:hunter2@a:1,b:2/main",
            "redis://u:hunter2@elsewhere",
            "http://u:hunter2@h",
            "u:hunter2@host",
            "redis://u:hunter2@host:notaport",
            "redis://u:hunter2@host/notanumber",
            "redis://:hunter2@[::1",
        ] {
            let said = refusal(url);
            assert!(!said.contains("hunter2"), "{url}: {said}");
        }
        assert!(refusal("redis+cluster://h").contains("Cluster is not supported"));
        assert!(refusal("h:6379").contains("memory://"));
    }

    #[tokio::test]
    async fn memory_always_answers() {
        let pong = ping("memory://", Duration::ZERO).await.unwrap();
        assert_eq!(pong.server, "memory");
    }
}
