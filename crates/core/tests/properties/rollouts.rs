//! Rollouts driven at random.

use std::collections::BTreeMap;

use proptest::prelude::*;
use sanderling_core::event::Event;
use sanderling_core::halt::{Rule, Tally};
use sanderling_core::plan::{Plan, PlannedWave};
use sanderling_core::rollout::Action;
use sanderling_core::{
    EventKind, Micros, Outcome, OutcomeCounts, Rollout, RolloutId, RolloutState, TenantId, decide,
    fold,
};

use crate::driver::{Dice, Driver, failure, limits};
use crate::gates::{gates, waits_for_something};
use crate::plans::fleet;

/// A plan with random sizes and limits.
fn plan(dice: &mut Dice, limited: bool) -> Plan {
    let tenants = 1 + dice.roll(30);
    let mut plan = fleet(dice, tenants).plan("3,a=20%,30%,rest");
    plan.policy.concurrency = 1 + u32::try_from(dice.roll(8)).unwrap();
    if limited {
        plan.policy.limits = limits(dice);
    }
    let concurrency = plan.policy.concurrency;
    for wave in &mut plan.waves {
        wave.limits = if limited {
            limits(dice)
        } else {
            Default::default()
        };
        wave.strict = dice.roll(2) == 0;
        wave.concurrency = (dice.roll(2) == 0).then_some(2);
        wave.max_in_flight = widest(wave, concurrency);
    }
    let gated = plan.waves.len().saturating_sub(1);
    for wave in plan.waves.iter_mut().take(gated).filter(|_| limited) {
        wave.gates = gates(dice);
    }
    plan
}

fn widest(wave: &PlannedWave, concurrency: u32) -> u32 {
    let strict = wave.limits.tolerated().filter(|_| wave.strict);
    concurrency
        .min(wave.tenants)
        .min(wave.concurrency.unwrap_or(u32::MAX))
        .min(strict.map_or(u32::MAX, |n| n + 1))
}

fn random_outcome(_: &TenantId, dice: &mut Dice) -> (Outcome, Option<sanderling_core::Failure>) {
    match dice.roll(11) {
        10 => (Outcome::Deferred, Some(failure(dice))),
        0 | 1 => (Outcome::Failed, Some(failure(dice))),
        2 => (Outcome::Dirty, Some(failure(dice))),
        3 => (Outcome::Partial, None),
        4 => (Outcome::UpToDate, None),
        _ => (Outcome::Succeeded, None),
    }
}

fn step(driver: &mut Driver, dice: &mut Dice) {
    // Waiting takes a person, or the end of a hold.
    if driver.rollout.state == RolloutState::Waiting && dice.roll(2) == 0 {
        return driver.let_go();
    }
    match dice.roll(42) {
        0..=3 => {
            driver.lead(dice);
        }
        4..=19 => {
            driver.start(dice);
        }
        20..=32 => driver.end(dice, random_outcome),
        33 | 34 => driver.release(dice),
        35 | 36 => driver.take_over(dice),
        37 => driver.resume(),
        38 => driver.retry(dice),
        _ => match dice.roll(20) {
            0 => driver.cancel(),
            1 | 2 => driver.skip_gate(),
            3 | 4 => driver.pause(),
            5..=7 => driver.skip(dice),
            8..=10 => driver.hold(dice),
            11..=13 => driver.let_go(),
            14..=16 => driver.pass(dice),
            _ => driver.resume(),
        },
    }
}

/// What must hold after every event.
fn check(driver: &Driver) {
    let rollout = &driver.rollout;
    let tenants = driver.plan.targets.len() + driver.plan.left_out.len();
    assert_eq!(rollout.outcomes().total(), tenants as u64);
    assert_eq!(rollout.started_after_halt, 0);
    waits_for_something(rollout);
    assert!(rollout.in_flight.len() <= rollout.max_in_flight() as usize);
    for (index, wave) in rollout.waves.iter().enumerate() {
        let targets = driver.targets.values().filter(|t| t.wave == index);
        let mut counts = OutcomeCounts::default();
        let mut flying = 0;
        for target in targets {
            counts.add(target.outcome, 1);
            flying += u64::from(target.claim.is_some());
        }
        assert_eq!((&wave.counts, wave.in_flight), (&counts, flying));
        assert!(wave.in_flight <= u64::from(wave.max_in_flight));
        if let Some(tolerated) = wave.limits.tolerated().filter(|_| wave.strict) {
            assert!(wave.tally.failed <= u64::from(tolerated) + 1, "{wave:?}");
        }
        if rollout.state != RolloutState::Running {
            assert_eq!(rollout.permits(index), 0);
        }
        if !rollout.state.is_active() {
            assert_eq!(wave.deferred(), 0, "nobody waits in a rollout that is over");
        }
        if !driver.acknowledged {
            assert_eq!(without_row(&wave.tally), rebuilt(driver, Some(index)));
        }
    }
    if !driver.acknowledged {
        assert_eq!(without_row(&rollout.tally), rebuilt(driver, None));
    }
    let groups: BTreeMap<String, u64> = rollout
        .causes
        .iter()
        .map(|(cause, group)| (cause.clone(), group.tenants))
        .collect();
    assert_eq!(groups, causes(driver));
}

/// `decide` halts for time exactly when a limit is reached, and else wakes when one will be.
fn time_halts_exactly(driver: &Driver) {
    let now = Micros(driver.clock);
    let decision = decide(&driver.rollout, now);
    let halt = decision.actions.iter().find_map(|action| match action {
        Action::Halt(halt) => Some(halt),
        _ => None,
    });
    match driver.due() {
        _ if decision.actions == [Action::EndHolds] => {}
        Some(due) if due <= driver.clock => {
            let halt = halt.expect("a limit of time is reached");
            assert!(matches!(halt.rule, Rule::StallAfter | Rule::MaxDuration));
            assert_eq!((&halt.cause, &halt.tenant), (&None, &None));
            assert!(halt.detail.is_some(), "{halt:?}");
        }
        due => {
            assert_eq!(halt, None, "{due:?} at {now:?}");
            let hold = driver.rollout.hold_ends_at;
            if hold.is_none() && driver.rollout.at_gate().is_none() {
                assert_eq!(decision.wake_at, due.map(Micros));
            }
            // The end of a hold and a gate may wake it sooner.
            let late = |at: i64| decision.wake_at.is_none_or(|wake| wake.0 > at);
            assert!(!due.is_some_and(late), "{decision:?} at {now:?}");
        }
    }
}

/// A tally without the run of failures, which only the order of events knows.
fn without_row(tally: &Tally) -> Tally {
    Tally {
        consecutive: 0,
        ..tally.clone()
    }
}

/// The tally of a scope, from its targets.
fn rebuilt(driver: &Driver, wave: Option<usize>) -> Tally {
    let mut tally = Tally::default();
    for target in driver.targets.values() {
        if wave.is_some_and(|wave| wave != target.wave) {
            continue;
        }
        if let Some(failure) = &target.cause {
            tally.failed += 1;
            *tally.by_class.entry(failure.cause.class).or_default() += 1;
            if failure.cause.class.is_deterministic() {
                *tally.by_cause.entry(failure.cause.to_string()).or_default() += 1;
            }
        }
    }
    tally
}

fn causes(driver: &Driver) -> BTreeMap<String, u64> {
    let mut causes = BTreeMap::new();
    let left_out = driver
        .plan
        .left_out
        .iter()
        .filter(|l| l.outcome.is_failure());
    for failure in left_out
        .filter_map(|l| l.failure.as_ref())
        .chain(driver.targets.values().filter_map(|t| t.cause.as_ref()))
    {
        *causes.entry(failure.cause.to_string()).or_default() += 1;
    }
    causes
}

/// Between two verbs of a person a wave is swept at most once, and nothing of it is deferred after that.
fn sweeps_once(log: &[Event]) {
    let mut swept = std::collections::BTreeSet::new();
    for event in log {
        match &event.kind {
            EventKind::Retried { .. } => swept.clear(),
            EventKind::HoldEnded { targets, .. } => {
                for (wave, _) in targets {
                    swept.remove(wave);
                }
            }
            EventKind::Swept { wave, .. } => assert!(swept.insert(*wave), "{event:?}"),
            EventKind::Ended {
                wave,
                outcome: Outcome::Deferred,
                ..
            } => assert!(!swept.contains(wave), "{event:?}"),
            _ => {}
        }
    }
}

/// No target starts between a halt and the verb that lifts it.
fn starts_after_halts(log: &[Event]) -> usize {
    let mut halted = false;
    let mut starts = 0;
    for event in log {
        match &event.kind {
            EventKind::Halted { .. } | EventKind::Paused { .. } => halted = true,
            EventKind::Resumed { .. } | EventKind::Retried { .. } => halted = false,
            EventKind::Started {
                takeover: false, ..
            } if halted => starts += 1,
            _ => {}
        }
    }
    starts
}

fn through_json(rollout: &Rollout) -> Rollout {
    serde_json::from_str(&serde_json::to_string(rollout).unwrap()).unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn limits_hold_and_counts_agree_whatever_happens(seed: u64, steps in 0usize..300) {
        let mut dice = Dice(seed);
        let mut driver = Driver::submit(plan(&mut dice, true));
        for _ in 0..steps {
            step(&mut driver, &mut dice);
            check(&driver);
            time_halts_exactly(&driver);
        }
        prop_assert_eq!(starts_after_halts(&driver.log), 0);
        sweeps_once(&driver.log);
    }

    #[test]
    fn any_crash_point_ends_in_the_same_state(seed: u64, steps in 0usize..200, cut: prop::sample::Index) {
        let mut dice = Dice(seed);
        let mut driver = Driver::submit(plan(&mut dice, true));
        for _ in 0..steps {
            step(&mut driver, &mut dice);
        }
        let log: Vec<Event> = driver
            .log
            .iter()
            .map(|e| serde_json::from_str(&serde_json::to_string(e).unwrap()).unwrap())
            .collect();
        let mut again = Rollout::new(&RolloutId::new("r"), &driver.plan);
        for event in &log[..=cut.index(log.len())] {
            fold(&mut again, event).unwrap();
        }
        let mut again = through_json(&again);
        for event in &log {
            fold(&mut again, event).unwrap();
        }
        prop_assert_eq!(again, driver.rollout);
    }

    #[test]
    fn any_order_of_completions_ends_in_the_same_state(seed: u64, other: u64) {
        let end = |order: u64| {
            let plan = plan(&mut Dice(seed), false);
            let mut dice = Dice(order);
            let mut driver = Driver::submit(plan);
            let fixed = |tenant: &TenantId, _: &mut Dice| {
                let fate = tenant.as_str().bytes().map(u64::from).sum::<u64>();
                random_outcome(tenant, &mut Dice(seed ^ (fate << 20)))
            };
            let mut steps = 0;
            while driver.rollout.state == RolloutState::Running {
                steps += 1;
                assert!(steps < 5_000, "it does not end: {:?}", driver.rollout);
                match dice.roll(8) {
                    0 => driver.release(&mut dice),
                    1 => driver.take_over(&mut dice),
                    2..=4 => driver.end(&mut dice, fixed),
                    _ => {
                        let _ = driver.start(&mut dice) || driver.lead(&mut dice);
                    }
                }
            }
            let rollout = driver.rollout;
            let waves: Vec<_> = rollout
                .waves
                .iter()
                .map(|w| (w.counts.clone(), without_row(&w.tally)))
                .collect();
            let causes: Vec<_> = rollout.causes.into_iter().map(|(c, g)| (c, g.tenants)).collect();
            (rollout.state, waves, causes)
        };
        prop_assert_eq!(end(seed), end(other));
    }

    #[test]
    fn a_gap_never_passes(seed: u64, steps in 1usize..60) {
        let mut dice = Dice(seed);
        let mut driver = Driver::submit(plan(&mut dice, true));
        for _ in 0..steps {
            step(&mut driver, &mut dice);
        }
        let mut again = Rollout::new(&RolloutId::new("r"), &driver.plan);
        let lost = dice.roll(driver.log.len());
        let refused = driver
            .log
            .iter()
            .filter(|e| e.seq != lost as i64 + 1)
            .filter(|e| fold(&mut again, e).is_err())
            .count();
        prop_assert_eq!(refused, driver.log.len() - lost - 1);
    }
}
