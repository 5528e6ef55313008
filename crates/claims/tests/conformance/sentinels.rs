//! Sentinels: a failover costs seconds, and what goes wrong is told sentinel by sentinel.

use std::sync::Arc;
use std::time::Duration;

use sanderling_claims::{Access, Claims, connect, ping};
use sanderling_testkit::{Authority, Redis, Sentinels, unique, until_async};

use super::suite::hearing;
use super::{LONG, SOON, lock, tls};

const TTL: Duration = Duration::from_secs(3);
/// Handshakes with three sentinels and a server, on a loaded machine.
const TLS_TTL: Duration = Duration::from_secs(15);

fn handle(set: &Sentinels, access: &Access, fleet: &str) -> Arc<dyn Claims> {
    let ttl = match access.ca {
        Some(_) => TLS_TTL,
        None => TTL,
    };
    access.connect(&set.url(), fleet, ttl).unwrap()
}

/// Whether a server holds a fleet's lock of this key.
fn holds(server: &Redis, fleet: &str, key: &sanderling_claims::LockKey) -> bool {
    server.command(&["EXISTS", &format!("{fleet}:lock:{key}")]) == "1"
}

/// Until locks arrive at the server that is master now, which is returned; wake-ups arrive then, too.
async fn works_at_the_master<'s>(
    set: &'s Sentinels,
    pair: &[Arc<dyn Claims>; 2],
    fleet: &str,
) -> &'s Redis {
    let [a, b] = pair;
    let master = until_async(SOON, "a lock at the master", async || {
        let wanted = [lock(&unique("tenant"))];
        let taken = a.acquire(&wanted, LONG).await;
        let taken = taken.map_err(|error| error.to_string())?;
        let master = set.master().ok_or("the sentinels do not agree")?;
        match taken == [true] && holds(master, fleet, &wanted[0].0) {
            true => Ok(master),
            false => Err(format!("{taken:?}, not at {}", master.port())),
        }
    })
    .await;
    hearing(a, b).await;
    master
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_master_costs_seconds() {
    let set = Sentinels::start();
    let fleet = unique("fleet");
    let pair = [(); 2].map(|()| handle(&set, &Access::default(), &fleet));
    let old = works_at_the_master(&set, &pair, &fleet).await;
    set.fail_over();
    let new = works_at_the_master(&set, &pair, &fleet).await;
    assert_ne!(new.port(), old.port());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_frozen_master_costs_seconds_and_is_not_gone_back_to() {
    let set = Sentinels::start();
    let fleet = unique("fleet");
    let pair = [(); 2].map(|()| handle(&set, &Access::default(), &fleet));
    let old = works_at_the_master(&set, &pair, &fleet).await;
    old.stop();
    set.promoted(old);
    let new = works_at_the_master(&set, &pair, &fleet).await;
    assert_ne!(new.port(), old.port());
    old.cont();
    let still = works_at_the_master(&set, &pair, &fleet).await;
    assert_ne!(still.port(), old.port());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failover_over_tls_costs_seconds() {
    let authority = Authority::create();
    let set = Sentinels::start_tls(&authority.sign("127.0.0.1"));
    let fleet = unique("fleet");
    let pair = [(); 2].map(|()| handle(&set, &tls::trusted(&authority), &fleet));
    let old = works_at_the_master(&set, &pair, &fleet).await;
    set.fail_over();
    let new = works_at_the_master(&set, &pair, &fleet).await;
    assert_ne!(new.port(), old.port());

    let untrusting = Access::default().connect(&set.url(), &fleet, TLS_TTL);
    let asked = untrusting.unwrap().acquire(&[lock("acme")], LONG).await;
    let refused = asked.unwrap_err();
    assert!(refused.message.contains("in claims.ca"), "{refused}");
}

#[tokio::test]
async fn ping_says_whom_the_sentinels_named() {
    let set = Sentinels::start();
    let pong = ping(&set.url(), SOON).await.unwrap();
    let master = format!("127.0.0.1:{}", set.master().unwrap().port());
    assert_eq!(pong.at.as_deref(), Some(master.as_str()));
    assert!(pong.server.chars().any(|c| c.is_ascii_digit()), "{pong:?}");

    let other = set.url().replace("/main", "/mian");
    let said = ping(&other, SOON).await.unwrap_err().to_string();
    assert_eq!(said.matches("knows no master mian").count(), 3, "{said}");
}

/// A sentinel's word may be old, or wrong: where it leads is looked at before it is believed, and nothing is sent
/// there in the clear.
#[tokio::test]
async fn what_a_sentinel_names_is_looked_at_first() {
    let set = Sentinels::start();
    set.watch("demoted", "127.0.0.1", set.replica().port());
    // An address of RFC 5737, where nobody is.
    set.watch("elsewhere", "192.0.2.1", 6379);
    for (name, says) in [
        ("demoted", "it is no master now"),
        ("elsewhere", "would go to 192.0.2.1 in the clear"),
    ] {
        let url = set.url().replace("/main", &format!("/{name}"));
        let said = ping(&url, SOON).await.unwrap_err().to_string();
        assert!(said.contains(says), "{said}");
    }
}

#[tokio::test]
async fn each_sentinel_has_its_say() {
    // No sentinel at all, a server that is none, and one that is not there.
    let (plain, guarded) = (
        Redis::private(),
        Redis::private_with(&[("requirepass", "x")]),
    );
    let url = format!(
        "redis+sentinel://:hunter2@127.0.0.1:{},127.0.0.1:{},127.0.0.1:1/main?sentinel_password=wrong-one",
        plain.port(),
        guarded.port(),
    );
    let claims = connect(&url, "fleet", Duration::from_secs(30)).unwrap();
    let said = claims
        .acquire(&[lock("acme")], LONG)
        .await
        .unwrap_err()
        .to_string();
    assert!(
        said.contains("no sentinel leads to a master main"),
        "{said}"
    );
    for node in [plain.port(), guarded.port(), 1] {
        assert!(
            said.contains(&format!("; 127.0.0.1:{node} "))
                || said.contains(&format!(": 127.0.0.1:{node} ")),
            "{said}"
        );
    }
    assert!(said.contains("refused"), "{said}");
    assert!(
        !said.contains("hunter2") && !said.contains("wrong-one"),
        "{said}"
    );
}

#[tokio::test]
async fn a_replica_says_what_it_is() {
    let replica = Redis::private();
    let claims = connect(replica.url(), "fleet", TTL).unwrap();
    claims.acquire(&[lock("acme")], LONG).await.unwrap();
    replica.command(&["REPLICAOF", "127.0.0.1", "1"]);
    let said = claims
        .acquire(&[lock("other")], LONG)
        .await
        .unwrap_err()
        .to_string();
    assert!(said.contains("is a replica"), "{said}");
    replica.command(&["REPLICAOF", "NO", "ONE"]);
    assert_eq!(
        claims.acquire(&[lock("other")], LONG).await.unwrap(),
        [true]
    );
}
