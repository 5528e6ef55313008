//! Leadership, and the actions that only the leader performs.

use std::time::Duration;

use sanderling_core::rollout::Action;
use sanderling_core::{Outcome, RolloutState};
use sanderling_store::StoreError;
use sanderling_testkit::until_async;

use crate::backend::Backend;
use crate::fleet::{
    DEADLINE, LEASE, act, ended, plan, report, rollout, running, start, submission, worker,
};

pub(crate) async fn two_leaders(backend: Backend) {
    let (one, two) = (backend.open().await, backend.open().await);
    let (a, b) = (worker("c1"), worker("c2"));
    let (first, second) = tokio::join!(one.lead(&a, LEASE), two.lead(&b, LEASE));
    let (first, second) = (first.unwrap(), second.unwrap());
    assert!(first.is_some() != second.is_some(), "exactly one leads");
    let leader = first.or(second).unwrap();
    let renewed = one.lead(&leader.holder, LEASE).await.unwrap().unwrap();
    assert_eq!(renewed.epoch, leader.epoch);
    assert!(renewed.until >= leader.until);

    let other = if leader.holder == a { b } else { a };
    assert!(two.lead(&other, LEASE).await.unwrap().is_none());
    one.resign(&renewed).await.unwrap();
    let next = two.lead(&other, LEASE).await.unwrap().unwrap();
    assert_eq!(next.epoch, leader.epoch + 1);
    one.resign(&renewed).await.unwrap();
    let kept = two.lead(&other, Duration::from_millis(50)).await.unwrap();
    assert_eq!(
        kept.unwrap().epoch,
        next.epoch,
        "an old leader cannot resign"
    );

    let taken = until_async(DEADLINE, "the lease to expire", async || {
        one.lead(&leader.holder, LEASE).await.unwrap()
    })
    .await;
    assert_eq!(taken.epoch, next.epoch + 1);
}

pub(crate) async fn actions_need_the_leader_and_the_last_event(backend: Backend) {
    let store = backend.open().await;
    let wanted = submission(plan(&backend.fleet, &[1, 1]));
    let id = store.submit(&wanted).await.unwrap().rollout;
    let old = store.lead(&worker("c1"), LEASE).await.unwrap().unwrap();
    store.resign(&old).await.unwrap();
    let open = |wave| Action::OpenWave(wave);
    let stale = store.act(&old, &id, 1, &open(0)).await.unwrap_err();
    assert!(matches!(stale, StoreError::Stale(_)), "{stale}");
    let new = store.lead(&worker("c2"), LEASE).await.unwrap().unwrap();
    let stale = store.act(&old, &id, 1, &open(0)).await.unwrap_err();
    assert!(matches!(stale, StoreError::Stale(_)), "{stale}");
    let conflict = store.act(&new, &id, 0, &open(0)).await.unwrap_err();
    assert!(matches!(conflict, StoreError::Conflict(_)), "{conflict}");
    store.act(&new, &id, 1, &open(0)).await.unwrap();
    let again = store.act(&new, &id, 1, &open(0)).await.unwrap_err();
    assert!(matches!(again, StoreError::Conflict(_)), "{again}");
    let early = store.act(&new, &id, 2, &open(1)).await.unwrap_err();
    assert!(matches!(early, StoreError::Refused(_)), "{early}");
    assert_eq!(rollout(&store, &id).await.last_seq, 2);
}

pub(crate) async fn finishing_frees_tenants(backend: Backend) {
    let store = backend.open().await;
    let id = running(&store, plan(&backend.fleet, &[2])).await;
    for grant in start(&store, &id, 0..2, LEASE).await {
        report(&store, &grant, ended(Outcome::Succeeded)).await;
    }
    act(&store, &id, Action::Finish(RolloutState::Succeeded)).await;
    assert!(store.rollouts(true, 9).await.unwrap().is_empty());
    assert_eq!(store.rollouts(false, 9).await.unwrap().len(), 1);
    let next = store
        .submit(&submission(plan(&backend.fleet, &[2])))
        .await
        .unwrap();
    assert!(!next.joined);
}
