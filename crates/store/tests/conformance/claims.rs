//! Claims: granted, counted, renewed, taken over.

use std::time::Duration;

use sanderling_core::rollout::Action;
use sanderling_core::{Epoch, ErrorClass, EventKind, Nonce, Outcome, Serves};
use sanderling_store::{ClaimMode, Command, Receipt, RenewedClaim, StoreError, TargetFilter};
use sanderling_testkit::until_async;

use crate::backend::Backend;
use crate::fleet::{
    AnyStore, DEADLINE, LEASE, TINY, act, budgets, ended, held, host, place, plan, released,
    report, retry, rollout, running, shifted, start, start_one, submission, tenant, want, worker,
};

pub(crate) async fn nothing_starts_before_its_wave_opens(backend: Backend) {
    let store = backend.open().await;
    let id = store
        .submit(&submission(plan(&backend.fleet, &[1, 1])))
        .await
        .unwrap()
        .rollout;
    assert!(start(&store, &id, 0..2, LEASE).await.is_empty());
    assert!(candidates(&store, 10).await.is_empty());
    act(&store, &id, Action::OpenWave(0)).await;
    let grants = start(&store, &id, 0..2, LEASE).await;
    assert_eq!(grants.len(), 1);
    let grant = &grants[0];
    assert_eq!(grant.target.tenant, tenant(0));
    assert_eq!((grant.epoch, grant.wave), (Epoch(1), 0));
    assert_eq!((grant.mode, grant.takeover), (ClaimMode::Apply, false));
    assert_eq!(grant.versions.len(), 2);
    assert!(grant.has_ledger && grant.applied.is_empty());
    assert_eq!(grant.place, place("eu1", &tenant(0)));
    let kind = store.events(&id, 2, 9).await.unwrap().remove(0).kind;
    let started = matches!(
        kind,
        EventKind::Started {
            takeover: false,
            ..
        }
    );
    assert!(started, "{kind:?}");
}

async fn candidates(store: &AnyStore, limit: u32) -> Vec<sanderling_store::Candidate> {
    store
        .candidates(&[host("eu1"), host("eu2")], &Serves::everyone(), limit)
        .await
        .unwrap()
}

pub(crate) async fn permits_of_rollout_wave_and_host(backend: Backend) {
    let store = backend.open().await;
    let mut planned = plan(&backend.fleet, &[9]);
    planned.policy.concurrency = 5;
    let id = running(&store, planned).await;
    assert_eq!(start(&store, &id, 0..9, LEASE).await.len(), 5);
    assert!(candidates(&store, 9).await.is_empty(), "no permit is free");

    let mut planned = shifted(plan(&backend.fleet, &[9]), 100);
    planned.waves[0].concurrency = Some(3);
    let id = running(&store, planned).await;
    let grants = start(&store, &id, 100..109, LEASE).await;
    assert_eq!(grants.len(), 3);
    report(&store, &grants[0], ended(Outcome::Succeeded)).await;
    assert_eq!(start(&store, &id, 101..109, LEASE).await.len(), 1);

    let mut planned = shifted(plan(&backend.fleet, &[9]), 200);
    planned.waves[0].max_in_flight = 2;
    let id = running(&store, planned).await;
    assert_eq!(start(&store, &id, 200..209, LEASE).await.len(), 2);
}

pub(crate) async fn hosts_span_rollouts(backend: Backend) {
    let store = backend.open().await;
    let first = running(&store, plan(&backend.fleet, &[4])).await;
    let second = running(&store, shifted(plan(&backend.fleet, &[4]), 10)).await;
    let budget = [(host("eu1"), 5.into())].into();
    let start = async |id, tenants: std::ops::Range<usize>| {
        let wanted: Vec<_> = tenants.map(|n| want(id, n)).collect();
        store
            .start(&worker("w1"), &wanted, &budget, &Serves::everyone(), LEASE)
            .await
            .unwrap()
    };
    let grants = start(&first, 0..4).await;
    assert_eq!(grants.len(), 4);
    assert_eq!(start(&second, 10..14).await.len(), 1);
    report(&store, &grants[0], ended(Outcome::Succeeded)).await;
    report(&store, &grants[1], released(true)).await;
    assert_eq!(start(&second, 11..14).await.len(), 2);
    let nowhere = store
        .start(
            &worker("w1"),
            &[want(&first, 1)],
            &[].into(),
            &Serves::everyone(),
            LEASE,
        )
        .await
        .unwrap();
    assert!(nowhere.is_empty(), "a host without a budget starts nothing");
}

pub(crate) async fn a_strict_canary(backend: Backend) {
    let store = backend.open().await;
    let mut planned = plan(&backend.fleet, &[5, 5]);
    planned.waves[0].strict = true;
    planned.waves[0].limits.max_failures = Some(0);
    let id = running(&store, planned).await;
    for n in 0..2 {
        let grants = start(&store, &id, 0..5, LEASE).await;
        assert_eq!(grants.len(), 1, "one at a time while none may fail");
        assert_eq!(grants[0].target.tenant, tenant(n));
        report(&store, &grants[0], ended(Outcome::Succeeded)).await;
    }
    let grants = start(&store, &id, 0..5, LEASE).await;
    assert_eq!(
        report(&store, &grants[0], ended(Outcome::Failed)).await,
        Receipt::Halted
    );
    assert!(start(&store, &id, 0..10, LEASE).await.is_empty());
}

pub(crate) async fn candidates_come_in_order(backend: Backend) {
    let store = backend.open().await;
    let mut planned = plan(&backend.fleet, &[4]);
    planned.targets[0].place.host = host("eu9");
    let id = running(&store, planned).await;
    start_one(&store, &id, 3, TINY).await;
    let found = candidates(&store, 10).await;
    let seen: Vec<_> = found
        .iter()
        .map(|c| (c.target.tenant.clone(), c.expired))
        .collect();
    let expected = [(tenant(3), true), (tenant(1), false), (tenant(2), false)];
    assert_eq!(
        seen, expected,
        "expired first, then by position; eu9 is not served"
    );
    assert_eq!(candidates(&store, 2).await, found[..2]);
    assert!(
        store
            .candidates(&[], &Serves::everyone(), 10)
            .await
            .unwrap()
            .is_empty()
    );
}

pub(crate) async fn a_full_host_hides_no_other(backend: Backend) {
    let store = backend.open().await;
    let mut planned = plan(&backend.fleet, &[50]);
    for target in &mut planned.targets[45..] {
        target.place.host = host("eu2");
    }
    running(&store, planned).await;
    let found = candidates(&store, 8).await;
    assert_eq!(found.len(), 8);
    assert_eq!(found.iter().filter(|c| c.host == host("eu2")).count(), 4);
}

pub(crate) async fn two_full_hosts_hide_no_third(backend: Backend) {
    let store = backend.open().await;
    let mut planned = plan(&backend.fleet, &[100]);
    for (n, target) in planned.targets.iter_mut().enumerate() {
        target.place.host = host(["eu1", "eu2", "eu3"][n / 40]);
    }
    running(&store, planned).await;
    let hosts = ["eu1", "eu2", "eu3"].map(host);
    let found = store
        .candidates(&hosts, &Serves::everyone(), 8)
        .await
        .unwrap();
    let of = |name: &str| found.iter().filter(|c| c.host == host(name)).count();
    assert_eq!((of("eu1"), of("eu2"), of("eu3")), (4, 2, 2));
}

pub(crate) async fn a_lost_answer_is_repeated(backend: Backend) {
    let store = backend.open().await;
    let id = running(&store, plan(&backend.fleet, &[3])).await;
    let wanted = [want(&id, 0), want(&id, 1)];
    let first = store
        .start(
            &worker("w1"),
            &wanted,
            &budgets(),
            &Serves::everyone(),
            LEASE,
        )
        .await;
    let again = store
        .start(
            &worker("w1"),
            &wanted,
            &budgets(),
            &Serves::everyone(),
            LEASE,
        )
        .await;
    assert_eq!(first.unwrap(), again.unwrap());
    let thief = store
        .start(
            &worker("w2"),
            &wanted,
            &budgets(),
            &Serves::everyone(),
            LEASE,
        )
        .await;
    assert!(thief.unwrap().is_empty());
    assert_eq!(rollout(&store, &id).await.in_flight.len(), 2);

    let mixed = [want(&id, 2), want(&sanderling_core::RolloutId::new("x"), 3)];
    let refused = store
        .start(
            &worker("w1"),
            &mixed,
            &budgets(),
            &Serves::everyone(),
            LEASE,
        )
        .await;
    assert!(matches!(refused, Err(StoreError::Refused(_))));
    let unknown = [want(&sanderling_core::RolloutId::new("x"), 3)];
    let refused = store
        .start(
            &worker("w1"),
            &unknown,
            &budgets(),
            &Serves::everyone(),
            LEASE,
        )
        .await;
    assert!(matches!(refused, Err(StoreError::NoRollout(_))));
}

pub(crate) async fn what_is_abandoned_is_taken_over_uncounted(backend: Backend) {
    let store = backend.open().await;
    let id = running(&store, plan(&backend.fleet, &[1])).await;
    let mut former = held(&start_one(&store, &id, 0, LEASE).await);
    for _ in 0..3 {
        store.abandon(&former).await.unwrap();
        let renewed = store
            .renew(&worker("w1"), std::slice::from_ref(&former), LEASE)
            .await;
        assert_eq!(renewed.unwrap(), [RenewedClaim::Stale]);
        let seen = store.targets(&id, TargetFilter::InFlight, None, 9).await;
        assert_eq!(seen.unwrap().len(), 1, "it keeps its permits");
        assert!(candidates(&store, 9).await[0].expired);
        let grant = start_one(&store, &id, 0, LEASE).await;
        assert!(grant.takeover, "something may be on its way");
        assert_eq!(grant.attempts, [].into(), "nobody was lost");
        let stale = store.abandon(&former).await;
        stale.unwrap();
        former = held(&grant);
        assert_eq!(
            store.may_continue(&former).await.unwrap(),
            RenewedClaim::Live
        );
    }
}

pub(crate) async fn renewal(backend: Backend) {
    let store = backend.open().await;
    let mut planned = plan(&backend.fleet, &[3]);
    planned.policy.limits.max_failures = Some(0);
    let id = running(&store, planned).await;
    let grants = start(&store, &id, 0..3, TINY).await;
    let mut claims: Vec<_> = grants.iter().map(held).collect();
    claims[1].epoch = Epoch(9);
    let renew = async |who: &str| store.renew(&worker(who), &claims, LEASE).await.unwrap();
    use RenewedClaim::{Live, Stale, Stop};
    assert_eq!(renew("w2").await, [Stale, Stale, Stale]);
    assert_eq!(renew("w1").await, [Live, Stale, Live]);
    assert_eq!(store.may_continue(&claims[0]).await.unwrap(), Live);
    assert_eq!(store.may_continue(&claims[1]).await.unwrap(), Stale);
    let expired: Vec<_> = candidates(&store, 9).await;
    assert_eq!(expired.len(), 1, "only the claim that was not renewed");

    report(&store, &grants[2], ended(Outcome::Failed)).await;
    assert_eq!(renew("w1").await, [Stop, Stale, Stale]);
    assert_eq!(store.may_continue(&claims[0]).await.unwrap(), Stop);
}

pub(crate) async fn reissuing(backend: Backend) {
    let store = backend.open().await;
    let id = running(&store, plan(&backend.fleet, &[2])).await;
    let grant = start_one(&store, &id, 0, TINY).await;
    let nonce = Nonce::new("n2");
    let reissue = async |at_least| store.reissue(&held(&grant), at_least, &nonce, LEASE).await;
    assert_eq!(reissue(Epoch(0)).await.unwrap(), Epoch(2));
    assert_eq!(reissue(Epoch(0)).await.unwrap(), Epoch(2), "a lost answer");
    assert!(matches!(
        reissue(Epoch(40)).await,
        Err(StoreError::Stale(_))
    ));
    assert_eq!(
        report(&store, &grant, ended(Outcome::Succeeded)).await,
        Receipt::Stale
    );
    let mut claim = held(&grant);
    claim.epoch = Epoch(2);
    let nonce = Nonce::new("n3");
    let far = store.reissue(&claim, Epoch(40), &nonce, LEASE).await;
    assert_eq!(far.unwrap(), Epoch(40));
    let in_flight = store
        .targets(&id, TargetFilter::InFlight, None, 9)
        .await
        .unwrap();
    assert_eq!(in_flight[0].epoch, Epoch(40));
    assert_eq!(
        rollout(&store, &id).await.in_flight[&tenant(0)].epoch,
        Epoch(40)
    );
}

pub(crate) async fn an_expired_claim_is_taken_over(backend: Backend) {
    let store = backend.open().await;
    let mut planned = plan(&backend.fleet, &[2]);
    planned.policy.concurrency = 1;
    let id = running(&store, planned).await;
    let dead = start_one(&store, &id, 0, Duration::from_millis(100)).await;
    // The permit of the dead claim stays taken: the other target never starts, this one does when the lease ends.
    let grant = until_async(DEADLINE, "the takeover", async || {
        let mut grants = start(&store, &id, [1, 0], LEASE).await;
        assert!(grants.iter().all(|g| g.target.tenant == tenant(0)));
        grants.pop()
    })
    .await;
    assert_eq!((grant.epoch, grant.takeover), (Epoch(2), true));
    assert_eq!(grant.mode, ClaimMode::Apply);
    assert!(start(&store, &id, 0..2, LEASE).await.is_empty());
    assert_eq!(
        report(&store, &dead, ended(Outcome::Succeeded)).await,
        Receipt::Stale
    );
    assert_eq!(
        report(&store, &grant, ended(Outcome::Succeeded)).await,
        Receipt::Recorded
    );
    let events = store.events(&id, 0, 99).await.unwrap();
    let takeovers = events
        .iter()
        .filter(|event| matches!(&event.kind, EventKind::Started { takeover: true, .. }));
    assert_eq!(takeovers.count(), 1);
}

pub(crate) async fn an_expired_claim_of_a_halted_rollout_is_resolved(backend: Backend) {
    let store = backend.open().await;
    let mut planned = plan(&backend.fleet, &[4]);
    planned.policy.limits.max_failures = Some(0);
    let id = running(&store, planned).await;
    start_one(&store, &id, 0, TINY).await;
    let failing = start_one(&store, &id, 1, LEASE).await;
    report(&store, &failing, ended(Outcome::Failed)).await;
    let found = candidates(&store, 9).await;
    assert_eq!(found.len(), 1);
    assert!(found[0].expired && found[0].target.tenant == tenant(0));
    let grants = start(&store, &id, 0..4, LEASE).await;
    assert_eq!(grants.len(), 1);
    assert_eq!(
        (grants[0].mode, grants[0].takeover),
        (ClaimMode::Resolve, true)
    );
    let state = rollout(&store, &id).await;
    assert_eq!((state.started_after_halt, state.in_flight.len()), (0, 1));
    report(&store, &grants[0], released(true)).await;
    assert!(rollout(&store, &id).await.in_flight.is_empty());
}

pub(crate) async fn takeover_is_remembered_until_it_is_disproved(backend: Backend) {
    let store = backend.open().await;
    let id = running(&store, plan(&backend.fleet, &[8])).await;
    let soon = Duration::ZERO;
    let lost = || retry(ErrorClass::Connection, soon, false);
    let fenced = || retry(ErrorClass::Connection, soon, true);
    // What became of the first claim (absent: its worker died), of the second, and what the second and third are told.
    let cases = [
        (Some(lost()), lost(), [true, true]),
        (Some(fenced()), fenced(), [false, false]),
        (Some(released(true)), released(true), [false, false]),
        (Some(released(false)), released(true), [true, true]),
        (Some(lost()), fenced(), [true, false]),
        (None, released(true), [true, true]),
        (None, fenced(), [true, false]),
    ];
    for (n, (first, second, told)) in cases.into_iter().enumerate() {
        let grant = start_one(&store, &id, n, TINY).await;
        assert!(!grant.takeover);
        if let Some(first) = first {
            report(&store, &grant, first).await;
        }
        let grant = start_one(&store, &id, n, LEASE).await;
        assert_eq!(grant.takeover, told[0], "second claim of case {n}");
        report(&store, &grant, second).await;
        let grant = start_one(&store, &id, n, LEASE).await;
        assert_eq!(grant.takeover, told[1], "third claim of case {n}");
    }
    across_rollouts(&store, &id).await;
}

/// A success does not disprove what an older claim may have sent; a failure, which is reported fenced, does.
async fn across_rollouts(store: &AnyStore, id: &sanderling_core::RolloutId) {
    start_one(store, id, 7, TINY).await;
    let grant = start_one(store, id, 7, LEASE).await;
    report(store, &grant, ended(Outcome::Succeeded)).await;
    let reason = "over".to_owned();
    let cancel = Command::Cancel { reason };
    store.command(id, &cancel, "tester").await.unwrap();
    let fleet = store.rollout(id).await.unwrap().unwrap().plan.fleet;
    for told in [true, false] {
        let mut next = shifted(plan(&fleet, &[1]), 7);
        next.target = sanderling_core::Version::new("3");
        let next = running(store, next).await;
        let grant = start_one(store, &next, 7, LEASE).await;
        assert_eq!(grant.takeover, told);
        report(store, &grant, ended(Outcome::Failed)).await;
        store.command(&next, &cancel, "tester").await.unwrap();
    }
}
