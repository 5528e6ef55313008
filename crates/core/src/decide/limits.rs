//! Limits of time. No failure crosses them, so they wait for the leader.

use crate::halt::{Limits, Rule, Tally};
use crate::ids::Micros;
use crate::rollout::{Halt, Rollout, RolloutState, Wave};

/// A limit of time, and when it is reached if nothing happens before.
pub(super) struct Due<'r> {
    /// When.
    pub(super) at: Micros,
    rule: Rule,
    /// What counts from here.
    since: Micros,
    allowed_ms: u64,
    wave: Option<&'r str>,
    failed: u64,
}

impl Due<'_> {
    /// The halt that crossing it is.
    pub(super) fn halt(&self, rollout: &Rollout, now: Micros) -> Halt {
        let scope = self
            .wave
            .map_or_else(|| "the rollout".to_owned(), |wave| format!("wave {wave}"));
        let (took, allowed) = (words(now.millis_since(self.since)), words(self.allowed_ms));
        let detail = match self.rule {
            Rule::StallAfter => {
                format!("nothing of {scope} has started or ended for {took}, {allowed} allowed")
            }
            _ => format!("{scope} has taken {took}, {allowed} allowed"),
        };
        Halt {
            rule: self.rule,
            wave: self.wave.map(str::to_owned),
            cause: None,
            failures: self.failed,
            tolerated: 0,
            in_flight: rollout.in_flight.len() as u64,
            tenant: None,
            detail: Some(detail),
        }
    }
}

/// The limit of time that is reached first; of two at one moment, that of a wave before the rollout's.
///
/// A stall is counted from the last thing that moved, or is due to move: a target that waits for its next attempt, or
/// for a host that is away, is none. What is held has no part in it, and between waves (one bakes, a gate is asked)
/// nothing can stall. Whatever lets a rollout go on that stood still begins every count anew, a `retry` too; a wave that
/// gets targets again counts from then.
pub(super) fn due(rollout: &Rollout, watched: Micros) -> Option<Due<'_>> {
    if rollout.state != RolloutState::Running || rollout.submitted_at.is_none() {
        return None;
    }
    let open = || {
        rollout
            .waves
            .iter()
            .filter(|w| w.opened_at.is_some() && !w.has_ended())
    };
    let anew = rollout.window_at;
    let mut dues: Vec<Due<'_>> = Vec::new();
    for wave in open() {
        dues.extend(of_scope(
            &wave.limits,
            (
                wave.opened_at.max(wave.reopened_at).max(anew),
                wave.moved_at.max(anew),
            ),
            watched,
            (Some(&wave.name), &wave.tally),
        ));
    }
    // Where all have ended nothing is left to be stopped.
    let left = |w: &Wave| w.opened_at.is_none() || !w.has_ended();
    let begun = rollout.waves.first().and_then(|w| w.opened_at);
    let begun = begun.filter(|_| rollout.waves.iter().any(left));
    let moved = open().map(|w| w.moved_at.max(w.opened_at)).max().flatten();
    dues.extend(of_scope(
        &rollout.policy.limits,
        (
            begun.max(anew.filter(|_| begun.is_some())),
            moved.and_then(|at| Some(at).max(anew)),
        ),
        watched,
        (None, &rollout.tally),
    ));
    dues.into_iter().min_by_key(|due| due.at)
}

/// The limits of one scope: since when it lasts, and since when nothing moved.
fn of_scope<'r>(
    limits: &Limits,
    (lasts, still): (Option<Micros>, Option<Micros>),
    watched: Micros,
    (wave, tally): (Option<&'r str>, &Tally),
) -> impl Iterator<Item = Due<'r>> + use<'r> {
    let failed = tally.failed;
    let due = move |rule, since: Option<Micros>, allowed: Option<u64>| {
        let (since, allowed_ms) = (since?, allowed?);
        Some(Due {
            at: since.plus_millis(allowed_ms),
            rule,
            since,
            allowed_ms,
            wave,
            failed,
        })
    };
    let stalled = due(
        Rule::StallAfter,
        still.map(|at| at.max(watched)),
        limits.stall_after_ms,
    );
    let overdue = due(Rule::MaxDuration, lasts, limits.max_duration_ms);
    [stalled, overdue].into_iter().flatten()
}

/// `250 ms`, `12 s`, `4m 05s`, `2h 10m`.
fn words(ms: u64) -> String {
    match ms / 1_000 {
        0 => format!("{ms} ms"),
        secs @ 1..=119 => format!("{secs} s"),
        secs @ 120..=7_199 => format!("{}m {:02}s", secs / 60, secs % 60),
        secs => format!("{}h {:02}m", secs / 3_600, secs % 3_600 / 60),
    }
}

#[cfg(test)]
mod tests {
    use crate::decide::{Outside, decide, decide_seeing};
    use crate::event::{EventKind, RetriedTargets};
    use crate::halt::Rule;
    use crate::ids::{Epoch, Micros, RolloutId, TenantId};
    use crate::outcome::Outcome;
    use crate::rollout::{Action, Halt, Rollout, RolloutState};
    use crate::testing::{ended, plan, started};

    const SECOND: i64 = 1_000_000;

    /// One wave of three under these limits in milliseconds, opened at second 1.
    fn opened(stall_after: Option<u64>, max_duration: Option<u64>) -> Rollout {
        let mut plan = plan(&[(3, None), (2, None)]);
        plan.waves[0].limits.stall_after_ms = stall_after;
        plan.waves[0].limits.max_duration_ms = max_duration;
        let mut rollout = Rollout::new(&RolloutId::new("r"), &plan);
        happens(&mut rollout, 0, EventKind::Submitted { tenants: 5 });
        happens(&mut rollout, 1, EventKind::WaveOpened { wave: 0 });
        rollout
    }

    fn happens(rollout: &mut Rollout, second: i64, kind: EventKind) {
        rollout.record(Micros(second * SECOND), kind).unwrap();
    }

    fn at(second: i64) -> Micros {
        Micros(second * SECOND)
    }

    fn halt(rollout: &Rollout, second: i64) -> Option<Halt> {
        match decide(rollout, at(second)).actions.first() {
            Some(Action::Halt(halt)) => Some(halt.clone()),
            _ => None,
        }
    }

    #[test]
    fn a_stall_is_counted_from_what_last_moved() {
        let mut rollout = opened(Some(10_000), None);
        assert_eq!(decide(&rollout, at(1)).wake_at, Some(at(11)));
        assert_eq!(halt(&rollout, 10), None);
        happens(&mut rollout, 5, started("a", 0, 1));
        assert_eq!(
            (halt(&rollout, 14), halt(&rollout, 15).is_some()),
            (None, true)
        );
        happens(&mut rollout, 9, ended("a", 0, 1, Outcome::Succeeded));
        assert_eq!(decide(&rollout, at(9)).wake_at, Some(at(19)));
        let halt = halt(&rollout, 22).unwrap();
        assert_eq!(
            (halt.rule, halt.cause, halt.tenant),
            (Rule::StallAfter, None, None)
        );
        assert_eq!(halt.wave.as_deref(), Some("wave0"));
        assert_eq!(
            halt.detail.as_deref(),
            Some("nothing of wave wave0 has started or ended for 13 s, 10 s allowed")
        );
    }

    #[test]
    fn what_waits_for_its_next_attempt_or_for_its_host_is_no_stall() {
        let mut rollout = opened(Some(10_000), None);
        happens(&mut rollout, 2, started("a", 0, 1));
        let back = EventKind::Released {
            tenant: TenantId::new("a"),
            wave: 0,
            epoch: Epoch(1),
            class: Some(crate::ErrorClass::Connection),
            not_before: Some(at(60)),
        };
        happens(&mut rollout, 3, back);
        assert_eq!(
            (halt(&rollout, 69), halt(&rollout, 70).is_some()),
            (None, true)
        );
        // A leader that has just come, or saw a host away until now, has not seen it stand still.
        let watching = |since| {
            let outside = Outside {
                watched: at(since),
                ..Outside::default()
            };
            decide_seeing(&rollout, at(100), &outside)
        };
        assert_eq!(watching(95).wake_at, Some(at(105)));
        assert!(matches!(watching(90).actions[..], [Action::Halt(_)]));
    }

    #[test]
    fn between_waves_and_among_the_held_nothing_stalls() {
        let mut rollout = opened(Some(10_000), Some(20_000));
        for tenant in ["a", "b", "c"] {
            happens(&mut rollout, 2, started(tenant, 0, 1));
            happens(&mut rollout, 3, ended(tenant, 0, 1, Outcome::Held));
        }
        let decision = decide(&rollout, at(1_000));
        assert_eq!(decision.actions, [Action::OpenWave(1)]);
        assert_eq!(decision.wake_at, None);
    }

    #[test]
    fn a_wave_that_takes_too_long_halts_though_it_moves() {
        let mut rollout = opened(Some(10_000), Some(30_000));
        happens(&mut rollout, 29, started("a", 0, 1));
        assert_eq!(decide(&rollout, at(29)).wake_at, Some(at(31)));
        let halt = halt(&rollout, 31).unwrap();
        assert_eq!((halt.rule, halt.in_flight), (Rule::MaxDuration, 1));
        assert_eq!(
            halt.detail.as_deref(),
            Some("wave wave0 has taken 30 s, 30 s allowed")
        );
        happens(&mut rollout, 31, EventKind::Halted { halt });
        assert_eq!(rollout.state, RolloutState::Halted);
        assert!(decide(&rollout, at(99)).actions.is_empty());
    }

    #[test]
    fn a_person_begins_every_count_anew() {
        let mut rollout = opened(Some(10_000), Some(30_000));
        let stalled = halt(&rollout, 50).unwrap();
        happens(&mut rollout, 50, EventKind::Halted { halt: stalled });
        let actor = || "eve".to_owned();
        happens(
            &mut rollout,
            100,
            EventKind::Resumed {
                actor: actor(),
                reason: None,
            },
        );
        assert_eq!(decide(&rollout, at(100)).wake_at, Some(at(110)));
        // A retry reopens the wave long after it was opened.
        happens(&mut rollout, 101, started("a", 0, 1));
        happens(&mut rollout, 102, ended("a", 0, 1, Outcome::Failed));
        let targets = vec![RetriedTargets {
            wave: 0,
            outcome: Outcome::Failed,
            cause: Some("migration_sql/42703".into()),
            targets: 1,
        }];
        happens(
            &mut rollout,
            500,
            EventKind::Retried {
                actor: actor(),
                reason: None,
                targets,
            },
        );
        assert_eq!(decide(&rollout, at(500)).wake_at, Some(at(510)));
        assert_eq!(halt(&rollout, 509), None);
    }

    #[test]
    fn the_rollout_as_a_whole_has_limits_of_time_too() {
        let mut rollout = opened(None, None);
        rollout.policy.limits.max_duration_ms = Some(60_000);
        rollout.policy.limits.stall_after_ms = Some(50_000);
        assert_eq!(decide(&rollout, at(1)).wake_at, Some(at(51)));
        happens(&mut rollout, 40, started("a", 0, 1));
        let halt = halt(&rollout, 61).unwrap();
        assert_eq!((halt.rule, halt.wave), (Rule::MaxDuration, None));
    }

    #[test]
    fn a_rollout_that_is_through_is_not_too_slow_any_more() {
        let mut rollout = opened(None, None);
        rollout.policy.limits.max_duration_ms = Some(60_000);
        let wave = |rollout: &mut Rollout, wave, tenants: &[&str]| {
            for tenant in tenants {
                happens(rollout, 2, started(tenant, wave, 1));
                happens(rollout, 50, ended(tenant, wave, 1, Outcome::Succeeded));
            }
        };
        wave(&mut rollout, 0, &["a", "b", "c"]);
        // Between two waves it still is.
        assert_eq!(halt(&rollout, 61).map(|h| h.rule), Some(Rule::MaxDuration));
        happens(&mut rollout, 50, EventKind::WaveOpened { wave: 1 });
        wave(&mut rollout, 1, &["d", "e"]);
        let succeeded = Action::Finish(RolloutState::Succeeded);
        assert_eq!(decide(&rollout, at(1_000)).actions, [succeeded]);
    }

    #[test]
    fn a_hold_that_ends_begins_the_counts_of_its_wave_anew() {
        let mut rollout = opened(Some(10_000), Some(30_000));
        let pinned = |outcome, targets| crate::event::HeldTargets {
            wave: 0,
            outcome,
            targets,
        };
        let until = Some(at(900));
        happens(
            &mut rollout,
            2,
            EventKind::Held {
                targets: vec![pinned(Outcome::Pending, 3)],
                actor: None,
                reason: None,
                until,
            },
        );
        // The next wave, which takes its time; then the hold ends.
        happens(&mut rollout, 3, EventKind::WaveOpened { wave: 1 });
        assert_eq!(decide(&rollout, at(800)).wake_at, until);
        assert_eq!(decide(&rollout, at(900)).actions, [Action::EndHolds]);
        happens(
            &mut rollout,
            900,
            EventKind::HoldEnded {
                actor: None,
                targets: vec![(0, 3)],
                until: None,
            },
        );
        assert_eq!(decide(&rollout, at(900)).wake_at, Some(at(910)));
        happens(&mut rollout, 905, started("a", 0, 1));
        happens(&mut rollout, 915, started("b", 0, 1));
        happens(&mut rollout, 925, started("c", 0, 1));
        assert_eq!(
            (halt(&rollout, 929), halt(&rollout, 930).map(|h| h.rule)),
            (None, Some(Rule::MaxDuration))
        );
    }

    #[test]
    fn at_a_gate_nothing_stalls() {
        let mut plan = plan(&[(1, None), (2, None)]);
        plan.waves[0].limits.stall_after_ms = Some(1_000);
        plan.policy.limits.stall_after_ms = Some(1_000);
        plan.waves[0].gates = vec![crate::gate::Gate {
            name: "bake".into(),
            kind: crate::gate::GateKind::Bake(crate::gate::Bake {
                duration_ms: 600_000,
                samples: None,
            }),
        }];
        let mut rollout = Rollout::new(&RolloutId::new("r"), &plan);
        happens(&mut rollout, 0, EventKind::Submitted { tenants: 3 });
        happens(&mut rollout, 1, EventKind::WaveOpened { wave: 0 });
        happens(&mut rollout, 1, started("a", 0, 1));
        happens(&mut rollout, 1, ended("a", 0, 1, Outcome::Succeeded));
        let decision = decide(&rollout, at(500));
        assert_eq!(
            (decision.actions, decision.wake_at),
            (vec![], Some(at(601)))
        );
    }

    #[test]
    fn without_limits_of_time_nothing_is_waited_for() {
        assert_eq!(decide(&opened(None, None), at(1_000_000)).wake_at, None);
    }
}
