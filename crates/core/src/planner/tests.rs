//! Plans, one property at a time.

use super::*;
use crate::ids::TenantId;
use crate::testing::{policy, tenant, version};
use crate::waves::{default_waves, parse};

/// What `input` borrows.
pub(super) struct Fleet {
    bundle: BundleHash,
    target: Version,
    versions: Vec<Version>,
    policy: Policy,
    hosts: BTreeMap<HostName, u32>,
    pub(super) tenants: Vec<Assessed>,
}

fn pending(tenant: Tenant) -> Assessed {
    Assessed {
        tenant,
        assessment: Assessment::Pending {
            from: None,
            versions: vec![version(1), version(2)],
            has_ledger: false,
            missing: false,
        },
        traits: BTreeMap::new(),
    }
}

impl Fleet {
    pub(super) fn of(n: usize) -> Self {
        Self {
            bundle: BundleHash::new("b"),
            target: version(2),
            versions: vec![version(1), version(2)],
            policy: policy(),
            hosts: BTreeMap::from([(HostName::new("h"), 8)]),
            tenants: (0..n).map(|i| pending(tenant(&format!("t{i}")))).collect(),
        }
    }

    pub(super) fn input<'a>(
        &'a self,
        waves: &'a [WaveSpec],
        previous: Option<&'a Plan>,
    ) -> PlanInput<'a> {
        PlanInput {
            fleet: "test",
            bundle: &self.bundle,
            target: &self.target,
            direction: crate::Direction::Up,
            versions: &self.versions,
            waves,
            policy: &self.policy,
            hosts: &self.hosts,
            tenants: &self.tenants,
            previous,
            canary_exclude: None,
            known_failures: None,
        }
    }

    pub(super) fn plan(&self, waves: &[WaveSpec]) -> Plan {
        plan(&self.input(waves, None)).unwrap()
    }

    fn error(&self, waves: &[WaveSpec]) -> String {
        plan(&self.input(waves, None)).unwrap_err().to_string()
    }
}

fn sizes(plan: &Plan) -> Vec<(&str, u32, u32)> {
    plan.waves
        .iter()
        .map(|w| (w.name.as_str(), w.tenants, w.max_in_flight))
        .collect()
}

#[test]
fn the_default_waves_of_a_fleet_of_a_thousand() {
    let plan = Fleet::of(1000).plan(&default_waves());
    assert_eq!(
        sizes(&plan),
        [("canary", 5, 1), ("early", 100, 8), ("rest", 895, 8)]
    );
    assert_eq!(plan.waves[0].limits.same_cause, Some(2));
    assert_eq!(plan.waves[2].limits.max_failure_percent, Some(8));
    assert_eq!(plan::audit(&plan), Vec::<String>::new());
    assert_eq!(plan.paths.len(), 1);
}

#[test]
fn a_small_fleet_has_no_empty_wave_and_an_idle_one_has_none() {
    let plan = Fleet::of(3).plan(&default_waves());
    assert_eq!(sizes(&plan), [("canary", 3, 1)]);
    let mut idle = Fleet::of(2);
    for tenant in &mut idle.tenants {
        tenant.assessment = Assessment::UpToDate;
    }
    let plan = idle.plan(&default_waves());
    assert_eq!((plan.waves.len(), plan.left_out.len()), (0, 2));
}

#[test]
fn the_first_wave_that_wants_a_tenant_has_it() {
    let mut fleet = Fleet::of(20);
    for tenant in &mut fleet.tenants[..6] {
        tenant.tenant.labels.insert("plan".into(), "beta".into());
    }
    let waves = parse("b:plan=beta,25%,25%,rest").unwrap();
    let plan = fleet.plan(&waves);
    assert_eq!(
        sizes(&plan),
        [
            ("b", 6, 6),
            ("wave-2", 5, 5),
            ("wave-3", 5, 5),
            ("rest", 4, 4)
        ]
    );
    assert!(
        plan.targets[..6]
            .iter()
            .all(|t| { fleet.tenants[..6].iter().any(|a| a.tenant.id == t.tenant) })
    );
}

#[test]
fn priority_then_size_then_hash_order_a_wave() {
    let mut fleet = Fleet::of(6);
    for (index, size) in [(1, 900), (2, 50), (3, 700)] {
        fleet.tenants[index].tenant.size = Some(size);
    }
    for (index, priority) in [(3, "10"), (5, "-1")] {
        fleet.tenants[index]
            .tenant
            .labels
            .insert("priority".into(), priority.into());
    }
    let order: Vec<String> = fleet
        .plan(&parse("rest").unwrap())
        .targets
        .iter()
        .map(|t| t.tenant.to_string())
        .collect();
    assert_eq!(
        (&order[..3], order[5].as_str()),
        (&["t3", "t2", "t1"].map(String::from)[..], "t5")
    );
    fleet.tenants[0]
        .tenant
        .labels
        .insert("priority".into(), "high".into());
    assert!(
        fleet
            .error(&default_waves())
            .contains("tenant t0: label priority is `high`")
    );
}

#[test]
fn in_flight_is_the_least_of_everything_that_bounds_it() {
    let mut fleet = Fleet::of(100);
    fleet.policy.concurrency = 64;
    fleet.hosts.insert(HostName::new("h2"), 3);
    fleet.hosts.insert(HostName::new("idle"), 50);
    fleet.tenants[7].tenant.place.host = HostName::new("h2");
    let mut waves = parse("a=50%,rest").unwrap();
    waves[0].strict = Some(true);
    waves[0].halt.max_failure_percent = Some(4.0);
    assert_eq!(fleet.plan(&waves).waves[0].max_in_flight, 3);
    waves[0].strict = Some(false);
    waves[0].concurrency = Some(7);
    let plan = fleet.plan(&waves);
    assert_eq!(plan.waves[0].max_in_flight, 7);
    let on_h2 = plan
        .targets
        .iter()
        .find(|t| t.place.host.as_str() == "h2")
        .unwrap()
        .wave;
    if on_h2 == 1 {
        assert_eq!(plan.waves[1].max_in_flight, 11);
    } else {
        assert_eq!(plan.waves[1].max_in_flight, 8);
    }
}

#[test]
fn a_revision_moves_nobody_and_does_not_top_up_waves() {
    let fleet = Fleet::of(50);
    let waves = default_waves();
    let first = fleet.plan(&waves);
    let mut grown = Fleet::of(55);
    grown.tenants[3].assessment = Assessment::UpToDate;
    let second = plan(&grown.input(&waves, Some(&first))).unwrap();
    let wave_of = |plan: &Plan, id: &TenantId| {
        plan.targets
            .iter()
            .find(|t| t.tenant == *id)
            .map(|t| plan.waves[t.wave].name.clone())
    };
    for target in &second.targets {
        let before = wave_of(&first, &target.tenant).unwrap_or_else(|| "rest".into());
        assert_eq!(
            wave_of(&second, &target.tenant),
            Some(before),
            "{}",
            target.tenant
        );
    }
    let gone = plan(&grown.input(&parse("rest").unwrap(), Some(&first))).unwrap_err();
    assert!(
        gone.to_string().contains("wave canary, which is gone"),
        "{gone}"
    );
}

#[test]
fn what_cannot_be_planned_is_named() {
    let mut fleet = Fleet::of(3);
    fleet.tenants[2].tenant.id = TenantId::new("t0");
    assert!(
        fleet
            .error(&default_waves())
            .contains("tenant t0 is selected twice")
    );
    fleet = Fleet::of(3);
    fleet.tenants[1].tenant.place = fleet.tenants[0].tenant.place.clone();
    assert!(
        fleet
            .error(&default_waves())
            .contains("tenants t0 and t1 share h/t0")
    );
    fleet = Fleet::of(3);
    fleet.tenants[1].tenant.place.host = HostName::new("nowhere");
    assert!(
        fleet
            .error(&default_waves())
            .contains("add [hosts.nowhere]")
    );
    fleet = Fleet::of(3);
    fleet.tenants[1].assessment = Assessment::OutOfOrder {
        versions: vec![version(1)],
        newest: version(2),
    };
    assert!(
        fleet
            .error(&default_waves())
            .contains("tenant t1: version 1 came after 2")
    );
    fleet = Fleet::of(3);
    fleet.versions.pop();
    assert!(
        fleet
            .error(&default_waves())
            .contains("version 2 is not one")
    );
    fleet = Fleet::of(1);
    fleet.hosts.insert(HostName::new("h"), 0);
    assert!(
        fleet
            .error(&default_waves())
            .contains("connections of host h is 0")
    );
}

#[test]
fn the_hash_names_the_whole_plan_and_the_order_of_reading_does_not_matter() {
    let mut fleet = Fleet::of(30);
    let first = fleet.plan(&default_waves());
    fleet.tenants.reverse();
    let again = fleet.plan(&default_waves());
    assert_eq!(first.hash(), again.hash());
    assert_eq!(first.hash().len(), 64);
    fleet.policy.lock_timeout_ms += 1;
    assert_ne!(first.hash(), fleet.plan(&default_waves()).hash());
}

#[test]
fn the_audit_sees_what_a_broken_planner_would_do() {
    let sound = Fleet::of(40).plan(&default_waves());
    let faults: [fn(&mut Plan); 7] = [
        |p| p.targets[1].tenant = p.targets[0].tenant.clone(),
        |p| p.targets.swap(0, 1),
        |p| p.waves[1].tenants += 1,
        |p| p.waves[0].max_in_flight = 2,
        |p| p.waves.swap(0, 2),
        |p| p.paths[0].versions.reverse(),
        |p| {
            p.targets.pop();
        },
    ];
    for (index, fault) in faults.into_iter().enumerate() {
        let mut plan = sound.clone();
        fault(&mut plan);
        assert_ne!(plan::audit(&plan), Vec::<String>::new(), "fault {index}");
    }
}
