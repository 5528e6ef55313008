//! The documents, field by field.

use serde_json::{Value, json};

use super::*;
use crate::assess::{Assessment, assess};
use crate::event::EventKind;
use crate::ids::{Micros, RolloutId};
use crate::ledger::Standing;
use crate::outcome::Outcome;
use crate::plan::LeftOut;
use crate::rollout::Rollout;
use crate::testing::{bundle, ended, place, plan, row, started, version};
use crate::verify::{Facts, Violation, ViolationKind};

fn value(document: &impl serde::Serialize) -> Value {
    serde_json::to_value(document).unwrap()
}

#[test]
fn the_plan() {
    let mut plan = plan(&[(2, Some(0)), (3, None)]);
    let away = Assessment::Unreachable(crate::testing::broken());
    for (id, assessment) in [("u", Assessment::UpToDate), ("x", away)] {
        let (outcome, failure) = assessment.left_out().unwrap();
        plan.left_out.push(LeftOut {
            tenant: crate::ids::TenantId::new(id),
            place: place("h"),
            outcome,
            failure,
        });
    }
    let hosts = [(crate::HostName::new("h"), 8)].into();
    let context = PlanContext {
        explanation: &crate::planner::Explanation::default(),
        canary_exclude: None,
        hosts: &hosts,
        in_flight: &hosts,
        version_ms: None,
        saw_store: true,
    };
    let limits = |tolerated: Option<u32>| json!({"max_failures": tolerated, "max_failure_percent": null, "max_consecutive": null, "same_cause": null});
    assert_eq!(
        value(&PlanSummary::new(&plan, &context)),
        json!({
            "plan_hash": plan.hash(), "bundle": "b", "target": "1", "direction": "up",
            "tenants": 7, "pending": 5, "up_to_date": 1, "ahead": 0, "held": 0, "dirty": 0, "unreachable": 1,
            "waves": [
                {"name": "wave0", "tenants": 2, "tolerated_failures": 0, "max_in_flight": 2, "halts_on": 1,
                    "others_in_flight": 1, "strict": true, "limits": limits(Some(0)), "gates": []},
                {"name": "wave1", "tenants": 3, "tolerated_failures": null, "max_in_flight": 3, "halts_on": null,
                    "others_in_flight": 2, "strict": false, "limits": limits(None), "gates": []},
            ],
            "paths": [{"from": null, "to": "1", "tenants": 5}],
            "estimate_seconds": null, "concurrency": 8, "limits": limits(None), "canary": null, "canary_exclude": null,
            "coverage": [], "known_failures": 0,
            "hosts": [{"host": "h", "tenants": 5, "connections": 8, "max_in_flight": 3}],
        })
    );
}

#[test]
fn a_halted_rollout() {
    let plan = plan(&[(3, Some(0))]);
    let mut rollout = Rollout::new(&RolloutId::new("r1"), &plan);
    for (at, kind) in [
        (0, EventKind::Submitted { tenants: 3 }),
        (1, EventKind::WaveOpened { wave: 0 }),
        (2, started("a", 0, 1)),
        (3, started("b", 0, 1)),
        (4, ended("a", 0, 1, Outcome::Failed)),
        (5, ended("b", 0, 1, Outcome::Succeeded)),
    ] {
        rollout.record(Micros(at), kind).unwrap();
    }
    let cause = "migration_sql/42703";
    assert_eq!(
        value(&RolloutSummary::new(&rollout, Micros(500_000))),
        json!({
            "rollout": "r1", "state": "halted", "target": "1", "direction": "up", "tenants": 3,
            "succeeded": 1, "up_to_date": 0, "partial": 0, "failed": 1, "dirty": 0, "deferred": 0, "held": 0,
            "skipped": 0, "cancelled": 0, "unreachable": 0, "pending": 1,
            "max_in_flight": 3, "in_flight_at_halt": 1, "started_after_halt": 0,
            "duration_ms": 500, "tenants_per_second": 4.0,
            "halt": {"rule": "max_failures", "wave": "wave0", "cause": cause, "failures": 1, "tolerated": 0, "detail": null},
            "causes": [{
                "cause": cause, "class": "migration_sql", "code": "42703", "message": "column does not exist",
                "version": null, "statement": null, "file": null, "line": null, "tenants": 1, "example": "a",
            }],
            "gates": [], "longest_in_flight": [],
        })
    );
}

#[test]
fn the_longest_in_flight_come_first_and_only_ten_of_them() {
    let mut rollout = Rollout::new(&RolloutId::new("r1"), &plan(&[(30, None)]));
    let happens = |rollout: &mut Rollout, at, kind| rollout.record(Micros(at), kind).unwrap();
    happens(&mut rollout, 0, EventKind::Submitted { tenants: 30 });
    happens(&mut rollout, 1, EventKind::WaveOpened { wave: 0 });
    for n in 0..12_i64 {
        happens(
            &mut rollout,
            1_000 * (20 - n),
            started(&format!("t{n:02}"), 0, 1),
        );
    }
    let summary = RolloutSummary::new(&rollout, Micros(60_000));
    assert_eq!(summary.longest_in_flight.len(), 10);
    assert_eq!(
        value(&summary.longest_in_flight[0]),
        json!({"tenant": "t11", "wave": "wave0", "since": 9_000, "ms": 51})
    );
    assert_eq!(summary.longest_in_flight[9].tenant.as_str(), "t02");
}

#[test]
fn every_outcome_has_its_count() {
    let mut counts = crate::outcome::OutcomeCounts::default();
    for (outcome, n) in Outcome::ALL.into_iter().zip(1..) {
        counts.add(outcome, n);
    }
    let document = value(&OutcomeSummary::from(&counts));
    assert_eq!(document.as_object().unwrap().len(), Outcome::ALL.len());
    for (outcome, n) in Outcome::ALL.into_iter().zip(1u64..) {
        assert_eq!(document[outcome.as_str()], n);
    }
}

#[test]
fn the_status() {
    let present = |n: u32| Standing::Present {
        has_ledger: n > 0,
        rows: (1..=n).map(row).collect(),
    };
    let standings = [
        present(2),
        present(1),
        present(1),
        present(0),
        present(3),
        Standing::Missing,
    ];
    let assessed: Vec<_> = standings
        .iter()
        .map(|s| assess(&bundle(2), &version(2), s, false, false))
        .collect();
    let status = StatusSummary::new(standings.iter().zip(&assessed), None);
    assert_eq!(
        value(&status),
        json!({
            "tenants": 6, "up_to_date": 1, "behind": 3, "ahead": 1, "edited": 0, "dirty": 0, "held": null,
            "unreachable": 1,
            "versions": [
                {"version": null, "tenants": 1}, {"version": "1", "tenants": 2},
                {"version": "2", "tenants": 1}, {"version": "3", "tenants": 1},
            ],
            "rollouts": null,
            "hosts_away": null,
        })
    );
    assert_eq!(StatusSummary::new([], Some(Vec::new())).held, Some(0));
}

#[test]
fn the_verification() {
    let facts = Facts {
        tenant: crate::ids::TenantId::new("t"),
        engine: "e".into(),
        standing: Standing::Unreachable(crate::testing::broken()),
        fingerprint: None,
        place: crate::testing::place("h"),
        inspection: None,
        belief: None,
        issued: crate::ids::Epoch(0),
        moving: false,
    };
    let violation = Violation {
        tenant: facts.tenant.clone(),
        kind: ViolationKind::StoreMismatch,
        detail: "d".into(),
    };
    assert_eq!(
        value(&VerifySummary::new(
            &[facts],
            vec![violation],
            vec!["seen".into()]
        )),
        json!({"tenants": 1, "checked": 0, "violations": [{"tenant": "t", "kind": "store_mismatch", "detail": "d"}], "notes": ["seen"]})
    );
}
