//! Tenants that are pinned, in and out of rollouts.

use std::time::Duration;

use sanderling_core::rollout::Action;
use sanderling_core::{
    ErrorClass, Micros, Outcome, RolloutId, RolloutState, TenantId, Version, decide,
};
use sanderling_store::{Command, Hold, StoreError, TargetResult, TenantsReceipt};
use sanderling_testkit::until_async;

use crate::backend::Backend;
use crate::fleet::{
    AnyStore, DEADLINE, LEASE, TINY, act, ended, outcome_of, plan, record, released, report, retry,
    rollout, running, start, start_one, submission, tenant,
};
use crate::verbs::{changed, does, pause, refuses, resume, skip, state};

pub(crate) fn hold(tenants: impl IntoIterator<Item = usize>, until: Option<Micros>) -> Hold {
    Hold {
        tenants: tenants.into_iter().map(tenant).collect(),
        reason: "moves house".to_owned(),
        until,
    }
}

pub(crate) async fn pin(
    store: &AnyStore,
    tenants: impl IntoIterator<Item = usize>,
) -> TenantsReceipt {
    store.hold(&hold(tenants, None), "anna").await.unwrap()
}

pub(crate) async fn let_go(
    store: &AnyStore,
    tenants: impl IntoIterator<Item = usize>,
) -> TenantsReceipt {
    let tenants: Vec<TenantId> = tenants.into_iter().map(tenant).collect();
    store.release(&tenants, "anna").await.unwrap()
}

fn names(tenants: impl IntoIterator<Item = usize>) -> Vec<TenantId> {
    tenants.into_iter().map(tenant).collect()
}

/// The leader does what `decide` says; what that was.
pub(crate) async fn lead(store: &AnyStore, id: &RolloutId) -> Option<Action> {
    let record = record(store, id).await;
    let action = decide(&record.rollout, record.now)
        .actions
        .first()
        .cloned()?;
    act(store, id, action.clone()).await;
    Some(action)
}

/// A rollout of three that waits for its last tenant.
pub(crate) async fn waits(
    store: &AnyStore,
    plan: sanderling_core::plan::Plan,
    n: usize,
) -> RolloutId {
    let id = running(store, plan).await;
    pin(store, [n + 2]).await;
    for grant in start(store, &id, n..n + 3, LEASE).await {
        report(store, &grant, ended(Outcome::Succeeded)).await;
    }
    act(store, &id, Action::Wait).await;
    assert_eq!(state(store, &id).await, RolloutState::Waiting);
    id
}

pub(crate) async fn a_held_tenant_does_not_start(backend: Backend) {
    let store = backend.open().await;
    let id = running(&store, plan(&backend.fleet, &[4])).await;
    let grant = start_one(&store, &id, 0, LEASE).await;
    let receipt = pin(&store, [0, 1, 77]).await;
    assert_eq!(
        receipt,
        TenantsReceipt {
            changed: names([0, 1, 77]),
            targets: 1,
            in_flight: names([0]),
            stopping: Vec::new(),
        }
    );
    assert_eq!(pin(&store, [0, 1, 77]).await, TenantsReceipt::default());
    assert_eq!(outcome_of(&store, &id, 1).await, Outcome::Held);
    assert_eq!(outcome_of(&store, &id, 0).await, Outcome::Pending);
    let granted = start(&store, &id, 0..4, LEASE).await;
    assert_eq!(granted.len(), 2, "the two that are not held");
    // What was in flight when it was pinned is held once its claim gives it back.
    report(&store, &grant, released(true)).await;
    assert_eq!(outcome_of(&store, &id, 0).await, Outcome::Held);
    let held = store.holds().await.unwrap();
    let held: Vec<_> = held.iter().map(|h| (&h.tenant, h.actor.as_str())).collect();
    let (a, b, c) = (tenant(0), tenant(1), tenant(77));
    assert_eq!(held, [(&a, "anna"), (&b, "anna"), (&c, "anna")]);
    let receipt = let_go(&store, [0, 5]).await;
    assert_eq!((receipt.changed, receipt.targets), (names([0]), 1));
    assert_eq!(let_go(&store, [0]).await, TenantsReceipt::default());
    let grant = start_one(&store, &id, 0, LEASE).await;
    assert_eq!(grant.epoch.0, 2);
    let audited =
        "SELECT COUNT(*) || ':' || MIN(detail) || ':' || MIN(actor) FROM audit WHERE verb = 'hold'";
    assert_eq!(
        backend.sql(audited).await,
        "3:tenant t00000: moves house:anna"
    );
    let audited = "SELECT actor || ':' || detail FROM audit WHERE verb = 'release'";
    assert_eq!(backend.sql(audited).await, "anna:tenant t00000");
}

pub(crate) async fn a_rollout_waits_for_held_tenants_and_goes_on(backend: Backend) {
    let store = backend.open().await;
    let id = waits(&store, plan(&backend.fleet, &[3]), 0).await;
    assert_eq!(lead(&store, &id).await, None);
    let why = refuses(&store, &id, resume(true)).await;
    assert!(why.contains("tenants release"), "{why}");
    let receipt = let_go(&store, [2]).await;
    assert_eq!(receipt.targets, 1);
    assert_eq!(state(&store, &id).await, RolloutState::Running);
    let grant = start_one(&store, &id, 2, LEASE).await;
    report(&store, &grant, ended(Outcome::Succeeded)).await;
    let done = Action::Finish(RolloutState::Succeeded);
    assert_eq!(lead(&store, &id).await, Some(done));
}

pub(crate) async fn a_hold_ends_by_itself(backend: Backend) {
    let store = backend.open().await;
    let id = running(&store, plan(&backend.fleet, &[1])).await;
    let past = store.hold(&hold([0], Some(Micros(1))), "anna").await;
    assert!(
        matches!(past, Err(StoreError::Refused(ref why)) if why.contains("--until")),
        "{past:?}"
    );
    let far = Micros(store.now().await.unwrap().0 + 3_600_000_000);
    store.hold(&hold([0], Some(far)), "anna").await.unwrap();
    assert_eq!(rollout(&store, &id).await.hold_ends_at, Some(far));
    act(&store, &id, Action::Wait).await;
    let soon = Micros(store.now().await.unwrap().0 + 50_000);
    let receipt = store.hold(&hold([0], Some(soon)), "bert").await.unwrap();
    assert_eq!((receipt.changed.len(), receipt.targets), (1, 0));
    assert_eq!(rollout(&store, &id).await.hold_ends_at, Some(soon));
    let action = until_async(DEADLINE, "the hold to end", async || {
        lead(&store, &id).await
    })
    .await;
    assert_eq!(action, Action::EndHolds);
    assert_eq!(state(&store, &id).await, RolloutState::Running);
    assert!(store.holds().await.unwrap().is_empty());
    start_one(&store, &id, 0, LEASE).await;
}

pub(crate) async fn a_person_puts_nobody_back_who_is_held(backend: Backend) {
    let store = backend.open().await;
    let mut planned = plan(&backend.fleet, &[3]);
    planned.policy.limits.max_failures = Some(0);
    let id = running(&store, planned).await;
    let grants = start(&store, &id, 0..2, LEASE).await;
    report(&store, &grants[0], ended(Outcome::Failed)).await;
    report(&store, &grants[1], ended(Outcome::Partial)).await;
    pin(&store, [0, 1]).await;
    assert_eq!(outcome_of(&store, &id, 0).await, Outcome::Failed);
    does(&store, &id, resume(true)).await;
    assert_eq!(outcome_of(&store, &id, 1).await, Outcome::Held);
    does(
        &store,
        &id,
        Command::Retry {
            class: None,
            reason: None,
        },
    )
    .await;
    assert_eq!(outcome_of(&store, &id, 0).await, Outcome::Held);
    assert!(rollout(&store, &id).await.causes.is_empty());
    assert_eq!(start(&store, &id, 0..3, LEASE).await.len(), 1);
    let_go(&store, [0, 1]).await;
    let grant = start_one(&store, &id, 1, LEASE).await;
    assert_eq!(grant.applied, [Version::new("1")]);
}

pub(crate) async fn a_plan_that_was_made_before_the_hold(backend: Backend) {
    let store = backend.open().await;
    pin(&store, [1]).await;
    let id = running(&store, plan(&backend.fleet, &[2])).await;
    assert_eq!(outcome_of(&store, &id, 1).await, Outcome::Held);
    assert_eq!(start(&store, &id, 0..2, LEASE).await.len(), 1);
    // In another fleet of the same store the name means somebody else.
    let other = backend.open_as("another").await;
    assert!(other.holds().await.unwrap().is_empty());
    other
        .submit(&submission(plan("another", &[2])))
        .await
        .unwrap();
    assert_eq!(let_go(&other, [1]).await, TenantsReceipt::default());
    assert_eq!(outcome_of(&store, &id, 1).await, Outcome::Held);
}

pub(crate) async fn a_held_tenant_is_skipped_or_cancelled(backend: Backend) {
    let store = backend.open().await;
    let id = waits(&store, plan(&backend.fleet, &[3]), 0).await;
    assert_eq!(does(&store, &id, skip(2)).await, changed(1));
    assert_eq!(state(&store, &id).await, RolloutState::Running);
    assert_eq!(rollout(&store, &id).await.held(), 0);
    let_go(&store, [2]).await;
    assert_eq!(outcome_of(&store, &id, 2).await, Outcome::Skipped);
    let done = Action::Finish(RolloutState::Succeeded);
    assert_eq!(lead(&store, &id).await, Some(done));
}

pub(crate) async fn tenants_are_cancelled_one_by_one(backend: Backend) {
    let store = backend.open().await;
    let id = running(&store, plan(&backend.fleet, &[6])).await;
    let grants = start(&store, &id, 0..4, LEASE).await;
    report(&store, &grants[1], ended(Outcome::Succeeded)).await;
    let half = TargetResult::Retry {
        failure: crate::fleet::failure(ErrorClass::Connection),
        after: Duration::ZERO,
        applied: vec![Version::new("1")],
        fenced: true,
    };
    report(&store, &grants[2], half).await;
    let unfenced = retry(ErrorClass::Connection, TINY, false);
    report(&store, &grants[3], unfenced).await;
    let cancel = async |tenants: &[usize]| {
        let tenants = names(tenants.iter().copied());
        store.cancel_tenants(&tenants, "leaves", "anna").await
    };
    match cancel(&[3]).await {
        Err(StoreError::Refused(why)) => assert!(why.contains("on its way"), "{why}"),
        other => panic!("{other:?}"),
    }
    assert_eq!(cancel(&[1, 77]).await.unwrap(), TenantsReceipt::default());
    let receipt = cancel(&[0, 1, 2, 3, 4]).await.unwrap();
    assert_eq!(
        receipt,
        TenantsReceipt {
            changed: names([0, 2, 4]),
            targets: 3,
            in_flight: names([3]),
            stopping: names([0]),
        }
    );
    assert_eq!(cancel(&[2, 4]).await.unwrap(), TenantsReceipt::default());
    assert_eq!(outcome_of(&store, &id, 2).await, Outcome::Partial);
    assert_eq!(outcome_of(&store, &id, 4).await, Outcome::Cancelled);
    for (row, tenant) in ["t00000", "t00002", "t00004"].into_iter().enumerate() {
        let audited = format!(
            "SELECT actor || ':' || state_before || ':' || state_after || ':' || detail FROM audit
            WHERE verb = 'cancel_tenant' ORDER BY number LIMIT 1 OFFSET {row}"
        );
        assert_eq!(
            backend.sql(&audited).await,
            format!("anna:running:running:tenant {tenant}: leaves")
        );
    }
    // What a person kept from beginning is put back by name of what it is.
    assert_eq!(
        does(&store, &id, Command::RetryNotStarted { reason: None }).await,
        changed(1)
    );
    start_one(&store, &id, 4, LEASE).await;
    does(&store, &id, pause()).await;
}
