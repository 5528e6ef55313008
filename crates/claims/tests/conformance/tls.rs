//! TLS: who is trusted, and what an operator reads when somebody is not.

use std::time::Duration;

use sanderling_claims::{Access, Identity};
use sanderling_testkit::{Authority, Redis, Signed};

use super::{LONG, lock};

/// Long enough for a handshake on a loaded machine.
const TTL: Duration = Duration::from_secs(30);

/// By the authority alone.
pub(crate) fn trusted(authority: &Authority) -> Access {
    Access {
        ca: Some(authority.ca()),
        ..Access::default()
    }
}

/// Showing a certificate as well.
pub(crate) fn shown(authority: &Authority, own: &Signed) -> Access {
    let identity = Identity {
        cert: own.cert.clone(),
        key: own.key.clone(),
    };
    Access {
        identity: Some(identity),
        ..trusted(authority)
    }
}

/// What is said when a lock is asked for.
async fn refusal(access: &Access, url: &str) -> String {
    let claims = access.connect(url, "fleet", TTL).unwrap();
    let refused = claims.acquire(&[lock("acme")], LONG).await.unwrap_err();
    refused.to_string()
}

#[tokio::test]
async fn a_server_is_believed_by_the_authority_that_is_named() {
    let authority = Authority::create();
    let redis = Redis::private_tls(&authority.sign("127.0.0.1"), &[]);
    let claims = trusted(&authority).connect(redis.url(), "fleet", TTL);
    let taken = claims.unwrap().acquire(&[lock("acme")], LONG).await;
    assert_eq!(taken.unwrap(), [true]);

    // The system's authorities, and another one, have not signed it.
    for access in [Access::default(), trusted(&Authority::create())] {
        let said = refusal(&access, redis.url()).await;
        assert!(said.contains("UnknownIssuer"), "{said}");
        assert!(said.contains("in claims.ca"), "{said}");
    }
}

#[tokio::test]
async fn a_certificate_for_another_name_is_not_believed() {
    let authority = Authority::create();
    let redis = Redis::private_tls(&authority.sign("redis.internal"), &[]);
    let said = refusal(&trusted(&authority), redis.url()).await;
    assert!(said.contains("redis.internal"), "{said}");
    assert!(
        said.contains("name the server as its certificate does"),
        "{said}"
    );
}

#[tokio::test]
async fn a_server_that_asks_for_a_certificate_gets_the_configured_one() {
    let authority = Authority::create();
    let wants = [("tls-auth-clients", "yes")];
    let redis = Redis::private_tls(&authority.sign("127.0.0.1"), &wants);
    let own = authority.sign("worker");
    let claims = shown(&authority, &own).connect(redis.url(), "fleet", TTL);
    let taken = claims.unwrap().acquire(&[lock("acme")], LONG).await;
    assert_eq!(taken.unwrap(), [true]);

    let other = Authority::create();
    let stranger = other.sign("worker");
    for access in [trusted(&authority), shown(&authority, &stranger)] {
        let said = refusal(&access, redis.url()).await;
        assert!(said.contains("claims.cert and claims.key"), "{said}");
    }
}

#[tokio::test]
async fn certificates_are_read_anew_for_each_connection() {
    let (old, new) = (Authority::create(), Authority::create());
    let redis = Redis::private_tls(&new.sign("127.0.0.1"), &[]);
    let access = trusted(&old);
    let claims = access.connect(redis.url(), "fleet", TTL).unwrap();
    claims.acquire(&[lock("acme")], LONG).await.unwrap_err();
    std::fs::copy(new.ca(), old.ca()).unwrap();
    let taken = sanderling_testkit::until_async(super::SOON, "the new authority", async || {
        claims.acquire(&[lock("acme")], LONG).await
    });
    assert_eq!(taken.await, [true]);
}

#[tokio::test]
async fn tls_where_there_is_none_is_told() {
    let redis = Redis::private();
    let url = redis.url().replace("redis://", "rediss://");
    let said = refusal(&Access::default(), &url).await;
    assert!(said.contains(&url), "{said}");
    assert!(said.contains("speaks no TLS"), "{said}");
}

#[tokio::test]
async fn files_that_are_not_there_are_told_before_anything_is_tried() {
    let authority = Authority::create();
    let own = authority.sign("worker");
    let mut access = shown(&authority, &own);
    access.identity = Some(Identity {
        cert: own.cert.clone(),
        key: own.cert.clone(),
    });
    let refused = access.connect("rediss://127.0.0.1:1", "fleet", TTL);
    let said = refused.map(drop).unwrap_err().to_string();
    assert!(said.contains("claims.key"), "{said}");
    assert!(said.contains("holds no private key"), "{said}");
}
