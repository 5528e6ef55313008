//! A case of a seed: fleet, policy and conditions.

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use sanderling_core::halt::Limits;
use sanderling_core::plan::Plan;
use sanderling_core::policy::{Atomic, Policy};
use sanderling_core::waves::parse;
use sanderling_core::{ErrorClass, retry};
use sanderling_simulator::{Conditions, Person, Shape};

pub(crate) struct Case {
    pub(crate) plan: Plan,
    pub(crate) conditions: Conditions,
}

impl Case {
    pub(crate) fn new(seed: u64) -> Self {
        // Another stream than the run's own.
        let dice = &mut StdRng::seed_from_u64(!seed);
        let shape = Shape {
            tenants: dice.random_range(1..=120),
            hosts: dice.random_range(1..=4),
            budget: dice.random_range(1..=8),
            versions: dice.random_range(1..=3),
        };
        let waves = ["rest", "3,rest", "2,10%,rest", "1,20%,30%,rest"];
        let waves = waves[dice.random_range(0..waves.len())];
        let limits = Limits {
            max_failures: some(dice, 6),
            max_failure_percent: some(dice, 20),
            max_consecutive: some(dice, 3),
            same_cause: some(dice, 3),
            class_limits: some(dice, 3)
                .map(|n| (ErrorClass::Timeout, n))
                .into_iter()
                .collect(),
            // Longer than a lease and a version, so that a person who only resumes gets further each time.
            stall_after_ms: some(dice, 5).map(|n| 3_000 + 1_000 * u64::from(n)),
            max_duration_ms: some(dice, 5).map(|n| 4_000 + 4_000 * u64::from(n)),
        };
        let concurrency = dice.random_range(1..=16);
        Self {
            plan: plan(&shape, waves, limits, concurrency),
            conditions: conditions(dice, &shape),
        }
    }
}

fn some(dice: &mut StdRng, most: u32) -> Option<u32> {
    dice.random_bool(0.4).then(|| dice.random_range(0..=most))
}

fn share(dice: &mut StdRng, most: f64) -> f64 {
    if dice.random_bool(0.5) {
        0.0
    } else {
        dice.random_range(0.0..most)
    }
}

fn conditions(dice: &mut StdRng, shape: &Shape) -> Conditions {
    let classes = [
        ErrorClass::LockTimeout,
        ErrorClass::Connection,
        ErrorClass::MigrationSql,
        ErrorClass::Timeout,
    ];
    let people = [
        Person::Sleeps,
        Person::Resumes,
        Person::Retries(2),
        Person::Cancels,
    ];
    Conditions {
        workers: dice.random_range(1..=5),
        slots: dice.random_range(1..=8),
        version_ms: (1, dice.random_range(1..500)),
        lease_ms: dice.random_range(1..2_000),
        poll_ms: dice.random_range(1..300),
        failing: classes.map(|class| (class, share(dice, 0.2))).into(),
        broken: share(dice, 0.2),
        dying: share(dice, 0.2),
        outliving: dice.random_range(0.0..=1.0),
        leaderless: share(dice, 0.5),
        person: people[dice.random_range(0..people.len())],
        ..Conditions::calm(shape.budgets())
    }
}

/// Four hosts of eight connections.
pub(crate) fn shape(tenants: u32) -> Shape {
    Shape {
        tenants,
        hosts: 4,
        budget: 8,
        versions: 1,
    }
}

pub(crate) fn plan(shape: &Shape, waves: &str, limits: Limits, concurrency: u32) -> Plan {
    let policy = Policy {
        concurrency,
        atomic: Atomic::Version,
        lock_timeout_ms: 1_000,
        statement_timeout_ms: 0,
        host_patience_ms: 0,
        create_missing: false,
        limits,
        retry: retry::defaults(),
    };
    shape.plan(&parse(waves).unwrap(), &policy).unwrap()
}
