//! An independent look at a finished plan. Shares no code with the planner, so that one checks the other.

use std::collections::BTreeSet;

use super::{Plan, PlannedTarget, PlannedWave};
use crate::direction::Direction;
use crate::ids::Version;
use crate::outcome::Outcome;

/// What is wrong with a plan, one sentence each; empty for a sound plan.
///
/// Each tenant and each place once; targets in order of wave and position without holes; no wave empty, names
/// unique, sizes as announced; every limit of a wave resolved and its `max_in_flight` within them; paths in order
/// (ascending, or descending on the way down), within the target, none unused. Where the plan has a wave called `rest`,
/// only that of known failures is after it.
pub fn audit(plan: &Plan) -> Vec<String> {
    let mut found = Vec::new();
    tenants(plan, &mut found);
    positions(plan, &mut found);
    waves(plan, &mut found);
    paths(plan, &mut found);
    found
}

fn tenants(plan: &Plan, found: &mut Vec<String>) {
    let mut ids = BTreeSet::new();
    let mut places = BTreeSet::new();
    let targets = plan.targets.iter().map(|t| (&t.tenant, &t.place));
    let left_out = plan.left_out.iter().map(|l| (&l.tenant, &l.place));
    for (tenant, place) in targets.chain(left_out) {
        if !ids.insert(tenant) {
            found.push(format!("tenant {tenant} is in the plan twice"));
        }
        if !places.insert(place) {
            found.push(format!("two tenants of the plan share {place}"));
        }
    }
    for left in &plan.left_out {
        let reason = left.failure.is_some();
        let fits = match left.outcome {
            Outcome::UpToDate => !reason,
            Outcome::Held
            | Outcome::Skipped
            | Outcome::Failed
            | Outcome::Dirty
            | Outcome::Unreachable => reason,
            _ => false,
        };
        if !fits {
            found.push(format!(
                "tenant {} is left out as {} {} a reason",
                left.tenant,
                left.outcome,
                if reason { "with" } else { "without" }
            ));
        }
    }
}

fn positions(plan: &Plan, found: &mut Vec<String>) {
    let mut expected = plan
        .waves
        .iter()
        .enumerate()
        .flat_map(|(wave, planned)| (0..planned.tenants).map(move |position| (wave, position)));
    for PlannedTarget {
        tenant,
        wave,
        position,
        ..
    } in &plan.targets
    {
        let next = expected.next();
        if next != Some((*wave, *position)) {
            found.push(format!(
                "tenant {tenant} is at wave {wave}, position {position}, where {next:?} was due"
            ));
            return;
        }
    }
    if let Some((wave, position)) = expected.next() {
        found.push(format!("nobody is at wave {wave}, position {position}"));
    }
}

fn waves(plan: &Plan, found: &mut Vec<String>) {
    let mut names = BTreeSet::new();
    for (index, wave) in plan.waves.iter().enumerate() {
        if !names.insert(&wave.name) {
            found.push(format!("two waves are called {}", wave.name));
        }
        let last = plan.waves[index + 1..]
            .iter()
            .all(|after| after.name == "known-failures");
        if wave.name == "rest" && !last {
            found.push("a wave comes after the rest".into());
        }
        if wave.tenants == 0 {
            found.push(format!("wave {} is empty", wave.name));
        }
        limits(plan, wave, found);
    }
}

fn limits(plan: &Plan, wave: &PlannedWave, found: &mut Vec<String>) {
    let PlannedWave {
        name,
        tenants,
        concurrency,
        strict,
        limits,
        max_in_flight,
        gates,
    } = wave;
    for gate in gates {
        if let Err(why) = gate.validate() {
            found.push(format!("wave {name}: {why}"));
        }
    }
    if *max_in_flight == 0 {
        found.push(format!("wave {name} could never start anything"));
    }
    let strictly = match (limits.max_failures, limits.max_failure_percent) {
        _ if !strict => None,
        (None, None) => None,
        (count, percent) => count
            .into_iter()
            .chain(percent)
            .min()
            .map(|n| n.saturating_add(1)),
    };
    let bounds = [
        ("the rollout's concurrency", Some(plan.policy.concurrency)),
        ("its concurrency", *concurrency),
        ("what a strict wave may lose", strictly),
        ("its size", Some(*tenants)),
    ];
    for (what, bound) in bounds {
        if bound.is_some_and(|bound| *max_in_flight > bound) {
            found.push(format!(
                "wave {name} announces {max_in_flight} in flight, above {what}"
            ));
        }
    }
    if limits.stall_after_ms == Some(0) || limits.max_duration_ms == Some(0) {
        found.push(format!("wave {name} would halt as soon as it opens"));
    }
    if limits.max_failure_percent.is_some_and(|n| n > *tenants) {
        found.push(format!("wave {name} tolerates more than it has"));
    }
}

fn paths(plan: &Plan, found: &mut Vec<String>) {
    let used: BTreeSet<usize> = plan.targets.iter().map(|t| t.path).collect();
    if !used.into_iter().eq(0..plan.paths.len()) {
        found.push("paths and targets do not fit together".into());
    }
    for (index, path) in plan.paths.iter().enumerate() {
        let in_order = |pair: &[Version]| match plan.direction {
            Direction::Up => pair[0] < pair[1],
            Direction::Down => pair[0] > pair[1],
        };
        let in_order = path.versions.windows(2).all(in_order);
        let within = path
            .versions
            .last()
            .is_some_and(|v| (*v <= plan.target) == plan.direction.is_up());
        if !in_order || !within {
            found.push(format!(
                "path {index} is empty, not in order or beyond {}",
                plan.target
            ));
        }
        if plan.paths[..index].contains(path) {
            found.push(format!("path {index} is there twice"));
        }
    }
}
