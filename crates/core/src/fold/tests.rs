//! Transitions, one by one.

use super::*;
use crate::event::{Event, EventKind, RetriedTargets};
use crate::halt::{Limits, Rule};
use crate::ids::{Epoch, HostName, Micros, TenantId, WorkerId};
use crate::outcome::Outcome;
use crate::rollout::{Action, Rollout, RolloutState};
use crate::testing::{broken, ended, plan, started};
use crate::{decide::decide, ids::RolloutId};

fn submitted(waves: &[(u32, Option<u32>)]) -> Rollout {
    let plan = plan(waves);
    let mut rollout = Rollout::new(&RolloutId::new("r1"), &plan);
    let tenants = rollout.outcomes().total();
    rollout
        .record(Micros(1), EventKind::Submitted { tenants })
        .unwrap();
    rollout
}

fn open(rollout: &mut Rollout, wave: usize) {
    rollout
        .record(Micros(2), EventKind::WaveOpened { wave })
        .unwrap();
}

fn kinds(events: &[Event]) -> Vec<&'static str> {
    events.iter().map(|e| e.kind.as_str()).collect()
}

#[test]
fn the_failure_that_crosses_a_limit_halts_in_the_same_breath() {
    let mut rollout = submitted(&[(3, Some(0))]);
    open(&mut rollout, 0);
    for (n, id) in ["a", "b", "c"].iter().enumerate() {
        rollout
            .record(Micros(3), started(id, 0, n as i64 + 1))
            .unwrap();
    }
    let events = rollout
        .record(Micros(4), ended("b", 0, 2, Outcome::Failed))
        .unwrap();
    assert_eq!(kinds(&events), ["ended", "halted"]);
    assert_eq!(rollout.state, RolloutState::Halted);
    let halt = rollout.halt.clone().unwrap();
    assert_eq!(
        (
            halt.rule,
            halt.wave.as_deref(),
            halt.failures,
            halt.tolerated,
            halt.in_flight
        ),
        (Rule::MaxFailures, Some("wave0"), 1, 0, 2)
    );
    let events = rollout
        .record(Micros(5), ended("a", 0, 1, Outcome::Failed))
        .unwrap();
    assert_eq!(kinds(&events), ["ended"], "a halted rollout halts once");
    assert!(decide(&rollout, Micros(6)).actions.is_empty());
}

#[test]
fn limits_of_the_whole_rollout_count_over_waves() {
    let mut rollout = submitted(&[(1, Some(9)), (2, Some(9))]);
    rollout.policy.limits = Limits {
        max_failures: Some(1),
        ..Limits::default()
    };
    open(&mut rollout, 0);
    rollout.record(Micros(3), started("a", 0, 1)).unwrap();
    rollout
        .record(Micros(3), ended("a", 0, 1, Outcome::Failed))
        .unwrap();
    open(&mut rollout, 1);
    rollout.record(Micros(3), started("b", 1, 1)).unwrap();
    rollout
        .record(Micros(3), ended("b", 1, 1, Outcome::Dirty))
        .unwrap();
    assert_eq!(rollout.halt.as_ref().unwrap().wave, None);
    assert_eq!(rollout.halt.unwrap().failures, 2);
}

#[test]
fn a_takeover_replaces_the_claim_and_is_no_start_after_the_halt() {
    let mut rollout = submitted(&[(2, Some(0))]);
    open(&mut rollout, 0);
    rollout.record(Micros(3), started("a", 0, 1)).unwrap();
    rollout.record(Micros(3), started("b", 0, 1)).unwrap();
    rollout
        .record(Micros(4), ended("b", 0, 1, Outcome::Failed))
        .unwrap();
    let takeover = EventKind::Started {
        tenant: TenantId::new("a"),
        wave: 0,
        host: HostName::new("h"),
        epoch: Epoch(2),
        worker: WorkerId::new("w2"),
        takeover: true,
    };
    rollout.record(Micros(5), takeover.clone()).unwrap();
    assert_eq!(
        (rollout.in_flight.len(), rollout.waves[0].in_flight),
        (1, 1)
    );
    assert_eq!(rollout.started_after_halt, 0);
    let stale = rollout.record(Micros(6), ended("a", 0, 1, Outcome::Succeeded));
    assert!(
        stale
            .unwrap_err()
            .to_string()
            .contains("epoch 2, not as wave 0, epoch 1")
    );
    assert!(
        rollout.record(Micros(6), takeover).is_err(),
        "an epoch only grows"
    );
}

#[test]
fn a_claim_is_reissued_in_its_wave_under_a_greater_number() {
    let mut rollout = submitted(&[(2, None), (1, None)]);
    open(&mut rollout, 0);
    rollout.record(Micros(3), started("a", 0, 2)).unwrap();
    let reissued = |wave, epoch| EventKind::Reissued {
        tenant: TenantId::new("a"),
        wave,
        epoch: Epoch(epoch),
    };
    for wrong in [(1, 3), (0, 2), (0, 1)] {
        let said = rollout.record(Micros(4), reissued(wrong.0, wrong.1));
        assert!(said.is_err(), "{wrong:?}");
    }
    rollout.record(Micros(4), reissued(0, 3)).unwrap();
    assert_eq!(rollout.in_flight[&TenantId::new("a")].epoch, Epoch(3));
}

#[test]
fn a_start_after_the_halt_is_counted() {
    let mut rollout = submitted(&[(3, Some(0))]);
    open(&mut rollout, 0);
    rollout.record(Micros(3), started("a", 0, 1)).unwrap();
    rollout
        .record(Micros(4), ended("a", 0, 1, Outcome::Failed))
        .unwrap();
    rollout.record(Micros(5), started("b", 0, 1)).unwrap();
    assert_eq!(rollout.started_after_halt, 1);
}

#[test]
fn resume_acknowledges_and_retry_takes_failures_back() {
    let mut rollout = submitted(&[(3, Some(0))]);
    open(&mut rollout, 0);
    rollout.record(Micros(3), started("a", 0, 1)).unwrap();
    rollout
        .record(Micros(4), ended("a", 0, 1, Outcome::Failed))
        .unwrap();
    let mut resumed = rollout.clone();
    let seen = EventKind::Resumed {
        actor: "eve".into(),
        reason: None,
    };
    resumed.record(Micros(5), seen).unwrap();
    assert_eq!(
        (resumed.state, resumed.tally.failed),
        (RolloutState::Running, 0)
    );
    assert_eq!(resumed.waves[0].counts.get(Outcome::Failed), 1);
    assert_eq!(resumed.causes.len(), 1);

    let back = EventKind::Retried {
        actor: "eve".into(),
        reason: None,
        targets: vec![RetriedTargets {
            wave: 0,
            outcome: Outcome::Failed,
            cause: Some(broken().cause.to_string()),
            targets: 1,
        }],
    };
    let nothing = EventKind::Retried {
        actor: "eve".into(),
        reason: None,
        targets: vec![],
    };
    assert!(
        rollout.record(Micros(5), nothing).is_err(),
        "a halt is not lifted by retrying nothing"
    );
    rollout.record(Micros(5), back.clone()).unwrap();
    assert_eq!(rollout.waves[0].pending(), 3);
    assert!(rollout.causes.is_empty() && rollout.halt.is_none());
    assert_eq!(
        rollout.permits(0),
        1,
        "strict, nothing failed, nothing in flight"
    );
    let before = rollout.clone();
    assert!(
        rollout.record(Micros(6), back).is_err(),
        "nothing is left to retry"
    );
    assert_eq!(rollout, before);
}

#[test]
fn a_cancelled_rollout_is_final_while_its_claims_drain() {
    let mut rollout = submitted(&[(3, None), (2, None)]);
    open(&mut rollout, 0);
    rollout.record(Micros(3), started("a", 0, 1)).unwrap();
    rollout.record(Micros(3), started("b", 0, 1)).unwrap();
    let cancel = |targets, partial| EventKind::Cancelled {
        actor: "eve".into(),
        reason: "wrong night".into(),
        targets,
        partial,
    };
    let fewer = rollout.record(Micros(4), cancel(vec![(0, 1)], vec![]));
    assert!(fewer.is_err());
    let mut other = rollout.clone();
    let half_way = cancel(vec![(0, 1), (1, 1)], vec![(1, 1)]);
    other.record(Micros(4), half_way).unwrap();
    assert_eq!(other.waves[1].counts.get(Outcome::Partial), 1);
    let all = cancel(vec![(0, 1), (1, 2)], vec![]);
    rollout.record(Micros(4), all).unwrap();
    assert_eq!(rollout.state, RolloutState::Cancelled);
    rollout
        .record(Micros(5), ended("a", 0, 1, Outcome::Succeeded))
        .unwrap();
    let release = EventKind::Released {
        tenant: TenantId::new("b"),
        wave: 0,
        epoch: Epoch(1),
        class: None,
        not_before: None,
    };
    rollout.record(Micros(5), release).unwrap();
    let outcomes = rollout.outcomes();
    assert_eq!(
        (
            outcomes.get(Outcome::Succeeded),
            outcomes.get(Outcome::Cancelled),
            outcomes.total()
        ),
        (1, 4, 5)
    );
}

#[test]
fn gaps_and_contradictions_name_both_sides_and_change_nothing() {
    let mut rollout = submitted(&[(1, None), (1, None)]);
    let before = rollout.clone();
    let gap = fold(
        &mut rollout,
        &Event {
            seq: 7,
            at: Micros(9),
            kind: EventKind::WaveOpened { wave: 0 },
        },
    );
    assert_eq!(
        gap.unwrap_err().to_string(),
        "rollout r1: event 7 cannot follow event 1; the events between them are missing"
    );
    let early = rollout.record(Micros(9), EventKind::WaveOpened { wave: 1 });
    assert_eq!(
        early.unwrap_err().to_string(),
        "rollout r1, running after event 1, contradicts event 2 (wave_opened): wave wave0 comes first and has not ended"
    );
    let finish = EventKind::Finished {
        state: RolloutState::Succeeded,
    };
    assert!(rollout.record(Micros(9), finish).is_err());
    assert!(
        rollout.record(Micros(9), started("a", 0, 1)).is_err(),
        "not open"
    );
    assert_eq!(rollout, before);
    let again = Event {
        seq: 1,
        at: Micros(9),
        kind: EventKind::Submitted { tenants: 99 },
    };
    fold(&mut rollout, &again).unwrap();
    assert_eq!(rollout, before, "what was folded is ignored");
}

#[test]
fn waves_open_one_after_the_other_and_the_rollout_finishes() {
    let mut rollout = submitted(&[(1, Some(5)), (1, None)]);
    let mut seen = Vec::new();
    while let Some(action) = decide(&rollout, Micros(2)).actions.first().cloned() {
        seen.push(action.clone());
        match action {
            Action::OpenWave(wave) => {
                open(&mut rollout, wave);
                assert_eq!(decide(&rollout, Micros(2)).actions, []);
                rollout
                    .record(Micros(3), started("t", wave, wave as i64 + 1))
                    .unwrap();
                let outcome = [Outcome::Failed, Outcome::Succeeded][wave];
                rollout
                    .record(Micros(4), ended("t", wave, wave as i64 + 1, outcome))
                    .unwrap();
            }
            other @ (Action::Sweep(_)
            | Action::Halt(_)
            | Action::Wait
            | Action::EndHolds
            | Action::JudgeGate { .. }
            | Action::MeasuredGate { .. }) => {
                panic!("nothing is deferred or held, and there is no gate: {other:?}")
            }
            Action::Finish(state) => {
                rollout
                    .record(Micros(5), EventKind::Finished { state })
                    .unwrap();
            }
        }
    }
    assert_eq!(
        seen,
        [
            Action::OpenWave(0),
            Action::OpenWave(1),
            Action::Finish(RolloutState::CompletedWithFailures)
        ]
    );
    assert_eq!(rollout.ended_at, Some(Micros(5)));
    assert_eq!(rollout.causes[&broken().cause.to_string()].moved, 0);
}

#[test]
fn failures_in_a_row_are_broken_by_a_success_only() {
    let mut rollout = submitted(&[(8, None)]);
    rollout.waves[0].limits.max_consecutive = Some(1);
    open(&mut rollout, 0);
    let mut report = |id: &str, outcome| {
        rollout.record(Micros(3), started(id, 0, 1)).unwrap();
        rollout.record(Micros(4), ended(id, 0, 1, outcome)).unwrap();
        rollout.state
    };
    for (id, outcome) in [
        ("a", Outcome::Failed),
        ("b", Outcome::Succeeded),
        ("c", Outcome::Failed),
        ("d", Outcome::UpToDate),
    ] {
        assert_eq!(report(id, outcome), RolloutState::Running, "{id}");
    }
    assert_eq!(report("e", Outcome::Failed), RolloutState::Halted);
    let halt = rollout.halt.unwrap();
    assert_eq!((halt.rule, halt.failures), (Rule::MaxConsecutive, 2));
}

#[test]
fn what_the_plan_found_is_shown_as_a_cause_and_counts_to_no_limit() {
    let mut plan = plan(&[(1, Some(0))]);
    plan.left_out.push(crate::plan::LeftOut {
        tenant: TenantId::new("away"),
        place: crate::testing::place("h"),
        outcome: Outcome::Unreachable,
        failure: Some(broken()),
    });
    let mut rollout = Rollout::new(&RolloutId::new("r1"), &plan);
    assert!(
        rollout
            .record(Micros(1), EventKind::Submitted { tenants: 1 })
            .is_err()
    );
    rollout
        .record(Micros(1), EventKind::Submitted { tenants: 2 })
        .unwrap();
    assert_eq!(rollout.causes.len(), 1);
    assert_eq!(rollout.tally.failed, 0);
    open(&mut rollout, 0);
    rollout.record(Micros(3), started("a", 0, 1)).unwrap();
    rollout
        .record(Micros(4), ended("a", 0, 1, Outcome::Succeeded))
        .unwrap();
    assert_eq!(
        decide(&rollout, Micros(5)).actions,
        [Action::Finish(RolloutState::CompletedWithFailures)]
    );
}

#[test]
fn what_is_deferred_is_swept_once_at_the_end_of_its_wave_and_counts_only_then() {
    let mut rollout = submitted(&[(3, Some(0)), (1, None)]);
    open(&mut rollout, 0);
    for (id, epoch, outcome) in [
        ("a", 1, Outcome::Deferred),
        ("b", 1, Outcome::Succeeded),
        ("c", 1, Outcome::Deferred),
    ] {
        assert_eq!(decide(&rollout, Micros(3)).actions, [], "before {id}");
        rollout.record(Micros(3), started(id, 0, epoch)).unwrap();
        rollout
            .record(Micros(4), ended(id, 0, epoch, outcome))
            .unwrap();
    }
    assert_eq!(
        (rollout.state, rollout.tally.failed),
        (RolloutState::Running, 0)
    );
    assert!(
        rollout
            .record(Micros(5), EventKind::WaveOpened { wave: 1 })
            .is_err()
    );
    let sweep = |targets| EventKind::Swept { wave: 0, targets };
    assert!(
        rollout.record(Micros(5), sweep(1)).is_err(),
        "not all of them"
    );
    assert_eq!(decide(&rollout, Micros(5)).actions, [Action::Sweep(0)]);
    rollout.record(Micros(5), sweep(2)).unwrap();
    assert_eq!(
        (rollout.waves[0].pending(), rollout.waves[0].deferred()),
        (2, 0)
    );
    assert!(rollout.record(Micros(5), sweep(0)).is_err(), "once");

    rollout.record(Micros(6), started("a", 0, 2)).unwrap();
    let again = rollout.record(Micros(6), ended("a", 0, 2, Outcome::Deferred));
    assert!(
        again
            .unwrap_err()
            .to_string()
            .contains("no sweep of its wave is to come")
    );
    let events = rollout
        .record(Micros(6), ended("a", 0, 2, Outcome::Failed))
        .unwrap();
    assert_eq!(kinds(&events), ["ended", "halted"]);
}

#[test]
fn a_wave_that_is_retried_is_swept_again_and_a_cancelled_one_leaves_nothing_deferred() {
    let mut rollout = submitted(&[(2, None)]);
    open(&mut rollout, 0);
    let run = |rollout: &mut Rollout, id: &str, epoch, outcome| {
        rollout.record(Micros(3), started(id, 0, epoch)).unwrap();
        rollout
            .record(Micros(3), ended(id, 0, epoch, outcome))
            .unwrap();
    };
    run(&mut rollout, "a", 1, Outcome::Deferred);
    run(&mut rollout, "b", 1, Outcome::Succeeded);
    rollout
        .record(
            Micros(4),
            EventKind::Swept {
                wave: 0,
                targets: 1,
            },
        )
        .unwrap();
    run(&mut rollout, "a", 2, Outcome::Failed);
    let back = EventKind::Retried {
        actor: "eve".into(),
        reason: None,
        targets: vec![RetriedTargets {
            wave: 0,
            outcome: Outcome::Failed,
            cause: Some(broken().cause.to_string()),
            targets: 1,
        }],
    };
    rollout.record(Micros(5), back).unwrap();
    run(&mut rollout, "a", 3, Outcome::Deferred);
    assert_eq!(decide(&rollout, Micros(6)).actions, [Action::Sweep(0)]);

    let cancel = EventKind::Cancelled {
        actor: "eve".into(),
        reason: "wrong night".into(),
        targets: vec![(0, 1)],
        partial: Vec::new(),
    };
    rollout.record(Micros(7), cancel).unwrap();
    assert_eq!(rollout.waves[0].deferred(), 0);
    assert_eq!(rollout.outcomes().get(Outcome::Cancelled), 1);
}

#[test]
fn a_wave_that_an_older_version_stored_was_never_swept() {
    let rollout = submitted(&[(1, None)]);
    let mut body = serde_json::to_value(&rollout).unwrap();
    body["waves"][0].as_object_mut().unwrap().remove("swept_at");
    body["policy"]
        .as_object_mut()
        .unwrap()
        .remove("host_patience_ms");
    let read: Rollout = serde_json::from_value(body).unwrap();
    assert_eq!(read, rollout);
}
