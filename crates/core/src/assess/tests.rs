//! Standings, one by one.

use super::*;
use crate::testing::{bundle, row, version};

fn present(rows: Vec<LedgerRow>) -> Standing {
    Standing::Present {
        has_ledger: true,
        rows,
    }
}

fn look(standing: &Standing) -> Assessment {
    assess(&bundle(4), &version(3), standing, false, false)
}

fn versions(numbers: &[u32]) -> Vec<Version> {
    numbers.iter().map(|n| version(*n)).collect()
}

#[test]
fn what_is_missing_up_to_the_target_is_pending() {
    assert_eq!(
        look(&present(vec![row(1)])),
        Assessment::Pending {
            from: Some(version(1)),
            versions: versions(&[2, 3]),
            has_ledger: true,
            missing: false
        }
    );
    assert_eq!(
        look(&present(vec![row(1), row(2), row(3)])),
        Assessment::UpToDate
    );
}

#[test]
fn a_reverted_row_is_not_applied() {
    let mut undone = row(3);
    undone.state = RowState::Reverted;
    let standing = present(vec![row(1), row(2), undone.clone()]);
    assert!(
        matches!(look(&standing), Assessment::Pending { from, versions: v, .. } if from == Some(version(2)) && v == versions(&[3]))
    );
    undone.version = version(77);
    assert!(matches!(
        look(&present(vec![undone])),
        Assessment::Pending { from: None, .. }
    ));
}

#[test]
fn ahead_is_told_from_ahead_with_a_hole() {
    let over = look(&present(vec![row(1), row(2), row(3), row(4)]));
    assert_eq!(
        over,
        Assessment::Ahead {
            versions: versions(&[4]),
            complete: true
        }
    );
    assert_eq!(over.left_out().unwrap().0, Outcome::Skipped);
    let unknown = look(&present(vec![row(1), row(2), row(3), row(9)]));
    assert_eq!(
        unknown,
        Assessment::Ahead {
            versions: versions(&[9]),
            complete: true
        }
    );
    let hole = look(&present(vec![row(1), row(9)]));
    let (outcome, failure) = hole.left_out().unwrap();
    assert_eq!(outcome, Outcome::Failed);
    let failure = failure.unwrap();
    assert_eq!(failure.cause.to_string(), "precondition/ahead");
    assert!(
        failure
            .message
            .contains("version 9, which the bundle lacks"),
        "{}",
        failure.message
    );
}

#[test]
fn an_edited_file_and_a_late_lower_version_refuse_the_plan() {
    let mut other = row(2);
    other.checksum = Checksum::new("other");
    let edited = look(&present(vec![row(1), other]));
    assert!(matches!(&edited, Assessment::Edited { version: v, .. } if *v == version(2)));
    assert_eq!(edited.left_out(), None);
    let standing = present(vec![row(1), row(3)]);
    assert_eq!(
        look(&standing),
        Assessment::OutOfOrder {
            versions: versions(&[2]),
            newest: version(3)
        }
    );
    assert!(matches!(
        assess(&bundle(4), &version(3), &standing, true, false),
        Assessment::Pending { versions: v, .. } if v == versions(&[2])
    ));
}

#[test]
fn half_done_and_unreadable_tenants_are_left_out() {
    let mut half = row(2);
    half.state = RowState::Applying;
    let (mut down, mut other, mut above) = (half.clone(), half.clone(), row(4));
    down.state = RowState::Reverting;
    other.checksum = crate::ids::Checksum::new("another text");
    above.state = RowState::Applying;
    for rows in [vec![row(1), down], vec![row(1), other], vec![above]] {
        let dirty = look(&present(rows));
        assert_eq!(dirty.left_out().unwrap().0, Outcome::Dirty);
    }
    // What the same text began goes on where it stands, and is not late.
    let goes_on = look(&present(vec![row(1), half, row(3)]));
    assert!(matches!(goes_on, Assessment::Pending { versions: v, .. } if v == versions(&[2])));
    let away = Failure::new(ErrorClass::Connection, "refused", "connection refused");
    assert_eq!(
        look(&Standing::Unreachable(away.clone())).left_out(),
        Some((Outcome::Unreachable, Some(away)))
    );
}

#[test]
fn a_missing_place_is_created_only_where_allowed() {
    let (outcome, failure) = look(&Standing::Missing).left_out().unwrap();
    assert_eq!(outcome, Outcome::Unreachable);
    assert!(failure.unwrap().message.contains("create_missing = true"));
    assert_eq!(
        assess(&bundle(2), &version(2), &Standing::Missing, false, true),
        Assessment::Pending {
            from: None,
            versions: versions(&[1, 2]),
            has_ledger: false,
            missing: true
        }
    );
}

#[test]
fn a_text_that_was_amended_stays_right_where_it_is_in_effect() {
    let mut metas = bundle(3);
    metas[1].accepted = [Checksum::new("before")].into();
    let with = |text: &str, state| {
        let mut second = row(2);
        second.checksum = Checksum::new(text);
        second.state = state;
        assess(
            &metas,
            &version(3),
            &present(vec![row(1), second]),
            false,
            false,
        )
    };
    assert!(matches!(
        with("before", RowState::Applied),
        Assessment::Pending { versions: v, .. } if v == versions(&[3])
    ));
    assert!(matches!(
        with("another", RowState::Applied),
        Assessment::Edited { .. }
    ));
    // Where it stopped says nothing about where the new text would go on.
    assert!(matches!(
        with("before", RowState::Applying),
        Assessment::Dirty { .. }
    ));
}
