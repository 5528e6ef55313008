//! Plans become rollouts, or join the one that is already doing it.

use sanderling_core::plan::LeftOut;
use sanderling_core::{ErrorClass, EventKind, Outcome, RolloutState, Version};
use sanderling_store::StoreError;

use crate::backend::Backend;
use crate::fleet::{
    DEADLINE, failure, place, plan, record, report, rollout, running, shifted, start_one,
    submission, targets, tenant,
};

pub(crate) async fn a_plan_becomes_a_rollout(backend: Backend) {
    let store = backend.open().await;
    let mut planned = plan(&backend.fleet, &[1, 2]);
    planned.left_out.push(LeftOut {
        tenant: tenant(77),
        place: place("eu9", &tenant(77)),
        outcome: Outcome::Unreachable,
        failure: Some(failure(ErrorClass::Connection)),
    });
    let wanted = submission(planned.clone());
    let submitted = store.submit(&wanted).await.unwrap();
    assert_eq!((&submitted.rollout, submitted.joined), (&wanted.id, false));

    let record = record(&store, &wanted.id).await;
    assert_eq!(record.rollout.state, RolloutState::Running);
    assert_eq!(record.rollout.plan_hash, planned.hash());
    assert_eq!(record.actor, "tester");
    assert!(record.plan.targets.is_empty() && record.plan.left_out.is_empty());
    assert_eq!(record.plan.paths, planned.paths);
    let all = targets(&store, &wanted.id).await;
    assert_eq!(all.len(), 4);
    assert_eq!(all[1].wave, Some(1));
    assert_eq!((all[3].wave, all[3].outcome), (None, Outcome::Unreachable));
    assert!(all[3].failure.is_some());
    let events = store.events(&wanted.id, 0, 10).await.unwrap();
    assert_eq!(events.len(), 1);
    assert_eq!(events[0].kind, EventKind::Submitted { tenants: 4 });
    let audited = "SELECT actor || ' ' || verb FROM audit";
    assert_eq!(backend.sql(audited).await, "tester submit");

    // The same submission again, because its answer was lost.
    let again = store.submit(&wanted).await.unwrap();
    assert_eq!((&again.rollout, again.joined), (&wanted.id, true));
    let mut other = wanted.clone();
    other.plan.target = Version::new("3");
    let conflict = store.submit(&other).await.unwrap_err();
    assert!(matches!(conflict, StoreError::Conflict(_)), "{conflict}");
}

pub(crate) async fn the_same_plan_joins(backend: Backend) {
    let store = backend.open().await;
    let id = running(&store, plan(&backend.fleet, &[3])).await;
    let joined = store
        .submit(&submission(plan(&backend.fleet, &[5])))
        .await
        .unwrap();
    assert_eq!((&joined.rollout, joined.joined), (&id, true));
    assert_eq!(joined.left_for_next, [tenant(3), tenant(4)]);
    assert_eq!(store.rollouts(false, 10).await.unwrap().len(), 1);

    // A halted one is joined as well; the caller looks at its state.
    let mut halting = shifted(plan(&backend.fleet, &[2]), 100);
    halting.policy.limits.max_failures = Some(0);
    let halted = running(&store, halting.clone()).await;
    let grant = start_one(&store, &halted, 100, DEADLINE).await;
    report(&store, &grant, crate::fleet::ended(Outcome::Failed)).await;
    let joined = store.submit(&submission(halting)).await.unwrap();
    assert_eq!((&joined.rollout, joined.joined), (&halted, true));
    assert_eq!(rollout(&store, &halted).await.state, RolloutState::Halted);
}

pub(crate) async fn an_overlap_is_refused(backend: Backend) {
    let store = backend.open().await;
    let id = running(&store, plan(&backend.fleet, &[3])).await;
    let mut other = shifted(plan(&backend.fleet, &[3]), 2);
    other.target = Version::new("3");
    let refused = store.submit(&submission(other)).await.unwrap_err();
    let StoreError::Overlap {
        rollout,
        state,
        tenants,
    } = refused
    else {
        panic!("{refused}");
    };
    assert_eq!((rollout, state, tenants), (id, RolloutState::Running, 1));
}

pub(crate) async fn disjoint_plans_run_side_by_side(backend: Backend) {
    let store = backend.open().await;
    let first = running(&store, plan(&backend.fleet, &[3])).await;
    let second = running(&store, shifted(plan(&backend.fleet, &[3]), 10)).await;
    let ids: Vec<_> = store.rollouts(true, 10).await.unwrap();
    let ids: Vec<_> = ids.iter().map(|r| &r.rollout.id).collect();
    assert_eq!(ids, [&second, &first], "newest first");
    assert_eq!(store.rollouts(true, 1).await.unwrap().len(), 1);
}

pub(crate) async fn two_submits_at_once_make_one_rollout(backend: Backend) {
    let (one, two) = (backend.open().await, backend.open().await);
    for round in 0..5 {
        let plan = shifted(plan(&backend.fleet, &[20]), round * 100);
        let (a, b) = (submission(plan.clone()), submission(plan));
        let (a, b) = tokio::join!(one.submit(&a), two.submit(&b));
        let (a, b) = (a.unwrap(), b.unwrap());
        assert_eq!(a.rollout, b.rollout);
        assert!(a.joined != b.joined);
    }
    assert_eq!(one.rollouts(true, 100).await.unwrap().len(), 5);
}

pub(crate) async fn a_broken_plan_is_refused(backend: Backend) {
    let store = backend.open().await;
    let mut twice = plan(&backend.fleet, &[2]);
    twice.targets[1].tenant = tenant(0);
    let mut stray = plan(&backend.fleet, &[2]);
    stray.targets[1].wave = 7;
    for broken in [plan("another fleet", &[1]), twice, stray] {
        let refused = store.submit(&submission(broken)).await.unwrap_err();
        assert!(matches!(refused, StoreError::Refused(_)), "{refused}");
    }
    assert!(store.rollouts(false, 10).await.unwrap().is_empty());
}

pub(crate) async fn ten_thousand_targets(backend: Backend) {
    let store = backend.open().await;
    let wanted = submission(plan(&backend.fleet, &[10, 9_990]));
    store.submit(&wanted).await.unwrap();
    let again = submission(wanted.plan.clone());
    assert!(store.submit(&again).await.unwrap().joined);
    assert_eq!(targets(&store, &wanted.id).await.len(), 10_000);
}
