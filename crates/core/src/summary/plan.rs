//! `plan --json`.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::estimate;
use crate::direction::Direction;
use crate::gate::{Gate, GateKind};
use crate::halt::Limits;
use crate::ids::{BundleHash, HostName, TenantId, Version};
use crate::outcome::Outcome;
use crate::plan::Plan;
use crate::planner::Explanation;
use crate::selector::Selector;

/// How many members of the canary the document names.
const MEMBERS: usize = 100;
/// The rates of a fault, in per cent of tenants, for which it is said how likely the canary misses it.
const RATES: [u32; 3] = [1, 5, 20];

/// What a plan is shown with, and does not itself contain.
#[derive(Clone, Copy, Debug)]
pub struct PlanContext<'a> {
    /// Why it is as it is.
    pub explanation: &'a Explanation,
    /// Who is never in the canary.
    pub canary_exclude: Option<&'a Selector>,
    /// The budget of connections of each host.
    pub hosts: &'a BTreeMap<HostName, u32>,
    /// The most targets that each host may have in flight.
    pub in_flight: &'a BTreeMap<HostName, u32>,
    /// How long one version took on one tenant in recent rollouts, in milliseconds; none without any.
    pub version_ms: Option<u64>,
    /// Whether a control store was read: holds are its to know.
    pub saw_store: bool,
}

/// The document that `plan --json` prints. The six counts sum to `tenants`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlanSummary {
    /// What approvals and `up --plan` are bound to.
    pub plan_hash: String,
    /// The bundle.
    pub bundle: BundleHash,
    /// The version to reach; on the way down the newest that may stay in effect, `0` where none may.
    pub target: Version,
    /// Which way: `up`, or `down`.
    #[serde(default)]
    pub direction: Direction,
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
    /// How long it will take, in seconds, from how long recent rollouts took; null where there were none.
    pub estimate_seconds: Option<u64>,
    /// The most in flight at once by the rollout's own concurrency.
    pub concurrency: u32,
    /// The limits of the whole rollout, as numbers of tenants.
    pub limits: Limits,
    /// The first wave, unless it is everybody, or nobody.
    pub canary: Option<CanarySummary>,
    /// Who is kept out of the canary; null where nobody is named.
    pub canary_exclude: Option<ExcludeSummary>,
    /// Every value that a wave by coverage is to cover.
    pub coverage: Vec<CoverageSummary>,
    /// How many failed before with this bundle, and go last.
    pub known_failures: u64,
    /// The hosts of the waves' tenants.
    pub hosts: Vec<HostSummary>,
}

/// The canary of a plan.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CanarySummary {
    /// Its name.
    pub wave: String,
    /// How many tenants it has.
    pub tenants: u64,
    /// The first hundred of them, with the reason.
    pub members: Vec<MemberSummary>,
    /// How often it would miss a fault that hits tenants at random.
    pub misses: Vec<MissSummary>,
}

/// One tenant of the canary.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MemberSummary {
    /// The tenant.
    pub tenant: TenantId,
    /// Why it is in the canary.
    pub why: String,
}

/// How likely a canary says nothing of a fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MissSummary {
    /// The fault hits so many per cent of tenants, at random.
    pub rate_percent: u32,
    /// So many times in a hundred it hits none of the canary.
    pub missed_percent: u32,
}

/// Whom `canary_exclude` names.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExcludeSummary {
    /// As it is configured.
    pub selector: String,
    /// How many tenants with something to apply it keeps out.
    pub tenants: u64,
}

/// One value of a key of coverage.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CoverageSummary {
    /// The wave that is to cover it.
    pub wave: String,
    /// The key.
    pub key: String,
    /// The value.
    pub value: String,
    /// How many tenants of the plan have it.
    pub tenants: u64,
    /// Who of the wave has it; null where it is uncovered.
    pub covered_by: Option<TenantId>,
    /// How many of those tenants `canary_exclude` keeps out.
    pub excluded: u64,
}

/// A host of a plan.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HostSummary {
    /// Its name.
    pub host: HostName,
    /// How many of its tenants are in the waves.
    pub tenants: u64,
    /// Its budget of connections.
    pub connections: u32,
    /// The most of its tenants in flight at once in this rollout.
    pub max_in_flight: u32,
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
    /// The failed tenant that halts it, counted from 1; null without limit.
    pub halts_on: Option<u32>,
    /// The most others in flight when it does.
    pub others_in_flight: u32,
    /// Whether permits shrink with failures, so that no more fail than it tolerates and one.
    pub strict: bool,
    /// All its limits, as numbers of tenants.
    pub limits: Limits,
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
    /// How many measurements are needed; null for a bake.
    pub measurements: Option<u32>,
    /// From its beginning: when it gives up waiting for samples, in milliseconds; null where it waits for none.
    pub give_up_after_ms: Option<u64>,
}

/// Tenants with one and the same way to go.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PathSummary {
    /// The newest version in effect; null on an empty tenant.
    pub from: Option<Version>,
    /// The last version to be applied; on the way down the plan's target.
    pub to: Version,
    /// How many tenants.
    pub tenants: u64,
}

impl PlanSummary {
    /// The document of a plan.
    pub fn new(plan: &Plan, context: &PlanContext<'_>) -> Self {
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
            direction: plan.direction,
            tenants: (plan.targets.len() + plan.left_out.len()) as u64,
            pending: plan.targets.len() as u64,
            up_to_date: left(&[Outcome::UpToDate]),
            ahead: left(&[Outcome::Skipped, Outcome::Failed]),
            held: context.saw_store.then(|| left(&[Outcome::Held])),
            dirty: left(&[Outcome::Dirty]),
            unreachable: left(&[Outcome::Unreachable]),
            waves: plan.waves.iter().map(WaveSummary::from).collect(),
            paths: paths(plan),
            estimate_seconds: context
                .version_ms
                .map(|ms| estimate::seconds(plan, context.hosts, ms)),
            concurrency: plan.policy.concurrency,
            limits: plan.policy.limits.clone(),
            canary: canary(context.explanation),
            canary_exclude: context.canary_exclude.map(|selector| ExcludeSummary {
                selector: selector.to_string(),
                tenants: context.explanation.excluded,
            }),
            coverage: coverage(context.explanation),
            known_failures: context.explanation.known_failures,
            hosts: hosts(plan, context),
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
            halts_on: wave.limits.tolerated().map(|n| n.saturating_add(1)),
            others_in_flight: wave.max_in_flight.saturating_sub(1),
            strict: wave.strict,
            limits: wave.limits.clone(),
            gates: wave.gates.iter().map(PlannedGateSummary::from).collect(),
        }
    }
}

impl From<&Gate> for PlannedGateSummary {
    fn from(gate: &Gate) -> Self {
        let (measurements, give_up_after_ms) = match &gate.kind {
            GateKind::Bake(bake) => (None, bake.samples.as_ref().map(|s| s.give_up_after_ms)),
            GateKind::Promql(promql) => (Some(promql.count), None),
        };
        Self {
            gate: gate.name.clone(),
            asks: gate.kind.to_string(),
            least_ms: gate.least_ms(),
            measurements,
            give_up_after_ms,
        }
    }
}

/// Paths that differ only in between are one line.
fn paths(plan: &Plan) -> Vec<PathSummary> {
    let mut counts: BTreeMap<(Option<&Version>, &Version), u64> = BTreeMap::new();
    for target in &plan.targets {
        if let Some(path) = plan.paths.get(target.path)
            && let Some(last) = path.versions.last()
        {
            let to = match plan.direction {
                Direction::Up => last,
                Direction::Down => &plan.target,
            };
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

fn canary(explanation: &Explanation) -> Option<CanarySummary> {
    let tenants = explanation.members.len();
    let member = |(tenant, why): &(TenantId, String)| MemberSummary {
        tenant: tenant.clone(),
        why: why.clone(),
    };
    Some(CanarySummary {
        wave: explanation.canary.clone()?,
        tenants: tenants as u64,
        members: explanation
            .members
            .iter()
            .take(MEMBERS)
            .map(member)
            .collect(),
        misses: RATES.map(|rate| misses(rate, tenants)).into(),
    })
}

/// A fault that hits each tenant with this chance leaves all of `tenants` alone: (1 - rate) to their power, rounded.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a chance times a hundred, rounded, is from 0 to 100"
)]
fn misses(rate_percent: u32, tenants: usize) -> MissSummary {
    let spared = 1.0 - f64::from(rate_percent) / 100.0;
    let power = i32::try_from(tenants).unwrap_or(i32::MAX);
    MissSummary {
        rate_percent,
        missed_percent: (spared.powi(power) * 100.0).round() as u32,
    }
}

fn coverage(explanation: &Explanation) -> Vec<CoverageSummary> {
    explanation
        .coverage
        .iter()
        .map(|covered| CoverageSummary {
            wave: covered.wave.clone(),
            key: covered.key.clone(),
            value: covered.value.clone(),
            tenants: covered.tenants,
            covered_by: covered.covered_by.clone(),
            excluded: covered.excluded,
        })
        .collect()
}

/// The hosts that targets are on. Of one host no more are in flight than it may have, than the wave allows, and than
/// the wave has there.
fn hosts(plan: &Plan, context: &PlanContext<'_>) -> Vec<HostSummary> {
    let mut counts: BTreeMap<(&HostName, usize), u64> = BTreeMap::new();
    for target in &plan.targets {
        *counts.entry((&target.place.host, target.wave)).or_default() += 1;
    }
    let names: BTreeSet<&HostName> = counts.keys().map(|(host, _)| *host).collect();
    names
        .into_iter()
        .map(|host| {
            let of = |hosts: &BTreeMap<HostName, u32>| hosts.get(host).copied().unwrap_or(0);
            let (connections, may_have) = (of(context.hosts), of(context.in_flight));
            let mut summary = HostSummary {
                host: host.clone(),
                tenants: 0,
                connections,
                max_in_flight: 0,
            };
            for (wave, planned) in plan.waves.iter().enumerate() {
                let there = counts.get(&(host, wave)).copied().unwrap_or(0);
                let most = u32::try_from(there).unwrap_or(u32::MAX);
                let most = most.min(planned.max_in_flight).min(may_have);
                summary.tenants += there;
                summary.max_in_flight = summary.max_in_flight.max(most);
            }
            summary
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_canary_can_miss() {
        let missed = |rate, tenants| misses(rate, tenants).missed_percent;
        assert_eq!((missed(1, 14), missed(1, 5), missed(1, 299)), (87, 95, 5));
        assert_eq!((missed(5, 59), missed(20, 14), missed(1, 0)), (5, 4, 100));
    }
}
