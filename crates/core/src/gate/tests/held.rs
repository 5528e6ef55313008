//! Holds that begin and end while a rollout stands at a gate: no evidence never passes, nobody is lost, and there is
//! always something to type.

use super::*;
use crate::event::{HeldTargets, RetriedTargets};
use crate::testing::broken;

/// How a rollout of two waves stands at the gate between them, one tenant of each held.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stands {
    Open,
    Inconclusive,
    Error,
    Failed,
    Paused,
}

const ALL: [Stands; 5] = [
    Stands::Open,
    Stands::Inconclusive,
    Stands::Error,
    Stands::Failed,
    Stands::Paused,
];

fn hold(wave: usize) -> EventKind {
    EventKind::Held {
        targets: vec![HeldTargets {
            wave,
            outcome: Outcome::Pending,
            targets: 1,
        }],
        actor: Some("eve".into()),
        reason: Some("migrates by hand".into()),
        until: None,
    }
}

fn hold_ended(wave: usize) -> EventKind {
    EventKind::HoldEnded {
        actor: None,
        targets: vec![(wave, 1)],
        until: None,
    }
}

fn resume() -> EventKind {
    EventKind::Resumed {
        actor: "eve".into(),
        reason: None,
    }
}

fn pause() -> EventKind {
    EventKind::Paused {
        actor: "eve".into(),
        reason: None,
    }
}

fn skip() -> EventKind {
    EventKind::GateSkipped {
        wave: 0,
        gate: "errors".into(),
        actor: "eve".into(),
        reason: "moved".into(),
    }
}

fn record(rollout: &mut Rollout, at: Micros, kind: EventKind) {
    rollout.record(at, kind).unwrap();
}

impl Stands {
    /// Such a rollout, and its time.
    fn rollout(self) -> (Rollout, Micros) {
        let mut plan = plan(&[(3, None), (2, None)]);
        plan.waves[0].gates = vec![errors(promql())];
        let mut rollout = Rollout::new(&RolloutId::new("r1"), &plan);
        for kind in [
            EventKind::Submitted { tenants: 5 },
            EventKind::WaveOpened { wave: 0 },
            hold(0),
            hold(1),
            started("a", 0, 1),
            ended("a", 0, 1, Outcome::Succeeded),
            started("b", 0, 1),
            ended("b", 0, 1, Outcome::Failed),
        ] {
            record(&mut rollout, Micros(0), kind);
        }
        assert_eq!(rollout.at_gate(), Some((0, 0)), "what is held has no say");
        let answer = match self {
            Self::Open => return (rollout, Micros(0)),
            Self::Inconclusive => values(&[]),
            Self::Failed => values(&[1.0]),
            Self::Error | Self::Paused => down(),
        };
        let (_, at) = lead(&mut rollout, Micros(0), &answer, &down());
        if self == Self::Paused {
            record(&mut rollout, at, pause());
        }
        assert_eq!(rollout.state, self.state());
        (rollout, at)
    }

    fn state(self) -> RolloutState {
        match self {
            Self::Open => RolloutState::Running,
            Self::Inconclusive | Self::Error => RolloutState::Waiting,
            Self::Failed => RolloutState::Halted,
            Self::Paused => RolloutState::Paused,
        }
    }

    /// Its state once a hold in its open wave has ended.
    fn with_more_to_do(self) -> RolloutState {
        match self {
            Self::Open | Self::Inconclusive | Self::Error => RolloutState::Running,
            Self::Failed | Self::Paused => self.state(),
        }
    }
}

/// A person types what there is to type.
fn go_on(rollout: &mut Rollout, at: Micros) {
    if rollout.state != RolloutState::Running {
        record(rollout, at, resume());
    }
}

fn keeps_shut(rollout: &Rollout, at: Micros) -> String {
    let open = EventKind::WaveOpened { wave: 1 };
    rollout.clone().record(at, open).unwrap_err().to_string()
}

#[test]
fn a_hold_that_ends_behind_a_gate_changes_nothing_at_it() {
    for stands in ALL {
        let (mut rollout, at) = stands.rollout();
        let before = rollout.waves[0].clone();
        record(&mut rollout, at, hold_ended(1));
        assert_eq!(rollout.state, stands.state(), "{stands:?}");
        assert_eq!(rollout.waves[0], before, "{stands:?}");
    }
}

#[test]
fn a_hold_that_ends_before_a_gate_is_migrated_and_then_all_is_measured_anew() {
    for stands in ALL {
        let (mut rollout, at) = stands.rollout();
        let said = rollout.waves[0].gates[0].verdict;
        record(&mut rollout, at, hold_ended(0));
        assert_eq!(rollout.state, stands.with_more_to_do(), "{stands:?}");
        if rollout.state != RolloutState::Running {
            let gate = &rollout.waves[0].gates[0];
            assert_eq!(
                gate.verdict, said,
                "what it stopped for is still to be read"
            );
            assert_eq!(rollout.kept_by_gate(), Some((0, 0)), "{stands:?}");
        }
        go_on(&mut rollout, at);

        let may_start = (rollout.waves[0].startable(), rollout.permits(0) > 0);
        assert_eq!(may_start, (1, true), "{stands:?}: nobody is lost");
        assert_eq!(rollout.kept_by_gate(), None, "{stands:?}");
        assert_eq!(decide(&rollout, at).actions, [], "{stands:?}");
        let gate = &rollout.waves[0].gates[0];
        assert_eq!((gate.verdict, gate.since), (None, None), "{stands:?}");
        let again = if said.is_some() { 2 } else { 1 };
        assert_eq!(gate.evaluation, again, "{stands:?}");

        let at = at.plus_millis(60_000);
        record(&mut rollout, at, started("c", 0, 1));
        record(&mut rollout, at, ended("c", 0, 1, Outcome::Succeeded));
        assert!(keeps_shut(&rollout, at).contains("gate errors has not passed"));
        assert_eq!(rollout.waves[0].gates[0].since, Some(at), "{stands:?}");
        let (log, _) = lead(&mut rollout, at, &values(&[0.0]), &down());
        assert!(opened(&log), "{stands:?}");
    }
}

#[test]
fn what_a_person_skipped_stays_skipped_whatever_hold_ends() {
    for stands in ALL {
        for skipped_first in [true, false] {
            let (mut rollout, at) = stands.rollout();
            let kinds = match skipped_first {
                true => [skip(), hold_ended(0)],
                false => [hold_ended(0), skip()],
            };
            for kind in kinds {
                record(&mut rollout, at, kind);
            }
            go_on(&mut rollout, at);
            assert!(keeps_shut(&rollout, at).contains("has not ended"));
            record(&mut rollout, at, started("c", 0, 1));
            record(&mut rollout, at, ended("c", 0, 1, Outcome::Succeeded));
            let label = format!("{stands:?}, skipped first: {skipped_first}");
            let opens = [Action::OpenWave(1)];
            assert_eq!(decide(&rollout, at).actions, opens, "{label}");
        }
    }
}

#[test]
fn a_retry_of_a_held_tenant_passes_no_gate() {
    for stands in ALL {
        let (mut rollout, at) = stands.rollout();
        let retried = EventKind::Retried {
            actor: "eve".into(),
            targets: vec![RetriedTargets {
                wave: 0,
                outcome: Outcome::Failed,
                cause: Some(broken().cause.to_string()),
                targets: 1,
            }],
            reason: None,
        };
        record(&mut rollout, at, retried);
        record(&mut rollout, at, hold(0));
        assert_eq!(rollout.waves[0].held(), 2, "{stands:?}");
        go_on(&mut rollout, at);
        let why = keeps_shut(&rollout, at);
        assert!(why.contains("gate errors has not passed"), "{stands:?}");
        assert_eq!(rollout.waves[0].gates[0].verdict, None, "{stands:?}");
        let (log, _) = lead(&mut rollout, at, &values(&[0.0]), &down());
        assert!(opened(&log), "{stands:?}");
    }
}

/// Let go and pinned again while nothing could start: what was seen is still about what is there.
#[test]
fn a_pause_in_which_nothing_began_keeps_the_evidence() {
    let (mut rollout, at) = Stands::Failed.rollout();
    let before = rollout.waves[0].clone();
    record(&mut rollout, at, hold_ended(0));
    record(&mut rollout, at, hold(0));
    assert_eq!(rollout.waves[0], before);
    assert_eq!(rollout.at_gate(), Some((0, 0)));
}
