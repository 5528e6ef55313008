//! Files with `transaction=off` on PostgreSQL, each mechanism by the name of what fails when it is taken away.

use std::time::Duration;

use sanderling_core::{Epoch, ErrorClass, Place, RowState};
use sanderling_engine::{FenceRefusal, StepOutcome};
use sanderling_sql::Dialect;
use sanderling_testkit::{Fault, Message, Postgres, Proxy, Trap, until_async};
use sqlx::{Connection, Executor, PgConnection};

use crate::support::{Fleet, Migration, applied, claim, claim_of, failed, first};

pub(crate) const SOON: Duration = Duration::from_secs(60);
pub(crate) const INDEX: &str = "CREATE INDEX CONCURRENTLY t_n ON t (n)";
pub(crate) const UNIQUE: &str = "CREATE UNIQUE INDEX CONCURRENTLY t_n ON t (n)";

pub(crate) fn apart(version: &str, body: &str) -> Migration {
    Migration::apart(Dialect::Postgres, version, body)
}

/// A fleet with a tenant `t1` that has a table `t (n)` with one row.
pub(crate) async fn with_table() -> (Fleet, Place) {
    let fleet = Fleet::postgres();
    let place = fleet.create("t1").await;
    applied(fleet.apply(&place, &claim(1), &first()).await);
    (fleet, place)
}

/// The same, reached through a proxy.
pub(crate) async fn behind_a_proxy() -> (Fleet, Place, Proxy) {
    let url = Postgres::shared().create_database();
    let proxy = Proxy::postgres(&url);
    let fleet = Fleet::postgres_at(&url, proxy.url());
    let place = fleet.create("t1").await;
    applied(fleet.apply(&place, &claim(1), &first()).await);
    (fleet, place, proxy)
}

/// Applies the migration as a worker that is killed when its CREATE INDEX has been sent and has not arrived.
pub(crate) async fn dies_with_its_index_on_the_way(
    fleet: &Fleet,
    place: &Place,
    proxy: &Proxy,
    migration: &Migration,
) -> Trap {
    let trap = proxy.trap(
        Message::to_server().containing("CREATE INDEX CONCURRENTLY"),
        Fault::Hold,
    );
    let dying = claim(2);
    let (outcome, ()) = tokio::join!(fleet.apply(place, &dying, migration), async {
        trap.wait_async(SOON).await;
        trap.kill_client();
    });
    assert!(matches!(outcome, StepOutcome::Lost(_)), "{outcome:?}");
    trap
}

/// What the ledger says of version 2: state, step, steps.
pub(crate) async fn stands(fleet: &Fleet) -> String {
    let mut connection = PgConnection::connect(fleet.url()).await.unwrap();
    let sql = "SELECT coalesce((SELECT state || ' ' || step || '/' || steps FROM t1.sanderling_migrations WHERE version = '2'), 'no row')";
    sqlx::query_scalar(sql)
        .fetch_one(&mut connection)
        .await
        .unwrap()
}

/// Whether `t_n` is there and valid.
pub(crate) async fn index(fleet: &Fleet) -> Option<bool> {
    let mut connection = PgConnection::connect(fleet.url()).await.unwrap();
    let sql = "SELECT i.indisvalid AND i.indisready FROM pg_index i WHERE i.indexrelid = to_regclass('t1.t_n')";
    sqlx::query_scalar(sql)
        .fetch_optional(&mut connection)
        .await
        .unwrap()
}

/// What CONCURRENTLY has to wait for.
pub(crate) async fn hold_a_snapshot(fleet: &Fleet) -> PgConnection {
    let mut holder = PgConnection::connect(fleet.url()).await.unwrap();
    holder
        .execute("BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT count(*) FROM t1.t")
        .await
        .unwrap();
    holder
}

/// Waits until a session is at work on a statement that begins so, for at least so long.
pub(crate) async fn at_work(fleet: &Fleet, statement: &str, seconds: f64) -> i64 {
    let sql = format!(
        "SELECT coalesce(max(pid), 0)::bigint FROM pg_stat_activity WHERE datname = current_database() AND state = 'active'
         AND query LIKE '{statement}%' AND now() - query_start >= {seconds} * interval '1 s'"
    );
    until_async(SOON, "a statement at work", async || {
        match fleet.count(&fleet.place("t1"), &sql).await {
            0 => Err(format!("nobody is at {statement}")),
            pid => Ok(pid),
        }
    })
    .await
}

pub(crate) async fn end_session(fleet: &Fleet, pid: i64) {
    let sql = format!("SELECT pg_terminate_backend({pid}::int)");
    fleet.run(&fleet.place("t1"), &sql).await;
}

/// Applies as soon as whoever held the tenant is gone.
pub(crate) async fn taken_over(
    fleet: &Fleet,
    place: &Place,
    epoch: i64,
    migration: &Migration,
) -> StepOutcome {
    until_async(SOON, "the lock of the dead session", async || {
        let claim = claim_of("store-a", epoch, "alive");
        match fleet.apply(place, &claim, migration).await {
            StepOutcome::Busy => Err("busy".to_owned()),
            outcome => Ok(outcome),
        }
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn statements_are_sent_one_by_one_and_an_index_is_built_concurrently() {
    let (fleet, place) = with_table().await;
    let body = "SET maintenance_work_mem = '64MB';\nINSERT INTO t VALUES (2);\nCREATE INDEX CONCURRENTLY t_n ON t (n);\n\
                VACUUM t;\nINSERT INTO t VALUES (3);\nDROP INDEX CONCURRENTLY t_n;\nCREATE UNIQUE INDEX CONCURRENTLY IF NOT EXISTS t_n ON t (n)";
    let row = applied(fleet.apply(&place, &claim(2), &apart("2", body)).await);
    assert_eq!((row.state, row.epoch), (RowState::Applied, Epoch(2)));
    assert_eq!(stands(&fleet).await, "applied 7/7");
    assert_eq!(index(&fleet).await, Some(true));
    assert_eq!(fleet.count(&place, "SELECT count(*) FROM t").await, 3);
    let again = fleet.apply(&place, &claim(3), &apart("2", body)).await;
    assert!(matches!(again, StepOutcome::AlreadyApplied(_)), "{again:?}");
    assert_eq!(fleet.count(&place, "SELECT count(*) FROM t").await, 3);
    // Nothing of the session is left.
    let locks = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND database = (SELECT oid FROM pg_database WHERE datname = current_database())";
    assert_eq!(fleet.count(&place, locks).await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_index_that_broke_off_is_dropped_and_the_next_attempt_begins_clean() {
    let (fleet, place) = with_table().await;
    fleet.run(&place, "INSERT INTO t VALUES (1)").await;
    let failure = failed(fleet.apply(&place, &claim(2), &apart("2", UNIQUE)).await);
    assert_eq!(failure.cause.class, ErrorClass::MigrationSql);
    assert_eq!(
        (failure.cause.code.as_str(), failure.line),
        ("23505", Some(3))
    );
    for said in ["INVALID", "was dropped", "nothing of the file is in effect"] {
        assert!(failure.message.contains(said), "{}", failure.message);
    }
    assert_eq!(index(&fleet).await, None);
    assert_eq!(stands(&fleet).await, "reverted 0/1");
    // Nothing is in effect, so even another text may follow.
    let other = apart("2", INDEX);
    applied(fleet.apply(&place, &claim(3), &other).await);
    assert_eq!(
        (index(&fleet).await, stands(&fleet).await.as_str()),
        (Some(true), "applied 1/1")
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn an_attempt_goes_on_behind_what_is_in_effect_with_the_settings_of_the_file() {
    let (fleet, place) = with_table().await;
    let body = format!(
        "SET work_mem = '77MB';\nINSERT INTO t VALUES (1);\n{UNIQUE};\nCREATE TABLE seen AS SELECT (current_setting('work_mem') = '77MB')::int AS n"
    );
    let migration = apart("2", &body);
    let failure = failed(fleet.apply(&place, &claim(2), &migration).await);
    assert_eq!(failure.cause.statement, Some(3));
    assert!(
        failure.message.contains("2 of 4 statements are in effect"),
        "{}",
        failure.message
    );
    assert_eq!(stands(&fleet).await, "applying 2/4");
    // Half way is half way: another text is refused.
    let other = failed(fleet.apply(&place, &claim(3), &apart("2", UNIQUE)).await);
    assert_eq!(other.cause.code, "checksum");
    fleet
        .run(
            &place,
            "DELETE FROM t WHERE ctid = (SELECT max(ctid) FROM t)",
        )
        .await;
    let row = applied(fleet.apply(&place, &claim(4), &migration).await);
    assert_eq!(row.epoch, Epoch(4));
    assert_eq!(stands(&fleet).await, "applied 4/4");
    assert_eq!(
        fleet.count(&place, "SELECT count(*) FROM t").await,
        1,
        "nothing ran twice"
    );
    assert_eq!(fleet.count(&place, "SELECT n FROM seen").await, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_shared_statement_that_fails_leaves_no_row() {
    let (fleet, place) = with_table().await;
    let failure = failed(
        fleet
            .apply(
                &place,
                &claim(2),
                &apart("2", "INSERT INTO t VALUES (2);\nSELECT\n nope FROM t"),
            )
            .await,
    );
    assert_eq!(
        (failure.cause.statement, failure.line, failure.column),
        (Some(2), Some(5), Some(2))
    );
    assert_eq!(stands(&fleet).await, "applying 1/2");
    let failure = failed(
        fleet
            .apply(&place, &claim(3), &apart("3", "SELECT nope FROM t"))
            .await,
    );
    assert!(
        failure.message.contains("nothing of the file is in effect"),
        "{}",
        failure.message
    );
    assert_eq!(fleet.ledger(&place).await.len(), 2, "versions 1 and 2");
}

/// The session is ended while CREATE INDEX waits: what it leaves is INVALID, and is built again.
#[tokio::test(flavor = "multi_thread")]
async fn an_invalid_index_of_a_dead_session_is_built_again() {
    let (fleet, place) = with_table().await;
    let migration = apart("2", INDEX);
    let mut holder = hold_a_snapshot(&fleet).await;
    let ending = async {
        let pid = at_work(&fleet, "CREATE INDEX CONCURRENTLY", 0.0).await;
        end_session(&fleet, pid).await;
    };
    let dying = claim(2);
    let (outcome, ()) = tokio::join!(fleet.apply(&place, &dying, &migration), ending);
    assert!(matches!(outcome, StepOutcome::Lost(_)), "{outcome:?}");
    assert_eq!(
        (index(&fleet).await, stands(&fleet).await.as_str()),
        (Some(false), "applying -1/1")
    );
    holder.execute("COMMIT").await.unwrap();
    applied(taken_over(&fleet, &place, 3, &migration).await);
    assert_eq!(
        (index(&fleet).await, stands(&fleet).await.as_str()),
        (Some(true), "applied 1/1")
    );
}

/// A worker dies whose CREATE INDEX is still on its way. Nobody may say what became of the tenant before it arrived.
#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_said_while_a_bare_statement_may_still_arrive() {
    let (fleet, place, proxy) = behind_a_proxy().await;
    let migration = apart(
        "2",
        "INSERT INTO t VALUES (2);\nCREATE INDEX CONCURRENTLY t_n ON t (n)",
    );
    let trap = dies_with_its_index_on_the_way(&fleet, &place, &proxy, &migration).await;
    assert_eq!(stands(&fleet).await, "applying -2/2");
    // Its successor: the fence is raised, and yet nothing is certain.
    let alive = claim_of("store-a", 3, "alive");
    let mut session = fleet.open(&place, &alive).await;
    assert_eq!(session.fence().await, Err(FenceRefusal::Busy));
    assert!(matches!(
        session.step(&migration.step()).await,
        StepOutcome::Busy
    ));
    session.close().await;
    trap.release();
    trap.wait_answer_async(SOON).await;
    assert_eq!(index(&fleet).await, Some(true));
    applied(taken_over(&fleet, &place, 3, &migration).await);
    assert_eq!(
        fleet
            .count(&place, "SELECT count(*) FROM t WHERE n = 2")
            .await,
        1
    );
    assert_eq!(stands(&fleet).await, "applied 2/2");
}

/// The answer to CREATE INDEX is lost: the index is there, and is not built twice.
#[tokio::test(flavor = "multi_thread")]
async fn a_valid_index_is_what_a_lost_answer_said() {
    let (fleet, place, proxy) = behind_a_proxy().await;
    let migration = apart(
        "2",
        "CREATE INDEX CONCURRENTLY t_n ON t (n);\nINSERT INTO t VALUES (2)",
    );
    let trap = proxy.trap(
        Message::to_server().containing("CREATE INDEX CONCURRENTLY"),
        Fault::HoldAnswer,
    );
    let dying = claim(2);
    let (outcome, _) = tokio::join!(fleet.apply(&place, &dying, &migration), async {
        trap.wait_answer_async(SOON).await;
        trap.kill_client();
        trap.release();
    });
    assert!(matches!(outcome, StepOutcome::Lost(_)), "{outcome:?}");
    let oid = "SELECT 't1.t_n'::regclass::oid::bigint";
    let built = fleet.count(&place, oid).await;
    applied(taken_over(&fleet, &place, 3, &migration).await);
    assert_eq!(fleet.count(&place, oid).await, built, "the same index");
    assert_eq!(stands(&fleet).await, "applied 2/2");
}

/// The late message of a dead worker that would announce a statement, or run one that shares its transaction.
#[tokio::test(flavor = "multi_thread")]
async fn a_late_guarded_message_changes_nothing() {
    for (body, late) in [
        (INDEX, "applying"),
        ("INSERT INTO t VALUES (2)", "INSERT INTO t VALUES"),
    ] {
        let (fleet, place, proxy) = behind_a_proxy().await;
        let migration = apart("2", body);
        let trap = proxy.trap(
            Message::to_server()
                .containing("DO $")
                .containing("duration_ms")
                .containing(late),
            Fault::Hold,
        );
        let dying = claim(2);
        let (outcome, ()) = tokio::join!(fleet.apply(&place, &dying, &migration), async {
            trap.wait_async(SOON).await;
            trap.kill_client();
        });
        assert!(matches!(outcome, StepOutcome::Lost(_)), "{outcome:?}");
        let mut session = fleet.open(&place, &claim_of("store-a", 3, "alive")).await;
        // The fence is committed; what else the dead session may have sent is known when its lock is gone.
        assert_eq!(session.fence().await, Err(FenceRefusal::Busy));
        session.close().await;
        trap.release();
        let answer = trap.wait_answer_async(SOON).await;
        assert!(answer.contains("SDFNC"), "{answer}");
        // The server learns of its client's end.
        proxy.close();
        assert_eq!(stands(&fleet).await, "no row");
        applied(taken_over(&fleet, &place, 3, &migration).await);
        assert_eq!(
            fleet
                .count(&place, "SELECT count(*) FROM t WHERE n = 2")
                .await,
            i64::from(late != "applying")
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_invalid_index_is_never_taken_for_one_that_exists() {
    let (fleet, place) = with_table().await;
    fleet.run(&place, "INSERT INTO t VALUES (1)").await;
    let mut by_hand = PgConnection::connect(fleet.url()).await.unwrap();
    by_hand
        .execute("CREATE UNIQUE INDEX CONCURRENTLY t_n ON t1.t (n)")
        .await
        .unwrap_err();
    assert_eq!(index(&fleet).await, Some(false));
    let migration = apart("2", "CREATE INDEX CONCURRENTLY IF NOT EXISTS t_n ON t (n)");
    let failure = failed(fleet.apply(&place, &claim(2), &migration).await);
    assert_eq!(failure.cause.code, "invalid_index");
    assert!(
        failure
            .message
            .contains("DROP INDEX CONCURRENTLY \"t1\".\"t_n\""),
        "{}",
        failure.message
    );
    assert_eq!(
        (index(&fleet).await, stands(&fleet).await.as_str()),
        (Some(false), "no row")
    );
    by_hand
        .execute("DROP INDEX CONCURRENTLY t1.t_n")
        .await
        .unwrap();
    applied(fleet.apply(&place, &claim(3), &migration).await);
    assert_eq!(index(&fleet).await, Some(true));
    // What is there before the statement was announced is not taken for its own afterwards.
    let twice = failed(fleet.apply(&place, &claim(4), &apart("3", INDEX)).await);
    assert_eq!(twice.cause.code, "42P07");
    let gone = failed(
        fleet
            .apply(
                &place,
                &claim(4),
                &apart("3", "DROP INDEX CONCURRENTLY nope"),
            )
            .await,
    );
    assert_eq!(gone.cause.code, "42704");
    assert_eq!(fleet.ledger(&place).await.len(), 2);
}

/// One at a time in a database; whoever waits holds no snapshot, and is not failing.
#[tokio::test(flavor = "multi_thread")]
async fn concurrent_builds_of_a_database_queue() {
    let (fleet, one) = with_table().await;
    let two = fleet.create("t2").await;
    applied(fleet.apply(&two, &claim(1), &first()).await);
    let migration = apart("2", INDEX);
    let mut holder = hold_a_snapshot(&fleet).await;
    let (outcome, ()) = tokio::join!(
        async { fleet.apply(&one, &claim(2), &migration).await },
        async {
            // Longer than the limit on other locks: a build that waits holds nobody up.
            at_work(&fleet, "CREATE INDEX CONCURRENTLY", 2.5).await;
            let mut session = fleet.open(&two, &claim(2)).await;
            for _ in 0..2 {
                let queued = session.step(&migration.step()).await;
                assert!(matches!(queued, StepOutcome::Queued), "{queued:?}");
            }
            session.close().await;
            let shared = apart("3", "INSERT INTO t VALUES (3)");
            applied(fleet.apply(&two, &claim(2), &shared).await);
            let busy = fleet.apply(&one, &claim(3), &migration).await;
            assert!(matches!(busy, StepOutcome::Busy), "{busy:?}");
            holder.execute("COMMIT").await.unwrap();
        }
    );
    applied(outcome);
    applied(taken_over(&fleet, &two, 4, &migration).await);
}

/// A statement that no guard protects is not sent where the lock that protects it is gone.
#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_gives_the_lock_up_goes_no_further() {
    let (fleet, place) = with_table().await;
    let body = format!("SELECT pg_advisory_unlock_all();\n{INDEX}");
    let failure = failed(fleet.apply(&place, &claim(2), &apart("2", &body)).await);
    assert_eq!(failure.cause.code, "session");
    assert_eq!(
        (index(&fleet).await, stands(&fleet).await.as_str()),
        (None, "applying 1/2")
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reindex_that_broke_off_leaves_nothing_behind() {
    let (fleet, place) = with_table().await;
    fleet.run(&place, "CREATE INDEX t_n ON t (n)").await;
    let migration = apart("2", "REINDEX INDEX CONCURRENTLY t_n");
    let mut holder = hold_a_snapshot(&fleet).await;
    let ending = async {
        let pid = at_work(&fleet, "REINDEX INDEX CONCURRENTLY", 0.0).await;
        end_session(&fleet, pid).await;
    };
    let dying = claim(2);
    let (outcome, ()) = tokio::join!(fleet.apply(&place, &dying, &migration), ending);
    assert!(matches!(outcome, StepOutcome::Lost(_)), "{outcome:?}");
    let left = "SELECT count(*) FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid WHERE c.relname LIKE 't_n%'";
    assert_eq!(fleet.count(&place, left).await, 2);
    holder.execute("COMMIT").await.unwrap();
    applied(taken_over(&fleet, &place, 3, &migration).await);
    assert_eq!(fleet.count(&place, left).await, 1);
}
