//! Reports: recorded once, halting where they cross a limit.

use std::time::Duration;

use sanderling_core::{ErrorClass, EventKind, Outcome, RolloutState, Version};
use sanderling_store::{Command, Receipt, StoreError, TargetResult};
use sanderling_testkit::until_async;

use crate::backend::Backend;
use crate::fleet::{
    DEADLINE, LEASE, TINY, ended, failure, outcome_of, plan, released, report, report_of, retry,
    rollout, running, shifted, start, start_one, targets, tenant,
};

pub(crate) async fn outcomes_are_recorded(backend: Backend) {
    let store = backend.open().await;
    let id = running(&store, plan(&backend.fleet, &[4])).await;
    let outcomes = [
        Outcome::Succeeded,
        Outcome::UpToDate,
        Outcome::Failed,
        Outcome::Dirty,
    ];
    let grants = start(&store, &id, 0..4, LEASE).await;
    let reports: Vec<_> = grants
        .iter()
        .zip(outcomes)
        .map(|(grant, outcome)| report_of(grant, ended(outcome)))
        .collect();
    assert_eq!(
        store.report(&reports).await.unwrap(),
        [Receipt::Recorded; 4]
    );
    for (target, outcome) in targets(&store, &id).await.iter().zip(outcomes) {
        assert_eq!(target.outcome, outcome);
        assert_eq!(target.failure.is_some(), outcome.counts_to_halt());
        assert_eq!((&target.owner, target.lease_until), (&None, None));
        let TargetResult::Ended { applied, .. } = ended(outcome) else {
            unreachable!();
        };
        assert_eq!(target.applied, applied);
    }
    let state = rollout(&store, &id).await;
    assert_eq!((state.tally.failed, state.in_flight.len()), (2, 0));
    assert_eq!(state.causes.len(), 1);
}

/// Between two versions: pending again while the rollout runs, partial once it is cancelled, whoever had it in hand.
pub(crate) async fn a_tenant_between_two_versions_is_called_so(backend: Backend) {
    let store = backend.open().await;
    let id = running(&store, plan(&backend.fleet, &[3])).await;
    let grants = start(&store, &id, 0..3, LEASE).await;
    report(&store, &grants[0], ended(Outcome::Partial)).await;
    assert_eq!(outcome_of(&store, &id, 0).await, Outcome::Pending);
    let cancel = Command::Cancel {
        reason: "wrong night".to_owned(),
    };
    store.command(&id, &cancel, "anna").await.unwrap();
    assert_eq!(outcome_of(&store, &id, 0).await, Outcome::Partial);
    for (n, (grant, applied)) in grants[1..]
        .iter()
        .zip([vec![Version::new("1")], vec![]])
        .enumerate()
    {
        let result = TargetResult::Released {
            applied,
            fenced: true,
        };
        report(&store, grant, result).await;
        let expected = [Outcome::Partial, Outcome::Cancelled][n];
        assert_eq!(outcome_of(&store, &id, n + 1).await, expected);
    }
    let outcomes = rollout(&store, &id).await.outcomes();
    assert_eq!(
        (
            outcomes.get(Outcome::Partial),
            outcomes.get(Outcome::Cancelled)
        ),
        (2, 1)
    );
}

pub(crate) async fn a_retry_waits_and_counts(backend: Backend) {
    let store = backend.open().await;
    let id = running(&store, plan(&backend.fleet, &[2])).await;
    let grant = start_one(&store, &id, 0, LEASE).await;
    let class = ErrorClass::LockTimeout;
    report(
        &store,
        &grant,
        retry(class, Duration::from_millis(50), true),
    )
    .await;
    let grant = until_async(DEADLINE, "the retry to be due", async || {
        start(&store, &id, [0], LEASE).await.pop()
    })
    .await;
    let began = store.events(&id, 0, 99).await.unwrap();
    let (released_at, due) = began
        .iter()
        .find_map(|event| match event.kind {
            EventKind::Released {
                not_before, class, ..
            } => {
                assert_eq!(class, Some(ErrorClass::LockTimeout));
                Some((event.at, not_before.unwrap()))
            }
            _ => None,
        })
        .unwrap();
    assert_eq!(due.millis_since(released_at), 50);
    assert!(grant.at >= due);
    assert_eq!(grant.attempts, [(class, 1)].into());
    let result = TargetResult::Retry {
        failure: failure(ErrorClass::Connection),
        after: Duration::from_secs(3600),
        applied: vec![Version::new("1")],
        fenced: true,
    };
    report(&store, &grant, result).await;
    assert!(start(&store, &id, [0], LEASE).await.is_empty());
    assert_eq!(outcome_of(&store, &id, 0).await, Outcome::Pending);

    let grant = start_one(&store, &id, 1, LEASE).await;
    let result = TargetResult::Released {
        applied: vec![Version::new("1")],
        fenced: true,
    };
    report(&store, &grant, result).await;
    let grant = start_one(&store, &id, 1, LEASE).await;
    assert_eq!(grant.applied, [Version::new("1")]);
    assert!(grant.attempts.is_empty(), "a release is no attempt");
}

pub(crate) async fn a_failure_halts_in_its_own_transaction(backend: Backend) {
    let store = backend.open().await;
    let mut planned = plan(&backend.fleet, &[9]);
    planned.policy.limits.max_failures = Some(1);
    let id = running(&store, planned).await;
    let grants = start(&store, &id, 0..5, LEASE).await;
    let reports: Vec<_> = [
        Outcome::Failed,
        Outcome::Succeeded,
        Outcome::Failed,
        Outcome::Failed,
    ]
    .iter()
    .zip(&grants)
    .map(|(outcome, grant)| report_of(grant, ended(*outcome)))
    .collect();
    use Receipt::{Halted, Recorded};
    assert_eq!(
        store.report(&reports).await.unwrap(),
        [Recorded, Recorded, Halted, Recorded]
    );
    let state = rollout(&store, &id).await;
    assert_eq!(state.state, RolloutState::Halted);
    let halt = state.halt.unwrap();
    assert_eq!((halt.failures, halt.tolerated), (2, 1));
    assert_eq!((halt.in_flight, halt.tenant), (2, Some(tenant(2))));
    assert!(start(&store, &id, 0..9, LEASE).await.is_empty());
    assert_eq!(
        report(&store, &grants[4], ended(Outcome::Succeeded)).await,
        Recorded,
        "what is in flight finishes"
    );
}

pub(crate) async fn late_and_double_reports_change_nothing(backend: Backend) {
    let store = backend.open().await;
    let id = running(&store, plan(&backend.fleet, &[3])).await;
    let grant = start_one(&store, &id, 0, LEASE).await;
    let both = [
        report_of(&grant, ended(Outcome::Succeeded)),
        report_of(&grant, ended(Outcome::Failed)),
    ];
    let receipts = store.report(&both).await.unwrap();
    assert_eq!(receipts, [Receipt::Recorded, Receipt::Stale]);
    let dead = start_one(&store, &id, 1, TINY).await;
    start_one(&store, &id, 1, LEASE).await;
    let before = (rollout(&store, &id).await, targets(&store, &id).await);
    for late in [&grant, &dead] {
        for result in [
            ended(Outcome::Failed),
            released(true),
            retry(ErrorClass::Connection, TINY, true),
        ] {
            assert_eq!(report(&store, late, result).await, Receipt::Stale);
        }
    }
    let after = (rollout(&store, &id).await, targets(&store, &id).await);
    assert_eq!(before, after);
}

pub(crate) async fn reports_of_several_rollouts(backend: Backend) {
    let store = backend.open().await;
    let first = running(&store, plan(&backend.fleet, &[2])).await;
    let second = running(&store, shifted(plan(&backend.fleet, &[2]), 10)).await;
    let a = start(&store, &first, 0..2, LEASE).await;
    let b = start(&store, &second, 10..12, LEASE).await;
    let mut unknown = report_of(&a[0], ended(Outcome::Succeeded));
    unknown.held.target.tenant = tenant(99);
    let reports = [
        report_of(&b[1], ended(Outcome::Succeeded)),
        report_of(&a[0], ended(Outcome::Failed)),
        unknown,
        report_of(&b[0], released(true)),
        report_of(&a[1], ended(Outcome::Succeeded)),
    ];
    let receipts = store.report(&reports).await.unwrap();
    let stale = receipts
        .iter()
        .map(|r| *r == Receipt::Stale)
        .collect::<Vec<_>>();
    assert_eq!(stale, [false, false, true, false, false]);
    assert_eq!(outcome_of(&store, &first, 0).await, Outcome::Failed);
    assert_eq!(outcome_of(&store, &second, 11).await, Outcome::Succeeded);
    assert_eq!(outcome_of(&store, &second, 10).await, Outcome::Pending);
    assert!(store.report(&[]).await.unwrap().is_empty());
}

pub(crate) async fn nonsense_is_refused(backend: Backend) {
    let store = backend.open().await;
    let id = running(&store, plan(&backend.fleet, &[1])).await;
    let grant = start_one(&store, &id, 0, LEASE).await;
    let bare = TargetResult::Ended {
        outcome: Outcome::Failed,
        applied: Vec::new(),
        failure: None,
    };
    for result in [bare, ended(Outcome::Pending), ended(Outcome::Cancelled)] {
        let refused = store.report(&[report_of(&grant, result)]).await;
        assert!(matches!(refused, Err(StoreError::Refused(_))));
    }
    assert_eq!(rollout(&store, &id).await.in_flight.len(), 1);
}
