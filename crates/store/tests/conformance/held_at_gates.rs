//! Holds that begin and end while their rollout stands at a gate.

use sanderling_core::gate::Verdict;
use sanderling_core::rollout::Action;
use sanderling_core::{Micros, Outcome, RolloutId, RolloutState};
use sanderling_store::Command;
use sanderling_testkit::until_async;

use crate::backend::Backend;
use crate::fleet::{
    AnyStore, DEADLINE, LEASE, act, ended, outcome_of, plan, report, rollout, running, start,
    start_one,
};
use crate::gates::{errors, measured, refused, skip as skip_gate};
use crate::holds::{hold, lead, let_go, pin};
use crate::verbs::{does, pause, resume, skip, state};

/// A rollout of two waves whose first has ended but for tenant 1, who is held, with a gate in between.
async fn at(store: &AnyStore, fleet: &str) -> RolloutId {
    let mut planned = plan(fleet, &[2, 1]);
    planned.waves[0].gates = vec![errors()];
    let id = running(store, planned).await;
    pin(store, [1]).await;
    let grant = start_one(store, &id, 0, LEASE).await;
    report(store, &grant, ended(Outcome::Succeeded)).await;
    id
}

/// Tenant 1 is migrated, and only what is measured after that opens the next wave.
async fn goes_on_with_evidence(store: &AnyStore, id: &RolloutId, evaluation: u32) {
    assert_eq!(outcome_of(store, id, 1).await, Outcome::Pending);
    let why = refused(store, id, Action::OpenWave(1)).await;
    assert!(why.contains("has not ended"), "{why}");
    let late = refused(store, id, measured(1, Verdict::Pass)).await;
    assert!(late.contains("stands at no gate"), "{late}");
    let grant = start_one(store, id, 1, LEASE).await;
    report(store, &grant, ended(Outcome::Succeeded)).await;
    let why = refused(store, id, Action::OpenWave(1)).await;
    assert!(why.contains("gate errors has not passed"), "{why}");
    let late = refused(store, id, measured(1, Verdict::Pass)).await;
    assert!(late.contains(&format!("evaluation {evaluation}")), "{late}");
    act(store, id, measured(evaluation, Verdict::Pass)).await;
    assert_eq!(lead(store, id).await, Some(Action::OpenWave(1)));
    assert_eq!(start(store, id, [2], LEASE).await.len(), 1);
}

pub(crate) async fn a_release_at_a_gate_that_says_nothing(backend: Backend) {
    let store = backend.open().await;
    let id = at(&store, &backend.fleet).await;
    act(&store, &id, measured(1, Verdict::Error)).await;
    assert_eq!(state(&store, &id).await, RolloutState::Waiting);
    assert_eq!(lead(&store, &id).await, None);
    assert_eq!(let_go(&store, [1]).await.targets, 1);
    assert_eq!(state(&store, &id).await, RolloutState::Running);
    goes_on_with_evidence(&store, &id, 2).await;
}

pub(crate) async fn a_hold_that_ends_by_itself_at_a_gate(backend: Backend) {
    let store = backend.open().await;
    let id = at(&store, &backend.fleet).await;
    act(&store, &id, measured(1, Verdict::Inconclusive)).await;
    let soon = Micros(store.now().await.unwrap().0 + 50_000);
    store.hold(&hold([1], Some(soon)), "anna").await.unwrap();
    assert_eq!(state(&store, &id).await, RolloutState::Waiting);
    let action = until_async(DEADLINE, "the hold to end", async || {
        lead(&store, &id).await
    })
    .await;
    assert_eq!(action, Action::EndHolds);
    goes_on_with_evidence(&store, &id, 2).await;
}

pub(crate) async fn a_release_while_a_gate_has_halted_it(backend: Backend) {
    let store = backend.open().await;
    let id = at(&store, &backend.fleet).await;
    act(&store, &id, measured(1, Verdict::Fail)).await;
    let_go(&store, [1]).await;
    let halted = rollout(&store, &id).await;
    assert_eq!(halted.state, RolloutState::Halted);
    let said = halted.waves[0].gates[0].verdict;
    assert_eq!(said, Some(Verdict::Fail), "it can still be read");
    assert_eq!(start(&store, &id, [1], LEASE).await.len(), 0);
    does(&store, &id, resume(true)).await;
    goes_on_with_evidence(&store, &id, 2).await;
}

/// The time of a hold is over during a pause: whoever resumes finds its tenant pending.
pub(crate) async fn a_hold_that_ends_in_a_pause_at_a_gate(backend: Backend) {
    let store = backend.open().await;
    let id = at(&store, &backend.fleet).await;
    act(&store, &id, measured(1, Verdict::Error)).await;
    does(&store, &id, pause()).await;
    let soon = Micros(store.now().await.unwrap().0 + 50_000);
    store.hold(&hold([1], Some(soon)), "anna").await.unwrap();
    until_async(DEADLINE, "the hold to end", async || {
        store.holds().await.unwrap().is_empty().then_some(())
    })
    .await;
    assert_eq!(lead(&store, &id).await, None);
    assert_eq!(outcome_of(&store, &id, 1).await, Outcome::Held);
    does(&store, &id, resume(false)).await;
    goes_on_with_evidence(&store, &id, 2).await;
}

pub(crate) async fn a_retry_of_who_is_held_passes_no_gate(backend: Backend) {
    let store = backend.open().await;
    let mut planned = plan(&backend.fleet, &[1, 1]);
    planned.waves[0].gates = vec![errors()];
    let id = running(&store, planned).await;
    let grant = start_one(&store, &id, 0, LEASE).await;
    report(&store, &grant, ended(Outcome::Failed)).await;
    pin(&store, [0]).await;
    act(&store, &id, measured(1, Verdict::Error)).await;
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
    let why = refused(&store, &id, Action::OpenWave(1)).await;
    assert!(why.contains("gate errors has not passed"), "{why}");
    act(&store, &id, measured(2, Verdict::Pass)).await;
    assert_eq!(lead(&store, &id).await, Some(Action::OpenWave(1)));
}

/// What a person said of a gate is about the gate, and outlives a hold that ends a moment later.
pub(crate) async fn a_skipped_gate_stays_skipped_when_a_hold_ends(backend: Backend) {
    let store = backend.open().await;
    let id = at(&store, &backend.fleet).await;
    act(&store, &id, measured(1, Verdict::Error)).await;
    does(&store, &id, skip_gate("errors")).await;
    let_go(&store, [1]).await;
    let why = refused(&store, &id, Action::OpenWave(1)).await;
    assert!(why.contains("has not ended"), "{why}");
    let grant = start_one(&store, &id, 1, LEASE).await;
    report(&store, &grant, ended(Outcome::Succeeded)).await;
    assert_eq!(lead(&store, &id).await, Some(Action::OpenWave(1)));
}

/// Nobody is left to wait for, and the gate keeps the next wave shut all the same.
pub(crate) async fn the_last_held_tenant_is_skipped_at_a_gate(backend: Backend) {
    let store = backend.open().await;
    let id = at(&store, &backend.fleet).await;
    act(&store, &id, measured(1, Verdict::Error)).await;
    does(&store, &id, skip(1)).await;
    let waits = rollout(&store, &id).await;
    assert_eq!(waits.state, RolloutState::Waiting);
    assert_eq!(waits.kept_by_gate(), Some((0, 0)));
    does(&store, &id, resume(false)).await;
    act(&store, &id, measured(2, Verdict::Pass)).await;
    assert_eq!(lead(&store, &id).await, Some(Action::OpenWave(1)));
}
