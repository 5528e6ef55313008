//! Opening, looking, upgrading.

use sanderling_core::Serves;
use std::collections::BTreeSet;

use sanderling_store::StoreError;
use sanderling_testkit::{unique, until_async};

use crate::backend::Backend;
use crate::fleet::{DEADLINE, LEASE, plan, submission, worker};

pub(crate) async fn the_identity_stays(backend: Backend) {
    let first = backend.open().await;
    let second = backend.open().await;
    assert_eq!(first.id(), second.id());
    assert_eq!(first.id().as_str().len(), 36);
    let looked = backend.look().await.unwrap().unwrap();
    assert_eq!(looked.id(), first.id());
}

pub(crate) async fn many_open_at_once(backend: Backend) {
    let opening = (0..8).map(|_| backend.open());
    let stores = futures::future::join_all(opening).await;
    let ids: BTreeSet<_> = stores.iter().map(|s| s.id().clone()).collect();
    assert_eq!(ids.len(), 1);
}

pub(crate) async fn looking_creates_nothing(backend: Backend) {
    assert!(backend.look().await.unwrap().is_none());
    if let Some(file) = backend.file() {
        assert!(!file.parent().unwrap().exists(), "looking made a directory");
    } else {
        let url = &backend.url;
        let found = sanderling_testkit::Postgres::shared().sql(
            url,
            "SELECT count(*) FROM pg_namespace WHERE nspname LIKE 'sanderling%'",
        );
        assert_eq!(found, "0");
    }

    let store = backend.open().await;
    let submitted = store
        .submit(&submission(plan(&backend.fleet, &[3])))
        .await
        .unwrap();
    // With the writer still there, and after it has gone.
    look_around(&backend, &submitted.rollout).await;
    drop(store);
    // Whoever closes last tidies up, and one that only looked cannot: then another writer does, when it goes alone.
    let alone = until_async(DEADLINE, "a writer to close its files", async || {
        let left = files(&backend);
        if left.len() < 2 {
            return Ok(());
        }
        drop(backend.open().await);
        Err(format!("{left:?}"))
    });
    alone.await;
    let before = touched(&backend);
    look_around(&backend, &submitted.rollout).await;
    assert_eq!(
        touched(&backend),
        before,
        "looking made a file and removed it"
    );
    let store = backend.open().await;
    store
        .beat(&worker("w1"), &[].into(), &Serves::everyone(), LEASE)
        .await
        .unwrap();
    look_around(&backend, &submitted.rollout).await;
}

async fn look_around(backend: &Backend, id: &sanderling_core::RolloutId) {
    let before = files(backend);
    let looking = backend.look().await.unwrap().unwrap();
    assert_eq!(looking.rollouts(false, 10).await.unwrap().len(), 1);
    assert!(looking.rollout(id).await.unwrap().is_some());
    let written = looking
        .beat(&worker("w9"), &[].into(), &Serves::everyone(), LEASE)
        .await;
    let Err(StoreError::Unavailable { message, .. }) = written else {
        panic!("a store opened for looking wrote: {written:?}");
    };
    assert!(message.contains("looking only"), "{message}");
    let made: Vec<_> = files(backend).difference(&before).cloned().collect();
    assert!(made.is_empty(), "looking made {made:?}");
}

/// When an entry of the store's directory was last made or removed.
fn touched(backend: &Backend) -> Option<std::time::SystemTime> {
    let file = backend.file()?;
    let directory = file.parent().unwrap().metadata().unwrap();
    Some(directory.modified().unwrap())
}

fn files(backend: &Backend) -> BTreeSet<std::path::PathBuf> {
    let Some(file) = backend.file() else {
        return BTreeSet::new();
    };
    let directory = file.parent().unwrap().read_dir().unwrap();
    directory.map(|entry| entry.unwrap().path()).collect()
}

pub(crate) async fn a_newer_store_is_refused(backend: Backend) {
    drop(backend.open().await);
    backend.sql("UPDATE store SET version = 999").await;
    let opened = sanderling_store::open(&backend.url, &backend.fleet, backend.base()).await;
    for error in [opened.err().unwrap(), backend.look().await.err().unwrap()] {
        assert!(matches!(error, StoreError::Refused(_)));
        assert!(error.to_string().contains("version 999"), "{error}");
    }
}

pub(crate) async fn fleets_do_not_see_each_other(backend: Backend) {
    let store = backend.open().await;
    let other_name = unique("other");
    let other = backend.open_as(&other_name).await;
    assert_eq!(store.id(), other.id());
    let first = store
        .submit(&submission(plan(&backend.fleet, &[2])))
        .await
        .unwrap();
    let second = other
        .submit(&submission(plan(&other_name, &[2])))
        .await
        .unwrap();
    assert!(!second.joined);
    assert!(other.rollout(&first.rollout).await.unwrap().is_none());
    assert_eq!(store.rollouts(true, 10).await.unwrap().len(), 1);
}
