//! What must hold of a run.

use std::collections::{BTreeMap, BTreeSet};

use sanderling_core::halt::Rule;
use sanderling_core::plan::Plan;
use sanderling_core::{
    EventKind, Outcome, OutcomeCounts, Rollout, RolloutId, RolloutState, TenantId, fold,
};
use sanderling_simulator::{Conditions, Person, Simulated};

/// All of it.
pub(crate) fn all(plan: &Plan, conditions: &Conditions, run: &Simulated) {
    assert_eq!(
        run.rollout,
        replayed(plan, run),
        "the history tells another story"
    );
    in_bounds(conditions, run);
    at_rest(conditions, run);
    tenants_agree(run);
    counts_agree(run);
    waves_in_order(run);
    assert_eq!(starts_after_halts(run), 0);
    stalls_are_stalls(plan, run);
}

/// Before a halt for a stall nothing of its scope moved, or was to be tried again, for as long as is allowed.
fn stalls_are_stalls(plan: &Plan, run: &Simulated) {
    for (before, halt) in
        run.history
            .iter()
            .enumerate()
            .filter_map(|(at, event)| match &event.kind {
                EventKind::Halted { halt } if halt.rule == Rule::StallAfter => Some((at, halt)),
                _ => None,
            })
    {
        let at = run.history[before].at;
        let wave = halt.wave.as_ref();
        let index = wave.map(|name| plan.waves.iter().position(|w| w.name == *name).unwrap());
        let limits = index.map_or(&plan.policy.limits, |index| &plan.waves[index].limits);
        let allowed = limits.stall_after_ms.unwrap();
        let moved = run.history[..before]
            .iter()
            .filter_map(|event| match &event.kind {
                EventKind::Ended { wave, .. } => Some((*wave, event.at)),
                EventKind::Started {
                    wave,
                    takeover: false,
                    ..
                } => Some((*wave, event.at)),
                EventKind::Released {
                    wave, not_before, ..
                } => Some((*wave, not_before.unwrap_or(event.at))),
                _ => None,
            });
        for (wave, moved) in moved {
            let counts = index.is_none_or(|index| index == wave);
            assert!(
                !counts || moved.plus_millis(allowed) <= at,
                "{halt:?} at {at:?}, moved {moved:?}"
            );
        }
    }
}

/// The history, folded anew.
fn replayed(plan: &Plan, run: &Simulated) -> Rollout {
    let mut rollout = Rollout::new(&RolloutId::new("simulated"), plan);
    for event in &run.history {
        fold(&mut rollout, event).unwrap();
    }
    rollout
}

fn in_bounds(conditions: &Conditions, run: &Simulated) {
    let measured = &run.measured;
    assert!(measured.most_in_flight <= u64::from(run.summary.max_in_flight));
    for (host, most) in &measured.most_on_host {
        assert!(*most <= conditions.budgets[host], "{host}: {most}");
    }
    assert!(measured.most_effects <= 1, "a version took effect twice");
    assert_eq!(measured.starts_after_halt, 0);
}

/// A run ends because there is nothing left to happen: then nothing is in flight, and somebody has to act or nobody.
fn at_rest(conditions: &Conditions, run: &Simulated) {
    assert!(run.rollout.in_flight.is_empty());
    let state = run.rollout.state;
    let waits = state == RolloutState::Halted && conditions.person == Person::Sleeps;
    assert!(waits || !state.is_active(), "it stands still, {state}");
    let pending = run.summary.outcomes.pending;
    let deferred = run.summary.outcomes.deferred;
    assert!(waits || pending + deferred == 0, "tenants were forgotten");
}

/// What the store says of a tenant is what its ledger says.
fn tenants_agree(run: &Simulated) {
    for ended in &run.tenants {
        assert_eq!(ended.applied, ended.ledger, "{ended:?}");
        let fits = match ended.outcome {
            Outcome::Succeeded => ended.ledger == ended.versions,
            Outcome::Failed => ended.ledger < ended.versions && ended.cause.is_some(),
            Outcome::Partial => ended.ledger > 0 && ended.ledger < ended.versions,
            Outcome::Cancelled => ended.ledger == 0,
            Outcome::Pending | Outcome::Deferred => ended.ledger < ended.versions,
            _ => false,
        };
        assert!(fits, "{ended:?}");
    }
}

/// Counts and causes, rebuilt from the targets.
fn counts_agree(run: &Simulated) {
    let mut causes: BTreeMap<&str, u64> = BTreeMap::new();
    for cause in run
        .tenants
        .iter()
        .filter(|ended| ended.outcome.counts_to_halt())
        .filter_map(|ended| ended.cause.as_deref())
    {
        *causes.entry(cause).or_default() += 1;
    }
    let told = run.rollout.causes.iter();
    let told: BTreeMap<&str, u64> = told
        .map(|(cause, group)| (cause.as_str(), group.tenants))
        .collect();
    assert_eq!(told, causes);
    for (index, wave) in run.rollout.waves.iter().enumerate() {
        let mut counts = OutcomeCounts::default();
        for ended in run.tenants.iter().filter(|ended| ended.wave == index) {
            counts.add(ended.outcome, 1);
        }
        assert_eq!(wave.counts, counts, "{}", wave.name);
    }
}

/// No wave opens while a target of those in front of it has not ended.
fn waves_in_order(run: &Simulated) {
    let waves: BTreeMap<&TenantId, usize> =
        run.tenants.iter().map(|e| (&e.tenant, e.wave)).collect();
    let mut ended: BTreeSet<&TenantId> = BTreeSet::new();
    for event in &run.history {
        match &event.kind {
            EventKind::Ended { tenant, .. } => {
                ended.insert(tenant);
            }
            EventKind::WaveOpened { wave } => {
                let early = waves.iter().find(|(t, w)| *w < wave && !ended.contains(*t));
                assert_eq!(early, None, "wave {wave} opened early");
            }
            _ => {}
        }
    }
}

fn starts_after_halts(run: &Simulated) -> usize {
    let (mut halted, mut starts) = (false, 0);
    for event in &run.history {
        match &event.kind {
            EventKind::Halted { .. } => halted = true,
            EventKind::Resumed { .. } | EventKind::Retried { .. } => halted = false,
            EventKind::Started { takeover, .. } => starts += usize::from(halted && !takeover),
            _ => {}
        }
    }
    starts
}
