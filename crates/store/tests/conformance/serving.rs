//! Workers that serve a part of a fleet, and hosts that travel with rollouts.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use sanderling_core::rollout::Action;
use sanderling_core::{HostName, RolloutId, Serves, WrittenHost, WrittenLabels};

use crate::backend::Backend;
use crate::fleet::{
    AnyStore, LEASE, TINY, act, budgets, host, plan, shifted, start, submission, tenant, want,
    worker,
};

fn serves(text: &str) -> Serves {
    Serves::parse(text).unwrap()
}

/// Ten tenants in one wave: the first eight are labelled `region=eu`, the ninth `region=us`, the last not at all.
async fn labelled(backend: &Backend, store: &AnyStore) -> RolloutId {
    let mut submission = submission(plan(&backend.fleet, &[10]));
    for n in 0..9 {
        let region = if n < 8 { "eu" } else { "us" };
        let labels = [("region", region), ("note", "[\"region\",\"us\"]")];
        let labels = labels.map(|(k, v)| (k.to_owned(), v.to_owned())).into();
        let written = WrittenLabels::of(&labels);
        submission.labels.insert(tenant(n), written);
    }
    let id = store.submit(&submission).await.unwrap().rollout;
    act(store, &id, Action::OpenWave(0)).await;
    id
}

async fn found(store: &AnyStore, serves: &Serves, limit: u32) -> BTreeSet<String> {
    let hosts = [host("eu1"), host("eu2")];
    let found = store.candidates(&hosts, serves, limit).await.unwrap();
    found.iter().map(|c| c.target.tenant.to_string()).collect()
}

async fn granted(
    store: &AnyStore,
    id: &RolloutId,
    serves: &Serves,
    lease: Duration,
) -> BTreeSet<String> {
    let wanted: Vec<_> = (0..10).map(|n| want(id, n)).collect();
    let (worker, budgets) = (worker("w2"), budgets());
    let grants = store.start(&worker, &wanted, &budgets, serves, lease);
    let grants = grants.await.unwrap();
    grants.iter().map(|g| g.target.tenant.to_string()).collect()
}

fn names(numbers: impl IntoIterator<Item = usize>) -> BTreeSet<String> {
    numbers.into_iter().map(|n| tenant(n).to_string()).collect()
}

/// What others serve hides nothing, and `start` grants nothing that `candidates` would not name.
pub(crate) async fn only_what_is_served_is_found_and_granted(backend: Backend) {
    let store = backend.open().await;
    let id = labelled(&backend, &store).await;
    for (text, expected) in [
        ("region=us", names([8])),
        ("region!=eu", names([8, 9])),
        ("region!=eu,region!=us", names([9])),
        ("region=us,host=eu2", names([])),
        ("region=us,host!=eu2", names([8])),
        ("region=u", names([])),
        ("note!=x,region=us", names([8])),
    ] {
        let serves = serves(text);
        assert_eq!(found(&store, &serves, 2).await, expected, "{text}");
        let asked = granted(&store, &id, &serves, TINY).await;
        assert_eq!(asked, expected, "{text}");
        // Taken over by the next.
    }
    assert_eq!(found(&store, &Serves::everyone(), 99).await.len(), 10);
    let rest = granted(&store, &id, &serves("region=eu"), LEASE).await;
    assert_eq!(rest, names(0..8));
}

/// A claim whose worker is gone is resolved by one that may reach the tenant.
pub(crate) async fn an_expired_claim_waits_for_who_serves_it(backend: Backend) {
    let store = backend.open().await;
    let id = labelled(&backend, &store).await;
    start(&store, &id, [0, 8, 9], TINY).await;
    let (eu, us) = (serves("region=eu"), serves("region=us"));
    let expired = store.candidates(&[host("eu1")], &us, 99).await.unwrap();
    let expired: Vec<_> = expired
        .iter()
        .map(|c| (&c.target.tenant, c.expired))
        .collect();
    assert_eq!(expired, [(&tenant(8), true)]);
    assert_eq!(granted(&store, &id, &us, LEASE).await, names([8]));
    assert_eq!(granted(&store, &id, &eu, LEASE).await, names(0..8));
    assert_eq!(
        granted(&store, &id, &serves("region!=x"), LEASE).await,
        names([9])
    );
}

/// The record of a worker says what it serves.
pub(crate) async fn a_worker_says_what_it_serves(backend: Backend) {
    let store = backend.open().await;
    let said = serves("region=us,host!=eu2");
    let idle = BTreeMap::new();
    store
        .beat(&worker("w1"), &idle, &said, LEASE)
        .await
        .unwrap();
    let everyone = Serves::everyone();
    store
        .beat(&worker("w2"), &idle, &everyone, LEASE)
        .await
        .unwrap();
    let records = store.workers().await.unwrap();
    let serves: Vec<_> = records.iter().map(|w| w.serves.clone()).collect();
    assert_eq!(serves, [said, everyone.clone()]);
    store
        .beat(&worker("w1"), &idle, &everyone, LEASE)
        .await
        .unwrap();
    assert_eq!(store.workers().await.unwrap()[0].serves, everyone);
}

fn written(url: &str, connections: u32) -> WrittenHost {
    WrittenHost {
        url: url.to_owned(),
        connections,
        in_flight: None,
        role: Some("{{schema}}_owner".to_owned()),
        search_path: vec!["{{schema}}".to_owned(), "extensions".to_owned()],
    }
}

/// References stand as they were written; what did not change keeps its number; a submission that joins brings its hosts
/// along too, and one that is refused brings none.
pub(crate) async fn hosts_travel_as_they_were_written(backend: Backend) {
    let store = backend.open().await;
    assert!(store.written_hosts(0).await.unwrap().is_empty());
    let names = |records: &[sanderling_store::WrittenHostRecord]| -> Vec<(HostName, WrittenHost)> {
        records
            .iter()
            .map(|r| (r.name.clone(), r.host.clone()))
            .collect()
    };
    let (db, other) = (host("db:5432"), host("other@db:6432"));
    let first = written("postgres://u:${PW}@db:5432/postgres", 8);
    let second = written("postgres://u:${PW}@db:6432/postgres", 4);
    let mut submitted = submission(plan(&backend.fleet, &[2]));
    submitted.hosts = [(db.clone(), first.clone()), (other.clone(), second.clone())].into();
    store.submit(&submitted).await.unwrap();
    let known = store.written_hosts(0).await.unwrap();
    assert_eq!(names(&known), [(db.clone(), first), (other, second)]);
    let newest = known.iter().map(|r| r.number).max().unwrap();

    let mut again = submission(plan(&backend.fleet, &[2]));
    again.hosts = submitted.hosts.clone();
    assert!(store.submit(&again).await.unwrap().joined);
    assert!(store.written_hosts(newest).await.unwrap().is_empty());

    let changed = written("postgres://u:${PW2}@db:5432/postgres", 3);
    again.id = RolloutId::new(uuid::Uuid::now_v7().to_string());
    again.hosts.insert(db.clone(), changed.clone());
    assert!(store.submit(&again).await.unwrap().joined);
    let news = store.written_hosts(newest).await.unwrap();
    assert_eq!(names(&news), [(db.clone(), changed)]);

    let mut refused = submission(shifted(plan(&backend.fleet, &[2]), 1));
    refused.plan.target = sanderling_core::Version::new("9");
    refused.hosts = [(host("evil:1"), written("postgres://evil/x", 1))].into();
    store.submit(&refused).await.unwrap_err();
    let all = store.written_hosts(0).await.unwrap();
    assert!(all.iter().all(|r| r.name != host("evil:1")), "{all:?}");
}
