//! A migration is corrected: the new bundle, the revised plan, the texts that are right.

use sanderling_core::amend::{Accepted, Amendment};
use sanderling_core::rollout::Action;
use sanderling_core::{
    Bundle, BundleFile, BundleHash, Checksum, EventKind, Outcome, RolloutId, RolloutState, Version,
};
use sanderling_store::{Amend, Command, StoreError};

use crate::backend::Backend;
use crate::fleet::{
    AnyStore, LEASE, act, ended, outcome_of, plan, record, report, rollout, running, start,
    start_one, submission,
};
use crate::verbs::pause;

/// Version 2 of the rollouts of `fleet::plan` gets this text in place of the first.
pub(crate) fn amend(text: &str) -> Command {
    from("b1", "first", text)
}

fn from(bundle: &str, was: &str, text: &str) -> Command {
    let version = Version::new("2");
    let amendment = Amendment {
        version: version.clone(),
        was: Checksum::new(was),
        is: Checksum::new(text),
    };
    Command::Amend(Amend {
        from: BundleHash::new(bundle),
        bundle: bundle_of(text),
        accepted: Accepted::from([(version, [amendment.was.clone()].into())]),
        amendment,
        reason: "a typing error".to_owned(),
    })
}

fn bundle_of(text: &str) -> Bundle {
    Bundle::new(vec![BundleFile {
        name: "2_x.sql".to_owned(),
        text: text.to_owned(),
    }])
}

/// Three targets, of which the first has failed and halted the rollout.
async fn halted(store: &AnyStore, fleet: &str) -> RolloutId {
    let mut planned = plan(fleet, &[3]);
    planned.policy.limits.max_failures = Some(0);
    let id = running(store, planned).await;
    let grant = start_one(store, &id, 0, LEASE).await;
    report(store, &grant, ended(Outcome::Failed)).await;
    assert_eq!(rollout(store, &id).await.state, RolloutState::Halted);
    id
}

pub(crate) async fn an_amended_rollout_grants_the_new_text(backend: Backend) {
    let store = backend.open().await;
    let id = halted(&store, &backend.fleet).await;
    let before = record(&store, &id).await;
    let receipt = store.command(&id, &amend("second"), "anna").await.unwrap();
    assert_eq!((receipt.changed, receipt.targets), (true, 1));
    let after = record(&store, &id).await;
    let bundle = bundle_of("second");
    assert_eq!(after.rollout.state, RolloutState::Running);
    assert_eq!(after.rollout.bundle, *bundle.hash());
    assert_eq!(after.plan.bundle, *bundle.hash());
    assert_ne!(after.rollout.plan_hash, before.rollout.plan_hash);
    assert_eq!(after.rollout.amended[&Version::new("2")], 1);
    assert!(after.rollout.causes.is_empty(), "its failure is put back");
    let kept = store.bundle(bundle.hash()).await.unwrap();
    assert_eq!(kept, Some(bundle.clone()), "workers find it");
    for n in [0, 1] {
        let grant = start_one(&store, &id, n, LEASE).await;
        assert_eq!(grant.bundle, *bundle.hash());
        let right = &grant.accepted[&Version::new("2")];
        assert_eq!(*right, [Checksum::new("first")].into());
    }
    let known = store.amendments().await.unwrap();
    assert_eq!(known.len(), 1);
    assert_eq!(known[0].is, Checksum::new("second"));
    let events = store.events(&id, 0, 99).await.unwrap();
    let kinds: Vec<_> = events.iter().rev().map(|e| e.kind.as_str()).collect();
    assert!(
        kinds.windows(2).any(|two| two == ["retried", "amended"]),
        "{kinds:?}"
    );
    let reasons = events.iter().filter_map(|event| match &event.kind {
        EventKind::Amended { reason, .. } => Some(reason.clone()),
        EventKind::Retried { reason, .. } => reason.clone(),
        _ => None,
    });
    assert!(reasons.clone().all(|reason| reason == "a typing error"));
    assert_eq!(reasons.count(), 2);
    let audited = "SELECT detail FROM audit WHERE verb = 'amend'";
    assert_eq!(backend.sql(audited).await, "2 first second: a typing error");
    // `up` with the amended directory joins it; with the former one it is refused.
    let mut planned = plan(&backend.fleet, &[3]);
    planned.bundle = bundle.hash().clone();
    let joined = store.submit(&submission(planned)).await.unwrap();
    assert_eq!((joined.rollout, joined.joined), (id, true));
    let other = store.submit(&submission(plan(&backend.fleet, &[3]))).await;
    assert!(
        matches!(other, Err(StoreError::Overlap { .. })),
        "{other:?}"
    );
}

pub(crate) async fn an_amendment_is_compared_and_set(backend: Backend) {
    let store = backend.open().await;
    let id = halted(&store, &backend.fleet).await;
    let once = store.command(&id, &amend("second"), "anna").await.unwrap();
    assert!(once.changed);
    // The same once more, whatever the rollout is by now.
    let again = store.command(&id, &amend("second"), "ben").await.unwrap();
    assert!(!again.changed);
    store.command(&id, &pause(), "anna").await.unwrap();
    // Somebody who has seen only the first bundle.
    let late = store.command(&id, &amend("third"), "ben").await;
    assert!(matches!(late, Err(StoreError::Conflict(_))), "{late:?}");
    let second = bundle_of("second");
    let third = from(second.hash().as_str(), "second", "third");
    let receipt = store.command(&id, &third, "ben").await.unwrap();
    assert_eq!((receipt.changed, receipt.targets), (true, 0));
    let state = rollout(&store, &id).await;
    assert_eq!(state.state, RolloutState::Paused, "a pause stays");
    assert_eq!(state.amended[&Version::new("2")], 2);
    assert_eq!(store.amendments().await.unwrap().len(), 2);
    let count = "SELECT COUNT(*) || '' FROM audit WHERE verb = 'amend'";
    assert_eq!(backend.sql(count).await, "2");
}

pub(crate) async fn an_ended_rollout_owns_its_tenants_again(backend: Backend) {
    let store = backend.open().await;
    let id = running(&store, plan(&backend.fleet, &[2])).await;
    for grant in start(&store, &id, 0..2, LEASE).await {
        report(&store, &grant, ended(Outcome::Failed)).await;
    }
    act(
        &store,
        &id,
        Action::Finish(RolloutState::CompletedWithFailures),
    )
    .await;
    let next = store
        .submit(&submission(plan(&backend.fleet, &[1])))
        .await
        .unwrap();
    let taken = store.command(&id, &amend("second"), "anna").await;
    let why = match taken {
        Err(StoreError::Refused(why)) => why,
        other => panic!("{other:?}"),
    };
    assert!(why.contains(next.rollout.as_str()), "{why}");
    assert!(store.amendments().await.unwrap().is_empty());
    let cancel = Command::Cancel {
        reason: "first things first".to_owned(),
    };
    store.command(&next.rollout, &cancel, "anna").await.unwrap();
    let receipt = store.command(&id, &amend("second"), "anna").await.unwrap();
    assert_eq!(receipt.targets, 2);
    assert_eq!(outcome_of(&store, &id, 1).await, Outcome::Pending);
    let overlapping = store.submit(&submission(plan(&backend.fleet, &[1]))).await;
    assert!(
        matches!(overlapping, Err(StoreError::Overlap { .. })),
        "{overlapping:?}"
    );
}

pub(crate) async fn what_is_in_flight_is_not_amended_away(backend: Backend) {
    let store = backend.open().await;
    let mut planned = plan(&backend.fleet, &[3]);
    planned.policy.limits.max_failures = Some(0);
    let id = running(&store, planned).await;
    let grants = start(&store, &id, 0..2, LEASE).await;
    report(&store, &grants[0], ended(Outcome::Failed)).await;
    let refused = store.command(&id, &amend("second"), "anna").await;
    let why = match refused {
        Err(StoreError::Refused(why)) => why,
        other => panic!("{other:?}"),
    };
    assert!(why.contains("1 tenant is in flight"), "{why}");
    report(&store, &grants[1], ended(Outcome::Failed)).await;
    let receipt = store.command(&id, &amend("second"), "anna").await.unwrap();
    assert_eq!(receipt.targets, 2);
}
