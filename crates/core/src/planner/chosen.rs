//! Who is in the canary: by name, by coverage, never whom `canary_exclude` names; and who goes last.

use super::tests::Fleet;
use super::*;
use crate::selector::Glob;
use crate::waves::{Amount, Coverage, parse};

fn names(plan: &Plan, wave: &str) -> BTreeSet<String> {
    plan.targets
        .iter()
        .filter(|t| plan.waves[t.wave].name == wave)
        .map(|t| t.tenant.to_string())
        .collect()
}

fn ids(ids: &[&str]) -> BTreeSet<String> {
    ids.iter().map(|id| (*id).to_owned()).collect()
}

fn canary(select: Select) -> Vec<WaveSpec> {
    vec![
        WaveSpec::new("canary", select),
        WaveSpec::new("rest", Select::Rest),
    ]
}

/// `n` tenants; the first `pro` of them have the plan `pro`, the others `free`.
fn labelled(n: usize, pro: usize) -> Fleet {
    let mut fleet = Fleet::of(n);
    for (index, tenant) in fleet.tenants.iter_mut().enumerate() {
        let plan = if index < pro { "pro" } else { "free" };
        tenant.tenant.labels.insert("plan".into(), plan.into());
    }
    fleet
}

#[test]
fn a_wave_by_name_takes_exactly_whom_it_names() {
    let fleet = Fleet::of(30);
    let globs = ["t3", "t2?"].map(Glob::new).to_vec();
    let specs = canary(Select::Tenants(globs));
    let (plan, explanation) = explained(&fleet.input(&specs, None)).unwrap();
    assert_eq!(names(&plan, "canary").len(), 11);
    assert!(names(&plan, "canary").contains("t3") && !names(&plan, "canary").contains("t2"));
    assert_eq!(plan.waves[0].limits.max_failures, Some(0));
    let why: BTreeSet<_> = explanation
        .members
        .into_iter()
        .map(|(_, why)| why)
        .collect();
    assert_eq!(why, ids(&["named", "named by `t2?`"]));
}

#[test]
fn coverage_takes_one_of_each_value_and_fills_up_to_the_least() {
    let mut fleet = labelled(400, 7);
    for tenant in &mut fleet.tenants[..200] {
        tenant.traits.insert("engine".into(), "sqlite".into());
    }
    for tenant in &mut fleet.tenants[200..] {
        tenant.traits.insert("engine".into(), "postgres".into());
    }
    let coverage = |min, max| {
        canary(Select::Coverage(Coverage {
            keys: vec!["engine".into(), "plan".into()],
            min,
            max,
        }))
    };
    // One of the seven has two values at once; whoever has the fourth comes second.
    let specs = coverage(0, Amount::Percent(2.0));
    let (plan, explanation) = explained(&fleet.input(&specs, None)).unwrap();
    assert_eq!(names(&plan, "canary").len(), 2);
    assert!(explanation.coverage.iter().all(|c| c.covered_by.is_some()));
    assert_eq!(explanation.coverage.len(), 4);
    assert!(
        explanation
            .members
            .iter()
            .all(|(_, why)| why.starts_with("covers "))
    );
    let specs = coverage(5, Amount::Percent(2.0));
    let (plan, explanation) = explained(&fleet.input(&specs, None)).unwrap();
    assert_eq!(names(&plan, "canary").len(), 5);
    let fill = "first in order, to make it 5";
    let filled = explanation.members.iter().filter(|(_, why)| why == fill);
    assert_eq!(filled.count(), 3);
    // `max` leaves a value uncovered, and that is said.
    let specs = coverage(0, Amount::Count(1));
    let (plan, explanation) = explained(&fleet.input(&specs, None)).unwrap();
    assert_eq!(names(&plan, "canary").len(), 1);
    let open = explanation
        .coverage
        .iter()
        .filter(|c| c.covered_by.is_none());
    assert_eq!(open.count(), 2);
}

#[test]
fn the_greedy_choice_is_that_of_asking_everybody_each_time() {
    let mut fleet = Fleet::of(60);
    for (index, tenant) in fleet.tenants.iter_mut().enumerate() {
        for (key, values) in [("a", 7), ("b", 5), ("c", 11)] {
            if index % 4 != 0 {
                let value = (index * index + values) % values;
                tenant.tenant.labels.insert(key.into(), value.to_string());
            }
        }
    }
    let keys: Vec<String> = ["a", "b", "c"].map(String::from).into();
    let specs = canary(Select::Coverage(Coverage {
        keys: keys.clone(),
        min: 0,
        max: Amount::Count(60),
    }));
    let plan = fleet.plan(&specs);
    let order: Vec<&Tenant> = fleet
        .plan(&parse("rest").unwrap())
        .targets
        .iter()
        .map(|t| {
            &fleet
                .tenants
                .iter()
                .find(|a| a.tenant.id == t.tenant)
                .unwrap()
                .tenant
        })
        .collect();
    let pairs = |tenant: &Tenant| -> BTreeSet<(String, String)> {
        let value = |key: &String| Some((key.clone(), tenant.labels.get(key)?.clone()));
        keys.iter().filter_map(value).collect()
    };
    let mut open: BTreeSet<(String, String)> = order.iter().flat_map(|t| pairs(t)).collect();
    let mut expected = BTreeSet::new();
    while !open.is_empty() {
        let adds = |t: &Tenant| pairs(t).intersection(&open).count();
        let most = order.iter().map(|t| adds(t)).max().unwrap();
        let best = order.iter().find(|t| adds(t) == most).unwrap();
        expected.insert(best.id.to_string());
        for pair in pairs(best) {
            open.remove(&pair);
        }
    }
    assert_eq!(names(&plan, "canary"), expected);
}

#[test]
fn whom_canary_exclude_names_is_never_in_the_canary() {
    let fleet = labelled(20, 8);
    let exclude = Selector::parse("plan=pro").unwrap();
    let pro: BTreeSet<String> = (0..8).map(|n| format!("t{n}")).collect();
    let globs = ["t1", "t15"].map(Glob::new).to_vec();
    for select in [
        Select::Count(15),
        Select::Percent(90.0),
        Select::Labels(Selector::parse("id=t*").unwrap()),
        Select::Tenants(globs),
        Select::Coverage(Coverage {
            keys: vec!["plan".into()],
            min: 14,
            max: Amount::Percent(100.0),
        }),
    ] {
        let specs = canary(select);
        let input = PlanInput {
            canary_exclude: Some(&exclude),
            ..fleet.input(&specs, None)
        };
        let (plan, explanation) = explained(&input).unwrap();
        let canary = names(&plan, "canary");
        assert!(!canary.is_empty() && canary.is_disjoint(&pro), "{specs:?}");
        assert_eq!(plan.targets.len(), 20);
        assert_eq!(explanation.excluded, 8);
        for covered in explanation.coverage {
            assert_eq!(covered.covered_by.is_none(), covered.value == "pro");
        }
    }
    // A wave that is everybody is no canary.
    let specs = parse("rest").unwrap();
    let input = PlanInput {
        canary_exclude: Some(&exclude),
        ..fleet.input(&specs, None)
    };
    let (plan, explanation) = explained(&input).unwrap();
    assert_eq!((plan.waves.len(), explanation.excluded), (1, 0));
}

#[test]
fn who_failed_before_goes_last_under_limits_of_its_own() {
    let fleet = Fleet::of(30);
    let known: BTreeSet<TenantId> = ["t4", "t9", "gone"].map(TenantId::new).into();
    let halt = HaltSpec {
        max_failures: Some(1),
        ..HaltSpec::default()
    };
    let specs = parse("5,rest").unwrap();
    let input = PlanInput {
        known_failures: Some(KnownFailures {
            tenants: &known,
            halt: &halt,
        }),
        ..fleet.input(&specs, None)
    };
    let (plan, explanation) = explained(&input).unwrap();
    assert_eq!(names(&plan, KNOWN_FAILURES), ids(&["t4", "t9"]));
    let last = plan.waves.last().unwrap();
    assert_eq!(
        (last.name.as_str(), last.limits.max_failures),
        (KNOWN_FAILURES, Some(1))
    );
    assert_eq!((plan.waves.len(), explanation.known_failures), (3, 2));
    assert_eq!(plan::audit(&plan), Vec::<String>::new());
    // A revision leaves them there, known or not.
    let again = plan_of(&fleet, &specs, &plan);
    assert_eq!(names(&again, KNOWN_FAILURES), ids(&["t4", "t9"]));
}

fn plan_of(fleet: &Fleet, specs: &[WaveSpec], previous: &Plan) -> Plan {
    plan(&fleet.input(specs, Some(previous))).unwrap()
}

#[test]
fn a_revision_does_not_top_up_a_wave_by_coverage() {
    let fleet = labelled(20, 3);
    let specs = canary(Select::Coverage(Coverage {
        keys: vec!["plan".into()],
        ..Coverage::default()
    }));
    let first = fleet.plan(&specs);
    let grown = labelled(40, 3);
    let second = plan_of(&grown, &specs, &first);
    assert_eq!(names(&first, "canary"), names(&second, "canary"));
}
