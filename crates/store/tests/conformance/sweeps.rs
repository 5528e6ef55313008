//! Targets whose locks were not to be had: deferred, swept once, and failed when that does not help either.

use std::time::Duration;

use sanderling_core::rollout::Action;
use sanderling_core::{ErrorClass, Outcome, RolloutId, RolloutState, Version, decide};
use sanderling_store::{Command, Grant, Receipt, TargetResult};

use crate::backend::Backend;
use crate::fleet::{
    AnyStore, LEASE, TINY, act, ended, failure, outcome_of, plan, record, report, retry, rollout,
    running, start, start_one, targets,
};

fn deferred(applied: Vec<Version>) -> TargetResult {
    TargetResult::Ended {
        outcome: Outcome::Deferred,
        applied,
        failure: Some(failure(ErrorClass::LockTimeout)),
    }
}

async fn next(store: &AnyStore, id: &RolloutId) -> Option<Action> {
    let record = record(store, id).await;
    decide(&record.rollout, record.now).actions.first().cloned()
}

/// Defers the first `n` targets of a wave of that many, some after a retry.
async fn defer(store: &AnyStore, id: &RolloutId, n: usize) {
    let grant = start_one(store, id, 0, LEASE).await;
    let again = retry(ErrorClass::LockTimeout, Duration::ZERO, true);
    report(store, &grant, again).await;
    for grant in start(store, id, 0..n, LEASE).await {
        assert!(!grant.sweep);
        let said = report(store, &grant, deferred(Vec::new())).await;
        assert_eq!(said, Receipt::Recorded);
    }
}

pub(crate) async fn what_is_deferred_is_swept_once(backend: Backend) {
    let store = backend.open().await;
    let mut planned = plan(&backend.fleet, &[3, 1]);
    planned.waves[0].limits.max_failures = Some(0);
    let id = running(&store, planned).await;
    let last = start_one(&store, &id, 2, LEASE).await;
    defer(&store, &id, 2).await;
    assert!(start(&store, &id, 0..2, LEASE).await.is_empty());
    assert_eq!(next(&store, &id).await, None, "one is in flight");
    let kept = targets(&store, &id).await[0].failure.clone();
    assert_eq!(kept.unwrap().cause.class, ErrorClass::LockTimeout);
    report(&store, &last, ended(Outcome::Succeeded)).await;
    assert_eq!(next(&store, &id).await, Some(Action::Sweep(0)));

    act(&store, &id, Action::Sweep(0)).await;
    assert_eq!(targets(&store, &id).await[0].failure, None);
    let grants = start(&store, &id, 0..2, LEASE).await;
    assert!(grants.iter().all(|grant| grant.sweep));
    assert!(grants.iter().all(|grant| grant.attempts.is_empty()));
    report(&store, &grants[0], ended(Outcome::Succeeded)).await;
    // A worker that does not know better defers again; the store does not.
    let said = report(&store, &grants[1], deferred(Vec::new())).await;
    assert_eq!(said, Receipt::Halted);
    assert_eq!(outcome_of(&store, &id, 1).await, Outcome::Failed);
    let state = rollout(&store, &id).await;
    assert_eq!((state.tally.failed, state.causes.len()), (1, 1));
    assert!(state.waves[1].opened_at.is_none());
}

pub(crate) async fn a_sweep_keeps_other_budgets_and_what_was_applied(backend: Backend) {
    let store = backend.open().await;
    let id = running(&store, plan(&backend.fleet, &[1])).await;
    start_one(&store, &id, 0, TINY).await;
    let taken: Grant = start_one(&store, &id, 0, LEASE).await;
    report(&store, &taken, deferred(vec![Version::new("1")])).await;
    act(&store, &id, Action::Sweep(0)).await;
    let grant = start_one(&store, &id, 0, LEASE).await;
    assert_eq!(grant.applied, [Version::new("1")]);
    assert_eq!(grant.attempts, [(ErrorClass::WorkerLost, 1)].into());
    assert!(
        grant.takeover,
        "what is deferred proves nothing of the claims before it"
    );
}

pub(crate) async fn nothing_stays_deferred_in_a_cancelled_rollout(backend: Backend) {
    let store = backend.open().await;
    let id = running(&store, plan(&backend.fleet, &[4])).await;
    let grants = start(&store, &id, 0..4, LEASE).await;
    let moved = || vec![Version::new("1")];
    report(&store, &grants[0], deferred(Vec::new())).await;
    report(&store, &grants[1], deferred(moved())).await;
    let cancel = Command::Cancel {
        reason: "wrong night".to_owned(),
    };
    store.command(&id, &cancel, "anna").await.unwrap();
    report(&store, &grants[2], deferred(Vec::new())).await;
    report(&store, &grants[3], deferred(moved())).await;
    let outcomes: Vec<_> = targets(&store, &id)
        .await
        .iter()
        .map(|target| target.outcome)
        .collect();
    let (cancelled, partial) = (Outcome::Cancelled, Outcome::Partial);
    assert_eq!(outcomes, [cancelled, partial, cancelled, partial]);
    assert_eq!(rollout(&store, &id).await.outcomes().total(), 4);
}

pub(crate) async fn deferred_targets_are_retried(backend: Backend) {
    let store = backend.open().await;
    let id = running(&store, plan(&backend.fleet, &[3])).await;
    let last = start_one(&store, &id, 2, LEASE).await;
    defer(&store, &id, 2).await;
    let retry = |class| Command::Retry {
        class,
        reason: None,
    };
    let other = retry(Some(ErrorClass::Timeout));
    assert_eq!(store.command(&id, &other, "anna").await.unwrap().targets, 0);
    let receipt = store.command(&id, &retry(None), "anna").await.unwrap();
    assert_eq!(receipt.targets, 2);
    report(&store, &last, ended(Outcome::Succeeded)).await;
    defer(&store, &id, 2).await;
    act(&store, &id, Action::Sweep(0)).await;
    for grant in start(&store, &id, 0..2, LEASE).await {
        report(&store, &grant, ended(Outcome::Succeeded)).await;
    }
    let done = Action::Finish(RolloutState::Succeeded);
    assert_eq!(next(&store, &id).await, Some(done));
}
