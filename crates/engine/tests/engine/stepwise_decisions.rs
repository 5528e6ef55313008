//! What no catalog shows of a file with `transaction=off`: a person decides.

use sanderling_core::ErrorClass;

use crate::stepwise::{apart, stands, with_table};
use crate::support::{applied, claim, failed};
use sqlx::{Connection, Executor};

#[tokio::test(flavor = "multi_thread")]
async fn what_nobody_can_tell_is_left_to_a_person() {
    let (fleet, place) = with_table().await;
    let migration = apart("2", "ALTER SYSTEM SET application_name = 'x'");
    fleet.run(&place, &format!("INSERT INTO sanderling_migrations VALUES ('2', 'sample', '{}', 'applying', -1, 1, 1, 'r', now(), 0, 'w')", migration.checksum)).await;
    for epoch in [2, 3] {
        let failure = failed(fleet.apply(&place, &claim(epoch), &migration).await);
        assert_eq!(failure.cause.code, "undecided");
        assert!(
            failure
                .message
                .contains("sanderling repair step --tenant acme --version 2"),
            "{}",
            failure.message
        );
    }
    assert_eq!(stands(&fleet).await, "applying -1/1");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_persons_word_decides_and_is_not_taken_where_none_is_asked_for() {
    let (fleet, place) = with_table().await;
    let migration = apart(
        "2",
        "INSERT INTO t VALUES (2);\nALTER SYSTEM RESET work_mem",
    );
    applied(fleet.apply(&place, &claim(2), &migration).await);
    let store = claim(1).store;
    let driver = fleet.driver();
    let decide = async |took_effect| {
        let decided = driver.decide_step(&place, &store, &migration.version, took_effect);
        decided.await.map_err(|error| error.0.cause.code)
    };
    assert_eq!(decide(true).await, Err("decided".to_owned()));
    for (took_effect, epoch, stands_at) in [(true, 3, "applying 2/2"), (false, 5, "applying 1/2")] {
        let announced =
            "UPDATE sanderling_migrations SET state = 'applying', step = -2 WHERE version = '2'";
        fleet.run(&place, announced).await;
        let failure = failed(fleet.apply(&place, &claim(epoch), &migration).await);
        assert_eq!(failure.cause.code, "undecided");
        let decided = decide(took_effect).await.unwrap();
        assert_eq!((decided.statement, decided.statements), (2, 2));
        assert_eq!(stands(&fleet).await, stands_at);
        assert_eq!(decide(took_effect).await, Err("decided".to_owned()));
        applied(fleet.apply(&place, &claim(epoch + 1), &migration).await);
        assert_eq!(stands(&fleet).await, "applied 2/2");
    }
    let other = sanderling_core::StoreId::new("store-b");
    let announced =
        "UPDATE sanderling_migrations SET state = 'applying', step = -2 WHERE version = '2'";
    fleet.run(&place, announced).await;
    let refused = driver
        .decide_step(&place, &other, &migration.version, true)
        .await;
    assert!(
        refused
            .unwrap_err()
            .0
            .message
            .contains("not this control store's")
    );
    assert_eq!(
        fleet
            .count(&place, "SELECT count(*) FROM t WHERE n = 2")
            .await,
        1
    );
}

/// A detach that breaks off after its first commit leaves the partition half detached: nobody sees it through the
/// table, and nobody else may detach it.
#[tokio::test(flavor = "multi_thread")]
async fn a_detach_that_broke_off_is_finished() {
    let (fleet, place) = with_table().await;
    let parts = "CREATE TABLE p (n integer) PARTITION BY LIST (n); CREATE TABLE p1 PARTITION OF p FOR VALUES IN (1); \
         CREATE TABLE p2 PARTITION OF p FOR VALUES IN (2)";
    fleet.run(&place, parts).await;
    let migration = apart("2", "ALTER TABLE p DETACH PARTITION p1 CONCURRENTLY");
    let mut step = migration.step();
    step.lock_timeout_ms = Some(300);
    let mut holder = sqlx::PgConnection::connect(fleet.url()).await.unwrap();
    holder
        .execute("BEGIN; SELECT count(*) FROM t1.p")
        .await
        .unwrap();
    let mut session = fleet.open(&place, &claim(2)).await;
    let failure = failed(session.step(&step).await);
    session.close().await;
    assert_eq!(failure.cause.class, ErrorClass::LockTimeout, "{failure:?}");
    assert!(failure.message.contains("left pending"), "{failure:?}");
    let pending =
        "SELECT count(*) FROM pg_inherits WHERE inhdetachpending AND inhparent = 'p'::regclass";
    assert_eq!(fleet.count(&place, pending).await, 1);
    assert_eq!(stands(&fleet).await, "applying -1/1");
    holder.execute("COMMIT").await.unwrap();
    applied(fleet.apply(&place, &claim(3), &migration).await);
    let parts = "SELECT count(*) FROM pg_inherits WHERE inhparent = 'p'::regclass";
    assert_eq!(fleet.count(&place, parts).await, 1);
    let none = apart("3", "ALTER TABLE p DETACH PARTITION t CONCURRENTLY");
    let failure = failed(fleet.apply(&place, &claim(4), &none).await);
    assert_eq!(failure.cause.code, "42P01");
    assert_eq!(fleet.ledger(&place).await.len(), 2);
}
