//! Pause, resume, skip: what they move, and what they must not forget.

use crate::decide::decide;
use crate::event::{EventKind, RetriedTargets};
use crate::ids::{Micros, RolloutId, TenantId};
use crate::outcome::Outcome;
use crate::rollout::{Rollout, RolloutState};
use crate::testing::{broken, ended, plan, started};

fn open(tenants: u32, tolerated: Option<u32>) -> Rollout {
    let mut rollout = Rollout::new(&RolloutId::new("r1"), &plan(&[(tenants, tolerated)]));
    let tenants = u64::from(tenants);
    record(&mut rollout, EventKind::Submitted { tenants });
    record(&mut rollout, EventKind::WaveOpened { wave: 0 });
    rollout
}

fn record(rollout: &mut Rollout, kind: EventKind) {
    rollout.record(Micros(1), kind).unwrap();
}

/// One tenant is started and ends so.
fn through(rollout: &mut Rollout, tenant: &str, outcome: Outcome) {
    record(rollout, started(tenant, 0, 1));
    record(rollout, ended(tenant, 0, 1, outcome));
}

fn pause() -> EventKind {
    EventKind::Paused {
        actor: "eve".into(),
        reason: Some("lunch".into()),
    }
}

fn resume() -> EventKind {
    EventKind::Resumed {
        actor: "eve".into(),
        reason: None,
    }
}

fn retried(outcome: Outcome, targets: u64) -> EventKind {
    EventKind::Retried {
        actor: "eve".into(),
        reason: None,
        targets: vec![RetriedTargets {
            wave: 0,
            outcome,
            cause: outcome.counts_to_halt().then(|| broken().cause.to_string()),
            targets,
        }],
    }
}

fn skip(tenant: &str, was: Outcome) -> EventKind {
    EventKind::Skipped {
        tenant: TenantId::new(tenant),
        wave: 0,
        was,
        cause: was.counts_to_halt().then(|| broken().cause.to_string()),
        actor: "eve".into(),
        reason: "leaves on Friday".into(),
    }
}

#[test]
fn to_pause_and_resume_forgets_no_failure() {
    let mut rollout = open(5, Some(1));
    rollout.waves[0].limits.max_consecutive = Some(9);
    through(&mut rollout, "a", Outcome::Failed);
    let tallies = (rollout.tally.clone(), rollout.waves[0].tally.clone());
    record(&mut rollout, pause());
    assert_eq!(rollout.permits(0), 0, "nothing starts");
    assert!(decide(&rollout, Micros(2)).actions.is_empty());
    record(&mut rollout, resume());
    assert_eq!(rollout.state, RolloutState::Running);
    assert_eq!(
        (rollout.tally.clone(), rollout.waves[0].tally.clone()),
        tallies
    );
    through(&mut rollout, "b", Outcome::Failed);
    assert_eq!(
        rollout.state,
        RolloutState::Halted,
        "one before the pause and one after it are two"
    );
}

#[test]
fn what_a_pause_stopped_half_way_goes_on_and_the_row_of_failures_with_it() {
    let mut rollout = open(5, Some(9));
    through(&mut rollout, "a", Outcome::Failed);
    record(&mut rollout, started("b", 0, 1));
    record(&mut rollout, pause());
    record(&mut rollout, ended("b", 0, 1, Outcome::Partial));
    record(&mut rollout, resume());
    record(&mut rollout, retried(Outcome::Partial, 1));
    assert_eq!(rollout.tally.consecutive, 1);
    record(&mut rollout, retried(Outcome::Failed, 1));
    assert_eq!(rollout.tally.consecutive, 0, "here a person stepped in");
}

#[test]
fn a_failure_that_comes_in_during_a_pause_halts() {
    let mut rollout = open(5, Some(0));
    record(&mut rollout, started("a", 0, 1));
    record(&mut rollout, pause());
    let events = rollout
        .record(Micros(3), ended("a", 0, 1, Outcome::Failed))
        .unwrap();
    assert_eq!(events.len(), 2);
    assert_eq!(rollout.state, RolloutState::Halted);
    assert!(rollout.record(Micros(4), pause()).is_err());
}

#[test]
fn a_retry_of_a_paused_rollout_leaves_it_paused() {
    let mut rollout = open(5, Some(3));
    through(&mut rollout, "a", Outcome::Failed);
    record(&mut rollout, pause());
    record(&mut rollout, retried(Outcome::Failed, 1));
    assert_eq!(rollout.state, RolloutState::Paused);
    assert_eq!(rollout.waves[0].startable(), 5);
    record(&mut rollout, resume());
    assert_eq!(rollout.tally.failed, 0, "the retry took it back");
}

#[test]
fn skipping_moves_one_target_and_uncounts_no_failure() {
    let mut rollout = open(4, Some(3));
    through(&mut rollout, "a", Outcome::Failed);
    through(&mut rollout, "b", Outcome::Failed);
    record(&mut rollout, skip("a", Outcome::Failed));
    let group = &rollout.causes[&broken().cause.to_string()];
    assert_eq!(
        (group.tenants, group.examples.as_slice()),
        (1, [TenantId::new("b")].as_slice())
    );
    assert_eq!(rollout.tally.failed, 2);
    record(&mut rollout, skip("c", Outcome::Pending));
    record(&mut rollout, started("d", 0, 1));
    for (kind, why) in [
        (skip("d", Outcome::Pending), "d is in flight"),
        (skip("e", Outcome::Pending), "no pending target left"),
        (skip("e", Outcome::Deferred), "no deferred target left"),
        (skip("e", Outcome::Succeeded), "succeeded is not skipped"),
    ] {
        let before = rollout.clone();
        let said = rollout.record(Micros(5), kind).unwrap_err().to_string();
        assert!(said.contains(why), "{said}");
        assert_eq!(rollout, before);
    }
    record(&mut rollout, ended("d", 0, 1, Outcome::Succeeded));
    assert_eq!(rollout.waves[0].counts.get(Outcome::Skipped), 2);
    assert!(rollout.waves[0].has_ended());
    record(&mut rollout, retried(Outcome::Skipped, 2));
    assert_eq!(rollout.waves[0].startable(), 2, "and put back again");
}

fn amend(bundle: &str) -> EventKind {
    EventKind::Amended {
        actor: "eve".into(),
        reason: "a typing error".into(),
        amendment: crate::amend::Amendment {
            version: crate::testing::version(1),
            was: crate::ids::Checksum::new("first"),
            is: crate::ids::Checksum::new("second"),
        },
        bundle: crate::ids::BundleHash::new(bundle),
        plan_hash: "revised".into(),
    }
}

#[test]
fn an_amendment_brings_another_bundle_and_moves_nobody() {
    let mut rollout = open(3, Some(0));
    through(&mut rollout, "t0-0", Outcome::Failed);
    assert_eq!(rollout.state, RolloutState::Halted);
    let before = rollout.clone();
    record(&mut rollout, amend("b2"));
    assert_eq!(rollout.bundle.as_str(), "b2");
    assert_eq!(rollout.plan_hash, "revised");
    assert_eq!(rollout.amended.values().sum::<u32>(), 1);
    assert_eq!(rollout.state, RolloutState::Halted);
    assert_eq!(rollout.waves, before.waves);
    assert_eq!(rollout.causes, before.causes);
    record(&mut rollout, retried(Outcome::Failed, 1));
    assert_eq!(rollout.state, RolloutState::Running);
}

#[test]
fn nobody_amends_what_is_under_way() {
    let refused = |rollout: &mut Rollout, bundle| rollout.record(Micros(1), amend(bundle)).is_err();
    let mut rollout = open(3, Some(0));
    assert!(refused(&mut rollout, "b2"), "it runs");
    record(&mut rollout, started("t0-1", 0, 1));
    through(&mut rollout, "t0-0", Outcome::Failed);
    assert!(refused(&mut rollout, "b2"), "one is in flight");
    record(&mut rollout, ended("t0-1", 0, 1, Outcome::Succeeded));
    assert!(refused(&mut rollout, "b"), "the same bundle");
    record(&mut rollout, amend("b2"));
}

#[test]
fn who_is_in_flight_is_cancelled_by_its_claim() {
    let ask = |tenant: &str| EventKind::CancelAsked {
        tenant: TenantId::new(tenant),
        wave: 0,
        actor: "eve".into(),
        reason: "leaves".into(),
    };
    let mut rollout = open(2, None);
    assert!(
        rollout.record(Micros(1), ask("t0-0")).is_err(),
        "not in flight"
    );
    record(&mut rollout, started("t0-0", 0, 1));
    record(&mut rollout, ask("t0-0"));
    assert!(
        rollout.record(Micros(1), ask("t0-0")).is_err(),
        "once is enough"
    );
    let EventKind::Started { worker, host, .. } = started("t0-0", 0, 2) else {
        panic!("a start")
    };
    let takeover = EventKind::Started {
        tenant: TenantId::new("t0-0"),
        wave: 0,
        host,
        epoch: crate::ids::Epoch(2),
        worker,
        takeover: true,
    };
    record(&mut rollout, takeover);
    assert!(rollout.in_flight[&TenantId::new("t0-0")].cancelling);
    record(&mut rollout, ended("t0-0", 0, 2, Outcome::Cancelled));
    assert_eq!(rollout.waves[0].counts.get(Outcome::Cancelled), 1);
    assert_eq!(rollout.tally.failed, 0);
}
