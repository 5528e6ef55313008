//! What no catalog shows of a file with `transaction=off`: a person decides.

use crate::stepwise::{apart, stands, with_table};
use crate::support::{applied, claim, failed};

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
