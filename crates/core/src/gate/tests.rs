//! The verdict table: what passes is a finite number that meets its condition, and nothing else opens a wave.

mod held;
mod table;

use super::*;
use crate::decide::decide;
use crate::event::{Event, EventKind};
use crate::ids::{Micros, RolloutId};
use crate::outcome::Outcome;
use crate::rollout::{Action, Rollout, RolloutState};
use crate::testing::{ended, plan, started};

fn promql() -> Promql {
    Promql {
        provider: "main".into(),
        query: "errors{wave=\"{{wave}}\",rollout=\"{{ rollout }}\"}".into(),
        baseline: None,
        pass: Some(Condition::parse("value < 0.01").unwrap()),
        fail: Some(Condition::parse("value >= 0.05").unwrap()),
        reduce: None,
        on_no_data: OnNoData::Inconclusive,
        initial_delay_ms: 0,
        interval_ms: 1_000,
        count: 2,
        timeout_ms: 1_000,
        failure_limit: 0,
        inconclusive_limit: 0,
        error_limit: 2,
    }
}

fn errors(promql: Promql) -> Gate {
    Gate {
        name: "errors".into(),
        kind: GateKind::Promql(promql),
    }
}

fn bake(samples: Option<Samples>) -> Gate {
    Gate {
        name: "bake".into(),
        kind: GateKind::Bake(Bake {
            duration_ms: 5_000,
            samples,
        }),
    }
}

fn requests() -> Samples {
    Samples {
        provider: "main".into(),
        query: "requests".into(),
        at_least: Number::new(100.0),
        interval_ms: 1_000,
        timeout_ms: 1_000,
        give_up_after_ms: 15_000,
    }
}

fn values(values: &[f64]) -> Reading {
    Reading::Values(values.iter().copied().map(Number::new).collect())
}

fn down() -> Reading {
    Reading::Failed("connection refused".into())
}

/// A rollout of two waves with these gates between them, the first one done.
fn at_the_gates(gates: Vec<Gate>) -> (Rollout, Vec<Event>) {
    let mut plan = plan(&[(1, None), (1, None)]);
    plan.waves[0].gates = gates;
    let mut rollout = Rollout::new(&RolloutId::new("r1"), &plan);
    let mut log = Vec::new();
    for kind in [
        EventKind::Submitted { tenants: 2 },
        EventKind::WaveOpened { wave: 0 },
        started("a", 0, 1),
        ended("a", 0, 1, Outcome::Succeeded),
    ] {
        log.extend(rollout.record(Micros(0), kind).unwrap());
    }
    (rollout, log)
}

/// Leads until nothing is left to do at the gates, with every question answered alike.
fn lead(
    rollout: &mut Rollout,
    from: Micros,
    answer: &Reading,
    base: &Reading,
) -> (Vec<Event>, Micros) {
    let (mut now, mut log) = (from, Vec::new());
    for _ in 0..1_000 {
        let decision = decide(rollout, now);
        if let Some(question) = decision.ask {
            let gate = &rollout.waves[question.wave].gates[question.gate];
            let baseline = question.baseline.as_ref().map(|_| base);
            let (result, value, why) = measure(&gate.gate, answer, baseline);
            let kind = EventKind::GateMeasured {
                wave: question.wave,
                gate: gate.gate.name.clone(),
                evaluation: question.evaluation,
                measurement: Measurement {
                    number: question.number,
                    result,
                    value,
                    why,
                    query: question.query,
                    answer: String::new(),
                },
            };
            log.extend(rollout.record(now, kind).unwrap());
            continue;
        }
        match decision.actions.first() {
            Some(Action::JudgeGate { .. }) => {
                let verdict = rollout.verdict(now).unwrap();
                log.extend(rollout.record(now, verdict).unwrap());
            }
            Some(Action::OpenWave(wave)) => {
                let open = EventKind::WaveOpened { wave: *wave };
                log.extend(rollout.record(now, open).unwrap());
                return (log, now);
            }
            Some(other) => panic!("{other:?}"),
            None => match decision.wake_at {
                Some(at) => now = at,
                None => return (log, now),
            },
        }
    }
    panic!("it never ends: {rollout:?}");
}

fn opened(log: &[Event]) -> bool {
    log.iter()
        .any(|e| matches!(e.kind, EventKind::WaveOpened { wave: 1 }))
}

#[test]
fn no_leader_can_open_a_wave_that_a_gate_keeps_shut() {
    let (mut rollout, _) = at_the_gates(vec![bake(None), errors(promql())]);
    let refused =
        |rollout: &mut Rollout, at, kind| rollout.record(Micros(at), kind).unwrap_err().to_string();
    let open = EventKind::WaveOpened { wave: 1 };
    assert!(refused(&mut rollout, 9_000_000, open.clone()).contains("gate bake has not passed"));
    let judged = |gate: &str, evaluation| EventKind::GateJudged {
        wave: 0,
        gate: gate.into(),
        evaluation,
        verdict: Verdict::Pass,
        reason: "it says so".into(),
    };
    assert!(refused(&mut rollout, 4_000_000, judged("bake", 1)).contains("says nothing yet"));
    rollout
        .record(Micros(5_000_000), judged("bake", 1))
        .unwrap();
    assert!(refused(&mut rollout, 6_000_000, judged("errors", 1)).contains("says nothing yet"));
    assert!(refused(&mut rollout, 6_000_000, judged("errors", 2)).contains("evaluation 1"));
    assert!(refused(&mut rollout, 6_000_000, open).contains("gate errors has not passed"));
}

#[test]
fn errors_are_tried_again_sooner_and_only_those_in_a_row_count() {
    let mut spec = promql();
    spec.interval_ms = 60_000;
    let (mut rollout, _) = at_the_gates(vec![errors(spec)]);
    let say = |rollout: &mut Rollout, at, result| {
        let kind = EventKind::GateMeasured {
            wave: 0,
            gate: "errors".into(),
            evaluation: 1,
            measurement: Measurement {
                number: rollout.waves[0].gates[0].tally.total() + 1,
                result,
                value: None,
                why: "so".into(),
                query: String::new(),
                answer: String::new(),
            },
        };
        let recorded = rollout.record(Micros(at), kind);
        recorded
            .map(|events| events.len())
            .map_err(|e| e.to_string())
    };
    for (at, result, next) in [
        (0, Verdict::Error, 10_000_000),
        (10_000_000, Verdict::Error, 20_000_000),
        (20_000_000, Verdict::Pass, 80_000_000),
        (80_000_000, Verdict::Error, 90_000_000),
        (90_000_000, Verdict::Error, 100_000_000),
    ] {
        assert_eq!(say(&mut rollout, at, result), Ok(1));
        assert_eq!(decide(&rollout, Micros(at)).wake_at, Some(Micros(next)));
        let early = say(&mut rollout, next - 1, Verdict::Pass);
        assert!(early.unwrap_err().contains("not due yet"));
    }
    let verdict = say(&mut rollout, 100_000_000, Verdict::Pass);
    assert_eq!(verdict, Ok(2), "the verdict follows");
    let opens = decide(&rollout, Micros(100_000_000)).actions;
    assert_eq!(opens, [Action::OpenWave(1)]);
}

#[test]
fn every_resume_and_every_retry_evaluates_anew() {
    let resume = EventKind::Resumed {
        actor: "eve".into(),
        reason: None,
    };
    for reading in [values(&[0.3]), values(&[]), down()] {
        let (mut rollout, _) = at_the_gates(vec![bake(None), errors(promql())]);
        let (_, at) = lead(&mut rollout, Micros(0), &reading, &down());
        let failed = reading == values(&[0.3]);
        assert_eq!(rollout.state == RolloutState::Halted, failed);
        if failed {
            let halt = rollout.halt.clone().unwrap();
            assert_eq!(
                (halt.rule.as_str(), halt.failures, halt.tolerated),
                ("gate", 1, 0)
            );
            let detail = halt.detail.unwrap();
            assert!(
                detail.starts_with("gate errors: 1 measurement says fail"),
                "{detail}"
            );
        }
        rollout.record(at, resume.clone()).unwrap();
        let [baked, gate] = &rollout.waves[0].gates[..] else {
            panic!("two gates");
        };
        assert_eq!((baked.evaluation, baked.verdict), (1, Some(Verdict::Pass)));
        assert_eq!(
            (gate.evaluation, gate.verdict, gate.since),
            (2, None, Some(at))
        );
        assert_eq!(gate.tally, GateTally::default());
        let (log, at) = lead(&mut rollout, at, &values(&[0.0]), &down());
        assert!(opened(&log));
        assert_eq!(rollout.waves[0].gates[1].evaluation, 2);
        // What was judged stays when its successor is open.
        assert_eq!(rollout.at_gate(), None, "{at:?}");
    }
}

#[test]
fn a_wave_that_has_targets_again_bakes_again() {
    let mut plan = plan(&[(2, None), (1, None)]);
    plan.waves[0].gates = vec![bake(None)];
    let mut rollout = Rollout::new(&RolloutId::new("r1"), &plan);
    for kind in [
        EventKind::Submitted { tenants: 3 },
        EventKind::WaveOpened { wave: 0 },
        started("a", 0, 1),
        ended("a", 0, 1, Outcome::Succeeded),
        started("b", 0, 1),
        ended("b", 0, 1, Outcome::Failed),
    ] {
        rollout.record(Micros(0), kind).unwrap();
    }
    let pass = rollout.verdict(Micros(5_000_000)).unwrap();
    rollout.record(Micros(5_000_000), pass).unwrap();
    let retried = EventKind::Retried {
        actor: "eve".into(),
        reason: None,
        targets: vec![crate::event::RetriedTargets {
            wave: 0,
            outcome: Outcome::Failed,
            cause: Some(crate::testing::broken().cause.to_string()),
            targets: 1,
        }],
    };
    rollout.record(Micros(6_000_000), retried).unwrap();
    assert_eq!(rollout.at_gate(), None, "its wave has not ended");
    rollout
        .record(Micros(7_000_000), started("b", 0, 2))
        .unwrap();
    let end = ended("b", 0, 2, Outcome::Succeeded);
    rollout.record(Micros(8_000_000), end).unwrap();
    let gate = &rollout.waves[0].gates[0];
    assert_eq!((gate.evaluation, gate.since), (2, Some(Micros(8_000_000))));
    assert_eq!(
        decide(&rollout, Micros(8_000_000)).wake_at,
        Some(Micros(13_000_000))
    );
}

#[test]
fn a_retry_in_an_earlier_wave_begins_the_open_gates_anew() {
    let mut plan = plan(&[(1, None), (1, None), (1, None)]);
    plan.waves[0].gates = vec![bake(None)];
    plan.waves[1].gates = vec![bake(None)];
    let mut rollout = Rollout::new(&RolloutId::new("r1"), &plan);
    let mut record = |at, kind| {
        rollout.record(Micros(at), kind).unwrap();
        rollout.clone()
    };
    record(0, EventKind::Submitted { tenants: 3 });
    record(0, EventKind::WaveOpened { wave: 0 });
    record(0, started("a", 0, 1));
    let baking = record(0, ended("a", 0, 1, Outcome::Failed));
    record(5_000_000, baking.verdict(Micros(5_000_000)).unwrap());
    record(5_000_000, EventKind::WaveOpened { wave: 1 });
    record(5_000_000, started("b", 1, 1));
    let baking = record(6_000_000, ended("b", 1, 1, Outcome::Succeeded));
    assert_eq!(baking.at_gate(), Some((1, 0)));
    record(11_000_000, baking.verdict(Micros(11_000_000)).unwrap());
    let retried = EventKind::Retried {
        actor: "eve".into(),
        reason: None,
        targets: vec![crate::event::RetriedTargets {
            wave: 0,
            outcome: Outcome::Failed,
            cause: Some(crate::testing::broken().cause.to_string()),
            targets: 1,
        }],
    };
    let reopened = record(12_000_000, retried);
    assert_eq!(reopened.at_gate(), None, "a wave has not ended");
    assert_eq!(reopened.waves[1].gates[0].since, None);
    record(13_000_000, started("a", 0, 2));
    let baking = record(14_000_000, ended("a", 0, 2, Outcome::Succeeded));
    let [first, second] = [&baking.waves[0].gates[0], &baking.waves[1].gates[0]];
    assert_eq!(first.verdict, Some(Verdict::Pass), "it has done its work");
    assert_eq!(
        (second.evaluation, second.verdict, second.since),
        (2, None, Some(Micros(14_000_000)))
    );
}

#[test]
fn a_person_can_go_past_a_gate_and_is_named() {
    let skip = |gate: &str| EventKind::GateSkipped {
        wave: 0,
        gate: gate.into(),
        actor: "eve".into(),
        reason: "the provider is being moved".into(),
    };
    let (mut rollout, _) = at_the_gates(vec![errors(promql())]);
    let (_, at) = lead(&mut rollout, Micros(0), &down(), &down());
    assert_eq!(rollout.state, RolloutState::Waiting);
    assert!(rollout.record(at, skip("latency")).is_err());
    rollout.record(at, skip("errors")).unwrap();
    assert!(rollout.record(at, skip("errors")).is_err(), "once");
    assert_eq!(rollout.state, RolloutState::Running);
    let why = rollout.waves[0].gates[0].why().unwrap();
    assert_eq!(why, "skipped by eve: the provider is being moved");
    assert_eq!(decide(&rollout, at).actions, [Action::OpenWave(1)]);

    let (mut rollout, _) = at_the_gates(vec![errors(promql())]);
    let (_, at) = lead(&mut rollout, Micros(0), &values(&[1.0]), &down());
    rollout.record(at, skip("errors")).unwrap();
    assert_eq!(
        rollout.state,
        RolloutState::Halted,
        "a halt is acknowledged"
    );
}

#[test]
fn names_fill_a_query_and_cannot_leave_their_quotes() {
    let mut plan = plan(&[(1, None), (1, None)]);
    plan.waves[0].gates = vec![errors(promql())];
    plan.waves[0].name = "a\"} or vector(0) #\\".into();
    let rollout = Rollout::new(&RolloutId::new("r1"), &plan);
    let gate = &rollout.waves[0].gates[0];
    let asked = gate
        .question((0, &rollout.waves[0].name), 0, &rollout.id)
        .unwrap();
    assert_eq!(
        asked.query,
        r#"errors{wave="a\"} or vector(0) #\\",rollout="r1"}"#
    );
}

#[test]
fn gates_that_nothing_could_pass_are_refused() {
    let refuse = |change: fn(&mut Promql)| {
        let mut spec = promql();
        change(&mut spec);
        errors(spec).validate().unwrap_err().to_string()
    };
    for (said, says) in [
        (refuse(|p| p.pass = None), "neither `pass` nor `baseline`"),
        (refuse(|p| p.count = 0), "more than 0"),
        (
            refuse(|p| p.inconclusive_limit = 2),
            "one measurement at least",
        ),
        (
            refuse(|p| p.query = "up{{{tenant}}}".into()),
            "stands for nothing",
        ),
    ] {
        assert!(said.contains(says), "{said}");
    }
    assert_eq!(errors(promql()).validate(), Ok(()));
    let mut samples = requests();
    samples.give_up_after_ms = 1;
    assert!(bake(Some(samples)).validate().is_err());
    for text in [
        "value",
        "value < x",
        "value < NaN",
        "errors < 1",
        "value <> 1",
    ] {
        assert!(Condition::parse(text).is_err(), "{text}");
    }
    for text in ["value < 0.01", "value <= 1", "value != 0", "value >= -3"] {
        assert_eq!(Condition::parse(text).unwrap().to_string(), text);
    }
    assert!(!Condition::parse("value != 0").unwrap().holds(f64::NAN));
}

#[test]
fn what_was_stored_reads_back_and_older_rollouts_have_no_gates() {
    let (mut rollout, mut log) = at_the_gates(vec![bake(Some(requests())), errors(promql())]);
    let (more, _) = lead(&mut rollout, Micros(0), &values(&[f64::NAN]), &down());
    log.extend(more);
    let text = serde_json::to_string(&(&rollout, &log)).unwrap();
    let back: (Rollout, Vec<Event>) = serde_json::from_str(&text).unwrap();
    assert_eq!((&back.0, &back.1), (&rollout, &log));
    let mut body = serde_json::to_value(Rollout::new(&rollout.id, &plan(&[(1, None)]))).unwrap();
    let wave = body["waves"][0].as_object_mut().unwrap();
    wave.remove("gates");
    wave.remove("ended_at");
    assert!(serde_json::from_value::<Rollout>(body).is_ok());
}
