//! Redis wiped, full, restarted, absent, or asking for a password.

use std::sync::Arc;
use std::time::{Duration, Instant};

use sanderling_claims::{Claims, connect, ping};
use sanderling_testkit::{Redis, until_async};

use super::suite::hearing;
use super::{LONG, SOON, lock};

/// Calls give up after a third of this.
pub(crate) const TTL: Duration = Duration::from_secs(3);

pub(crate) fn handle(redis: &Redis) -> Arc<dyn Claims> {
    connect(redis.url(), "fleet", TTL).unwrap()
}

#[tokio::test]
async fn a_wiped_server_has_lost_every_lock() {
    let redis = Redis::private();
    let claims = handle(&redis);
    let held = [lock("acme")];
    assert_eq!(claims.acquire(&held, LONG).await.unwrap(), [true]);
    redis.command(&["FLUSHALL"]);
    redis.command(&["SCRIPT", "FLUSH"]);
    assert_eq!(claims.renew(&held, LONG).await.unwrap(), [false]);
    assert_eq!(claims.acquire(&[lock("acme")], LONG).await.unwrap(), [true]);
}

#[tokio::test]
async fn a_server_that_answers_with_errors_is_not_left_alone() {
    let redis = Redis::private();
    let claims = handle(&redis);
    let held = [lock("acme")];
    claims.acquire(&held, LONG).await.unwrap();
    redis.command(&["CONFIG", "SET", "maxmemory", "1"]);
    for _ in 0..3 {
        let said = claims.acquire(&held, LONG).await.unwrap_err().to_string();
        assert!(said.contains("OOM"), "{said}");
    }
    redis.command(&["CONFIG", "SET", "maxmemory", "0"]);
    assert_eq!(claims.acquire(&held, LONG).await.unwrap(), [true]);
}

#[tokio::test]
async fn a_restart_of_the_server_is_survived() {
    let redis = Redis::private();
    let (a, b) = (handle(&redis), handle(&redis));
    hearing(&a, &b).await;
    let held = [lock("acme")];
    a.acquire(&held, LONG).await.unwrap();
    redis.restart();
    let renewed = until_async(SOON, "an answer", async || a.renew(&held, LONG).await).await;
    assert_eq!(renewed, [false]);
    hearing(&a, &b).await;
}

#[tokio::test]
async fn a_server_that_comes_later_is_used() {
    let redis = Redis::private();
    redis.kill();
    let claims = handle(&redis);
    let wanted = [lock("acme")];
    let start = Instant::now();
    claims.acquire(&wanted, LONG).await.unwrap_err();
    claims.wake().await.unwrap_err();
    assert!(start.elapsed() < 2 * TTL, "{:?}", start.elapsed());
    let waited = Duration::from_millis(50);
    let start = Instant::now();
    claims.wait(waited).await;
    assert!(
        start.elapsed() >= waited,
        "a wait without a server just waits"
    );

    redis.restart();
    until_async(SOON, "the lock", async || {
        claims.acquire(&wanted, LONG).await
    })
    .await;
    hearing(&claims, &claims).await;
}

#[tokio::test]
async fn wake_ups_arrive_after_a_long_silence() {
    let redis = Redis::private();
    // Probes of a silent subscription go out each third of this.
    let claims = connect(redis.url(), "fleet", Duration::from_millis(300)).unwrap();
    hearing(&claims, &claims).await;
    let probed = || {
        redis
            .command(&["INFO", "commandstats"])
            .contains("cmdstat_ping")
    };
    until_async(SOON, "a probe of the subscription", async || {
        probed().then_some(())
    })
    .await;
    hearing(&claims, &claims).await;
}

#[tokio::test]
async fn a_refused_password_is_an_error_that_does_not_tell_it() {
    let redis = Redis::private_with(&[("requirepass", "right-one")]);
    let url = |password| {
        redis
            .url()
            .replace("redis://", &format!("redis://:{password}@"))
    };
    let claims = connect(&url("wrong-one"), "fleet", TTL).unwrap();
    let refusal = claims.acquire(&[lock("acme")], LONG).await.unwrap_err();
    let said = format!("{refusal} {refusal:?}");
    assert!(!said.contains("wrong-one"), "{said}");
    assert!(said.to_lowercase().contains("password"), "{said}");

    let claims = connect(&url("right-one"), "fleet", TTL).unwrap();
    assert_eq!(claims.acquire(&[lock("acme")], LONG).await.unwrap(), [true]);
}

#[tokio::test]
async fn ping_tells_the_version_and_gives_up_on_a_frozen_server() {
    let redis = Redis::private();
    let pong = ping(redis.url(), SOON).await.unwrap();
    assert!(pong.server.chars().any(|c| c.is_ascii_digit()), "{pong:?}");
    redis.stop();
    let refusal = ping(redis.url(), Duration::from_millis(100))
        .await
        .unwrap_err();
    assert!(
        refusal.to_string().contains("no answer within"),
        "{refusal}"
    );
}

#[tokio::test]
async fn a_socket_of_this_machine_does_as_well() {
    let home = sanderling_testkit::scratch();
    let socket = home.path().join("redis.sock");
    let socket = socket.to_str().unwrap();
    let redis = Redis::private_with(&[("unixsocket", socket)]);
    let claims = connect(&format!("redis+unix://{socket}"), "fleet", TTL).unwrap();
    let held = [lock("acme")];
    assert_eq!(claims.acquire(&held, LONG).await.unwrap(), [true]);
    assert_eq!(redis.command(&["DBSIZE"]), "1");
    hearing(&claims, &claims).await;
}

#[tokio::test]
async fn a_node_of_a_cluster_says_what_it_is() {
    // Beyond its own port by 10,000, unless told, which not every port leaves room for.
    let bus = sanderling_testkit::free_port().to_string();
    let node = Redis::private_with(&[("cluster-enabled", "yes"), ("cluster-port", &bus)]);
    node.command(&["CLUSTER", "ADDSLOTSRANGE", "0", "16383"]);
    let claims = connect(node.url(), "fleet", TTL).unwrap();
    let wanted: Vec<_> = (0..20).map(|n| lock(&format!("tenant-{n}"))).collect();
    let said = until_async(SOON, "a refusal of the keys", async || {
        let refused = claims.acquire(&wanted, LONG).await;
        let said = refused.map_err(|error| error.to_string()).unwrap_err();
        // Until it has noticed that it has all slots it says that it is down.
        said.contains("CrossSlot")
            .then_some(said.clone())
            .ok_or(said)
    })
    .await;
    assert!(said.contains("a node of a Redis Cluster"), "{said}");
}
