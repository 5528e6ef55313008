//! A version that was applied from a text that was amended since.

use sanderling_core::Checksum;
use sanderling_engine::{Step, StepOutcome};

use crate::conformance::conformance;
use crate::support::{Fleet, Migration, applied, claim, failed, first};

conformance!(
    the_text_before_is_right_where_it_is_in_effect,
    a_file_that_stopped_half_way_goes_on_with_its_own_text_only,
);

async fn the_text_before_is_right_where_it_is_in_effect(fleet: Fleet) {
    let place = fleet.create("t1").await;
    let before = first();
    let row = applied(fleet.apply(&place, &claim(1), &before).await);
    let mut after = Migration::new("1", &["CREATE TABLE t (n INTEGER, m INTEGER)"]);
    after.checksum = Checksum::new("after");
    after.has_ledger = true;
    let right = [before.checksum.clone()].into();
    for (accepted, is_right) in [(Some(&right), true), (None, false)] {
        let step = Step {
            accepted,
            ..after.step()
        };
        let mut session = fleet.open(&place, &claim(2)).await;
        let outcome = session.step(&step).await;
        session.close().await;
        match outcome {
            StepOutcome::AlreadyApplied(evidence) if is_right => assert_eq!(*evidence.row(), row),
            StepOutcome::Failed(failure) if !is_right => {
                assert_eq!(failure.cause.code, "checksum");
            }
            other => panic!("{other:?}"),
        }
    }
    let rows = fleet.ledger(&place).await;
    assert_eq!(rows.len(), 1);
    assert_eq!(
        (&rows[0].checksum, rows[0].epoch),
        (&row.checksum, row.epoch)
    );
}

async fn a_file_that_stopped_half_way_goes_on_with_its_own_text_only(fleet: Fleet) {
    let place = fleet.create("t1").await;
    let wrong = "CREATE TABLE t (n INTEGER); SELECT 1 FROM nowhere;";
    let before = Migration::apart(fleet.dialect(), "1", wrong);
    failed(fleet.apply(&place, &claim(1), &before).await);
    let right = wrong.replace("nowhere", "t");
    let mut after = Migration::apart(fleet.dialect(), "1", &right);
    after.has_ledger = true;
    let accepted = [before.checksum.clone()].into();
    let step = Step {
        accepted: Some(&accepted),
        ..after.step()
    };
    let mut session = fleet.open(&place, &claim(2)).await;
    let outcome = session.step(&step).await;
    session.close().await;
    assert_eq!(failed(outcome).cause.code, "checksum");
}
