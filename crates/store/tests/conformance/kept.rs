//! Connections that workers keep idle take places in their host's budget.

use std::collections::BTreeMap;
use std::time::Duration;

use sanderling_core::{HostName, Outcome, RolloutId};
use sanderling_store::{Budget, Grant, Report};
use sanderling_testkit::until_async;

use crate::backend::Backend;
use crate::fleet::{
    AnyStore, DEADLINE, LEASE, TINY, ended, host, plan, report, report_of, running, want, worker,
};

/// What the host of these tests may have.
const CONNECTIONS: u32 = 5;

pub(crate) async fn what_a_worker_keeps_is_taken_for_others(backend: Backend) {
    let store = backend.open().await;
    let id = running(&store, plan(&backend.fleet, &[20])).await;
    alive(&store, "w1", 0, LEASE).await;
    alive(&store, "w2", 0, LEASE).await;
    let first = ask(&store, &id, "w1", 0, 0..3).await;
    assert_eq!(first.len(), 3);
    assert_eq!(first[0].spare, 0, "nothing is kept yet");
    for grant in &first {
        keep(&store, grant).await;
    }

    let others = ask(&store, &id, "w2", 0, 3..10).await;
    assert_eq!(others.len(), 2, "three places are kept by w1");

    let own = ask(&store, &id, "w1", 0, 5..10).await;
    assert_eq!(own.len(), 3, "its own make way for it");
    assert!(own.iter().all(|grant| grant.spare == 0), "{own:?}");
}

pub(crate) async fn what_a_worker_let_go_of_is_free(backend: Backend) {
    let store = backend.open().await;
    let id = running(&store, plan(&backend.fleet, &[20])).await;
    alive(&store, "w1", 0, LEASE).await;
    for grant in ask(&store, &id, "w1", 0, 0..4).await {
        keep(&store, &grant).await;
    }
    // By a heartbeat two, by the next question another; a message that comes late takes nothing back.
    alive(&store, "w1", 2, LEASE).await;
    let grants = ask(&store, &id, "w1", 3, 4..6).await;
    assert_eq!(grants.iter().map(|g| g.spare).max(), Some(1), "{grants:?}");
    alive(&store, "w1", 1, LEASE).await;
    let others = ask(&store, &id, "w2", 0, 6..16).await;
    assert_eq!(others.len(), 2, "two at work, one kept, of five");
}

pub(crate) async fn a_lost_worker_keeps_nothing(backend: Backend) {
    let store = backend.open().await;
    let id = running(&store, plan(&backend.fleet, &[20])).await;
    alive(&store, "w1", 0, TINY).await;
    for grant in ask(&store, &id, "w1", 0, 0..4).await {
        keep(&store, &grant).await;
    }
    until_async(DEADLINE, "w1's heartbeat to run out", async || {
        let alive = store.workers().await.unwrap();
        alive.is_empty().then_some(()).ok_or(format!("{alive:?}"))
    })
    .await;
    assert_eq!(ask(&store, &id, "w2", 0, 4..14).await.len(), 5);
}

pub(crate) async fn a_report_that_came_too_late_keeps_nothing(backend: Backend) {
    let store = backend.open().await;
    let id = running(&store, plan(&backend.fleet, &[20])).await;
    alive(&store, "w1", 0, LEASE).await;
    let grants = ask(&store, &id, "w1", 0, 0..1).await;
    report(&store, &grants[0], ended(Outcome::Succeeded)).await;
    keep(&store, &grants[0]).await;
    assert_eq!(ask(&store, &id, "w2", 0, 1..11).await.len(), 5);
}

async fn alive(store: &AnyStore, name: &str, let_go: u64, lease: Duration) {
    let serves = [(host("eu1"), let_go)].into();
    store.beat(&worker(name), &serves, lease).await.unwrap();
}

async fn ask(
    store: &AnyStore,
    id: &RolloutId,
    name: &str,
    let_go: u64,
    tenants: std::ops::Range<usize>,
) -> Vec<Grant> {
    let budget = Budget {
        connections: CONNECTIONS,
        let_go,
    };
    let budgets: BTreeMap<HostName, Budget> = [(host("eu1"), budget)].into();
    let wanted: Vec<_> = tenants.map(|n| want(id, n)).collect();
    store
        .start(&worker(name), &wanted, &budgets, LEASE)
        .await
        .unwrap()
}

/// The claim succeeded, and its connection stays open.
async fn keep(store: &AnyStore, grant: &Grant) {
    let report = Report {
        kept: true,
        ..report_of(grant, ended(Outcome::Succeeded))
    };
    store.report(&[report]).await.unwrap();
}
