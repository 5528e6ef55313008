//! The sample of users that ships: what it grants is enough, and nothing else is granted.

use std::path::Path;

use sanderling_claims::{connect, ping};
use sanderling_testkit::{Redis, scratch};
use sha2::{Digest, Sha256};
use tempfile::TempDir;

use super::{LONG, SOON, lock};

/// What an operator has to replace, as docs/guides/redis.md says.
const MARK: &str = "SHA256_OF_THE_PASSWORD";
const PASSWORD: &str = "open sesame";

/// A server with the users of `deploy/redis/users.acl`.
pub(crate) struct Guarded {
    redis: Redis,
    _users: TempDir,
}

impl Guarded {
    pub(crate) fn start() -> Self {
        let sample = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../deploy/redis/users.acl");
        let sample = std::fs::read_to_string(sample).unwrap();
        assert_eq!(sample.matches(MARK).count(), 1);
        let hash = sanderling_core::bundle::hex(&Sha256::digest(PASSWORD));
        let users = scratch();
        let file = users.path().join("users.acl");
        std::fs::write(&file, sample.replace(MARK, &hash)).unwrap();
        Self {
            redis: Redis::private_with(&[("aclfile", file.to_str().unwrap())]),
            _users: users,
        }
    }

    pub(crate) fn url(&self) -> String {
        let password = PASSWORD.replace(' ', "%20");
        self.redis
            .url()
            .replace("redis://", &format!("redis://prod:{password}@"))
    }
}

#[tokio::test]
async fn the_sample_user_can_be_pinged_and_tells_its_version() {
    let guarded = Guarded::start();
    let pong = ping(&guarded.url(), SOON).await.unwrap();
    assert!(pong.server.chars().any(|c| c.is_ascii_digit()), "{pong:?}");
}

#[tokio::test]
async fn the_sample_user_sees_nothing_of_another_fleet() {
    let guarded = Guarded::start();
    let other = connect(&guarded.url(), "other", LONG).unwrap();
    for refusal in [
        other.acquire(&[lock("acme")], LONG).await.unwrap_err(),
        other.wake().await.unwrap_err(),
    ] {
        let said = refusal.to_string();
        assert!(
            said.contains("NOPERM") || said.contains("permission"),
            "{said}"
        );
        assert!(!said.contains(PASSWORD), "{said}");
    }
    let nobody = connect(guarded.redis.url(), "prod", LONG).unwrap();
    nobody.acquire(&[lock("acme")], LONG).await.unwrap_err();
}
