//! `plan --json`.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::ids::{BundleHash, Version};
use crate::outcome::Outcome;
use crate::plan::Plan;

/// The document that `plan --json` prints. The six counts sum to `tenants`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlanSummary {
    /// What approvals and `up --plan` are bound to.
    pub plan_hash: String,
    /// The bundle.
    pub bundle: BundleHash,
    /// The version to reach.
    pub target: Version,
    /// Selected tenants.
    pub tenants: u64,
    /// Those with something to apply: they are in the waves.
    pub pending: u64,
    /// Those at the target.
    pub up_to_date: u64,
    /// Those with versions above the target or outside the bundle, whether or not they are complete below.
    pub ahead: u64,
    /// Those pinned by an operator; null where no control store was read.
    pub held: Option<u64>,
    /// Those where a stepwise migration stopped half way.
    pub dirty: u64,
    /// Those that could not be read.
    pub unreachable: u64,
    /// The waves, in order.
    pub waves: Vec<WaveSummary>,
    /// From where to where, with how many tenants.
    pub paths: Vec<PathSummary>,
    /// How long it will take, in seconds, where that is known.
    pub estimate_seconds: Option<u64>,
}

/// One wave of a plan.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct WaveSummary {
    /// Its name.
    pub name: String,
    /// How many tenants it has.
    pub tenants: u32,
    /// How many may fail before it halts; null without limit.
    pub tolerated_failures: Option<u32>,
    /// The most of them in flight at once.
    pub max_in_flight: u32,
    /// What must be seen after it before the next one opens.
    pub gates: Vec<PlannedGateSummary>,
}

/// A gate of a plan.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlannedGateSummary {
    /// Its name.
    pub gate: String,
    /// What it asks, in words.
    pub asks: String,
    /// The least time it takes, in milliseconds.
    pub least_ms: u64,
}

/// Tenants with one and the same way to go.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PathSummary {
    /// The newest version in effect; null on an empty tenant.
    pub from: Option<Version>,
    /// The last version to be applied.
    pub to: Version,
    /// How many tenants.
    pub tenants: u64,
}

impl PlanSummary {
    /// The document of a plan. `held` counts what the plan left out as held; set it to `None` where no control store
    /// was read.
    pub fn new(plan: &Plan, estimate_seconds: Option<u64>) -> Self {
        let left = |wanted: &[Outcome]| {
            plan.left_out
                .iter()
                .filter(|l| wanted.contains(&l.outcome))
                .count() as u64
        };
        Self {
            plan_hash: plan.hash(),
            bundle: plan.bundle.clone(),
            target: plan.target.clone(),
            tenants: (plan.targets.len() + plan.left_out.len()) as u64,
            pending: plan.targets.len() as u64,
            up_to_date: left(&[Outcome::UpToDate]),
            ahead: left(&[Outcome::Skipped, Outcome::Failed]),
            held: Some(left(&[Outcome::Held])),
            dirty: left(&[Outcome::Dirty]),
            unreachable: left(&[Outcome::Unreachable]),
            waves: plan.waves.iter().map(WaveSummary::from).collect(),
            paths: paths(plan),
            estimate_seconds,
        }
    }
}

impl From<&crate::plan::PlannedWave> for WaveSummary {
    fn from(wave: &crate::plan::PlannedWave) -> Self {
        Self {
            name: wave.name.clone(),
            tenants: wave.tenants,
            tolerated_failures: wave.limits.tolerated(),
            max_in_flight: wave.max_in_flight,
            gates: wave
                .gates
                .iter()
                .map(|gate| PlannedGateSummary {
                    gate: gate.name.clone(),
                    asks: gate.kind.to_string(),
                    least_ms: gate.least_ms(),
                })
                .collect(),
        }
    }
}

/// Paths that differ only in between are one line.
fn paths(plan: &Plan) -> Vec<PathSummary> {
    let mut counts: BTreeMap<(Option<&Version>, &Version), u64> = BTreeMap::new();
    for target in &plan.targets {
        if let Some(path) = plan.paths.get(target.path)
            && let Some(to) = path.versions.last()
        {
            *counts.entry((path.from.as_ref(), to)).or_default() += 1;
        }
    }
    counts
        .into_iter()
        .map(|((from, to), tenants)| PathSummary {
            from: from.cloned(),
            to: to.clone(),
            tenants,
        })
        .collect()
}
