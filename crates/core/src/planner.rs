//! Making a plan: whom, in which wave, in which order, with every limit a number.

mod check;
mod cover;
mod error;
mod explain;
mod order;
mod place;
mod resolve;

#[cfg(test)]
mod chosen;
#[cfg(test)]
mod tests;

pub use error::PlanError;
pub use explain::{Covered, Explanation};

use std::collections::{BTreeMap, BTreeSet};

use crate::assess::Assessment;
use crate::direction::Direction;
use crate::ids::{BundleHash, HostName, TenantId, Version};
use crate::plan::{self, LeftOut, Path, Plan, PlannedTarget};
use crate::policy::Policy;
use crate::selector::Selector;
use crate::tenant::Tenant;
use crate::waves::{HaltSpec, KNOWN_FAILURES, Select, WaveSpec, validate};

/// Everything a plan is made from. Nothing else has a say: equal inputs give equal plans.
#[derive(Clone, Debug)]
pub struct PlanInput<'a> {
    /// The fleet's name; salts the order inside waves.
    pub fleet: &'a str,
    /// The bundle.
    pub bundle: &'a BundleHash,
    /// The version to reach.
    pub target: &'a Version,
    /// Which way; what the tenants were assessed for.
    pub direction: Direction,
    /// The versions of the bundle, ascending. Paths are checked against them.
    pub versions: &'a [Version],
    /// The waves as configured.
    pub waves: &'a [WaveSpec],
    /// The policy of the whole rollout. The caller resolves its limits with [`planned_size`] as the denominator.
    pub policy: &'a Policy,
    /// The budget of connections of each host.
    pub hosts: &'a BTreeMap<HostName, u32>,
    /// The selected tenants, each with what its ledger says.
    pub tenants: &'a [Assessed],
    /// A plan whose placements are kept: amendments and supersedes have one, a new rollout has none.
    pub previous: Option<&'a Plan>,
    /// Who is never in the canary.
    pub canary_exclude: Option<&'a Selector>,
    /// Who failed before with this bundle, and the limits of the wave that they go to.
    pub known_failures: Option<KnownFailures<'a>>,
}

/// Tenants that failed before with an unchanged bundle.
#[derive(Clone, Copy, Debug)]
pub struct KnownFailures<'a> {
    /// Who.
    pub tenants: &'a BTreeSet<TenantId>,
    /// The limits of their wave.
    pub halt: &'a HaltSpec,
}

impl PlanInput<'_> {
    fn is_excluded(&self, tenant: &Tenant) -> bool {
        self.canary_exclude.is_some_and(|s| s.matches(tenant))
    }

    fn is_known(&self, tenant: &TenantId) -> bool {
        self.known_failures
            .is_some_and(|known| known.tenants.contains(tenant))
    }
}

/// A selected tenant and what its ledger says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Assessed {
    /// The tenant.
    pub tenant: Tenant,
    /// What its ledger says.
    pub assessment: Assessment,
    /// What was found out about it besides, for waves by coverage: `engine`, `engine_major`, `fingerprint`.
    pub traits: BTreeMap<String, String>,
}

/// How many of these tenants a plan puts into waves: the planned size of the whole rollout, of which
/// `max_failure_percent` is a share.
pub fn planned_size(tenants: &[Assessed]) -> u64 {
    tenants
        .iter()
        .filter(|t| matches!(t.assessment, Assessment::Pending { .. }))
        .count() as u64
}

/// Makes the plan.
///
/// Waves are planned over the tenants that have something to apply; percentages are of their number. Inside a wave
/// (and so for who is chosen by count or percentage) the order is: label `priority`, a whole number, higher first,
/// absent is 0; then size, smaller first, unknown last; then SHA-256 of fleet and tenant. With `previous`, tenants
/// that it placed keep their wave, and new ones go to the first wave by labels that matches them, else to the rest:
/// waves by count, percentage and coverage are not topped up, for they may have finished. Whom `canary_exclude` names
/// goes to a later wave than the canary; who failed before with this bundle goes last, to a wave of its own.
///
/// # Errors
/// What makes planning impossible: see [`PlanError`]. Nothing is half planned.
pub fn plan(input: &PlanInput<'_>) -> Result<Plan, PlanError> {
    explained(input).map(|(plan, _)| plan)
}

/// Makes the plan, and says why it is as it is.
///
/// # Errors
/// As [`plan()`].
pub fn explained(input: &PlanInput<'_>) -> Result<(Plan, Explanation), PlanError> {
    validate(input.waves)?;
    check::check(input)?;
    let order = order::sorted(input)?;
    let paths: BTreeSet<Path> = order.iter().map(|m| m.path.clone()).collect();
    let numbers: BTreeMap<&Path, usize> = paths.iter().zip(0..).collect();
    let mut waves = Vec::new();
    let mut targets = Vec::new();
    let specs = specs(input);
    let placement = place::into_waves(input, &specs, order)?;
    for (index, members) in placement.waves.iter().enumerate() {
        if members.is_empty() {
            continue;
        }
        let wave = waves.len();
        targets.extend(
            members
                .iter()
                .zip(0..)
                .map(|(member, position)| PlannedTarget {
                    tenant: member.tenant.id.clone(),
                    place: member.tenant.place.clone(),
                    wave,
                    position,
                    path: numbers[&member.path],
                    has_ledger: member.has_ledger,
                    missing: member.missing,
                }),
        );
        waves.push(resolve::wave(input, (index, &specs[index]), members));
    }
    if let Some(last) = waves.last_mut() {
        // Waves after it came out empty: nothing is left for its gates to keep shut.
        last.gates.clear();
    }
    let plan = Plan {
        fleet: input.fleet.to_owned(),
        bundle: input.bundle.clone(),
        target: input.target.clone(),
        direction: input.direction,
        policy: input.policy.clone(),
        waves,
        paths: paths.into_iter().collect(),
        targets,
        left_out: left_out(input.tenants),
        accepted: BTreeMap::new(),
    };
    debug_assert_eq!(plan::audit(&plan), Vec::<String>::new());
    let explanation = explain::explain(input, &specs, &placement);
    Ok((plan, explanation))
}

/// The configured waves, and after them the one of known failures.
fn specs(input: &PlanInput<'_>) -> Vec<WaveSpec> {
    let mut specs = input.waves.to_vec();
    specs.push(WaveSpec {
        halt: input
            .known_failures
            .map_or_else(HaltSpec::default, |known| known.halt.clone()),
        ..WaveSpec::new(KNOWN_FAILURES, Select::Rest)
    });
    specs
}

/// Who is in no wave, in the order of ids.
fn left_out(tenants: &[Assessed]) -> Vec<LeftOut> {
    let mut left: Vec<LeftOut> = tenants
        .iter()
        .filter_map(|t| {
            let (outcome, failure) = t.assessment.left_out()?;
            Some(LeftOut {
                tenant: t.tenant.id.clone(),
                place: t.tenant.place.clone(),
                outcome,
                failure,
            })
        })
        .collect();
    left.sort_by(|a, b| a.tenant.cmp(&b.tenant));
    left
}
