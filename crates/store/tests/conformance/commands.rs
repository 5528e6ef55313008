//! An operator's verbs, from every state.

use sanderling_core::rollout::Action;
use sanderling_core::{ErrorClass, EventKind, Outcome, RolloutId, RolloutState, Serves, Version};
use sanderling_store::{ClaimMode, Command, CommandReceipt, Receipt, StoreError, TargetResult};

use crate::backend::Backend;
use crate::fleet::{
    AnyStore, LEASE, TINY, act, ended, failure, outcome_of, plan, released, report, retry, rollout,
    running, shifted, start, start_one, submission,
};

/// One rollout of three tenants in each state that can be reached; the number is its first tenant.
async fn in_each_state(store: &AnyStore, fleet: &str) -> Vec<(RolloutState, RolloutId)> {
    let mut all = Vec::new();
    let reached = [
        RolloutState::Running,
        RolloutState::Halted,
        RolloutState::Succeeded,
        RolloutState::CompletedWithFailures,
        RolloutState::Cancelled,
    ];
    for (n, wanted) in reached.into_iter().enumerate() {
        let first = n * 10;
        let mut planned = shifted(plan(fleet, &[3]), first);
        if wanted == RolloutState::Halted {
            planned.policy.limits.max_failures = Some(0);
        }
        let id = running(store, planned).await;
        match wanted {
            RolloutState::Halted => {
                let grant = start_one(store, &id, first, LEASE).await;
                report(store, &grant, ended(Outcome::Failed)).await;
            }
            RolloutState::Succeeded => finish(store, &id, first, Outcome::Succeeded).await,
            RolloutState::CompletedWithFailures => {
                finish(store, &id, first, Outcome::Failed).await;
            }
            RolloutState::Cancelled => {
                store.command(&id, &cancel(), "setup").await.unwrap();
            }
            _ => {}
        }
        assert_eq!(rollout(store, &id).await.state, wanted);
        all.push((wanted, id));
    }
    all
}

async fn finish(store: &AnyStore, id: &RolloutId, first: usize, outcome: Outcome) {
    for grant in start(store, id, first..first + 3, LEASE).await {
        report(store, &grant, ended(outcome)).await;
    }
    let state = rollout(store, id).await.final_state();
    act(store, id, Action::Finish(state)).await;
}

fn cancel() -> Command {
    Command::Cancel {
        reason: "enough".to_owned(),
    }
}

fn changed(targets: u64) -> CommandReceipt {
    CommandReceipt {
        changed: true,
        targets,
    }
}

const UNCHANGED: CommandReceipt = CommandReceipt {
    changed: false,
    targets: 0,
};

fn refused(answer: Result<CommandReceipt, StoreError>) -> String {
    match answer {
        Err(StoreError::Refused(why)) => why,
        other => panic!("{other:?}"),
    }
}

pub(crate) async fn resume_from_each_state(backend: Backend) {
    let store = backend.open().await;
    let resume = |acknowledge| Command::Resume {
        acknowledge,
        reason: None,
    };
    for (state, id) in in_each_state(&store, &backend.fleet).await {
        let answer = store.command(&id, &resume(true), "anna").await;
        match state {
            RolloutState::Running => assert_eq!(answer.unwrap(), UNCHANGED),
            RolloutState::Halted => {
                assert_eq!(answer.unwrap(), changed(0));
                let again = store.command(&id, &resume(true), "anna").await;
                assert_eq!(again.unwrap(), UNCHANGED);
                let state = rollout(&store, &id).await;
                assert_eq!(
                    (state.state, state.tally.failed),
                    (RolloutState::Running, 0)
                );
                assert_eq!(start(&store, &id, 10..13, LEASE).await.len(), 2);
            }
            RolloutState::CompletedWithFailures => {
                assert!(refused(answer).contains("rollout retry"));
            }
            _ => assert!(refused(answer).contains("has ended")),
        }
    }
    let audited = "SELECT actor || ':' || state_before || ':' || state_after FROM audit WHERE verb = 'resume'";
    assert_eq!(backend.sql(audited).await, "anna:halted:running");

    let mut planned = shifted(plan(&backend.fleet, &[1]), 900);
    planned.policy.limits.max_failures = Some(0);
    let id = running(&store, planned).await;
    let grant = start_one(&store, &id, 900, LEASE).await;
    report(&store, &grant, ended(Outcome::Failed)).await;
    let hint = refused(store.command(&id, &resume(false), "anna").await);
    assert!(hint.contains("--acknowledge"), "{hint}");
    let nowhere = RolloutId::new("nowhere");
    let answer = store.command(&nowhere, &resume(true), "anna").await;
    assert!(matches!(answer, Err(StoreError::NoRollout(_))));
}

pub(crate) async fn retry_from_each_state(backend: Backend) {
    let store = backend.open().await;
    let retry = Command::Retry {
        class: None,
        reason: None,
    };
    for (state, id) in in_each_state(&store, &backend.fleet).await {
        let answer = store.command(&id, &retry, "anna").await;
        match state {
            RolloutState::Running => assert_eq!(answer.unwrap(), UNCHANGED),
            RolloutState::Halted => assert_eq!(answer.unwrap(), changed(1)),
            RolloutState::CompletedWithFailures => assert_eq!(answer.unwrap(), changed(3)),
            _ => assert!(refused(answer).contains("nothing to retry")),
        }
        if state == RolloutState::Halted || state == RolloutState::CompletedWithFailures {
            let again = store.command(&id, &retry, "anna").await;
            assert_eq!(again.unwrap(), UNCHANGED);
            let rollout = rollout(&store, &id).await;
            assert_eq!(rollout.state, RolloutState::Running);
            assert!(rollout.causes.is_empty() && rollout.tally.failed == 0);
            assert_eq!(rollout.waves[0].startable(), 3);
        }
    }
    let audited = "SELECT COUNT(*) || '' FROM audit WHERE verb = 'retry'";
    assert_eq!(backend.sql(audited).await, "2");
}

pub(crate) async fn cancel_from_each_state(backend: Backend) {
    let store = backend.open().await;
    for (state, id) in in_each_state(&store, &backend.fleet).await {
        let answer = store.command(&id, &cancel(), "anna").await;
        match state {
            RolloutState::Running => assert_eq!(answer.unwrap(), changed(3)),
            RolloutState::Halted => assert_eq!(answer.unwrap(), changed(2)),
            RolloutState::Cancelled => assert_eq!(answer.unwrap(), UNCHANGED),
            _ => assert!(refused(answer).contains("has ended")),
        }
        if state == RolloutState::Running || state == RolloutState::Halted {
            let again = store.command(&id, &cancel(), "anna").await;
            assert_eq!(again.unwrap(), UNCHANGED);
            assert_eq!(rollout(&store, &id).await.state, RolloutState::Cancelled);
        }
    }
    let audited = "SELECT actor || ':' || state_before || ':' || detail FROM audit
        WHERE verb = 'cancel' AND actor = 'anna' ORDER BY number LIMIT 1";
    assert_eq!(backend.sql(audited).await, "anna:running:enough");
}

/// A halt leaves tenants between two versions; to resume is to take those on, and to leave the failed ones.
pub(crate) async fn resume_goes_on_with_partial_targets(backend: Backend) {
    let store = backend.open().await;
    let mut planned = plan(&backend.fleet, &[3]);
    planned.policy.limits.max_failures = Some(0);
    let id = running(&store, planned).await;
    let grants = start(&store, &id, 0..3, LEASE).await;
    report(&store, &grants[0], ended(Outcome::Failed)).await;
    report(&store, &grants[1], ended(Outcome::Partial)).await;
    report(&store, &grants[2], ended(Outcome::Succeeded)).await;
    assert_eq!(rollout(&store, &id).await.state, RolloutState::Halted);
    let resume = Command::Resume {
        acknowledge: true,
        reason: None,
    };
    assert_eq!(
        store.command(&id, &resume, "anna").await.unwrap(),
        changed(1)
    );
    assert_eq!(outcome_of(&store, &id, 0).await, Outcome::Failed);
    assert_eq!(outcome_of(&store, &id, 1).await, Outcome::Pending);
    let grant = start_one(&store, &id, 1, LEASE).await;
    report(&store, &grant, ended(Outcome::Succeeded)).await;
    let done = Action::Finish(RolloutState::CompletedWithFailures);
    act(&store, &id, done).await;
}

pub(crate) async fn retry_by_class(backend: Backend) {
    let store = backend.open().await;
    let mut planned = plan(&backend.fleet, &[4]);
    planned.policy.limits.max_failures = Some(1);
    let id = running(&store, planned).await;
    let grants = start(&store, &id, 0..4, LEASE).await;
    let classes = [ErrorClass::Timeout, ErrorClass::Permission];
    for (grant, class) in grants.iter().zip(classes) {
        let result = TargetResult::Ended {
            outcome: Outcome::Failed,
            applied: vec![Version::new("1")],
            failure: Some(failure(class)),
        };
        report(&store, grant, result).await;
    }
    report(&store, &grants[2], ended(Outcome::Partial)).await;
    report(&store, &grants[3], ended(Outcome::Dirty)).await;
    let by = async |class| {
        let command = Command::Retry {
            class,
            reason: None,
        };
        store.command(&id, &command, "anna").await.unwrap()
    };
    assert_eq!(by(Some(ErrorClass::Deadlock)).await, UNCHANGED);
    assert_eq!(by(Some(ErrorClass::Timeout)).await, changed(1));
    assert_eq!(outcome_of(&store, &id, 0).await, Outcome::Pending);
    assert_eq!(outcome_of(&store, &id, 1).await, Outcome::Failed);
    let grant = start_one(&store, &id, 0, LEASE).await;
    assert_eq!(
        grant.applied,
        [Version::new("1")],
        "what was applied stays known"
    );
    assert_eq!(by(None).await, changed(3), "failed, partial and dirty ones");
    assert_eq!(outcome_of(&store, &id, 3).await, Outcome::Pending);
    let events = store.events(&id, 0, 99).await.unwrap();
    let retried = events
        .iter()
        .filter(|e| matches!(e.kind, EventKind::Retried { .. }));
    assert_eq!(retried.count(), 2);
}

pub(crate) async fn cancelling_drains_what_is_in_flight(backend: Backend) {
    let store = backend.open().await;
    let id = running(&store, plan(&backend.fleet, &[6])).await;
    let grants = start(&store, &id, 0..3, LEASE).await;
    start_one(&store, &id, 3, TINY).await;
    let receipt = store.command(&id, &cancel(), "anna").await.unwrap();
    assert_eq!(receipt, changed(2));
    let results = [
        ended(Outcome::Succeeded),
        released(true),
        retry(ErrorClass::Connection, TINY, true),
    ];
    for (grant, result) in grants.iter().zip(results) {
        assert_eq!(report(&store, grant, result).await, Receipt::Recorded);
    }
    let resolved = start(&store, &id, 0..6, LEASE).await;
    assert_eq!(resolved.len(), 1);
    assert_eq!(resolved[0].mode, ClaimMode::Resolve);
    report(&store, &resolved[0], ended(Outcome::Partial)).await;
    let outcomes = [
        Outcome::Succeeded,
        Outcome::Cancelled,
        Outcome::Cancelled,
        Outcome::Partial,
        Outcome::Cancelled,
    ];
    for (n, outcome) in outcomes.into_iter().enumerate() {
        assert_eq!(outcome_of(&store, &id, n).await, outcome, "target {n}");
    }
}

pub(crate) async fn a_cancelled_rollout_frees_its_tenants(backend: Backend) {
    let store = backend.open().await;
    let id = running(&store, plan(&backend.fleet, &[3])).await;
    let grant = start_one(&store, &id, 0, LEASE).await;
    store.command(&id, &cancel(), "anna").await.unwrap();
    let mut next = plan(&backend.fleet, &[3]);
    next.target = Version::new("3");
    let next = running(&store, next).await;
    // A tenant that the old rollout is still at work on waits for its claim to end.
    assert_eq!(start(&store, &next, 0..3, LEASE).await.len(), 2);
    assert!(
        store
            .candidates(&[crate::fleet::host("eu1")], &Serves::everyone(), 9)
            .await
            .unwrap()
            .is_empty()
    );
    report(&store, &grant, ended(Outcome::Succeeded)).await;
    let grant = start_one(&store, &next, 0, LEASE).await;
    assert_eq!(grant.epoch.0, 2, "epochs count across rollouts");
    assert!(!grant.takeover);
}

pub(crate) async fn a_finished_rollout_is_retried_unless_overtaken(backend: Backend) {
    let store = backend.open().await;
    let id = running(&store, plan(&backend.fleet, &[3])).await;
    finish(&store, &id, 0, Outcome::Failed).await;
    let other = store
        .submit(&submission(plan(&backend.fleet, &[2])))
        .await
        .unwrap();
    assert!(!other.joined, "a finished rollout frees its tenants");
    let retry = Command::Retry {
        class: None,
        reason: None,
    };
    let why = refused(store.command(&id, &retry, "anna").await);
    assert!(why.contains(other.rollout.as_str()), "{why}");
    store
        .command(&other.rollout, &cancel(), "anna")
        .await
        .unwrap();
    let receipt = store.command(&id, &retry, "anna").await.unwrap();
    assert_eq!(receipt, changed(3));
    let joined = store
        .submit(&submission(plan(&backend.fleet, &[3])))
        .await
        .unwrap();
    assert_eq!((joined.rollout, joined.joined), (id, true));
}
