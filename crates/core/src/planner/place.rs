//! Each tenant into exactly one wave.

use std::collections::BTreeMap;

use super::cover;
use super::order::Member;
use super::{PlanError, PlanInput};
use crate::ids::TenantId;
use crate::plan::Plan;
use crate::waves::{Select, WaveSpec, share_up};

/// Who is where.
pub(super) struct Placement<'a> {
    /// The members of each wave, in order; a wave may come out empty.
    pub(super) waves: Vec<Vec<Member<'a>>>,
    /// Why a member of a wave by coverage is there: the values it adds. Absent for those that fill up to the least.
    pub(super) adds: BTreeMap<TenantId, String>,
}

/// A member with its rank in the whole order.
type Ranked<'a> = (usize, Member<'a>);

/// Places everybody. `specs` are the configured waves and, after them, the wave of known failures.
pub(super) fn into_waves<'a>(
    input: &PlanInput<'a>,
    specs: &'a [WaveSpec],
    order: Vec<Member<'a>>,
) -> Result<Placement<'a>, PlanError> {
    let planned = order.len() as u64;
    let kept = kept(input, specs)?;
    let mut waves: Vec<Vec<Ranked<'a>>> = specs.iter().map(|_| Vec::new()).collect();
    let mut left: Vec<Ranked<'a>> = Vec::new();
    for (rank, member) in order.into_iter().enumerate() {
        match kept.get(&member.tenant.id) {
            Some(&wave) => waves[wave].push((rank, member)),
            None if input.is_known(&member.tenant.id) => {
                waves[specs.len() - 1].push((rank, member));
            }
            None => left.push((rank, member)),
        }
    }
    let mut adds = BTreeMap::new();
    for (index, spec) in input.waves.iter().enumerate() {
        let members: Vec<&Member<'a>> = left.iter().map(|(_, m)| m).collect();
        let taken = taken(input, index, &specs[index], planned, &members, &mut adds);
        debug_assert_eq!(taken.len(), left.len(), "wave {}", spec.name);
        let mut rest = Vec::new();
        for (ranked, taken) in left.into_iter().zip(taken) {
            if taken {
                waves[index].push(ranked);
            } else {
                rest.push(ranked);
            }
        }
        left = rest;
    }
    // A validated list ends with a wave that takes everybody.
    debug_assert!(left.is_empty(), "{} tenants in no wave", left.len());
    let in_order = |mut wave: Vec<Ranked<'a>>| {
        wave.sort_by_key(|(rank, _)| *rank);
        wave.into_iter().map(|(_, member)| member).collect()
    };
    Ok(Placement {
        waves: waves.into_iter().map(in_order).collect(),
        adds,
    })
}

/// Which of the members that no wave has yet this one takes. Whom `canary_exclude` names is never in the canary,
/// whatever it chooses by.
fn taken<'a>(
    input: &PlanInput<'a>,
    index: usize,
    spec: &'a WaveSpec,
    planned: u64,
    members: &[&Member<'a>],
    adds: &mut BTreeMap<TenantId, String>,
) -> Vec<bool> {
    let may = |member: &Member<'a>| !(spec.is_canary(index) && input.is_excluded(member.tenant));
    // They may have finished: a revision tops them up no more.
    let revised = input.previous.is_some();
    let mut seats = match &spec.select {
        Select::Count(_) | Select::Percent(_) | Select::Coverage(_) if revised => 0,
        Select::Count(n) => u64::from(*n),
        Select::Percent(percent) => u64::from(share_up(*percent, planned)),
        Select::Coverage(coverage) => coverage.most(planned),
        Select::Labels(_) | Select::Tenants(_) | Select::Rest => u64::MAX,
    };
    if let Select::Coverage(coverage) = &spec.select {
        let mut taken = vec![false; members.len()];
        for (at, pairs) in cover::choose(coverage, members, may, seats) {
            taken[at] = true;
            if !pairs.is_empty() {
                let text: Vec<_> = pairs.iter().map(|(k, v)| format!("{k}={v}")).collect();
                adds.insert(members[at].tenant.id.clone(), text.join(", "));
            }
        }
        return taken;
    }
    let wants = |member: &Member<'a>| {
        may(member)
            && match &spec.select {
                Select::Labels(selector) => selector.matches(member.tenant),
                Select::Tenants(globs) => globs
                    .iter()
                    .any(|glob| glob.matches(member.tenant.id.as_str())),
                Select::Count(_) | Select::Percent(_) | Select::Coverage(_) | Select::Rest => true,
            }
    };
    members
        .iter()
        .map(|member| {
            let takes = seats > 0 && wants(member);
            seats -= u64::from(takes);
            takes
        })
        .collect()
}

/// Where the previous plan placed tenants, as indices into the waves.
fn kept<'a>(
    input: &PlanInput<'a>,
    specs: &[WaveSpec],
) -> Result<BTreeMap<&'a TenantId, usize>, PlanError> {
    let Some(previous) = input.previous else {
        return Ok(BTreeMap::new());
    };
    let by_name: BTreeMap<&str, usize> = specs
        .iter()
        .enumerate()
        .map(|(index, wave)| (wave.name.as_str(), index))
        .collect();
    previous
        .targets
        .iter()
        .map(|target| {
            let name = wave_name(previous, target.wave);
            match by_name.get(name) {
                Some(&index) => Ok((&target.tenant, index)),
                None => Err(PlanError::WaveGone {
                    tenant: target.tenant.clone(),
                    wave: name.into(),
                }),
            }
        })
        .collect()
}

fn wave_name(plan: &Plan, wave: usize) -> &str {
    plan.waves.get(wave).map_or("?", |w| w.name.as_str())
}
