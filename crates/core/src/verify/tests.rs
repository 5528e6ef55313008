//! A sound fleet, and one fault at a time.

use super::*;
use crate::cause::{ErrorClass, Failure};
use crate::ledger::{LedgerRow, RowState};
use crate::testing::{bundle, row, version};

/// Six tenants at version 4 of 5, two at version 3, as a rollout left them.
fn fleet() -> Vec<Facts> {
    (0..8u32)
        .map(|i| {
            let at = if i < 6 { 4 } else { 3 };
            let rows = (1..=at).map(ours).collect();
            Facts {
                tenant: TenantId::new(format!("t{i}")),
                engine: "postgres/16".into(),
                standing: Standing::Present {
                    has_ledger: true,
                    rows,
                },
                fingerprint: Some(format!("f{at}")),
                belief: Some(Belief {
                    rollout: RolloutId::new("r1"),
                    outcome: Outcome::Succeeded,
                    version: version(at),
                    applied: (1..=at).map(version).collect(),
                    epoch: Epoch(2),
                    in_flight: false,
                }),
            }
        })
        .collect()
}

fn ours(n: u32) -> LedgerRow {
    let mut row = row(n);
    row.rollout = Some(RolloutId::new("r1"));
    row.epoch = Epoch(2);
    row
}

fn rows(facts: &mut Facts) -> &mut Vec<LedgerRow> {
    match &mut facts.standing {
        Standing::Present { rows, .. } => rows,
        _ => panic!("not present"),
    }
}

fn belief(facts: &mut Facts) -> &mut Belief {
    facts.belief.as_mut().unwrap()
}

fn look(fleet: &[Facts]) -> Vec<(String, ViolationKind)> {
    check(&bundle(5), &Accepted::new(), fleet)
        .into_iter()
        .map(|v| (v.tenant.to_string(), v.kind))
        .collect()
}

#[test]
fn a_sound_fleet_has_no_violation() {
    assert_eq!(look(&fleet()), []);
    let mut storeless = fleet();
    for facts in &mut storeless {
        facts.belief = None;
    }
    assert_eq!(look(&storeless), []);
}

#[test]
fn each_fault_gives_exactly_one_violation_of_its_kind() {
    use ViolationKind::{Catalog, Checksum as Text, MissingRow, StoreMismatch, UnknownVersion};
    type Fault = (&'static str, ViolationKind, fn(&mut Facts));
    let faults: [Fault; 17] = [
        ("a middle row is lost", MissingRow, |f| {
            rows(f).remove(1);
        }),
        ("the newest row is lost", MissingRow, |f| {
            rows(f).pop();
        }),
        ("a row is lost that no store knows", MissingRow, |f| {
            f.belief = None;
            rows(f).remove(0);
        }),
        ("all rows are lost", MissingRow, |f| rows(f).clear()),
        ("a foreign version", UnknownVersion, |f| {
            rows(f).push(row(99))
        }),
        ("a foreign version below", UnknownVersion, |f| {
            rows(f).insert(0, ours(0));
        }),
        ("another text", Text, |f| {
            rows(f)[2].checksum = Checksum::new("edited");
        }),
        ("another catalog", Catalog, |f| {
            f.fingerprint = Some("other".into());
        }),
        ("the store says failed", StoreMismatch, |f| {
            belief(f).outcome = Outcome::Failed;
            belief(f).applied.clear();
        }),
        ("the store says pending", StoreMismatch, |f| {
            belief(f).outcome = Outcome::Pending;
            belief(f).applied.pop();
        }),
        (
            "the store says nothing was to be done",
            StoreMismatch,
            |f| {
                belief(f).outcome = Outcome::UpToDate;
                belief(f).applied.clear();
            },
        ),
        ("a claim that was never granted", StoreMismatch, |f| {
            rows(f)[3].epoch = Epoch(9);
        }),
        ("an undone version", StoreMismatch, |f| {
            rows(f)[3].state = RowState::Reverted;
        }),
        ("a half done version", StoreMismatch, |f| {
            rows(f)[3].state = RowState::Applying;
        }),
        ("the schema is gone", StoreMismatch, |f| {
            f.standing = Standing::Missing;
            f.fingerprint = None;
        }),
        ("a version beyond the report", StoreMismatch, |f| {
            rows(f).push(ours(5));
        }),
        ("a row was lost before the failure", MissingRow, |f| {
            belief(f).outcome = Outcome::Failed;
            rows(f).pop();
        }),
    ];
    for (what, kind, plant) in faults {
        let mut fleet = fleet();
        plant(&mut fleet[2]);
        assert_eq!(look(&fleet), [("t2".to_owned(), kind)], "{what}");
    }
}

#[test]
fn what_is_in_flight_or_away_is_not_judged() {
    let mut fleet = fleet();
    let away = Failure::new(ErrorClass::Connection, "refused", "connection refused");
    fleet[0].standing = Standing::Unreachable(away);
    fleet[0].fingerprint = None;
    belief(&mut fleet[1]).outcome = Outcome::Pending;
    belief(&mut fleet[1]).applied.clear();
    belief(&mut fleet[1]).in_flight = true;
    fleet[2].standing = Standing::Missing;
    fleet[2].fingerprint = None;
    fleet[2].belief = None;
    assert_eq!(look(&fleet), []);
}

#[test]
fn an_amended_text_is_accepted() {
    let mut fleet = fleet();
    rows(&mut fleet[2])[2].checksum = Checksum::new("amended");
    let accepted = Accepted::from([(version(3), BTreeSet::from([Checksum::new("amended")]))]);
    assert_eq!(check(&bundle(5), &accepted, &fleet), []);
}

#[test]
fn catalogs_are_compared_within_one_engine_and_version_only() {
    let mut fleet = fleet();
    fleet[0].engine = "sqlite/3".into();
    fleet[0].fingerprint = Some("lite".into());
    assert_eq!(look(&fleet), []);
    fleet[6].fingerprint = Some("drifted".into());
    let found = check(&bundle(5), &Accepted::new(), &fleet);
    assert_eq!(found.len(), 1, "one of two: {found:?}");
    assert_eq!(
        found[0].detail,
        "its catalog has fingerprint f3, expected drifted, on which 1 of 2 tenants at version 3 agree"
    );
}
