//! What every engine owes to files with `transaction=off`.

use sanderling_core::{Epoch, RowState};
use sanderling_engine::StepOutcome;

use crate::conformance::conformance;
use crate::support::{Fleet, Migration, applied, claim, failed, first};

conformance!(
    a_stepwise_file_goes_on_behind_what_is_in_effect,
    a_stepwise_file_stands_alone,
);

async fn a_stepwise_file_goes_on_behind_what_is_in_effect(fleet: Fleet) {
    let place = fleet.create("t1").await;
    applied(fleet.apply(&place, &claim(1), &first()).await);
    let body = "INSERT INTO t VALUES (2);\nVACUUM;\nINSERT INTO late VALUES (1);\nVACUUM";
    let migration = Migration::apart(fleet.dialect(), "2", body);
    for epoch in [2, 3] {
        let failure = failed(fleet.apply(&place, &claim(epoch), &migration).await);
        assert_eq!((failure.cause.statement, failure.line), (Some(3), Some(5)));
        assert!(
            failure.message.contains("2 of 4 statements are in effect"),
            "{}",
            failure.message
        );
        let rows = fleet
            .open(&place, &claim(epoch))
            .await
            .fence()
            .await
            .unwrap();
        assert_eq!(rows[1].state, RowState::Applying);
    }
    let late = fleet.apply(&place, &claim(2), &migration).await;
    assert!(matches!(late, StepOutcome::Fenced(_)), "{late:?}");
    fleet.run(&place, "CREATE TABLE late (n INTEGER)").await;
    let row = applied(fleet.apply(&place, &claim(4), &migration).await);
    assert_eq!((row.state, row.epoch), (RowState::Applied, Epoch(4)));
    let again = fleet.apply(&place, &claim(5), &migration).await;
    assert!(matches!(again, StepOutcome::AlreadyApplied(_)), "{again:?}");
    assert_eq!(fleet.count(&place, "SELECT count(*) FROM t").await, 2);
    assert_eq!(fleet.count(&place, "SELECT count(*) FROM late").await, 1);
    // A statement whose end nobody heard: this one may be sent again, and what is behind it has not been.
    let sql = "UPDATE sanderling_migrations SET state = 'applying', step = -2 WHERE version = '2'";
    fleet.run(&place, sql).await;
    applied(fleet.apply(&place, &claim(6), &migration).await);
    assert_eq!(fleet.count(&place, "SELECT count(*) FROM t").await, 2);
    assert_eq!(fleet.count(&place, "SELECT count(*) FROM late").await, 2);
}

async fn a_stepwise_file_stands_alone(fleet: Fleet) {
    let place = fleet.create("t1").await;
    let apart = Migration::apart(fleet.dialect(), "2", "INSERT INTO t VALUES (2)");
    let one = first();
    let mut session = fleet.open(&place, &claim(1)).await;
    let failure = failed(session.steps(&[one.step(), apart.step()]).await);
    assert_eq!(failure.cause.code, "stepwise");
    session.close().await;
    assert!(fleet.ledger(&place).await.is_empty());
}
