//! The laws of the port, for two handles of one fleet.

use std::sync::Arc;
use std::time::{Duration, Instant};

use sanderling_claims::Claims;
use sanderling_testkit::{unique, until_async};

use super::{LONG, SOON, lock, lock_as};

type Pair = [Arc<dyn Claims>; 2];

/// Long enough to be seen held, short enough to be seen expire.
const SHORT: Duration = Duration::from_millis(400);

pub(crate) async fn taking_twice_under_one_nonce_succeeds_twice([a, b]: Pair) {
    let wanted = [lock("acme")];
    assert_eq!(a.acquire(&wanted, LONG).await.unwrap(), [true]);
    assert_eq!(a.acquire(&wanted, LONG).await.unwrap(), [true]);
    // The nonce is what counts, not the handle: an answer may have been lost with its connection.
    assert_eq!(b.acquire(&wanted, LONG).await.unwrap(), [true]);
}

pub(crate) async fn another_nonce_is_refused([a, b]: Pair) {
    assert_eq!(a.acquire(&[lock("acme")], LONG).await.unwrap(), [true]);
    assert_eq!(b.acquire(&[lock("acme")], LONG).await.unwrap(), [false]);
    assert_eq!(a.acquire(&[lock("acme")], LONG).await.unwrap(), [false]);
}

pub(crate) async fn answers_come_in_the_order_of_the_questions([a, b]: Pair) {
    let taken: Vec<_> = (0..300)
        .filter(|n| n % 3 == 0)
        .map(|n| lock(&format!("tenant-{n}")))
        .collect();
    assert!(
        b.acquire(&taken, LONG)
            .await
            .unwrap()
            .iter()
            .all(|held| *held)
    );
    let wanted: Vec<_> = (0..300).map(|n| lock(&format!("tenant-{n}"))).collect();
    let expected: Vec<_> = (0..300).map(|n| n % 3 != 0).collect();
    assert_eq!(a.acquire(&wanted, LONG).await.unwrap(), expected);
    assert_eq!(a.renew(&wanted, LONG).await.unwrap(), expected);
}

pub(crate) async fn an_empty_batch_is_fine([a, _]: Pair) {
    assert!(a.acquire(&[], LONG).await.unwrap().is_empty());
    assert!(a.renew(&[], LONG).await.unwrap().is_empty());
    a.release(&[]).await.unwrap();
}

pub(crate) async fn only_the_holder_renews([a, b]: Pair) {
    let held = [lock("acme")];
    assert_eq!(a.renew(&held, LONG).await.unwrap(), [false]);
    a.acquire(&held, LONG).await.unwrap();
    assert_eq!(b.renew(&[lock("acme")], LONG).await.unwrap(), [false]);
    assert_eq!(a.renew(&held, LONG).await.unwrap(), [true]);
}

pub(crate) async fn only_the_holder_releases([a, b]: Pair) {
    let held = [lock("acme")];
    a.acquire(&held, LONG).await.unwrap();
    b.release(&[lock("acme")]).await.unwrap();
    assert_eq!(b.acquire(&[lock("acme")], LONG).await.unwrap(), [false]);
    a.release(&held).await.unwrap();
    a.release(&held).await.unwrap();
    assert_eq!(b.acquire(&[lock("acme")], LONG).await.unwrap(), [true]);
}

pub(crate) async fn a_lock_ends_with_its_time_to_live([a, b]: Pair) {
    let held = [lock("acme")];
    let start = Instant::now();
    a.acquire(&held, SHORT).await.unwrap();
    let other = [lock("acme")];
    until_async(SOON, "the lock to expire", async || {
        b.acquire(&other, LONG).await.unwrap()[0].then_some(())
    })
    .await;
    assert!(
        start.elapsed() >= SHORT,
        "expired after {:?}",
        start.elapsed()
    );
    assert_eq!(a.renew(&held, LONG).await.unwrap(), [false]);
    a.release(&held).await.unwrap();
    assert_eq!(b.renew(&other, LONG).await.unwrap(), [true]);
}

pub(crate) async fn renewing_outlives_the_first_time_to_live([a, b]: Pair) {
    let (short, long) = (lock("short"), lock("long"));
    let both = [short.clone(), long.clone()];
    a.acquire(&both, SHORT).await.unwrap();
    assert_eq!(
        a.renew(std::slice::from_ref(&long), LONG).await.unwrap(),
        [true]
    );
    // Once the lock taken beside it has expired, only the renewal can hold this one.
    until_async(SOON, "the other lock to expire", async || {
        b.acquire(&[lock_as("short", "other")], LONG).await.unwrap()[0].then_some(())
    })
    .await;
    assert_eq!(b.acquire(&[lock("long")], LONG).await.unwrap(), [false]);
}

/// The key holds the fleet's name, and a backend's table or prefix is the fleet's own as well.
pub(crate) async fn fleets_do_not_meet([a, _]: Pair) {
    let of = |fleet: &str| {
        let key = sanderling_claims::LockKey::new(fleet, &sanderling_core::TenantId::new("acme"));
        (key, sanderling_core::Nonce::new(unique("nonce")))
    };
    let (blue, green) = (of("blue"), of("green"));
    assert_ne!(blue.0, green.0);
    assert_eq!(a.acquire(&[blue, green], LONG).await.unwrap(), [true, true]);
}

pub(crate) async fn a_wake_up_before_the_wait_is_not_lost([a, b]: Pair) {
    hearing(&a, &b).await;
    a.wake().await.unwrap();
    let start = Instant::now();
    b.wait(LONG).await;
    assert!(start.elapsed() < SOON);
}

pub(crate) async fn a_wake_up_reaches_every_handle([a, b]: Pair) {
    hearing(&a, &b).await;
    hearing(&b, &a).await;
    let start = Instant::now();
    let (_, _, woken) = tokio::join!(a.wait(LONG), b.wait(LONG), a.wake());
    woken.unwrap();
    assert!(start.elapsed() < SOON);
}

pub(crate) async fn a_wait_without_a_wake_up_ends_with_its_timeout([a, b]: Pair) {
    hearing(&a, &b).await;
    quiet(&b).await;
    let start = Instant::now();
    b.wait(SHORT).await;
    assert!(start.elapsed() >= SHORT, "{:?}", start.elapsed());
}

/// Until what `a` sends reaches `b`, and everything sent so far has been heard: a subscription takes a moment.
pub(crate) async fn hearing(a: &Arc<dyn Claims>, b: &Arc<dyn Claims>) {
    until_async(SOON, "the subscription", async || {
        quiet(b).await;
        a.wake().await.ok()?;
        heard(b).await.then_some(())
    })
    .await;
    quiet(b).await;
}

/// Whether a wake-up arrives within a moment.
async fn heard(claims: &Arc<dyn Claims>) -> bool {
    tokio::time::timeout(Duration::from_millis(200), claims.wait(LONG))
        .await
        .is_ok()
}

async fn quiet(claims: &Arc<dyn Claims>) {
    while heard(claims).await {}
}
