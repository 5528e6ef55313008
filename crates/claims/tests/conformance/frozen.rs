//! Redis frozen: it accepts connections and never answers.

use std::time::{Duration, Instant};

use sanderling_claims::connect;
use sanderling_testkit::{Redis, until_async};

use super::faults::{TTL, handle};
use super::{LONG, SOON, lock};

#[tokio::test]
async fn a_frozen_server_costs_a_bounded_wait_and_the_same_nonce_succeeds_later() {
    let redis = Redis::private();
    let claims = handle(&redis);
    let held = [lock("acme")];
    claims.acquire(&[lock("warm-up")], LONG).await.unwrap();
    redis.stop();
    let start = Instant::now();
    claims.acquire(&held, LONG).await.unwrap_err();
    assert!(start.elapsed() < TTL, "{:?}", start.elapsed());
    claims.renew(&held, LONG).await.unwrap_err();
    redis.cont();
    // The frozen server may have read the first try: it acts on it now.
    let answers = until_async(SOON, "an answer", async || {
        claims.acquire(&held, LONG).await
    })
    .await;
    assert_eq!(answers, [true]);
    assert_eq!(
        claims.acquire(&[lock("acme")], LONG).await.unwrap(),
        [false]
    );
}

/// Whether the connection is there already or not, a frozen server is waited for once.
#[tokio::test]
async fn a_frozen_server_is_left_alone_until_it_answers_again() {
    // Each wait is a second at least, so that a hundred of them cannot end by the deadline below.
    let ttl = Duration::from_secs(6);
    let redis = Redis::private();
    for warm in [true, false] {
        let claims = connect(redis.url(), "fleet", ttl).unwrap();
        if warm {
            claims.acquire(&[lock("warm-up")], LONG).await.unwrap();
        }
        redis.stop();
        let held = [lock(&format!("tenant-{warm}"))];
        let waited = claims.acquire(&held, LONG).await.unwrap_err().to_string();
        assert!(!waited.contains("left alone"), "{waited}");
        let mut turned_away = 0;
        until_async(SOON, "a hundred calls", async || {
            let answers = [
                claims.acquire(&held, LONG).await.map(drop),
                claims.release(&held).await,
            ];
            for answer in answers {
                let said = answer.unwrap_err().to_string();
                assert!(said.contains("left alone until it answers again"), "{said}");
                turned_away += 1;
            }
            (turned_away == 100)
                .then_some(())
                .ok_or(format!("{turned_away} calls returned"))
        })
        .await;
        redis.cont();
        let answers = until_async(SOON, "an answer", async || {
            claims.acquire(&held, LONG).await
        })
        .await;
        assert_eq!(answers, [true]);
    }
}
