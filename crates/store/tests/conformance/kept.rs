//! Connections that workers keep idle take places in their host's budget.

use std::collections::BTreeMap;
use std::time::Duration;

use sanderling_core::{HostName, Outcome, RolloutId, Serves};
use sanderling_store::{Budget, Grant, Idle, Report};
use sanderling_testkit::until_async;

use crate::backend::Backend;
use crate::fleet::{
    AnyStore, DEADLINE, LEASE, TINY, ended, host, plan, report, report_of, running, want, worker,
};

/// What the host of these tests may have.
const CONNECTIONS: u32 = 5;
/// A worker that has kept nothing.
const NONE: (u64, u64) = (0, 0);

pub(crate) async fn what_a_worker_keeps_is_taken_for_others(backend: Backend) {
    let store = backend.open().await;
    let id = running(&store, plan(&backend.fleet, &[20])).await;
    alive(&store, "w1", NONE, LEASE).await;
    alive(&store, "w2", NONE, LEASE).await;
    let first = ask(&store, &id, "w1", NONE, 0..3).await;
    assert_eq!(first.len(), 3);
    assert_eq!(first[0].spare, 0, "nothing is kept yet");
    for (grant, n) in first.iter().zip(1..) {
        keep(&store, grant, n).await;
    }

    let others = ask(&store, &id, "w2", NONE, 3..10).await;
    assert_eq!(others.len(), 2, "three places are kept by w1");

    let own = ask(&store, &id, "w1", NONE, 5..10).await;
    assert_eq!(own.len(), 3, "its own make way for it");
    assert!(own.iter().all(|grant| grant.spare == 0), "{own:?}");
}

pub(crate) async fn what_a_worker_let_go_of_is_free(backend: Backend) {
    let store = backend.open().await;
    let id = running(&store, plan(&backend.fleet, &[20])).await;
    alive(&store, "w1", NONE, LEASE).await;
    for (grant, n) in ask(&store, &id, "w1", NONE, 0..4).await.iter().zip(1..) {
        keep(&store, grant, n).await;
    }
    // By a heartbeat two, by the next question another; a message that comes late takes nothing back.
    alive(&store, "w1", (4, 2), LEASE).await;
    let grants = ask(&store, &id, "w1", (4, 3), 4..6).await;
    assert_eq!(grants.iter().map(|g| g.spare).max(), Some(1), "{grants:?}");
    alive(&store, "w1", (4, 1), LEASE).await;
    let others = ask(&store, &id, "w2", NONE, 6..16).await;
    assert_eq!(others.len(), 2, "two at work, one kept, of five");
}

pub(crate) async fn a_lost_worker_keeps_nothing(backend: Backend) {
    let store = backend.open().await;
    let id = running(&store, plan(&backend.fleet, &[20])).await;
    alive(&store, "w1", NONE, TINY).await;
    for (grant, n) in ask(&store, &id, "w1", NONE, 0..4).await.iter().zip(1..) {
        keep(&store, grant, n).await;
    }
    until_async(DEADLINE, "w1's heartbeat to run out", async || {
        let alive = store.workers().await.unwrap();
        alive.is_empty().then_some(()).ok_or(format!("{alive:?}"))
    })
    .await;
    assert_eq!(ask(&store, &id, "w2", NONE, 4..14).await.len(), 5);
}

pub(crate) async fn a_report_that_came_too_late_keeps_nothing(backend: Backend) {
    let store = backend.open().await;
    let id = running(&store, plan(&backend.fleet, &[20])).await;
    alive(&store, "w1", NONE, LEASE).await;
    let grants = ask(&store, &id, "w1", NONE, 0..1).await;
    report(&store, &grants[0], ended(Outcome::Succeeded)).await;
    keep(&store, &grants[0], 1).await;
    let others = ask(&store, &id, "w2", NONE, 1..11).await;
    assert_eq!(others.len(), 5);

    // Its worker closed that connection, and counts right ever after.
    alive(&store, "w1", (1, 1), LEASE).await;
    for grant in &others {
        report(&store, grant, ended(Outcome::Succeeded)).await;
    }
    let grants = ask(&store, &id, "w1", (1, 1), 11..12).await;
    keep(&store, &grants[0], 2).await;
    assert_eq!(ask(&store, &id, "w2", NONE, 12..20).await.len(), 4);
}

/// Claims above the connections wait in their workers: of both there is one number over all of them.
pub(crate) async fn more_claims_than_connections(backend: Backend) {
    let store = backend.open().await;
    let id = running(&store, plan(&backend.fleet, &[40])).await;
    let ask = async |name: &str, tenants, lease| queue(&store, &id, name, tenants, lease).await;
    let first = ask("w1", 0..10, LEASE).await;
    assert_eq!((first.len(), first[0].seats), (10, Some(5)));
    let none = ask("w2", 10..20, LEASE).await;
    assert!(none.is_empty(), "w1 has every connection: {none:?}");
    for grant in &first[..7] {
        report(&store, grant, ended(Outcome::Succeeded)).await;
    }
    let second = ask("w2", 10..20, LEASE).await;
    assert_eq!(second.len(), 9, "twelve may be in flight, and w1 has three");
    assert_eq!(second[0].seats, Some(2));
    report(&store, &first[7], ended(Outcome::Succeeded)).await;
    let more = ask("w1", 20..30, LEASE).await;
    assert_eq!(
        (more.len(), more[0].seats),
        (1, Some(3)),
        "w2 keeps its two"
    );
}

/// A dead worker's connections go to whoever takes its claims over, one with each, while it had any.
pub(crate) async fn connections_change_hands_with_claims(backend: Backend) {
    let store = backend.open().await;
    let id = running(&store, plan(&backend.fleet, &[40])).await;
    let ask = async |name: &str, tenants, lease| queue(&store, &id, name, tenants, lease).await;
    assert_eq!(ask("w1", 0..10, TINY).await.len(), 10);
    let taken = ask("w2", 0..3, LEASE).await;
    assert_eq!((taken.len(), taken[0].seats), (3, Some(3)));
    let taken = ask("w3", 3..10, LEASE).await;
    assert_eq!((taken.len(), taken[0].seats), (7, Some(2)));
}

async fn queue(
    store: &AnyStore,
    id: &RolloutId,
    name: &str,
    tenants: std::ops::Range<usize>,
    lease: Duration,
) -> Vec<Grant> {
    let budget = Budget {
        connections: CONNECTIONS,
        in_flight: 12,
        idle: counted(NONE),
    };
    let budgets: BTreeMap<HostName, Budget> = [(host("eu1"), budget)].into();
    let wanted: Vec<_> = tenants.map(|n| want(id, n)).collect();
    store
        .start(&worker(name), &wanted, &budgets, &Serves::everyone(), lease)
        .await
        .unwrap()
}

async fn alive(store: &AnyStore, name: &str, idle: (u64, u64), lease: Duration) {
    let serves = [(host("eu1"), counted(idle))].into();
    store
        .beat(&worker(name), &serves, &Serves::everyone(), lease)
        .await
        .unwrap();
}

async fn ask(
    store: &AnyStore,
    id: &RolloutId,
    name: &str,
    idle: (u64, u64),
    tenants: std::ops::Range<usize>,
) -> Vec<Grant> {
    let budget = Budget {
        connections: CONNECTIONS,
        in_flight: CONNECTIONS,
        idle: counted(idle),
    };
    let budgets: BTreeMap<HostName, Budget> = [(host("eu1"), budget)].into();
    let wanted: Vec<_> = tenants.map(|n| want(id, n)).collect();
    store
        .start(&worker(name), &wanted, &budgets, &Serves::everyone(), LEASE)
        .await
        .unwrap()
}

/// Kept and let go of.
fn counted((kept, let_go): (u64, u64)) -> Idle {
    Idle { kept, let_go }
}

/// The claim succeeded, and its connection stays open: the worker's n-th.
async fn keep(store: &AnyStore, grant: &Grant, n: u64) {
    let report = Report {
        kept: Some(n),
        ..report_of(grant, ended(Outcome::Succeeded))
    };
    store.report(&[report]).await.unwrap();
}
