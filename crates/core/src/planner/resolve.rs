//! A wave's limits as numbers: what `plan` prints and `permits` obeys.

use std::collections::BTreeSet;

use super::PlanInput;
use super::order::Member;
use crate::plan::PlannedWave;
use crate::waves::WaveSpec;

/// The planned wave of the configured one with this index.
pub(super) fn wave(
    input: &PlanInput<'_>,
    (index, spec): (usize, &WaveSpec),
    members: &[Member<'_>],
) -> PlannedWave {
    let tenants = u32::try_from(members.len()).unwrap_or(u32::MAX);
    let limits = spec.limits(index).resolve(u64::from(tenants));
    let strict = spec.is_strict(index);
    let mut most = input
        .policy
        .concurrency
        .min(tenants)
        .min(on_hosts(input, members));
    if let Some(own) = spec.concurrency {
        most = most.min(own);
    }
    if let Some(tolerated) = limits.tolerated().filter(|_| strict) {
        most = most.min(tolerated.saturating_add(1));
    }
    PlannedWave {
        name: spec.name.clone(),
        tenants,
        concurrency: spec.concurrency,
        strict,
        limits,
        max_in_flight: most,
        gates: spec.gates.clone(),
    }
}

/// What the hosts that these tenants are on may have in flight together.
fn on_hosts(input: &PlanInput<'_>, members: &[Member<'_>]) -> u32 {
    let hosts: BTreeSet<_> = members.iter().map(|m| &m.tenant.place.host).collect();
    hosts
        .into_iter()
        .filter_map(|host| input.hosts.get(host))
        .fold(0, |sum, budget| sum.saturating_add(*budget))
}
