//! Pause, resume, skip, and going on with what has not begun.

use sanderling_core::rollout::Action;
use sanderling_core::{Epoch, ErrorClass, Outcome, RolloutId, RolloutState};
use sanderling_store::{
    ClaimMode, Command, CommandReceipt, Receipt, RenewedClaim, StoreError, TargetResult,
};

use crate::backend::Backend;
use crate::fleet::{
    AnyStore, LEASE, TINY, act, ended, failure, held, outcome_of, plan, released, report, retry,
    rollout, running, start, start_one, tenant,
};

pub(crate) const UNCHANGED: CommandReceipt = CommandReceipt {
    changed: false,
    targets: 0,
};

pub(crate) fn changed(targets: u64) -> CommandReceipt {
    CommandReceipt {
        changed: true,
        targets,
    }
}

pub(crate) fn pause() -> Command {
    Command::Pause {
        reason: Some("lunch".to_owned()),
    }
}

pub(crate) fn resume(acknowledge: bool) -> Command {
    Command::Resume {
        acknowledge,
        reason: None,
    }
}

pub(crate) fn skip(n: usize) -> Command {
    Command::Skip {
        tenant: tenant(n),
        reason: "leaves on Friday".to_owned(),
    }
}

/// A verb that is carried out.
pub(crate) async fn does(store: &AnyStore, id: &RolloutId, command: Command) -> CommandReceipt {
    store.command(id, &command, "anna").await.unwrap()
}

/// A verb that is refused: why.
pub(crate) async fn refuses(store: &AnyStore, id: &RolloutId, command: Command) -> String {
    match store.command(id, &command, "anna").await {
        Err(StoreError::Refused(why)) => why,
        other => panic!("{command:?}: {other:?}"),
    }
}

pub(crate) async fn state(store: &AnyStore, id: &RolloutId) -> RolloutState {
    rollout(store, id).await.state
}

pub(crate) async fn a_paused_rollout_drains_and_starts_nothing(backend: Backend) {
    let store = backend.open().await;
    let id = running(&store, plan(&backend.fleet, &[5])).await;
    let grants = start(&store, &id, 0..2, LEASE).await;
    start_one(&store, &id, 2, TINY).await;
    assert_eq!(does(&store, &id, pause()).await, changed(0));
    assert_eq!(
        store.may_continue(&held(&grants[0])).await.unwrap(),
        RenewedClaim::Stop
    );
    // What had expired is resolved, and nothing else is granted.
    let granted = start(&store, &id, 0..5, LEASE).await;
    let modes: Vec<_> = granted.iter().map(|grant| grant.mode).collect();
    assert_eq!(modes, [ClaimMode::Resolve]);
    report(&store, &granted[0], released(true)).await;
    report(&store, &grants[0], ended(Outcome::Partial)).await;
    report(&store, &grants[1], ended(Outcome::Succeeded)).await;
    assert_eq!(state(&store, &id).await, RolloutState::Paused);
    // What stopped between two versions goes on.
    assert_eq!(does(&store, &id, resume(false)).await, changed(1));
    assert_eq!(start(&store, &id, 0..5, LEASE).await.len(), 4);
}

pub(crate) async fn a_pause_acknowledges_nothing(backend: Backend) {
    let store = backend.open().await;
    let mut planned = plan(&backend.fleet, &[5]);
    planned.policy.limits.max_failures = Some(1);
    let id = running(&store, planned).await;
    let grants = start(&store, &id, 0..3, LEASE).await;
    report(&store, &grants[0], ended(Outcome::Failed)).await;
    does(&store, &id, pause()).await;
    does(&store, &id, resume(true)).await;
    assert_eq!(rollout(&store, &id).await.tally.failed, 1);
    does(&store, &id, pause()).await;
    let receipt = report(&store, &grants[1], ended(Outcome::Failed)).await;
    assert_eq!(receipt, Receipt::Halted);
    let why = refuses(&store, &id, resume(false)).await;
    assert!(why.contains("--acknowledge"), "{why}");
    let why = refuses(&store, &id, pause()).await;
    assert!(why.contains("rollout show"), "{why}");
    does(&store, &id, resume(true)).await;
    assert_eq!(rollout(&store, &id).await.tally.failed, 0);
}

pub(crate) async fn a_target_is_skipped_unless_it_may_still_move(backend: Backend) {
    let store = backend.open().await;
    let id = running(&store, plan(&backend.fleet, &[6])).await;
    let grants = start(&store, &id, 0..4, LEASE).await;
    let why = refuses(&store, &id, skip(0)).await;
    assert!(
        why.contains("in flight") && why.contains("rollout pause"),
        "{why}"
    );
    report(&store, &grants[0], ended(Outcome::Failed)).await;
    report(&store, &grants[1], ended(Outcome::Succeeded)).await;
    let unfenced = retry(ErrorClass::Connection, TINY, false);
    report(&store, &grants[2], unfenced).await;
    let deferred = TargetResult::Ended {
        outcome: Outcome::Deferred,
        applied: Vec::new(),
        failure: Some(failure(ErrorClass::LockTimeout)),
    };
    report(&store, &grants[3], deferred).await;
    for (n, words) in [
        (1, "nothing left to skip"),
        (2, "on its way"),
        (77, "has no tenant"),
    ] {
        let why = refuses(&store, &id, skip(n)).await;
        assert!(why.contains(words), "{why}");
    }
    for n in [0, 3, 4] {
        assert_eq!(does(&store, &id, skip(n)).await, changed(1), "{n}");
        assert_eq!(does(&store, &id, skip(n)).await, UNCHANGED, "{n}");
        assert_eq!(outcome_of(&store, &id, n).await, Outcome::Skipped);
    }
    let after = rollout(&store, &id).await;
    assert!(after.causes.is_empty());
    assert_eq!(after.tally.failed, 1, "it had failed all the same");
    let audited =
        "SELECT actor || ':' || state_before || ':' || state_after || ':' || detail FROM audit
        WHERE verb = 'skip' ORDER BY number LIMIT 1";
    assert_eq!(
        backend.sql(audited).await,
        "anna:running:running:tenant t00000: leaves on Friday"
    );
    // What may be on its way is settled by the next claim, which takes the fence.
    let grant = start_one(&store, &id, 2, LEASE).await;
    assert!(grant.takeover);
    let fenced = retry(ErrorClass::Connection, TINY, true);
    report(&store, &grant, fenced).await;
    assert_eq!(does(&store, &id, skip(2)).await, changed(1));
    let grant = start_one(&store, &id, 5, LEASE).await;
    report(&store, &grant, ended(Outcome::Succeeded)).await;
    act(&store, &id, Action::Finish(RolloutState::Succeeded)).await;
    let why = refuses(&store, &id, skip(5)).await;
    assert!(why.contains("has ended"), "{why}");
}

pub(crate) async fn what_has_not_begun_goes_on_after_a_halt(backend: Backend) {
    let store = backend.open().await;
    let mut planned = plan(&backend.fleet, &[4, 2]);
    planned.waves[0].limits.max_failures = Some(0);
    planned.waves[0].strict = true;
    planned.waves[0].max_in_flight = 1;
    let id = running(&store, planned).await;
    does(&store, &id, skip(3)).await;
    let grant = start_one(&store, &id, 0, LEASE).await;
    report(&store, &grant, ended(Outcome::Failed)).await;
    assert_eq!(state(&store, &id).await, RolloutState::Halted);
    // Two of the canary and two of the next wave have not begun; one was skipped.
    assert_eq!(
        does(&store, &id, Command::RetryNotStarted { reason: None }).await,
        changed(5)
    );
    assert_eq!(
        does(&store, &id, Command::RetryNotStarted { reason: None }).await,
        UNCHANGED
    );
    let after = rollout(&store, &id).await;
    assert_eq!((after.state, after.halt), (RolloutState::Running, None));
    assert_eq!(
        after.tally.failed, 0,
        "whoever goes on has seen what failed"
    );
    assert_eq!(outcome_of(&store, &id, 0).await, Outcome::Failed);
    for n in 1..4 {
        let grant = start_one(&store, &id, n, LEASE).await;
        report(&store, &grant, ended(Outcome::Succeeded)).await;
    }
    act(&store, &id, Action::OpenWave(1)).await;
    let grants = start(&store, &id, 4..6, LEASE).await;
    for grant in &grants {
        report(&store, grant, ended(Outcome::Succeeded)).await;
    }
    let done = Action::Finish(RolloutState::CompletedWithFailures);
    act(&store, &id, done).await;
    assert_eq!(
        does(&store, &id, Command::RetryNotStarted { reason: None }).await,
        UNCHANGED
    );
}

pub(crate) async fn what_was_skipped_is_put_back_after_the_end(backend: Backend) {
    let store = backend.open().await;
    let id = running(&store, plan(&backend.fleet, &[2])).await;
    does(&store, &id, skip(1)).await;
    let grant = start_one(&store, &id, 0, LEASE).await;
    report(&store, &grant, ended(Outcome::Succeeded)).await;
    act(&store, &id, Action::Finish(RolloutState::Succeeded)).await;
    let why = refuses(
        &store,
        &id,
        Command::Retry {
            class: None,
            reason: None,
        },
    )
    .await;
    assert!(why.contains("nothing to retry"), "{why}");
    assert_eq!(
        does(&store, &id, Command::RetryNotStarted { reason: None }).await,
        changed(1)
    );
    let grant = start_one(&store, &id, 1, LEASE).await;
    assert_eq!(grant.epoch, Epoch(1));
    report(&store, &grant, ended(Outcome::Succeeded)).await;
    act(&store, &id, Action::Finish(RolloutState::Succeeded)).await;
    let why = refuses(&store, &id, Command::RetryNotStarted { reason: None }).await;
    assert!(why.contains("nothing to retry"), "{why}");
    for n in 0..2 {
        assert_eq!(outcome_of(&store, &id, n).await, Outcome::Succeeded);
    }
}
