//! A sound fleet, and one fault at a time.

use std::collections::BTreeSet;

use super::*;
use crate::Checksum;
use crate::cause::{ErrorClass, Failure};
use crate::inspection::{BrokenIndex, FenceSight, Holder};
use crate::ledger::{LedgerRow, RowState};
use crate::testing::{bundle, place, row, version};

/// Six tenants at version 4 of 5, two at version 3, as a rollout left them.
fn fleet() -> Vec<Facts> {
    (0..8u32)
        .map(|i| {
            let at = if i < 6 { 4 } else { 3 };
            let rows = (1..=at).map(ours).collect();
            Facts {
                tenant: TenantId::new(format!("t{i}")),
                place: place("h"),
                engine: "postgres/16".into(),
                standing: Standing::Present {
                    has_ledger: true,
                    rows,
                },
                fingerprint: Some(format!("f{at}")),
                inspection: Some(Inspection {
                    fence: held("ours", 2),
                    ..Inspection::default()
                }),
                belief: Some(Belief {
                    rollout: RolloutId::new("r1"),
                    place: place("h"),
                    outcome: Outcome::Succeeded,
                    version: version(at),
                    applied: (1..=at).map(version).collect(),
                    epoch: Epoch(2),
                    direction: Direction::Up,
                    earlier: Known {
                        reached: Some(version(at)),
                        ..Known::default()
                    },
                }),
                issued: Epoch(2),
                moving: false,
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

fn held(store: &str, epoch: i64) -> FenceSight {
    FenceSight::Held {
        store: StoreId::new(store),
        epoch: Epoch(epoch),
    }
}

fn inspection(facts: &mut Facts) -> &mut Inspection {
    facts.inspection.as_mut().unwrap()
}

fn holder() -> Holder {
    Holder {
        what: "pid 7 holds its lock".into(),
        remedy: "end it".into(),
    }
}

fn belief(facts: &mut Facts) -> &mut Belief {
    facts.belief.as_mut().unwrap()
}

fn ours_store() -> StoreId {
    StoreId::new("ours")
}

fn look(fleet: &[Facts]) -> Vec<(String, ViolationKind)> {
    check(&bundle(5), &Accepted::new(), Some(&ours_store()), fleet)
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

/// What, which kind, and how it is planted.
type Fault = (&'static str, ViolationKind, fn(&mut Facts));

#[test]
fn each_fault_gives_exactly_one_violation_of_its_kind() {
    use ViolationKind::{Catalog, Checksum as Text, MissingRow, StoreMismatch, UnknownVersion};
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
    assert_each_is_found(&faults);
}

#[test]
fn each_fault_beside_the_ledger_gives_exactly_one_violation_of_its_kind() {
    use ViolationKind::{Fence, InvalidIndex, Lock, MissingRow, StoreMismatch};
    let faults: [Fault; 10] = [
        (
            "a row of an earlier rollout is lost after a failure",
            MissingRow,
            |f| {
                let b = belief(f);
                (b.rollout, b.outcome) = (RolloutId::new("r2"), Outcome::Failed);
                b.applied.clear();
                rows(f).pop();
            },
        ),
        (
            "a row applied on the way to a failure is lost",
            MissingRow,
            |f| {
                let b = belief(f);
                (b.rollout, b.outcome) = (RolloutId::new("r3"), Outcome::Failed);
                b.applied.clear();
                b.earlier.reached = Some(version(3));
                b.earlier.applied = [version(4)].into();
                rows(f).pop();
            },
        ),
        ("the schema is gone after a failure", StoreMismatch, |f| {
            belief(f).outcome = Outcome::Failed;
            belief(f).applied.clear();
            f.standing = Standing::Missing;
            f.fingerprint = None;
        }),
        ("another store's fence", Fence, |f| {
            inspection(f).fence = held("theirs", 2);
        }),
        ("a fence ahead of the store", Fence, |f| {
            inspection(f).fence = held("ours", 3);
        }),
        ("a lowered fence", Fence, |f| {
            inspection(f).fence = held("ours", 1);
        }),
        ("a fence ahead where the store knows nothing", Fence, |f| {
            (f.belief, f.issued) = (None, Epoch(0));
        }),
        ("a lock", Lock, |f| inspection(f).holders.push(holder())),
        ("a lock on an unreadable tenant", Lock, |f| {
            f.standing = Standing::Unreachable(away());
            f.fingerprint = None;
            inspection(f).holders.push(holder());
        }),
        (
            "an invalid index, which the catalog shows too",
            InvalidIndex,
            |f| {
                f.fingerprint = Some("with an invalid index".into());
                inspection(f).broken_indexes.push(BrokenIndex {
                    name: "t2.i".into(),
                    fault: "is not valid".into(),
                    remedy: "rebuild it".into(),
                });
            },
        ),
    ];
    assert_each_is_found(&faults);
}

#[track_caller]
fn assert_each_is_found(faults: &[Fault]) {
    for (what, kind, plant) in faults {
        let mut fleet = fleet();
        plant(&mut fleet[2]);
        assert_eq!(look(&fleet), [("t2".to_owned(), *kind)], "{what}");
    }
}

fn away() -> Failure {
    Failure::new(ErrorClass::Connection, "refused", "connection refused")
}

#[test]
fn what_moves_or_is_away_is_not_judged() {
    let mut fleet = fleet();
    fleet[0].standing = Standing::Unreachable(away());
    fleet[0].fingerprint = None;
    belief(&mut fleet[1]).outcome = Outcome::Pending;
    belief(&mut fleet[1]).applied.clear();
    belief(&mut fleet[1]).earlier.reached = None;
    fleet[1].moving = true;
    fleet[1].fingerprint = Some("read later".into());
    inspection(&mut fleet[1]).holders.push(holder());
    fleet[2].standing = Standing::Missing;
    fleet[2].fingerprint = None;
    fleet[2].belief = None;
    fleet[3].inspection = None;
    assert_eq!(look(&fleet), []);
}

/// What a claim in flight cannot undo is judged all the same.
#[test]
fn a_lost_row_is_found_while_the_tenant_moves() {
    let mut fleet = fleet();
    fleet[2].moving = true;
    rows(&mut fleet[2]).remove(0);
    assert_eq!(look(&fleet), [("t2".to_owned(), ViolationKind::MissingRow)]);
}

/// A lock or a fence says nothing about the catalog, so that is compared all the same.
#[test]
fn a_lock_hides_no_drift() {
    let mut fleet = fleet();
    inspection(&mut fleet[2]).holders.push(holder());
    fleet[2].fingerprint = Some("other".into());
    let kinds = [ViolationKind::Lock, ViolationKind::Catalog];
    assert_eq!(look(&fleet), kinds.map(|kind| ("t2".to_owned(), kind)));
}

#[test]
fn without_a_store_nobody_knows_whose_a_fence_or_a_lock_is() {
    let mut fleet = fleet();
    inspection(&mut fleet[2]).fence = held("theirs", 9);
    inspection(&mut fleet[2]).holders.push(holder());
    for facts in &mut fleet {
        (facts.belief, facts.issued) = (None, Epoch(0));
    }
    assert_eq!(check(&bundle(5), &Accepted::new(), None, &fleet), []);
    let said = notes(None, &fleet);
    assert_eq!(said.len(), 1, "{said:?}");
    assert!(
        said[0].starts_with("tenant t2: pid 7 holds its lock; without"),
        "{said:?}"
    );
}

#[test]
fn a_tenant_that_was_moved_or_copied_is_a_note() {
    let mut fleet = fleet();
    inspection(&mut fleet[0]).fence = FenceSight::Absent;
    // Moved: its old fence stays where it was.
    inspection(&mut fleet[1]).fence = FenceSight::Absent;
    fleet[1].place = place("other");
    for copy in &mut fleet[2..6] {
        copy.belief = None;
        copy.issued = Epoch(0);
        inspection(copy).fence = FenceSight::Absent;
    }
    inspection(&mut fleet[6])
        .unseen
        .push("its fence may not be read".into());
    assert_eq!(look(&fleet), []);
    let said = notes(Some(&ours_store()), &fleet);
    let starts = [
        "4 tenants (t2, t3, t4 and 1 more): the control store never claimed it",
        "tenant t0: it has no fence",
        "tenant t6: its fence may not be read",
    ];
    assert_eq!(said.len(), starts.len(), "{said:?}");
    for start in starts {
        assert!(
            said.iter().any(|note| note.starts_with(start)),
            "{start}: {said:?}"
        );
    }
}

#[test]
fn a_restored_tenant_is_told_from_one_that_lost_a_row() {
    let mut fleet = fleet();
    rows(&mut fleet[0]).pop();
    rows(&mut fleet[1]).remove(1);
    let found = check(&bundle(5), &Accepted::new(), Some(&ours_store()), &fleet);
    assert_eq!(
        found[0].detail,
        "no row for version 4, though the control store has seen it at 4: if it was restored from an older backup, \
         `sanderling up --tenants id=t0` brings it forward again; if only the rows are gone, put them back"
    );
    assert!(
        found[1].detail.starts_with(
            "no row for version 2, though its ledger says it is at 4: a row was deleted"
        )
    );
}

#[test]
fn an_amended_text_is_accepted() {
    let mut fleet = fleet();
    rows(&mut fleet[2])[2].checksum = Checksum::new("amended");
    let accepted = Accepted::from([(version(3), BTreeSet::from([Checksum::new("amended")]))]);
    assert_eq!(
        check(&bundle(5), &accepted, Some(&ours_store()), &fleet),
        []
    );
}

#[test]
fn catalogs_are_compared_within_one_engine_and_version_only() {
    let mut fleet = fleet();
    fleet[0].engine = "sqlite/3".into();
    fleet[0].fingerprint = Some("lite".into());
    assert_eq!(look(&fleet), []);
    fleet[6].fingerprint = Some("drifted".into());
    let found = check(&bundle(5), &Accepted::new(), Some(&ours_store()), &fleet);
    assert_eq!(found.len(), 1, "one of two: {found:?}");
    assert_eq!(
        found[0].detail,
        "its catalog has fingerprint f3, expected drifted, on which 1 of 2 tenants at version 3 agree"
    );
}
