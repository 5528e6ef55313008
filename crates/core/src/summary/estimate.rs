//! How long a plan will take, from how long a version took before.

use std::collections::BTreeMap;

use crate::gate::Gate;
use crate::ids::HostName;
use crate::plan::Plan;

/// Seconds, rounded up: the waves one after the other, each as long as its slowest host, or as its own limit in flight
/// makes it, and then as its bake and gates take at least.
pub(super) fn seconds(plan: &Plan, hosts: &BTreeMap<HostName, u32>, version_ms: u64) -> u64 {
    let mut work: BTreeMap<(usize, &HostName), u64> = BTreeMap::new();
    for target in &plan.targets {
        let versions = plan.paths.get(target.path).map_or(0, |p| p.versions.len());
        *work.entry((target.wave, &target.place.host)).or_default() += versions as u64;
    }
    let total: u64 = plan
        .waves
        .iter()
        .enumerate()
        .map(|(index, wave)| {
            let most = u64::from(wave.max_in_flight.max(1));
            let here = || work.iter().filter(|((wave, _), _)| *wave == index);
            let slowest = here()
                .map(|((_, host), versions)| {
                    let budget = hosts.get(*host).map_or(1, |n| u64::from(*n).max(1));
                    versions.div_ceil(budget.min(most))
                })
                .max()
                .unwrap_or(0);
            let all: u64 = here().map(|(_, versions)| versions).sum();
            let gates: u64 = wave.gates.iter().map(Gate::least_ms).sum();
            let work = slowest.max(all.div_ceil(most)).saturating_mul(version_ms);
            work.saturating_add(gates)
        })
        .fold(0, u64::saturating_add);
    total.div_ceil(1_000)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gate::{Bake, GateKind};
    use crate::testing::plan;

    #[test]
    fn waves_follow_each_other_and_the_slowest_host_sets_the_pace() {
        let mut plan = plan(&[(1, Some(0)), (100, None)]);
        let hosts: BTreeMap<HostName, u32> = [("h", 4), ("big", 50)]
            .map(|(h, n)| (HostName::new(h), n))
            .into();
        // One after the other in the canary, then 25 rounds of four.
        assert_eq!(seconds(&plan, &hosts, 1_000), 1 + 25);
        for target in &mut plan.targets[21..] {
            target.place.host = HostName::new("big");
        }
        plan.waves[0].gates = vec![Gate {
            name: "bake".into(),
            kind: GateKind::Bake(Bake {
                duration_ms: 600_000,
                samples: None,
            }),
        }];
        assert_eq!(seconds(&plan, &hosts, 1_000), 1 + 600 + 13);
        plan.waves[0].gates.clear();
        // The wave's eight in flight hold, wherever they are.
        assert_eq!(seconds(&plan, &hosts, 1_000), 1 + 13);
        plan.waves.truncate(1);
        plan.targets.truncate(1);
        assert_eq!(seconds(&plan, &hosts, 1), 1);
    }
}
