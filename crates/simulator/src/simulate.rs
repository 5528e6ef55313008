//! One run from outside: plan, conditions and seed in; what happened out.

use sanderling_core::plan::Plan;
use sanderling_core::summary::RolloutSummary;
use sanderling_core::{Event, FoldError, Outcome, Rollout, TenantId};

use crate::conditions::Conditions;
use crate::measured::Measured;
use crate::run::Run;

/// What a run came to.
#[derive(Clone, Debug, PartialEq)]
pub struct Simulated {
    /// As `up --json` would say it.
    pub summary: RolloutSummary,
    /// Every event, in order.
    pub history: Vec<Event>,
    /// The rollout, folded from them.
    pub rollout: Rollout,
    /// What was counted beside.
    pub measured: Measured,
    /// Every target of the plan, in the plan's order.
    pub tenants: Vec<Ended>,
}

/// What became of one tenant, and what is true in its database.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ended {
    /// The tenant.
    pub tenant: TenantId,
    /// Its wave.
    pub wave: usize,
    /// What the store says.
    pub outcome: Outcome,
    /// The cause it failed for (its text form), if it failed.
    pub cause: Option<String>,
    /// How many versions the store believes to be applied.
    pub applied: usize,
    /// How many its ledger has.
    pub ledger: usize,
    /// How many it has to apply.
    pub versions: usize,
}

/// Runs a plan under these conditions, in no time at all. Equal arguments give equal results.
///
/// # Errors
/// Where the rules of `core` refuse what the run records: then one of the two is wrong.
pub fn simulate(plan: &Plan, conditions: &Conditions, seed: u64) -> Result<Simulated, FoldError> {
    let mut run = Run::new(plan, conditions, seed).through()?;
    let effects = run.targets.iter().flat_map(|target| &target.effects);
    run.measured.most_effects = effects.copied().max().unwrap_or(0);
    run.measured.makespan_ms = run
        .history
        .last()
        .map_or(0, |event| event.at.millis_since(sanderling_core::Micros(0)));
    let tenants = run.targets.iter().map(|target| Ended {
        tenant: target.tenant.clone(),
        wave: target.wave,
        outcome: target.outcome,
        cause: target.failure.as_ref().map(|f| f.cause.to_string()),
        applied: target.applied,
        ledger: target.ledger,
        versions: target.versions,
    });
    Ok(Simulated {
        summary: RolloutSummary::new(&run.rollout, run.at()),
        tenants: tenants.collect(),
        history: run.history,
        measured: run.measured,
        rollout: run.rollout,
    })
}
