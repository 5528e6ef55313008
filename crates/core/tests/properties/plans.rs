//! Plans of random fleets.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;
use sanderling_core::assess::Assessment;
use sanderling_core::plan::{Plan, audit};
use sanderling_core::planner::{
    Assessed, Explanation, KnownFailures, PlanInput, explained, planned_size,
};
use sanderling_core::policy::{Atomic, Policy};
use sanderling_core::selector::Glob;
use sanderling_core::waves::{
    Amount, Coverage, HaltSpec, KNOWN_FAILURES, Select, WaveSpec, parse, share_up,
};
use sanderling_core::{
    BundleHash, Direction, ErrorClass, Failure, HostName, Place, Selector, Tenant, TenantId,
    Version,
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
        traits: (dice.roll(3) > 0)
            .then(|| ("fingerprint".into(), format!("f{}", dice.roll(6))))
            .into_iter()
            .collect(),
    }
}

impl Fleet {
    pub(crate) fn plan(&self, waves: &str) -> Plan {
        self.revise(&parse(waves).unwrap(), None)
    }

    fn revise(&self, waves: &[WaveSpec], previous: Option<&Plan>) -> Plan {
        self.explained(waves, previous, &Asked::default()).0
    }

    fn explained(
        &self,
        waves: &[WaveSpec],
        previous: Option<&Plan>,
        asked: &Asked,
    ) -> (Plan, Explanation) {
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
        explained(&PlanInput {
            fleet: "f",
            bundle: &BundleHash::new("b"),
            target: &Version::new("2"),
            direction: Direction::Up,
            versions: &[Version::new("1"), Version::new("2")],
            waves,
            policy: &policy,
            hosts: &self.hosts,
            tenants: &self.tenants,
            previous,
            canary_exclude: asked.exclude.as_ref(),
            known_failures: Some(KnownFailures {
                tenants: &asked.known,
                halt: &HaltSpec::default(),
            }),
        })
        .unwrap()
    }

    fn of(&self, tenant: &TenantId) -> &Assessed {
        self.tenants
            .iter()
            .find(|a| a.tenant.id == *tenant)
            .unwrap()
    }
}

/// What is asked of a plan besides its waves.
#[derive(Default)]
struct Asked {
    exclude: Option<Selector>,
    known: BTreeSet<TenantId>,
}

impl Asked {
    fn of(dice: &mut Dice, n: usize) -> Self {
        let exclude = (dice.roll(2) == 0).then(|| Selector::parse("plan=pro").unwrap());
        let known = (0..n).filter(|_| dice.roll(9) == 0);
        Self {
            exclude,
            known: known.map(|i| TenantId::new(format!("t{i}"))).collect(),
        }
    }
}

/// A canary by name or by coverage, another of the two, and the rest.
fn chosen(dice: &mut Dice) -> Vec<WaveSpec> {
    let mut waves: Vec<WaveSpec> = (0..2)
        .map(|at| {
            let select = if dice.roll(3) == 0 {
                let globs = ["t1?", "t2", "*7"].into_iter().take(1 + dice.roll(3));
                Select::Tenants(globs.map(Glob::new).collect())
            } else {
                let keys = ["host", "plan", "fingerprint"]
                    .into_iter()
                    .take(1 + dice.roll(3));
                let few = |dice: &mut Dice| u32::try_from(dice.roll(9)).unwrap();
                Select::Coverage(Coverage {
                    keys: keys.map(String::from).collect(),
                    min: few(dice),
                    max: match dice.roll(2) {
                        0 => Amount::Count(1 + few(dice)),
                        _ => Amount::Percent(f64::from(few(dice)) * 5.0),
                    },
                })
            };
            WaveSpec::new(format!("w{at}"), select)
        })
        .collect();
    waves.push(WaveSpec::new("rest", Select::Rest));
    waves
}

fn value<'a>(assessed: &'a Assessed, key: &str) -> Option<&'a str> {
    match key {
        "host" => Some(assessed.tenant.place.host.as_str()),
        "fingerprint" => assessed.traits.get(key).map(String::as_str),
        key => assessed.tenant.labels.get(key).map(String::as_str),
    }
}

/// A wave by coverage takes enough and no more: each value that it may cover is covered, unless it is full.
fn covers(
    fleet: &Fleet,
    asked: &Asked,
    plan: &Plan,
    (index, spec): (usize, &WaveSpec),
    left: &[&TenantId],
) {
    let Select::Coverage(coverage) = &spec.select else {
        return;
    };
    let may: Vec<&Assessed> = left
        .iter()
        .map(|tenant| fleet.of(tenant))
        .filter(|a| index > 0 || !asked.exclude.as_ref().is_some_and(|e| e.matches(&a.tenant)))
        .collect();
    let placements = placements(plan);
    let members: Vec<&&Assessed> = may
        .iter()
        .filter(|a| placements[&a.tenant.id] == spec.name)
        .collect();
    let most = usize::try_from(coverage.most(plan.targets.len() as u64)).unwrap();
    let least = usize::try_from(coverage.min).unwrap().min(may.len());
    assert!(
        members.len() <= most && members.len() >= least,
        "{} of {}",
        members.len(),
        may.len()
    );
    let values = |of: &mut dyn Iterator<Item = &Assessed>, key: &str| -> BTreeSet<String> {
        of.filter_map(|a| value(a, key)).map(String::from).collect()
    };
    for key in &coverage.keys {
        let wanted = values(&mut may.iter().copied(), key);
        let got = values(&mut members.iter().map(|a| **a), key);
        assert!(
            got == wanted || members.len() == most,
            "{key}: {got:?} of {wanted:?}"
        );
    }
    let needed: usize = coverage
        .keys
        .iter()
        .map(|key| values(&mut may.iter().copied(), key).len())
        .sum();
    assert!(
        members.len() <= needed.max(least),
        "it took more than it has values"
    );
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
    fn who_is_chosen_by_name_by_coverage_and_who_goes_last(seed: u64, n in 0usize..120) {
        let mut dice = Dice(seed);
        let fleet = fleet(&mut dice, n);
        let (specs, asked) = (chosen(&mut dice), Asked::of(&mut dice, n));
        let (plan, explanation) = fleet.explained(&specs, None, &asked);
        prop_assert_eq!(audit(&plan), Vec::<String>::new());
        prop_assert_eq!(plan.targets.len() as u64, planned_size(&fleet.tenants));
        let placements = placements(&plan);
        for (tenant, wave) in &placements {
            prop_assert_eq!(asked.known.contains(*tenant), *wave == KNOWN_FAILURES);
            let excluded = asked.exclude.as_ref().is_some_and(|e| e.matches(&fleet.of(tenant).tenant));
            prop_assert!(!(excluded && *wave == "w0"), "{} is in the canary", tenant);
        }
        // What a wave could take is what no wave before it took.
        let mut left: Vec<&TenantId> = placements.iter().filter(|(_, w)| **w != KNOWN_FAILURES).map(|(t, _)| *t).collect();
        for (index, spec) in specs.iter().enumerate() {
            covers(&fleet, &asked, &plan, (index, spec), &left);
            if let Select::Tenants(globs) = &spec.select {
                for tenant in &left {
                    let named = globs.iter().any(|g| g.matches(tenant.as_str()));
                    let excluded = index == 0 && asked.exclude.as_ref().is_some_and(|e| e.matches(&fleet.of(tenant).tenant));
                    prop_assert_eq!(named && !excluded, placements[*tenant] == spec.name);
                }
            }
            left.retain(|tenant| placements[*tenant] != spec.name);
        }
        // What the plan says of itself is so.
        let members: BTreeSet<&TenantId> = explanation.members.iter().map(|(t, _)| t).collect();
        let canary: BTreeSet<&TenantId> = placements.iter().filter(|(_, w)| **w == "w0").map(|(t, _)| *t).collect();
        prop_assert_eq!(members, canary);
        for covered in &explanation.coverage {
            let with = |t: &&TenantId| value(fleet.of(t), &covered.key) == Some(covered.value.as_str());
            prop_assert_eq!(covered.tenants, placements.keys().copied().filter(|t| with(t)).count() as u64);
            let by = placements.iter().filter(|(_, w)| **w == covered.wave).map(|(t, _)| *t).find(|t| with(t));
            prop_assert_eq!(covered.covered_by.is_some(), by.is_some());
            prop_assert!(covered.covered_by.as_ref().is_none_or(|t| with(&t) && placements[t] == covered.wave));
        }
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
