//! What every engine owes to the way down.

use std::collections::BTreeSet;

use sanderling_core::{Checksum, Epoch, ErrorClass, RowState};
use sanderling_engine::{FenceRefusal, Step, StepOutcome};

use crate::conformance::conformance;
use crate::support::{Fleet, Migration, applied, claim, claim_of, failed, first, is_applied};

conformance!(
    a_version_is_taken_back_and_its_row_stays,
    taking_back_again_runs_nothing,
    a_way_back_that_fails_leaves_everything,
    nothing_is_taken_back_under_a_newer_version,
    newer_is_by_number,
    what_the_ledger_does_not_have_is_not_taken_back,
    another_text_is_not_taken_back,
    a_text_that_was_amended_is_taken_back,
    the_fence_refuses_an_older_way_back,
    a_late_way_back_is_refused,
    a_newer_row_is_not_taken_back,
    a_way_back_that_moves_its_own_row_is_undone,
    several_go_together_or_not_at_all,
    two_sessions_take_back_once,
    one_transaction_goes_one_way,
);

/// Version 2 of the sample: adds a row to the table of version 1.
fn second() -> Migration {
    Migration::new("2", &["INSERT INTO t VALUES (2)"])
}

fn second_back() -> Migration {
    second().back(&[
        "DELETE FROM t WHERE n = 2",
        "CREATE TABLE IF NOT EXISTS runs (n INTEGER)",
        "INSERT INTO runs VALUES (1)",
    ])
}

/// A place at version 2 by claim 1.
async fn at_two(fleet: &Fleet) -> sanderling_core::Place {
    let place = fleet.create("t1").await;
    for migration in [first(), second()] {
        applied(fleet.apply(&place, &claim(1), &migration).await);
    }
    place
}

async fn ts(fleet: &Fleet, place: &sanderling_core::Place) -> i64 {
    fleet.count(place, "SELECT count(*) FROM t").await
}

async fn states(fleet: &Fleet, place: &sanderling_core::Place) -> Vec<(String, RowState, i64)> {
    let rows = fleet.ledger(place).await;
    rows.into_iter()
        .map(|row| (row.version.to_string(), row.state, row.epoch.0))
        .collect()
}

/// Version 2 is as claim 1 left it.
async fn assert_untouched(fleet: &Fleet, place: &sanderling_core::Place) {
    assert_eq!(ts(fleet, place).await, 2);
    let applied = |version: &str| (version.to_owned(), RowState::Applied, 1);
    assert_eq!(states(fleet, place).await, [applied("1"), applied("2")]);
}

async fn a_version_is_taken_back_and_its_row_stays(fleet: Fleet) {
    let place = at_two(&fleet).await;
    let row = applied(fleet.apply(&place, &claim(5), &second_back()).await);
    assert_eq!((row.state, row.epoch), (RowState::Reverted, Epoch(5)));
    assert_eq!(row.rollout, Some(claim(5).rollout));
    assert_eq!(row.checksum, second().checksum);
    assert_eq!(ts(&fleet, &place).await, 1);
    let expected = [("1", RowState::Applied, 1), ("2", RowState::Reverted, 5)];
    let expected = expected.map(|(version, state, epoch)| (version.to_owned(), state, epoch));
    assert_eq!(states(&fleet, &place).await, expected);
    // Up again, by a newer claim, and down again.
    let mut again = second();
    again.has_ledger = true;
    let row = applied(fleet.apply(&place, &claim(6), &again).await);
    assert_eq!((row.state, row.epoch), (RowState::Applied, Epoch(6)));
    assert_eq!(ts(&fleet, &place).await, 2);
    let row = applied(fleet.apply(&place, &claim(7), &second_back()).await);
    assert_eq!((row.state, row.epoch), (RowState::Reverted, Epoch(7)));
    let one_back = first().back(&["DROP TABLE t"]);
    applied(fleet.apply(&place, &claim(7), &one_back).await);
    assert_eq!(fleet.count(&place, "SELECT count(*) FROM runs").await, 2);
}

async fn taking_back_again_runs_nothing(fleet: Fleet) {
    let place = at_two(&fleet).await;
    applied(fleet.apply(&place, &claim(2), &second_back()).await);
    let again = fleet.apply(&place, &claim(3), &second_back()).await;
    let StepOutcome::AlreadyApplied(evidence) = again else {
        panic!("{again:?}");
    };
    assert_eq!(evidence.row().state, RowState::Reverted);
    assert_eq!(evidence.row().epoch, Epoch(2));
    assert_eq!(fleet.count(&place, "SELECT count(*) FROM runs").await, 1);
}

async fn a_way_back_that_fails_leaves_everything(fleet: Fleet) {
    let place = at_two(&fleet).await;
    let bad = second().back(&["DELETE FROM t", "SELECT 1 FROM nowhere"]);
    let failure = failed(fleet.apply(&place, &claim(2), &bad).await);
    assert_eq!(failure.cause.class, ErrorClass::MigrationSql);
    assert_eq!(failure.cause.statement, Some(2));
    assert_eq!(failure.line, Some(20));
    assert_untouched(&fleet, &place).await;
}

async fn nothing_is_taken_back_under_a_newer_version(fleet: Fleet) {
    let place = at_two(&fleet).await;
    let one_back = first().back(&["DELETE FROM t"]);
    let failure = failed(fleet.apply(&place, &claim(2), &one_back).await);
    assert_eq!(failure.cause.class, ErrorClass::Precondition);
    assert_eq!(failure.cause.code, "newer");
    assert!(
        failure.message.contains("version 2, which is newer"),
        "{failure:?}"
    );
    assert_untouched(&fleet, &place).await;
}

async fn newer_is_by_number(fleet: Fleet) {
    let place = fleet.create("t1").await;
    let nine = Migration::new("9", &["SELECT 1"]);
    for migration in [&first(), &nine, &Migration::new("0010", &["SELECT 1"])] {
        applied(fleet.apply(&place, &claim(1), migration).await);
    }
    let back = nine.back(&["DELETE FROM t"]);
    let failure = failed(fleet.apply(&place, &claim(2), &back).await);
    assert_eq!(failure.cause.code, "newer");
    assert_eq!(ts(&fleet, &place).await, 1);
    let ten = Migration::new("0010", &[]).back(&["SELECT 1"]);
    for back in [&ten, &back] {
        applied(fleet.apply(&place, &claim(2), back).await);
    }
    assert_eq!(ts(&fleet, &place).await, 0);
}

async fn what_the_ledger_does_not_have_is_not_taken_back(fleet: Fleet) {
    let place = at_two(&fleet).await;
    let three = Migration::new("3", &[]).back(&["DELETE FROM t"]);
    let failure = failed(fleet.apply(&place, &claim(2), &three).await);
    assert_eq!(failure.cause.code, "not_applied");
    assert_untouched(&fleet, &place).await;
}

async fn another_text_is_not_taken_back(fleet: Fleet) {
    let place = at_two(&fleet).await;
    let mut other = second_back();
    other.checksum = Checksum::new("f".repeat(64));
    let failure = failed(fleet.apply(&place, &claim(2), &other).await);
    assert_eq!(failure.cause.code, "checksum");
    assert_untouched(&fleet, &place).await;
}

/// The tenant has the text before; the row says by which text it was taken back.
async fn a_text_that_was_amended_is_taken_back(fleet: Fleet) {
    let place = at_two(&fleet).await;
    let (amended, before) = (
        Checksum::new("f".repeat(64)),
        BTreeSet::from([second().checksum]),
    );
    let back = second_back();
    let mut session = fleet.open(&place, &claim(2)).await;
    let step = Step {
        checksum: &amended,
        accepted: Some(&before),
        ..back.step()
    };
    let row = applied(session.step(&step).await);
    session.close().await;
    assert_eq!((row.state, row.checksum), (RowState::Reverted, amended));
    assert_eq!(ts(&fleet, &place).await, 1);
}

async fn the_fence_refuses_an_older_way_back(fleet: Fleet) {
    let place = at_two(&fleet).await;
    fleet.open(&place, &claim(5)).await.fence().await.unwrap();
    let outcome = fleet.apply(&place, &claim(4), &second_back()).await;
    let StepOutcome::Fenced(FenceRefusal::Ahead { epoch }) = outcome else {
        panic!("{outcome:?}");
    };
    assert_eq!(epoch, Epoch(5));
    assert_untouched(&fleet, &place).await;
}

/// The message of a worker that died arrives after its claim was resolved.
async fn a_late_way_back_is_refused(fleet: Fleet) {
    let place = at_two(&fleet).await;
    let mut late = fleet.open(&place, &claim(2)).await;
    let mut resolver = fleet.open(&place, &claim(3)).await;
    assert_eq!(resolver.fence().await.unwrap().len(), 2);
    let outcome = late.step(&second_back().step()).await;
    assert!(matches!(outcome, StepOutcome::Fenced(_)), "{outcome:?}");
    assert_untouched(&fleet, &place).await;
    applied(resolver.step(&second_back().step()).await);
}

/// The fence was lost, and the row says that a newer claim wrote it.
async fn a_newer_row_is_not_taken_back(fleet: Fleet) {
    let place = at_two(&fleet).await;
    fleet
        .run(
            &place,
            "UPDATE sanderling_migrations SET epoch = 9 WHERE version = '2'",
        )
        .await;
    let failure = failed(fleet.apply(&place, &claim(4), &second_back()).await);
    assert_eq!(failure.cause.code, "ledger_row");
    assert_eq!(ts(&fleet, &place).await, 2);
    assert_eq!(
        states(&fleet, &place).await[1],
        ("2".to_owned(), RowState::Applied, 9)
    );
}

async fn a_way_back_that_moves_its_own_row_is_undone(fleet: Fleet) {
    let place = at_two(&fleet).await;
    let own = "UPDATE sanderling_migrations SET state = 'reverted' WHERE version = '2'";
    let moves = second().back(&["DELETE FROM t WHERE n = 2", own]);
    let failure = failed(fleet.apply(&place, &claim(2), &moves).await);
    assert_eq!(failure.cause.code, "ledger_row");
    assert_untouched(&fleet, &place).await;
}

async fn several_go_together_or_not_at_all(fleet: Fleet) {
    let place = at_two(&fleet).await;
    let three = Migration::new("3", &["INSERT INTO t VALUES (3)"]);
    applied(fleet.apply(&place, &claim(1), &three).await);
    let three_back = three.back(&["DELETE FROM t WHERE n = 3"]);
    let (two_back, one_back) = (second_back(), first().back(&["DROP TABLE t"]));
    let bad = second().back(&["SELECT 1 FROM nowhere"]);
    let mut session = fleet.open(&place, &claim(2)).await;
    let failure = failed(session.steps(&[three_back.step(), bad.step()]).await);
    assert_eq!(failure.cause.version, Some(second().version));
    assert_eq!(ts(&fleet, &place).await, 3);
    // Not without the newest.
    let failure = failed(session.steps(&[two_back.step(), one_back.step()]).await);
    assert_eq!(failure.cause.code, "newer");
    let row = applied(session.steps(&[three_back.step(), two_back.step()]).await);
    assert_eq!(
        (row.version, row.state),
        (second().version, RowState::Reverted)
    );
    assert_eq!(ts(&fleet, &place).await, 1);
    // What is back already is left out.
    let row = applied(session.steps(&[two_back.step(), one_back.step()]).await);
    assert_eq!(row.version, first().version);
    let again = session.steps(&[two_back.step(), one_back.step()]).await;
    assert!(matches!(again, StepOutcome::AlreadyApplied(_)), "{again:?}");
    session.close().await;
    assert_eq!(fleet.count(&place, "SELECT count(*) FROM runs").await, 1);
}

async fn two_sessions_take_back_once(fleet: Fleet) {
    let place = at_two(&fleet).await;
    for round in 1..=6 {
        let epoch = 10 * round;
        let mut up = second();
        up.has_ledger = true;
        if round > 1 {
            assert!(is_applied(&fleet.apply(&place, &claim(epoch), &up).await));
        }
        let one = async |nonce: &str| {
            let claim = claim_of("store-a", epoch + 1, nonce);
            let mut session = fleet.open(&place, &claim).await;
            let outcome = session.step(&second_back().step()).await;
            session.close().await;
            outcome
        };
        let (a, b) = tokio::join!(one("nonce-a"), one("nonce-b"));
        let mut effects = 0;
        for outcome in [&a, &b] {
            match outcome {
                StepOutcome::Applied(_) => effects += 1,
                StepOutcome::Busy | StepOutcome::Fenced(_) | StepOutcome::AlreadyApplied(_) => {}
                other => panic!("{other:?}"),
            }
        }
        assert_eq!(effects, 1, "{a:?} {b:?}");
        assert_eq!(
            fleet.count(&place, "SELECT count(*) FROM runs").await,
            round
        );
    }
}

async fn one_transaction_goes_one_way(fleet: Fleet) {
    let place = at_two(&fleet).await;
    let three = Migration::new("3", &["SELECT 1"]);
    let mut session = fleet.open(&place, &claim(2)).await;
    let failure = failed(session.steps(&[second_back().step(), three.step()]).await);
    assert_eq!(failure.cause.class, ErrorClass::Internal);
    // Nobody has a way back that goes statement by statement.
    let mut apart = second_back();
    apart.stepwise = true;
    let failure = failed(session.step(&apart.step()).await);
    assert_eq!(failure.cause.class, ErrorClass::Internal);
    session.close().await;
    assert_untouched(&fleet, &place).await;
}
