//! Making a plan: whom, in which wave, in which order, with every limit a number.

mod check;
mod error;
mod order;
mod place;
mod resolve;

#[cfg(test)]
mod tests;

pub use error::PlanError;

use std::collections::{BTreeMap, BTreeSet};

use crate::assess::Assessment;
use crate::ids::{BundleHash, HostName, Version};
use crate::plan::{self, LeftOut, Path, Plan, PlannedTarget};
use crate::policy::Policy;
use crate::tenant::Tenant;
use crate::waves::{WaveSpec, validate};

/// Everything a plan is made from. Nothing else has a say: equal inputs give equal plans.
#[derive(Clone, Debug)]
pub struct PlanInput<'a> {
    /// The fleet's name; salts the order inside waves.
    pub fleet: &'a str,
    /// The bundle.
    pub bundle: &'a BundleHash,
    /// The version to reach.
    pub target: &'a Version,
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
}

/// A selected tenant and what its ledger says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Assessed {
    /// The tenant.
    pub tenant: Tenant,
    /// What its ledger says.
    pub assessment: Assessment,
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
/// waves by count and percentage are not topped up, for they may have finished.
///
/// # Errors
/// What makes planning impossible: see [`PlanError`]. Nothing is half planned.
pub fn plan(input: &PlanInput<'_>) -> Result<Plan, PlanError> {
    validate(input.waves)?;
    check::check(input)?;
    let order = order::sorted(input)?;
    let paths: BTreeSet<Path> = order.iter().map(|m| m.path.clone()).collect();
    let numbers: BTreeMap<&Path, usize> = paths.iter().zip(0..).collect();
    let mut waves = Vec::new();
    let mut targets = Vec::new();
    for (index, members) in place::into_waves(input, order)?.iter().enumerate() {
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
        waves.push(resolve::wave(input, index, members));
    }
    if let Some(last) = waves.last_mut() {
        // Waves after it came out empty: nothing is left for its gates to keep shut.
        last.gates.clear();
    }
    let plan = Plan {
        fleet: input.fleet.to_owned(),
        bundle: input.bundle.clone(),
        target: input.target.clone(),
        policy: input.policy.clone(),
        waves,
        paths: paths.into_iter().collect(),
        targets,
        left_out: left_out(input.tenants),
    };
    debug_assert_eq!(plan::audit(&plan), Vec::<String>::new());
    Ok(plan)
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
