//! Why a plan is as it is: who is in the canary and why, what it covers, and what it leaves uncovered.

use std::collections::BTreeMap;

use super::PlanInput;
use super::cover;
use super::order::Member;
use super::place::Placement;
use crate::ids::TenantId;
use crate::waves::{KNOWN_FAILURES, Select, WaveSpec};

/// What a plan does not say of itself. No part of the plan, nor of its hash.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Explanation {
    /// The name of the canary, where there is one and somebody is in it.
    pub canary: Option<String>,
    /// Its members in order, with the reason.
    pub members: Vec<(TenantId, String)>,
    /// Every value of every key of every wave by coverage.
    pub coverage: Vec<Covered>,
    /// How many tenants with something to apply `canary_exclude` keeps out of the canary.
    pub excluded: u64,
    /// How many failed before with this bundle, and so go last.
    pub known_failures: u64,
}

/// One value of a key, and who of a wave has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Covered {
    /// The wave.
    pub wave: String,
    /// The key.
    pub key: String,
    /// Its value.
    pub value: String,
    /// How many tenants of the plan have it.
    pub tenants: u64,
    /// The first of the wave that has it; absent where it is not covered.
    pub covered_by: Option<TenantId>,
    /// How many of those tenants `canary_exclude` keeps out.
    pub excluded: u64,
}

pub(super) fn explain<'a>(
    input: &PlanInput<'a>,
    specs: &'a [WaveSpec],
    placement: &Placement<'a>,
) -> Explanation {
    let everybody = || placement.waves.iter().flatten();
    let canary = specs
        .iter()
        .zip(&placement.waves)
        .enumerate()
        .find(|(index, (spec, members))| spec.is_canary(*index) && !members.is_empty());
    let has_canary = specs.first().is_some_and(|spec| spec.is_canary(0));
    let mut explanation = Explanation {
        excluded: everybody()
            .filter(|m| has_canary && input.is_excluded(m.tenant))
            .count() as u64,
        known_failures: specs
            .iter()
            .zip(&placement.waves)
            .filter(|(spec, _)| spec.name == KNOWN_FAILURES)
            .map(|(_, members)| members.len() as u64)
            .sum(),
        ..Explanation::default()
    };
    if let Some((_, (spec, members))) = canary {
        explanation.canary = Some(spec.name.clone());
        explanation.members = members
            .iter()
            .map(|m| (m.tenant.id.clone(), why(input, spec, placement, m)))
            .collect();
    }
    for (spec, members) in specs.iter().zip(&placement.waves) {
        if let Select::Coverage(coverage) = &spec.select {
            let mut found: BTreeMap<cover::Pair<'_>, Covered> = BTreeMap::new();
            for member in everybody() {
                for (key, value) in cover::pairs(coverage, member) {
                    let entry = found.entry((key, value)).or_insert_with(|| Covered {
                        wave: spec.name.clone(),
                        key: key.to_owned(),
                        value: value.to_owned(),
                        tenants: 0,
                        covered_by: None,
                        excluded: 0,
                    });
                    entry.tenants += 1;
                    entry.excluded += u64::from(input.is_excluded(member.tenant));
                }
            }
            for member in members {
                for pair in cover::pairs(coverage, member) {
                    if let Some(covered) = found.get_mut(&pair) {
                        let first = || member.tenant.id.clone();
                        covered.covered_by.get_or_insert_with(first);
                    }
                }
            }
            explanation.coverage.extend(found.into_values());
        }
    }
    explanation
}

fn why(
    input: &PlanInput<'_>,
    spec: &WaveSpec,
    placement: &Placement<'_>,
    member: &Member<'_>,
) -> String {
    let id = &member.tenant.id;
    if let Some(previous) = input.previous
        && previous.targets.iter().any(|t| t.tenant == *id)
    {
        return "as in the plan before".into();
    }
    match &spec.select {
        Select::Count(n) => format!("among the first {n} in order"),
        Select::Percent(percent) => format!("among the first {percent} % in order"),
        Select::Labels(selector) => selector.to_string(),
        Select::Tenants(globs) => {
            let by = globs.iter().find(|glob| glob.matches(id.as_str()));
            match by.map(ToString::to_string) {
                Some(pattern) if pattern != id.as_str() => format!("named by `{pattern}`"),
                _ => "named".into(),
            }
        }
        Select::Coverage(coverage) => placement.adds.get(id).map_or_else(
            || format!("first in order, to make it {}", coverage.min),
            |adds| format!("covers {adds}"),
        ),
        Select::Rest => "everybody".into(),
    }
}
