//! Plans of random fleets.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;
use sanderling_core::assess::Assessment;
use sanderling_core::plan::{Plan, audit};
use sanderling_core::planner::{Assessed, PlanInput, plan, planned_size};
use sanderling_core::policy::{Atomic, Policy};
use sanderling_core::waves::{WaveSpec, parse, share_up};
use sanderling_core::{
    BundleHash, ErrorClass, Failure, HostName, Place, Tenant, TenantId, Version,
};

use crate::driver::Dice;

pub(crate) struct Fleet {
    hosts: BTreeMap<HostName, u32>,
    tenants: Vec<Assessed>,
}

/// A fleet of `n` tenants over three hosts; some have nothing to do, a few are away.
pub(crate) fn fleet(dice: &mut Dice, n: usize) -> Fleet {
    Fleet {
        hosts: (0..3)
            .map(|h| {
                (
                    HostName::new(format!("h{h}")),
                    1 + u32::try_from(dice.roll(9)).unwrap(),
                )
            })
            .collect(),
        tenants: (0..n).map(|i| assessed(dice, i)).collect(),
    }
}

fn assessed(dice: &mut Dice, i: usize) -> Assessed {
    let mut labels = BTreeMap::new();
    for (key, values) in [("plan", ["free", "pro"]), ("priority", ["-1", "7"])] {
        if let Some(value) = values.get(dice.roll(6)) {
            labels.insert(key.to_owned(), (*value).to_owned());
        }
    }
    let tenant = Tenant {
        id: TenantId::new(format!("t{i}")),
        place: Place {
            host: HostName::new(format!("h{}", dice.roll(3))),
            database: None,
            schema: Some(format!("t{i}")),
            file: None,
        },
        labels,
        size: (dice.roll(2) == 0).then(|| dice.roll(1000) as u64),
    };
    let assessment = match dice.roll(12) {
        0 => Assessment::UpToDate,
        1 => Assessment::Unreachable(Failure::new(ErrorClass::Connection, "refused", "away")),
        done => Assessment::Pending {
            from: (done > 6).then(|| Version::new("1")),
            versions: [&["1", "2"][..], &["2"]][usize::from(done > 6)]
                .iter()
                .map(|v| Version::new(*v))
                .collect(),
            has_ledger: done > 6,
            missing: false,
        },
    };
    Assessed {
        tenant,
        assessment,
        traits: BTreeMap::new(),
    }
}

impl Fleet {
    pub(crate) fn plan(&self, waves: &str) -> Plan {
        self.revise(&parse(waves).unwrap(), None)
    }

    fn revise(&self, waves: &[WaveSpec], previous: Option<&Plan>) -> Plan {
        let policy = Policy {
            concurrency: 16,
            atomic: Atomic::Version,
            lock_timeout_ms: 1000,
            statement_timeout_ms: 0,
            host_patience_ms: sanderling_core::policy::HOST_PATIENCE_MS,
            create_missing: false,
            limits: Default::default(),
            retry: BTreeMap::new(),
        };
        plan(&PlanInput {
            fleet: "f",
            bundle: &BundleHash::new("b"),
            target: &Version::new("2"),
            versions: &[Version::new("1"), Version::new("2")],
            waves,
            policy: &policy,
            hosts: &self.hosts,
            tenants: &self.tenants,
            previous,
            canary_exclude: None,
            known_failures: None,
        })
        .unwrap()
    }
}

fn lists() -> impl Strategy<Value = String> {
    let part = prop_oneof![
        (1u32..20).prop_map(|n| n.to_string()),
        (1u32..=100).prop_map(|p| format!("{p}%")),
        Just("L:plan=pro".to_owned()),
    ];
    prop::collection::vec(part, 0..4).prop_map(|parts| {
        let parts: Vec<String> = parts
            .into_iter()
            .enumerate()
            .map(|(i, part)| part.replace("L:", &format!("l{i}:")))
            .collect();
        [parts.join(","), "rest".into()]
            .join(",")
            .trim_start_matches(',')
            .to_owned()
    })
}

fn placements(plan: &Plan) -> BTreeMap<&TenantId, &str> {
    plan.targets
        .iter()
        .map(|t| (&t.tenant, plan.waves[t.wave].name.as_str()))
        .collect()
}

proptest! {
    #[test]
    fn each_tenant_is_in_exactly_one_place(seed: u64, n in 0usize..120, waves in lists()) {
        let fleet = fleet(&mut Dice(seed), n);
        let plan = fleet.plan(&waves);
        prop_assert_eq!(audit(&plan), Vec::<String>::new());
        let everyone: BTreeSet<&TenantId> = plan
            .targets
            .iter()
            .map(|t| &t.tenant)
            .chain(plan.left_out.iter().map(|l| &l.tenant))
            .collect();
        prop_assert_eq!(everyone.len(), n);
        prop_assert_eq!(plan.targets.len() + plan.left_out.len(), n);
        prop_assert_eq!(plan.targets.len() as u64, planned_size(&fleet.tenants));
    }

    #[test]
    fn a_wave_never_takes_more_than_it_asked_for(seed: u64, n in 0usize..120, count in 1u32..30, percent in 1u32..=100) {
        let plan = fleet(&mut Dice(seed), n).plan(&format!("c={count},p={percent}%,rest"));
        let planned = plan.targets.len() as u64;
        let share = share_up(f64::from(percent), planned);
        let size = |name: &str| plan.waves.iter().find(|w| w.name == name).map_or(0, |w| w.tenants);
        let all = u32::try_from(planned).unwrap();
        prop_assert_eq!(size("c"), count.min(all));
        prop_assert_eq!(size("p"), share.min(all - size("c")));
    }

    #[test]
    fn with_the_previous_plan_growth_moves_nobody(seed: u64, n in 1usize..100, waves in lists()) {
        let mut dice = Dice(seed);
        let mut fleet = fleet(&mut dice, n);
        let specs = parse(&waves).unwrap();
        let before = fleet.revise(&specs, None);
        for i in n..n + n.div_ceil(10) {
            fleet.tenants.push(assessed(&mut dice, i));
        }
        let after = fleet.revise(&specs, Some(&before));
        let (old, new) = (placements(&before), placements(&after));
        for (tenant, wave) in old {
            prop_assert_eq!(new.get(tenant), Some(&wave));
        }
    }

    #[test]
    fn the_order_of_reading_does_not_matter(seed: u64, n in 0usize..60, waves in lists()) {
        let mut fleet = fleet(&mut Dice(seed), n);
        let plan = fleet.plan(&waves);
        fleet.tenants.reverse();
        prop_assert_eq!(plan.hash(), fleet.plan(&waves).hash());
    }
}
