//! One line per backend and law.

use std::sync::Arc;

use sanderling_claims::{Access, Claims, connect};
use sanderling_testkit::{Authority, Redis, Sentinels, unique};

use super::acl::Guarded;
use super::suite;
use super::{LONG, tls};

/// Two handles of one fleet.
type Pair = [Arc<dyn Claims>; 2];

fn memory() -> (Pair, ()) {
    (pair("memory://", &unique("fleet"), &Access::default()), ())
}

fn redis() -> (Pair, ()) {
    (
        pair(Redis::shared().url(), &unique("fleet"), &Access::default()),
        (),
    )
}

/// Both sides show a certificate.
fn tls() -> (Pair, (Authority, Redis)) {
    let authority = Authority::create();
    let wants = [("tls-auth-clients", "yes")];
    let redis = Redis::private_tls(&authority.sign("127.0.0.1"), &wants);
    let access = tls::shown(&authority, &authority.sign("worker"));
    (
        pair(redis.url(), &unique("fleet"), &access),
        (authority, redis),
    )
}

/// As the user that `deploy/redis/users.acl` makes, who may do nothing else.
fn acl() -> (Pair, Guarded) {
    let guarded = Guarded::start();
    (pair(&guarded.url(), "prod", &Access::default()), guarded)
}

fn pair(url: &str, fleet: &str, access: &Access) -> Pair {
    [(); 2].map(|()| access.connect(url, fleet, LONG).unwrap())
}

/// Each law of the suite, once per backend. A set of sentinels takes seconds to start: one serves them all.
macro_rules! laws {
    ($($law:ident),* $(,)?) => {
        mod in_memory {
            $(#[tokio::test] async fn $law() { let (pair, ()) = super::memory(); super::suite::$law(pair).await; })*
        }
        mod in_redis {
            $(#[tokio::test] async fn $law() { let (pair, ()) = super::redis(); super::suite::$law(pair).await; })*
        }
        mod over_tls {
            $(#[tokio::test] async fn $law() { let (pair, _kept) = super::tls(); super::suite::$law(pair).await; })*
        }
        mod with_least_rights {
            $(#[tokio::test] async fn $law() { let (pair, _kept) = super::acl(); super::suite::$law(pair).await; })*
        }
        #[tokio::test]
        async fn every_law_holds_over_sentinels() {
            let set = Sentinels::start();
            $(
                let fleet = unique("fleet");
                let pair = [(); 2].map(|()| connect(&set.url(), &fleet, LONG).unwrap());
                suite::$law(pair).await;
            )*
        }
    };
}

laws!(
    taking_twice_under_one_nonce_succeeds_twice,
    another_nonce_is_refused,
    answers_come_in_the_order_of_the_questions,
    an_empty_batch_is_fine,
    only_the_holder_renews,
    only_the_holder_releases,
    a_lock_ends_with_its_time_to_live,
    renewing_outlives_the_first_time_to_live,
    fleets_do_not_meet,
    a_wake_up_before_the_wait_is_not_lost,
    a_wake_up_reaches_every_handle,
    a_wait_without_a_wake_up_ends_with_its_timeout,
);
