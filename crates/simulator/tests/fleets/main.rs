//! Virtual fleets by the hundred: what must hold after any run, whatever happened in it.
//!
//! A case is a seed: fleet, policy, conditions and chance all come from it. A failure prints it, with the command that
//! runs that one case again.

#![expect(
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a case that fails says its seed"
)]

mod case;
mod holds;

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};

use proptest::prelude::*;
use sanderling_core::halt::{Limits, Rule};
use sanderling_core::{ErrorClass, RolloutState};
use sanderling_simulator::{Conditions, Shape, simulate};

/// Runs one case, and says how to run it again where it fails.
fn run(seed: u64) {
    let case = case::Case::new(seed);
    let checked = catch_unwind(AssertUnwindSafe(|| {
        let run = simulate(&case.plan, &case.conditions, seed).unwrap();
        holds::all(&case.plan, &case.conditions, &run);
    }));
    if let Err(panic) = checked {
        println!(
            "seed {seed} fails; again: SANDERLING_SEED={seed} cargo test -p sanderling-simulator --test fleets one_seed"
        );
        resume_unwind(panic);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(400) })]

    #[test]
    fn promises_hold_in_every_run(seed: u64) {
        run(seed);
    }

    #[test]
    fn equal_seeds_give_equal_histories(seed: u64) {
        let case = case::Case::new(seed);
        let once = simulate(&case.plan, &case.conditions, seed).unwrap();
        let again = simulate(&case.plan, &case.conditions, seed).unwrap();
        prop_assert_eq!(once, again);
    }
}

/// The case named by `SANDERLING_SEED`; one that has failed before, where none is.
#[test]
fn one_seed() {
    let named = std::env::var("SANDERLING_SEED").ok();
    run(named.map_or(7, |seed| seed.parse().expect("SANDERLING_SEED is a number")));
}

#[test]
fn other_seeds_give_other_histories() {
    let shape = case::shape(200);
    let plan = case::plan(&shape, "5,rest", Limits::default(), 16);
    let conditions = Conditions::calm(shape.budgets());
    let history = |seed| simulate(&plan, &conditions, seed).unwrap().history;
    assert_ne!(history(1), history(2));
}

/// A hundred thousand tenants, with workers that die: seconds here, an hour there.
#[test]
fn a_hundred_thousand_tenants() {
    let shape = Shape {
        tenants: 100_000,
        hosts: 16,
        budget: 8,
        versions: 1,
    };
    let plan = case::plan(&shape, "10,1%,10%,rest", Limits::default(), 128);
    let conditions = Conditions {
        workers: 8,
        dying: 0.001,
        leaderless: 0.1,
        ..Conditions::calm(shape.budgets())
    };
    let run = simulate(&plan, &conditions, 1).unwrap();
    holds::all(&plan, &conditions, &run);
    assert_eq!(run.summary.state, RolloutState::Succeeded);
    assert!(run.measured.takeovers > 50, "{:?}", run.measured);
    println!(
        "{} tenants in {} virtual seconds, {} takeovers, at most {} in flight",
        run.summary.tenants,
        run.measured.makespan_ms / 1_000,
        run.measured.takeovers,
        run.measured.most_in_flight
    );
}

/// Every worker is gone. Nothing starts, and no failure says so: the leader halts it at its next look.
#[test]
fn a_fleet_without_workers_is_stalled() {
    let shape = case::shape(100);
    let limits = Limits {
        stall_after_ms: Some(600_000),
        ..Limits::default()
    };
    let plan = case::plan(&shape, "5,rest", limits, 16);
    let conditions = Conditions {
        workers: 0,
        ..Conditions::calm(shape.budgets())
    };
    let run = simulate(&plan, &conditions, 1).unwrap();
    holds::all(&plan, &conditions, &run);
    let halt = run.rollout.halt.as_ref().unwrap();
    assert_eq!((halt.rule, &halt.cause), (Rule::StallAfter, &None));
    let after = run.measured.makespan_ms;
    assert!(
        (600_000..=602_000).contains(&after),
        "halted after {after} ms"
    );
}

/// Locks are not to be had for an hour of attempts. Each waits longer than the limit for its next one: no stall.
#[test]
fn a_fleet_that_waits_for_its_next_attempts_is_not_stalled() {
    let shape = case::shape(20);
    let limits = Limits {
        stall_after_ms: Some(5_000),
        ..Limits::default()
    };
    let mut plan = case::plan(&shape, "rest", limits, 16);
    for budget in plan.policy.retry.values_mut() {
        (budget.attempts, budget.base_ms, budget.max_ms) = (20, 60_000, 600_000);
    }
    let conditions = Conditions {
        failing: [(ErrorClass::Connection, 0.8)].into(),
        ..Conditions::calm(shape.budgets())
    };
    let run = simulate(&plan, &conditions, 5).unwrap();
    holds::all(&plan, &conditions, &run);
    assert_eq!(run.rollout.halt, None);
    assert!(run.measured.makespan_ms > 600_000, "{:?}", run.measured);
}

/// A wave of slow tenants that moves all the time, and takes too long all the same.
#[test]
fn a_wave_that_takes_too_long_halts_while_it_moves() {
    let shape = case::shape(1_000);
    let mut plan = case::plan(&shape, "5,rest", Limits::default(), 4);
    plan.waves[1].limits.max_duration_ms = Some(60_000);
    plan.waves[1].limits.stall_after_ms = Some(5_000);
    let conditions = Conditions {
        version_ms: (1_000, 2_000),
        ..Conditions::calm(shape.budgets())
    };
    let run = simulate(&plan, &conditions, 2).unwrap();
    holds::all(&plan, &conditions, &run);
    let halt = run.rollout.halt.as_ref().unwrap();
    assert_eq!(
        (halt.rule, halt.wave.as_deref()),
        (Rule::MaxDuration, Some("rest"))
    );
    let opened = run.rollout.waves[1].opened_at.unwrap();
    let halted = run.history.iter().find(|e| e.kind.as_str() == "halted");
    let took = halted.unwrap().at.millis_since(opened);
    assert!((60_000..=61_000).contains(&took), "halted after {took} ms");
    assert_eq!(run.measured.starts_after_halt, 0);
}

/// Ten tolerated, two in a hundred broken: it halts, and the damage is bounded by what was in flight.
#[test]
fn a_broken_migration_halts_early() {
    let shape = case::shape(10_000);
    let limits = Limits {
        max_failures: Some(10),
        ..Limits::default()
    };
    let plan = case::plan(&shape, "10,rest", limits, 16);
    let conditions = Conditions {
        broken: 0.02,
        ..Conditions::calm(shape.budgets())
    };
    let run = simulate(&plan, &conditions, 3).unwrap();
    holds::all(&plan, &conditions, &run);
    assert_eq!(run.summary.state, RolloutState::Halted);
    let failed = run.summary.outcomes.failed;
    assert!(failed <= 10 + 16, "{failed} failed");
    assert_eq!(run.measured.starts_after_halt, 0);
}
