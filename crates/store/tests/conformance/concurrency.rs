//! Many at once: permits stay exact, a halt is a halt, and a caller that goes away harms nobody.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use rand::rngs::SmallRng;
use rand::{RngExt, SeedableRng};
use sanderling_core::{Event, EventKind, Outcome, RolloutId, RolloutState, Serves, TenantId};
use sanderling_store::{Receipt, Report};
use sanderling_testkit::until_async;

use crate::backend::Backend;
use crate::fleet::{
    AnyStore, DEADLINE, LEASE, budgets, ended, held, host, plan, report, report_of, rollout,
    running, start, start_one, submission, tenant, want, worker,
};

pub(crate) async fn sixteen_starters_and_exact_permits(backend: Backend) {
    let store = backend.open().await;
    let mut planned = plan(&backend.fleet, &[200]);
    planned.policy.concurrency = 7;
    let id = running(&store, planned).await;
    let granted = Arc::new(AtomicUsize::new(0));
    let mut tasks = tokio::task::JoinSet::new();
    for n in 0..16 {
        // Half of them come through a handle of their own, as another process would.
        let store = if n % 2 == 0 {
            Arc::clone(&store)
        } else {
            backend.open().await
        };
        let (id, granted) = (id.clone(), Arc::clone(&granted));
        tasks.spawn(async move {
            let name = worker(&format!("w{n}"));
            for turn in 0..4 {
                let first = (n * 4 + turn) * 3;
                let wanted: Vec<_> = (first..first + 3).map(|t| want(&id, t)).collect();
                let grants = store
                    .start(&name, &wanted, &budgets(), &Serves::everyone(), LEASE)
                    .await;
                granted.fetch_add(grants.unwrap().len(), Ordering::SeqCst);
            }
        });
    }
    tasks.join_all().await;
    assert_eq!(granted.load(Ordering::SeqCst), 7);
    let all = store.events(&id, 0, 10_000).await.unwrap();
    assert_eq!(most_in_flight(&all), 7);
}

/// The most targets in flight at any event.
fn most_in_flight(events: &[Event]) -> usize {
    let mut in_flight: BTreeSet<&TenantId> = BTreeSet::new();
    let mut most = 0;
    for event in events {
        match &event.kind {
            EventKind::Started { tenant, .. } => {
                in_flight.insert(tenant);
            }
            EventKind::Ended { tenant, .. } | EventKind::Released { tenant, .. } => {
                in_flight.remove(tenant);
            }
            _ => {}
        }
        most = most.max(in_flight.len());
    }
    most
}

pub(crate) async fn nothing_starts_after_the_halt(backend: Backend) {
    for seed in 0..3_u64 {
        let store = backend.open().await;
        let mut planned = plan(&backend.fleet, &[120]);
        planned.policy.concurrency = 9;
        planned.policy.limits.max_failures = Some(3);
        let first = seed as usize * 1_000;
        let id = running(&store, crate::fleet::shifted(planned, first)).await;
        let mut tasks = tokio::task::JoinSet::new();
        for n in 0..8_u64 {
            let store = if n % 2 == 0 {
                Arc::clone(&store)
            } else {
                backend.open().await
            };
            let id = id.clone();
            tasks.spawn(async move { work(&store, &id, seed * 100 + n).await });
        }
        let halted: usize = tasks.join_all().await.into_iter().sum();
        assert_eq!(halted, 1, "seed {seed}: exactly one report halts");
        let events = store.events(&id, 0, 10_000).await.unwrap();
        let halt = events
            .iter()
            .find(|e| matches!(e.kind, EventKind::Halted { .. }))
            .unwrap()
            .seq;
        let late = events
            .iter()
            .filter(|e| e.seq > halt && matches!(e.kind, EventKind::Started { .. }));
        assert_eq!(late.count(), 0, "seed {seed}");
        assert!(most_in_flight(&events) <= 9, "seed {seed}");
        let state = rollout(&store, &id).await;
        assert_eq!(
            (state.state, state.started_after_halt),
            (RolloutState::Halted, 0)
        );
        assert!(state.in_flight.is_empty());
    }
}

/// One worker: claims what it can, fails one target in eight, stops when nothing can be had. How often it halted.
async fn work(store: &AnyStore, id: &RolloutId, seed: u64) -> usize {
    let mut random = SmallRng::seed_from_u64(seed);
    let name = worker(&format!("w{seed}"));
    let mut halts = 0;
    loop {
        let found = store
            .candidates(&[host("eu1")], &Serves::everyone(), 40)
            .await
            .unwrap();
        if found.is_empty() && rollout(store, id).await.state != RolloutState::Running {
            return halts;
        }
        let wanted: Vec<_> = found
            .iter()
            .filter(|_| random.random_ratio(1, 6))
            .map(|candidate| {
                let mut wanted = want(id, 0);
                wanted.target = candidate.target.clone();
                wanted
            })
            .collect();
        let grants = store
            .start(&name, &wanted, &budgets(), &Serves::everyone(), LEASE)
            .await;
        let reports: Vec<Report> = grants
            .unwrap()
            .iter()
            .map(|grant| {
                let fails = random.random_ratio(1, 8);
                let outcome = if fails {
                    Outcome::Failed
                } else {
                    Outcome::Succeeded
                };
                report_of(grant, ended(outcome))
            })
            .collect();
        let receipts = store.report(&reports).await.unwrap();
        halts += receipts.iter().filter(|r| **r == Receipt::Halted).count();
    }
}

pub(crate) async fn dropped_futures_poison_nothing(backend: Backend) {
    let store = backend.open().await;
    let id = running(&store, plan(&backend.fleet, &[400])).await;
    let mut random = SmallRng::seed_from_u64(7);
    for n in 0..60 {
        let patience = Duration::from_micros(random.random_range(0..3_000));
        let wanted: Vec<_> = (n * 3..n * 3 + 3).map(|t| want(&id, t)).collect();
        let (name, hosts) = (worker("w1"), budgets());
        let everyone = Serves::everyone();
        let starting = store.start(&name, &wanted, &hosts, &everyone, LEASE);
        let leading = store.lead(&name, LEASE);
        let next = submission(crate::fleet::shifted(plan(&backend.fleet, &[30]), 1_000));
        // Whatever is not done in time is dropped where it stands.
        let _ = tokio::time::timeout(patience, async {
            let (a, b, c) = tokio::join!(starting, leading, store.submit(&next));
            (a.unwrap(), b.unwrap(), c.unwrap())
        })
        .await;
    }
    // Every connection of the pool is good: a write is there for another process, and nothing holds a lock.
    let other = backend.open().await;
    for n in 300..330 {
        let grant = start_one(&store, &id, n, LEASE).await;
        let seen = other.may_continue(&held(&grant)).await.unwrap();
        assert_eq!(seen, sanderling_store::RenewedClaim::Live);
        report(&other, &grant, ended(Outcome::Succeeded)).await;
    }
    let none = start(&store, &id, [300], LEASE).await;
    assert!(none.is_empty());
    if backend.file().is_none() {
        let stuck = "SELECT count(*) FROM pg_stat_activity
            WHERE datname = current_database() AND state LIKE 'idle in transaction%'";
        until_async(DEADLINE, "dropped verbs to come to their end", async || {
            let stuck = backend.sql(stuck).await;
            (stuck == "0").then_some(()).ok_or(stuck)
        })
        .await;
    }
    let ended = crate::fleet::outcome_of(&other, &id, 300).await;
    assert_eq!(ended, Outcome::Succeeded, "{}", tenant(300));
}

/// The server was restarted, or a firewall forgot the connections: the next verb of each kind just works.
pub(crate) async fn connections_that_died_are_replaced(backend: Backend) {
    let store = backend.open().await;
    let id = running(&store, plan(&backend.fleet, &[20])).await;
    for n in 0..4 {
        if backend.file().is_none() {
            let kill = "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity
                WHERE datname = current_database() AND pid <> pg_backend_pid()";
            backend.sql(kill).await;
            let left = "SELECT count(*) FROM pg_stat_activity
                WHERE datname = current_database() AND pid <> pg_backend_pid()
                AND application_name = 'sanderling control'";
            until_async(DEADLINE, "the connections to die", async || {
                let left = backend.sql(left).await;
                (left == "0").then_some(()).ok_or(left)
            })
            .await;
        }
        let grant = start_one(&store, &id, n, LEASE).await;
        let seen = store.may_continue(&held(&grant)).await.unwrap();
        assert_eq!(seen, sanderling_store::RenewedClaim::Live);
        assert_eq!(
            store
                .candidates(&[host("eu1")], &Serves::everyone(), 9)
                .await
                .unwrap()
                .len(),
            9
        );
    }
}

/// Whoever asked has gone, but the transaction is not torn: it runs to its end.
pub(crate) async fn a_dropped_verb_comes_to_its_end(backend: Backend) {
    let store = backend.open().await;
    let name = worker("gone");
    let nothing = [].into();
    let everyone = Serves::everyone();
    let mut beating = store.beat(&name, &nothing, &everyone, LEASE);
    assert!(futures::poll!(beating.as_mut()).is_pending());
    drop(beating);
    until_async(DEADLINE, "the dropped beat", async || {
        let alive = store.workers().await.unwrap();
        alive.iter().any(|w| w.worker == name).then_some(())
    })
    .await;
}

/// A start and a report touch the rows they name, however many others there are.
pub(crate) async fn a_large_rollout_moves(backend: Backend) {
    let store = backend.open().await;
    let id = running(&store, plan(&backend.fleet, &[8_000])).await;
    for turn in 0..40 {
        let grants = start(&store, &id, turn * 8..turn * 8 + 8, LEASE).await;
        let reports: Vec<_> = grants
            .iter()
            .map(|grant| report_of(grant, ended(Outcome::Succeeded)))
            .collect();
        store.report(&reports).await.unwrap();
    }
    assert_eq!(rollout(&store, &id).await.waves[0].startable(), 8_000 - 320);
}
