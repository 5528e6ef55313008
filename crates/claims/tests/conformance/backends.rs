//! One line per backend and law.

use std::sync::Arc;

use sanderling_claims::{Claims, connect};
use sanderling_testkit::{Redis, unique};

use super::LONG;
use super::suite;

/// Two handles of one fleet.
type Pair = [Arc<dyn Claims>; 2];

fn memory() -> Pair {
    pair("memory://")
}

fn redis() -> Pair {
    pair(Redis::shared().url())
}

fn pair(url: &str) -> Pair {
    let fleet = unique("fleet");
    [(); 2].map(|()| connect(url, &fleet, LONG).unwrap())
}

/// Each law of the suite, once per backend.
macro_rules! laws {
    ($($law:ident),* $(,)?) => {
        mod in_memory {
            $(#[tokio::test] async fn $law() { super::suite::$law(super::memory()).await; })*
        }
        mod in_redis {
            $(#[tokio::test] async fn $law() { super::suite::$law(super::redis()).await; })*
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
