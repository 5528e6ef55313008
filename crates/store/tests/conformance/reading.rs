//! Everything that only reads.

use std::time::Duration;

use sanderling_core::plan::LeftOut;
use sanderling_core::rollout::Action;
use sanderling_core::{
    Bundle, BundleFile, BundleHash, Epoch, ErrorClass, Micros, Outcome, RolloutId, RolloutState,
    Serves, Version,
};
use sanderling_store::{Away, Command, Idle, StoreError, TargetFilter, TargetRef};
use sanderling_testkit::until_async;

use crate::backend::Backend;
use crate::fleet::{
    DEADLINE, LEASE, TINY, act, ended, host, place, plan, report, retry, running, start, start_one,
    submission, tenant, worker,
};

fn bundle(files: &[(&str, &str)]) -> Bundle {
    let files = files.iter().map(|(name, text)| BundleFile {
        name: (*name).to_owned(),
        text: (*text).to_owned(),
    });
    Bundle::new(files.collect())
}

pub(crate) async fn bundles(backend: Backend) {
    let store = backend.open().await;
    let kept = bundle(&[("2_b.sql", "SELECT 'ü\u{1F426}';\n"), ("1_a.sql", "")]);
    for _ in 0..2 {
        store.put_bundle(&kept).await.unwrap();
    }
    assert_eq!(store.bundle(kept.hash()).await.unwrap(), Some(kept.clone()));
    let none = store.bundle(&BundleHash::new("f00")).await.unwrap();
    assert_eq!(none, None);
    backend
        .sql("UPDATE bundle_files SET body = 'SELECT 2' WHERE name = '1_a.sql'")
        .await;
    let corrupt = store.bundle(kept.hash()).await.unwrap_err();
    assert!(matches!(corrupt, StoreError::Corrupt(_)), "{corrupt}");
}

pub(crate) async fn files_of_a_version(backend: Backend) {
    let store = backend.open().await;
    let old = bundle(&[("42_a.sql", "old"), ("421_b.sql", "x"), ("142_b.sql", "x")]);
    let new = bundle(&[("42_a.sql", "new"), ("43_b.sql", "x"), ("42.sql", "dot")]);
    let same = bundle(&[("42_renamed.sql", "new"), ("4_a.sql", "x")]);
    for bundle in [&old, &new, &same] {
        let before = store.now().await.unwrap();
        store.put_bundle(bundle).await.unwrap();
        until_async(DEADLINE, "the clock to move on", async || {
            (store.now().await.unwrap() > before).then_some(())
        })
        .await;
    }
    let files = store.files_of_version(&Version::new("42")).await.unwrap();
    let texts: Vec<_> = files.iter().map(|f| f.text.as_str()).collect();
    assert_eq!(
        texts,
        ["new", "dot", "old"],
        "newest bundle first, each once"
    );
}

pub(crate) async fn targets_in_pages(backend: Backend) {
    let store = backend.open().await;
    let id = running(&store, plan(&backend.fleet, &[10])).await;
    let grants = start(&store, &id, 3..6, LEASE).await;
    report(&store, &grants[0], ended(Outcome::Failed)).await;
    let page = async |filter, after: Option<usize>, limit| {
        let after = after.map(tenant);
        let found = store.targets(&id, filter, after.as_ref(), limit).await;
        let found = found.unwrap();
        found
            .iter()
            .map(|t| t.target.tenant.clone())
            .collect::<Vec<_>>()
    };
    let all = TargetFilter::All;
    assert_eq!(page(all, None, 2).await, [tenant(0), tenant(1)]);
    assert_eq!(page(all, Some(8), 5).await, [tenant(9)]);
    assert_eq!(
        page(TargetFilter::InFlight, None, 9).await,
        [tenant(4), tenant(5)]
    );
    let failed = TargetFilter::Outcome(Outcome::Failed);
    assert_eq!(page(failed, None, 9).await, [tenant(3)]);
    let pending = TargetFilter::Outcome(Outcome::Pending);
    assert_eq!(page(pending, None, 99).await.len(), 9);
    let in_flight = store
        .targets(&id, TargetFilter::InFlight, None, 1)
        .await
        .unwrap();
    assert_eq!(in_flight[0].owner, Some(worker("w1")));
    assert!(in_flight[0].lease_until.unwrap() > store.now().await.unwrap());
    assert_eq!(in_flight[0].version, Version::new("2"));
}

pub(crate) async fn believed(backend: Backend) {
    let store = backend.open().await;
    let id = running(&store, plan(&backend.fleet, &[3])).await;
    for (grant, outcome) in start(&store, &id, 0..3, LEASE).await.iter().zip([
        Outcome::Succeeded,
        Outcome::Succeeded,
        Outcome::Failed,
    ]) {
        report(&store, grant, ended(outcome)).await;
    }
    let done = RolloutState::CompletedWithFailures;
    act(&store, &id, Action::Finish(done)).await;
    let mut next = plan(&backend.fleet, &[1]);
    next.target = Version::new("3");
    next.left_out.push(LeftOut {
        tenant: tenant(5),
        place: place("eu1", &tenant(5)),
        outcome: Outcome::UpToDate,
        failure: None,
    });
    let next = running(&store, next).await;
    let grant = start_one(&store, &next, 0, LEASE).await;
    report(&store, &grant, ended(Outcome::Succeeded)).await;

    let believed = store.believed(None, 9).await.unwrap();
    let versions: Vec<_> = believed
        .iter()
        .map(|b| {
            let newest = &b.targets[0];
            (
                b.tenant.clone(),
                b.issued.0,
                newest.version.as_str(),
                newest.outcome,
            )
        })
        .collect();
    let expected = [
        (tenant(0), 2, "3", Outcome::Succeeded),
        (tenant(1), 1, "2", Outcome::Succeeded),
        (tenant(2), 1, "2", Outcome::Failed),
        (tenant(5), 0, "3", Outcome::UpToDate),
    ];
    assert_eq!(versions, expected);
    assert!(believed.iter().all(|b| b.targets.len() == 1));
    let page = store.believed(Some(&tenant(0)), 1).await.unwrap();
    assert_eq!(page, believed[1..2]);
}

/// What a later failure does not disprove is still known, and so is a claim that outlives its rollout.
pub(crate) async fn believed_over_several_rollouts(backend: Backend) {
    let store = backend.open().await;
    let mut target = 2;
    let mut next = async |outcome: Outcome| {
        let mut plan = plan(&backend.fleet, &[1]);
        plan.target = Version::new(target.to_string());
        target += 1;
        let id = running(&store, plan).await;
        let grant = start_one(&store, &id, 0, LEASE).await;
        if outcome == Outcome::Pending {
            return id;
        }
        report(&store, &grant, ended(outcome)).await;
        let done = match outcome {
            Outcome::Succeeded => RolloutState::Succeeded,
            _ => RolloutState::CompletedWithFailures,
        };
        act(&store, &id, Action::Finish(done)).await;
        id
    };
    for outcome in [
        Outcome::Succeeded,
        Outcome::Succeeded,
        Outcome::Failed,
        Outcome::Failed,
    ] {
        next(outcome).await;
    }
    let versions = async || {
        let believed = store.believed(None, 9).await.unwrap();
        let newest_first = believed[0].targets.iter();
        newest_first
            .map(|t| t.version.to_string())
            .collect::<Vec<_>>()
    };
    assert_eq!(
        versions().await,
        ["5", "4", "3"],
        "back to the last success"
    );

    let cancelled = next(Outcome::Pending).await;
    let cancel = Command::Cancel {
        reason: "test".to_owned(),
    };
    store.command(&cancelled, &cancel, "anna").await.unwrap();
    let mut up_to_date = plan(&backend.fleet, &[0]);
    up_to_date.targets.clear();
    up_to_date.target = Version::new("9");
    up_to_date.left_out.push(LeftOut {
        tenant: tenant(0),
        place: place("eu1", &tenant(0)),
        outcome: Outcome::UpToDate,
        failure: None,
    });
    store.submit(&submission(up_to_date)).await.unwrap();
    assert_eq!(
        versions().await,
        ["9", "6"],
        "the one in flight is not hidden"
    );
    let believed = store.believed(None, 9).await.unwrap();
    assert_eq!(believed[0].targets[1].owner, Some(worker("w1")));
}

/// Numbers that a restored store has forgotten: raised, never lowered, also for tenants it never heard of.
pub(crate) async fn epochs_are_raised_and_never_lowered(backend: Backend) {
    let store = backend.open().await;
    let id = running(&store, plan(&backend.fleet, &[2])).await;
    let first = start_one(&store, &id, 0, LEASE).await;
    assert_eq!((first.epoch, first.takeover), (Epoch(1), false));
    report(
        &store,
        &first,
        retry(ErrorClass::LockTimeout, Duration::ZERO, true),
    )
    .await;

    let asked = [(0, 9), (1, 0), (7, 4)].map(|(n, epoch)| (tenant(n), Epoch(epoch)));
    let raised = store
        .raise_epochs(&asked, "anna", "restored")
        .await
        .unwrap();
    assert_eq!(raised, [tenant(0), tenant(7)]);
    let again = asked.map(|(tenant, epoch)| (tenant, Epoch(epoch.0 - 1)));
    let again = store.raise_epochs(&again, "anna", "again").await.unwrap();
    assert_eq!(again, []);

    let believed = store.believed(None, 9).await.unwrap();
    let issued: Vec<_> = believed
        .iter()
        .map(|b| (b.tenant.clone(), b.issued.0))
        .collect();
    assert_eq!(issued, [(tenant(0), 9), (tenant(1), 0), (tenant(7), 4)]);
    let second = start_one(&store, &id, 0, LEASE).await;
    assert_eq!(
        (second.epoch, second.takeover),
        (Epoch(10), true),
        "of the forgotten claims nothing is proved"
    );
    let audited =
        "SELECT CAST(count(*) AS text) || ' by ' || min(actor) || ': ' || min(detail) FROM audit
        WHERE verb = 'repair_epochs'";
    assert_eq!(
        backend.sql(audited).await,
        "2 by anna: tenant t00000, from epoch 1 to 9: restored"
    );
}

pub(crate) async fn workers_and_events(backend: Backend) {
    let store = backend.open().await;
    let hosts = [host("eu1"), host("eu2")];
    let serves = hosts.clone().map(|host| (host, Idle::default())).into();
    store
        .beat(&worker("w1"), &[].into(), &Serves::everyone(), LEASE)
        .await
        .unwrap();
    store
        .beat(&worker("w1"), &serves, &Serves::everyone(), LEASE)
        .await
        .unwrap();
    store
        .beat(&worker("w2"), &serves, &Serves::everyone(), TINY)
        .await
        .unwrap();
    let alive = store.workers().await.unwrap();
    assert_eq!(alive.len(), 1);
    assert_eq!(
        (&alive[0].worker, &alive[0].hosts[..]),
        (&worker("w1"), &hosts[..])
    );

    let id = running(&store, plan(&backend.fleet, &[5])).await;
    start(&store, &id, 0..5, LEASE).await;
    let all = store.events(&id, 0, 99).await.unwrap();
    let seqs: Vec<_> = all.iter().map(|e| e.seq).collect();
    assert_eq!(seqs, (1..=7).collect::<Vec<_>>(), "from 1, without gaps");
    assert_eq!(store.events(&id, 2, 3).await.unwrap(), all[2..5]);
    assert!(all.windows(2).all(|pair| pair[0].at <= pair[1].at));
}

/// What a worker says of a host that is away comes back in the store's time, and is gone with its next word.
pub(crate) async fn a_worker_says_what_is_away(backend: Backend) {
    let store = backend.open().await;
    let (name, everyone) = (worker("w1"), Serves::everyone());
    store
        .beat(&name, &[].into(), &everyone, LEASE)
        .await
        .unwrap();
    let target = TargetRef {
        rollout: RolloutId::new("r"),
        tenant: tenant(1),
    };
    let said = Away {
        host: host("eu1"),
        age: Duration::from_secs(60),
        reason: "is away: connection refused".to_owned(),
        cut_off: vec![(target.clone(), Micros(7), Duration::from_secs(20))],
    };
    let before = store.now().await.unwrap();
    store.away(&name, &[said]).await.unwrap();
    let after = store.now().await.unwrap();
    let alive = store.workers().await.unwrap();
    let [away] = &alive[0].away[..] else {
        panic!("{alive:?}")
    };
    let [claim] = &away.cut_off[..] else {
        panic!("{away:?}")
    };
    assert_eq!(
        (&away.host, &away.reason[..]),
        (&host("eu1"), "is away: connection refused")
    );
    assert_eq!(
        (&claim.rollout, &claim.tenant, claim.granted),
        (&target.rollout, &target.tenant, Micros(7))
    );
    for (since, seconds) in [(away.since, 60), (claim.since, 20)] {
        let then = since.plus_millis(seconds * 1_000);
        assert!(
            before <= then && then <= after,
            "{since:?} in {before:?} to {after:?}"
        );
    }
    store.away(&name, &[]).await.unwrap();
    assert!(store.workers().await.unwrap()[0].away.is_empty());
}

pub(crate) async fn notes(backend: Backend) {
    let store = backend.open().await;
    store
        .note("anna", "take-fence", "eu1/app/t1: moved house")
        .await
        .unwrap();
    let audited = "SELECT actor || ' ' || verb || ' ' || detail FROM audit";
    assert_eq!(
        backend.sql(audited).await,
        "anna take-fence eu1/app/t1: moved house"
    );
}

pub(crate) async fn the_clock_moves(backend: Backend) {
    let store = backend.open().await;
    let first = store.now().await.unwrap();
    assert!(first.0 > 1_700_000_000_000_000, "microseconds since 1970");
    until_async(DEADLINE, "the clock to move", async || {
        (store.now().await.unwrap() > first).then_some(())
    })
    .await;
}
