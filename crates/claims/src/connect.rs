//! From a URL to a backend.

use std::sync::Arc;
use std::time::Duration;

use crate::memory::MemoryClaims;
use crate::metered::Metered;
use crate::port::{Claims, ClaimsError};
use crate::redis::{RedisClaims, Server};

/// What `doctor` says about a claims server that answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pong {
    /// What the server calls itself, for example `redis 7.0.15`; `memory` for the in-process backend.
    pub server: String,
    /// How long the answer took.
    pub round_trip: Duration,
    /// The policy by which the server drops keys when its memory is full; `None` where it drops none, or does not tell.
    pub evicts_by: Option<String>,
}

/// Makes the backend that `url` names, for locks that live `ttl` between renewals.
///
/// Does not wait for a server: one that is away now is used once it is back, until then calls fail. Handles of one
/// fleet share their locks: within the process for `memory://`, else through the server. Call it inside a Tokio
/// runtime.
///
/// # Errors
/// When the URL is not one of `memory://`, `redis://…`, `rediss://…`.
pub fn connect(url: &str, fleet: &str, ttl: Duration) -> Result<Arc<dyn Claims>, ClaimsError> {
    if is_memory(url) {
        let memory = MemoryClaims::of_fleet(fleet);
        return Ok(Arc::new(Metered::new("memory", memory)));
    }
    let redis = RedisClaims::new(server(url)?, fleet, ttl);
    Ok(Arc::new(Metered::new("redis", redis)))
}

/// Asks the server once, waiting for at most `patience`.
///
/// # Errors
/// As [`connect`]; also when there is no answer in time, or another one than Redis gives.
pub async fn ping(url: &str, patience: Duration) -> Result<Pong, ClaimsError> {
    if is_memory(url) {
        return Ok(Pong {
            server: "memory".to_owned(),
            round_trip: Duration::ZERO,
            evicts_by: None,
        });
    }
    server(url)?.ping(patience).await
}

fn is_memory(url: &str) -> bool {
    url == "memory:" || url.starts_with("memory://")
}

fn server(url: &str) -> Result<Server, ClaimsError> {
    let scheme = url.split_once("://").map_or("", |(scheme, _)| scheme);
    let refuse = |message: &str| {
        Err(ClaimsError {
            url: format!("{scheme}://…"),
            message: message.to_owned(),
        })
    };
    match scheme {
        "redis" | "rediss" => Server::parse(url),
        "redis+sentinel" | "rediss+sentinel" => {
            refuse("Sentinel is not supported yet; give the URL of one server, redis://host:port")
        }
        _ => refuse(
            "claims.url is not understood; use memory://, redis://host:port or rediss://host:port",
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(url: &str) -> String {
        server(url).map(drop).unwrap_err().to_string()
    }

    #[test]
    fn refusals_say_what_would_do_and_keep_the_password() {
        for url in [
            "redis+sentinel://u:hunter2@a:1,b:2/main",
            "http://u:hunter2@h",
            "u:hunter2@host",
            "redis://u:hunter2@host:notaport",
            "redis://u:hunter2@host/notanumber",
            "redis://:hunter2@[::1",
        ] {
            let said = refusal(url);
            assert!(!said.contains("hunter2"), "{url}: {said}");
        }
        assert!(refusal("redis+sentinel://h").contains("not supported yet"));
        assert!(refusal("h:6379").contains("memory://"));
    }

    #[tokio::test]
    async fn memory_always_answers() {
        let pong = ping("memory://", Duration::ZERO).await.unwrap();
        assert_eq!(pong.server, "memory");
    }
}
