//! Holds, as they move counts and states.

use crate::decide::decide;
use crate::event::{EventKind, HeldTargets};
use crate::ids::{Micros, RolloutId, TenantId};
use crate::outcome::Outcome;
use crate::rollout::{Action, Rollout, RolloutState};
use crate::testing::{ended, plan, started};

fn open(waves: &[(u32, Option<u32>)]) -> Rollout {
    let mut rollout = Rollout::new(&RolloutId::new("r1"), &plan(waves));
    let tenants = rollout.outcomes().total();
    record(&mut rollout, EventKind::Submitted { tenants });
    record(&mut rollout, EventKind::WaveOpened { wave: 0 });
    rollout
}

fn record(rollout: &mut Rollout, kind: EventKind) {
    rollout.record(Micros(1), kind).unwrap();
}

fn through(rollout: &mut Rollout, tenant: &str, wave: usize, outcome: Outcome) {
    record(rollout, started(tenant, wave, 1));
    record(rollout, ended(tenant, wave, 1, outcome));
}

fn hold(wave: usize, targets: u64, until: Option<i64>) -> EventKind {
    EventKind::Held {
        targets: vec![HeldTargets {
            wave,
            outcome: Outcome::Pending,
            targets,
        }],
        actor: Some("eve".into()),
        reason: Some("migrates by hand".into()),
        until: until.map(Micros),
    }
}

fn release(wave: usize, targets: u64, until: Option<i64>) -> EventKind {
    EventKind::HoldEnded {
        actor: Some("eve".into()),
        targets: vec![(wave, targets)],
        until: until.map(Micros),
    }
}

fn action(rollout: &Rollout, now: i64) -> Option<Action> {
    decide(rollout, Micros(now)).actions.first().cloned()
}

#[test]
fn what_is_held_keeps_no_wave_shut_and_is_waited_for_at_the_end() {
    let mut rollout = open(&[(2, None), (1, None)]);
    record(&mut rollout, hold(0, 1, None));
    assert_eq!(rollout.waves[0].startable(), 1);
    through(&mut rollout, "a", 0, Outcome::Succeeded);
    assert_eq!(action(&rollout, 5), Some(Action::OpenWave(1)));
    record(&mut rollout, EventKind::WaveOpened { wave: 1 });
    through(&mut rollout, "b", 1, Outcome::Succeeded);
    let finish = EventKind::Finished {
        state: RolloutState::Succeeded,
    };
    let said = rollout.record(Micros(6), finish.clone()).unwrap_err();
    assert!(said.to_string().contains("1 targets are held"), "{said}");
    assert_eq!(action(&rollout, 5), Some(Action::Wait));
    record(&mut rollout, EventKind::Waiting { held: 1 });
    assert_eq!(rollout.state, RolloutState::Waiting);
    assert!(rollout.waits_for_holds());
    assert_eq!(action(&rollout, 5), None);
    assert_eq!(decide(&rollout, Micros(5)).wake_at, None, "only a person");
    record(&mut rollout, release(0, 1, None));
    assert_eq!(rollout.state, RolloutState::Running);
    through(&mut rollout, "c", 0, Outcome::Succeeded);
    record(&mut rollout, finish);
}

#[test]
fn a_hold_ends_by_itself_in_a_rollout_that_goes_on() {
    let mut rollout = open(&[(2, None)]);
    record(&mut rollout, hold(0, 2, Some(50)));
    record(&mut rollout, EventKind::Waiting { held: 2 });
    assert_eq!(decide(&rollout, Micros(49)).wake_at, Some(Micros(50)));
    assert_eq!(action(&rollout, 49), None);
    assert_eq!(action(&rollout, 50), Some(Action::EndHolds));
    // It was made longer: no target moves, and the leader need not ask again.
    let mut longer = rollout.clone();
    let later = EventKind::Held {
        targets: Vec::new(),
        actor: None,
        reason: None,
        until: Some(Micros(90)),
    };
    record(&mut longer, later);
    assert_eq!(longer.state, RolloutState::Waiting);
    assert_eq!(decide(&longer, Micros(50)).wake_at, Some(Micros(90)));
    let over = EventKind::HoldEnded {
        actor: None,
        targets: vec![(0, 2)],
        until: None,
    };
    record(&mut rollout, over);
    assert_eq!(
        (rollout.state, rollout.hold_ends_at),
        (RolloutState::Running, None)
    );
}

#[test]
fn a_paused_or_halted_rollout_is_not_set_going_by_a_release() {
    let mut rollout = open(&[(3, Some(0))]);
    record(&mut rollout, hold(0, 1, Some(50)));
    let mut paused = rollout.clone();
    let pause = EventKind::Paused {
        actor: "eve".into(),
        reason: None,
    };
    record(&mut paused, pause);
    through(&mut rollout, "a", 0, Outcome::Failed);
    for mut stands in [paused, rollout] {
        let state = stands.state;
        assert_eq!(action(&stands, 99), None);
        record(&mut stands, release(0, 1, None));
        assert_eq!(stands.state, state);
        assert_eq!(stands.waves[0].held(), 0);
    }
}

#[test]
fn the_last_held_target_that_is_left_out_lets_the_rollout_end() {
    let mut rollout = open(&[(2, None)]);
    record(&mut rollout, hold(0, 2, None));
    record(&mut rollout, EventKind::Waiting { held: 2 });
    let skip = EventKind::Skipped {
        tenant: TenantId::new("a"),
        wave: 0,
        was: Outcome::Held,
        cause: None,
        actor: "eve".into(),
        reason: "leaves".into(),
    };
    record(&mut rollout, skip);
    assert_eq!(rollout.state, RolloutState::Waiting);
    let cancel = EventKind::TenantCancelled {
        tenant: TenantId::new("b"),
        wave: 0,
        was: Outcome::Held,
        outcome: Outcome::Cancelled,
        actor: "eve".into(),
        reason: "leaves".into(),
    };
    record(&mut rollout, cancel);
    assert_eq!(rollout.state, RolloutState::Running);
    let done = Action::Finish(RolloutState::Succeeded);
    assert_eq!(action(&rollout, 5), Some(done));
}

#[test]
fn only_what_nobody_has_in_hand_is_held_and_let_go() {
    let mut rollout = open(&[(2, None)]);
    record(&mut rollout, started("a", 0, 1));
    let failed = EventKind::Held {
        targets: vec![HeldTargets {
            wave: 0,
            outcome: Outcome::Failed,
            targets: 1,
        }],
        actor: None,
        reason: None,
        until: None,
    };
    for (kind, why) in [
        (hold(0, 2, None), "1 pending targets to hold, not 2"),
        (hold(7, 1, None), "no wave 7"),
        (release(0, 1, None), "0 held targets, not 1"),
        (failed, "failed are not held"),
        (EventKind::Waiting { held: 0 }, "has not ended"),
    ] {
        let before = rollout.clone();
        let said = rollout.record(Micros(5), kind).unwrap_err().to_string();
        assert!(said.contains(why), "{said}");
        assert_eq!(rollout, before);
    }
    record(&mut rollout, hold(0, 1, None));
    let cancel = EventKind::Cancelled {
        actor: "eve".into(),
        reason: "wrong night".into(),
        targets: vec![(0, 1)],
        partial: Vec::new(),
    };
    record(&mut rollout, cancel);
    assert_eq!(rollout.waves[0].counts.get(Outcome::Cancelled), 1);
    assert!(rollout.record(Micros(6), release(0, 0, None)).is_err());
}
