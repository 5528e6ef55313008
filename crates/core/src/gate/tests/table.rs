//! What each answer means, and whether the next wave opens after it.

use super::*;

/// Every measurement answered alike: the verdict, its reason, the state that follows, and a wave that opens after a pass
/// alone.
fn says(reading: &Reading, spec: Promql, verdict: Verdict, why: &str) {
    let label = format!("{reading:?} {spec:?}");
    let (mut rollout, _) = at_the_gates(vec![errors(spec)]);
    let (log, _) = lead(&mut rollout, Micros(0), reading, &down());
    let gate = &rollout.waves[0].gates[0];
    assert_eq!(gate.verdict, Some(verdict), "{label}");
    let said = gate.why().unwrap();
    assert!(said.contains(why), "{label}: {said}");
    let state = match verdict {
        Verdict::Pass => RolloutState::Running,
        Verdict::Fail => RolloutState::Halted,
        Verdict::Inconclusive | Verdict::Error => RolloutState::Waiting,
    };
    assert_eq!(rollout.state, state, "{label}");
    assert_eq!(opened(&log), verdict == Verdict::Pass, "{label}");
}

#[test]
fn the_verdict_table_of_a_query() {
    use Verdict::{Error, Fail, Inconclusive, Pass};
    for (reading, verdict, why) in [
        (values(&[0.001]), Pass, "0.001 meets pass: value < 0.01"),
        (values(&[0.3]), Fail, "0.3 meets fail: value >= 0.05"),
        (values(&[0.02]), Inconclusive, "neither pass nor fail"),
        (values(&[]), Inconclusive, "no data"),
        (values(&[f64::NAN]), Inconclusive, "the value is NaN"),
        (values(&[f64::NEG_INFINITY]), Inconclusive, "is -inf"),
        (values(&[0.001, 0.001]), Inconclusive, "2 series"),
        (Reading::WrongType("a string".into()), Error, "not a number"),
        (down(), Error, "connection refused"),
    ] {
        says(&reading, promql(), verdict, why);
    }
}

#[test]
fn the_verdict_table_of_what_else_a_query_may_say() {
    use Verdict::{Error, Fail, Inconclusive, Pass};
    let fails = |p: &mut Promql| p.on_no_data = OnNoData::Fail;
    let max = |p: &mut Promql| p.reduce = Some(Reduce::Max);
    let all = |p: &mut Promql| p.reduce = Some(Reduce::All);
    let any = |p: &mut Promql| p.reduce = Some(Reduce::Any);
    type Change = fn(&mut Promql);
    let rows: [(&[f64], Change, Verdict, &str); 11] = [
        (&[], fails, Fail, "no data"),
        (&[f64::NAN], fails, Fail, "NaN"),
        (&[0.001, 0.001], fails, Fail, "2 series"),
        (&[0.02], |p| p.fail = None, Fail, "does not meet pass"),
        (&[0.001, 0.3], max, Fail, "0.3"),
        (&[0.001, 0.3], all, Fail, "of 2 series"),
        (&[0.001, 0.02], all, Inconclusive, "0.02"),
        (&[0.001, 0.3], any, Pass, "0.001"),
        (&[0.001, f64::NAN], any, Inconclusive, "NaN"),
        (&[], all, Inconclusive, "no data"),
        (&[0.001, 0.002], all, Pass, "of 2 series"),
    ];
    for (answer, change, verdict, why) in rows {
        let mut spec = promql();
        change(&mut spec);
        says(&values(answer), spec, verdict, why);
    }
    let mut spec = promql();
    fails(&mut spec);
    says(&down(), spec, Error, "refused");
}

#[test]
fn the_verdict_table_of_a_baseline() {
    use Verdict::{Error, Fail, Inconclusive, Pass};
    let baseline = |pass: Option<&str>| Promql {
        baseline: Some(Baseline {
            query: "before".into(),
            max_ratio: Number::new(1.5),
            min_abs: Number::new(0.001),
        }),
        pass: pass.map(|text| Condition::parse(text).unwrap()),
        fail: None,
        ..promql()
    };
    for (value, base, pass, verdict) in [
        (values(&[1.5]), values(&[1.0]), None, Pass),
        (values(&[1.6]), values(&[1.0]), None, Fail),
        (values(&[1.0]), values(&[0.0]), None, Fail),
        (values(&[0.0005]), values(&[0.0]), None, Pass),
        (values(&[1.0]), values(&[-1.0]), None, Inconclusive),
        (values(&[1.0]), values(&[f64::MAX]), None, Inconclusive),
        (values(&[1.0]), values(&[]), None, Inconclusive),
        (values(&[1.0]), values(&[f64::NAN]), None, Inconclusive),
        (values(&[1.0]), values(&[1.0, 1.0]), None, Inconclusive),
        (values(&[1.0]), down(), None, Error),
        (values(&[]), values(&[1.0]), None, Inconclusive),
        (down(), values(&[1.0]), None, Error),
        (values(&[1.2]), values(&[1.0]), Some("value < 1.1"), Fail),
        (values(&[1.0]), values(&[1.0]), Some("value < 1.1"), Pass),
    ] {
        let (mut rollout, _) = at_the_gates(vec![errors(baseline(pass))]);
        let (log, _) = lead(&mut rollout, Micros(0), &value, &base);
        let said = rollout.waves[0].gates[0].verdict;
        assert_eq!(said, Some(verdict), "{value:?} over {base:?}, {pass:?}");
        assert_eq!(opened(&log), verdict == Pass);
    }
}

#[test]
fn a_bake_takes_its_time_and_its_samples() {
    let (mut rollout, _) = at_the_gates(vec![bake(None)]);
    assert_eq!(
        decide(&rollout, Micros(4_999_000)).wake_at,
        Some(Micros(5_000_000))
    );
    let early = rollout.verdict(Micros(4_999_000));
    assert_eq!(early, None);
    let (log, at) = lead(&mut rollout, Micros(0), &down(), &down());
    assert!(opened(&log) && at == Micros(5_000_000), "{at:?}");

    for (reading, state, at) in [
        (values(&[100.0]), RolloutState::Running, 5_000_000),
        (values(&[99.0]), RolloutState::Waiting, 15_000_000),
        (values(&[]), RolloutState::Waiting, 15_000_000),
        (down(), RolloutState::Waiting, 15_000_000),
    ] {
        let (mut rollout, _) = at_the_gates(vec![bake(Some(requests()))]);
        let (log, ended) = lead(&mut rollout, Micros(0), &reading, &down());
        assert_eq!((rollout.state, ended), (state, Micros(at)), "{reading:?}");
        assert_eq!(opened(&log), state == RolloutState::Running);
    }
}
