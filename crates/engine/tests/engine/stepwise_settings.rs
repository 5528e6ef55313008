//! What files with `transaction=off` set in their session.

use sanderling_core::ErrorClass;

use crate::stepwise::{INDEX, UNIQUE, apart, hold_a_snapshot, stands, with_table};
use crate::support::{applied, claim, failed};

/// A setting is gone with its session: a file that fails behind it has left nothing, and another text may follow.
#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_only_began_with_settings_has_not_begun() {
    let (fleet, place) = with_table().await;
    fleet.run(&place, "INSERT INTO t VALUES (1)").await;
    let set = "SET work_mem = '77MB';\nRESET work_mem";
    let rows = [
        (format!("{set};\n{UNIQUE}"), "23505", "reverted 0/3"),
        (
            format!("{set};\nSELECT nope FROM t"),
            "42703",
            "reverted 0/3",
        ),
        (
            "SET work_mem = '77MB';\nSET work_mem = 'much'".to_owned(),
            "22023",
            "reverted 0/3",
        ),
    ];
    for (epoch, (body, code, at)) in (2..).zip(rows) {
        let failure = failed(fleet.apply(&place, &claim(epoch), &apart("2", &body)).await);
        assert_eq!(failure.cause.code, code, "{failure:?}");
        assert!(
            failure.message.contains("nothing of the file is in effect"),
            "{failure:?}"
        );
        assert_eq!(stands(&fleet).await, at);
    }
    let seen = "CREATE TABLE seen AS SELECT (current_setting('work_mem') = '77MB')::int AS n";
    let body = format!("SET work_mem = '77MB';\n{seen};\nSET work_mem = '78MB'");
    applied(fleet.apply(&place, &claim(6), &apart("2", &body)).await);
    assert_eq!(stands(&fleet).await, "applied 3/3");
    assert_eq!(fleet.count(&place, "SELECT n FROM seen").await, 1);
}

/// A limit that the file sets stays, also where it is the very one that is raised when the file says nothing.
#[tokio::test(flavor = "multi_thread")]
async fn the_files_own_limit_on_waiting_is_left_alone() {
    let (fleet, place) = with_table().await;
    let holder = hold_a_snapshot(&fleet).await;
    let body = format!("SET lock_timeout = '2s';\n{INDEX}");
    let failure = failed(fleet.apply(&place, &claim(2), &apart("2", &body)).await);
    assert_eq!(failure.cause.class, ErrorClass::LockTimeout, "{failure:?}");
    drop(holder);
}
