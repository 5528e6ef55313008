//! Each tenant into exactly one wave.

use std::collections::BTreeMap;

use super::order::Member;
use super::{PlanError, PlanInput};
use crate::ids::TenantId;
use crate::plan::Plan;
use crate::waves::{Select, WaveSpec, share_up};

/// The members of each configured wave, in order; a wave may come out empty.
pub(super) fn into_waves<'a>(
    input: &PlanInput<'_>,
    order: Vec<Member<'a>>,
) -> Result<Vec<Vec<Member<'a>>>, PlanError> {
    let planned = order.len() as u64;
    let kept = kept(input)?;
    let mut seats: Vec<u64> = input
        .waves
        .iter()
        .map(|wave| seats(wave, planned, input.previous.is_some()))
        .collect();
    let mut waves: Vec<Vec<Member<'a>>> = input.waves.iter().map(|_| Vec::new()).collect();
    for member in order {
        let wave = match kept.get(&member.tenant.id) {
            Some(&wave) => wave,
            None => free(input.waves, &mut seats, &member),
        };
        waves[wave].push(member);
    }
    Ok(waves)
}

/// The first wave that wants the tenant and has a seat. A validated list ends with one that takes everybody.
fn free(waves: &[WaveSpec], seats: &mut [u64], member: &Member<'_>) -> usize {
    let wants = |(wave, seats): (&WaveSpec, &u64)| {
        *seats > 0
            && match &wave.select {
                Select::Labels(selector) => selector.matches(member.tenant),
                Select::Count(_) | Select::Percent(_) | Select::Rest => true,
            }
    };
    let wave = waves
        .iter()
        .zip(seats.iter())
        .position(wants)
        .unwrap_or(waves.len() - 1);
    seats[wave] -= 1;
    wave
}

/// How many tenants a wave takes that no earlier plan placed.
fn seats(wave: &WaveSpec, planned: u64, revised: bool) -> u64 {
    match wave.select {
        // They may have finished: a revision tops them up no more.
        Select::Count(_) | Select::Percent(_) if revised => 0,
        Select::Count(n) => u64::from(n),
        Select::Percent(percent) => u64::from(share_up(percent, planned)),
        Select::Labels(_) | Select::Rest => u64::MAX,
    }
}

/// Where the previous plan placed tenants, as indices into the configured waves.
fn kept<'a>(input: &PlanInput<'a>) -> Result<BTreeMap<&'a TenantId, usize>, PlanError> {
    let Some(previous) = input.previous else {
        return Ok(BTreeMap::new());
    };
    let by_name: BTreeMap<&str, usize> = input
        .waves
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
