//! PostgreSQL's mechanisms, each by the name of what fails when it is taken away.

use std::time::{Duration, Instant};

use sanderling_core::{Epoch, ErrorClass};
use sanderling_engine::{FenceRefusal, StepOutcome};
use sanderling_testkit::{Fault, Message, Postgres, Proxy, until_async};
use sqlx::{Connection, Executor, PgConnection};

use crate::support::{Fleet, Migration, applied, claim, claim_of, failed, first};

/// A fleet behind a counting proxy.
fn counted() -> (Fleet, Proxy) {
    let url = Postgres::shared().create_database();
    let proxy = Proxy::postgres(&url);
    (Fleet::postgres_at(&url, proxy.url()), proxy)
}

/// A fleet whose sessions follow one another on one connection.
async fn same_connection() -> (Fleet, Proxy) {
    let (fleet, proxy) = counted();
    let place = fleet.create("warm").await;
    applied(fleet.apply(&place, &claim(1), &first()).await);
    (fleet, proxy)
}

#[tokio::test(flavor = "multi_thread")]
async fn one_message_per_version() {
    let (fleet, proxy) = same_connection().await;
    let mut places = Vec::new();
    for n in 0..20 {
        places.push(fleet.create(&format!("t{n}")).await);
    }
    proxy.queries();
    for place in &places {
        applied(fleet.apply(place, &claim(1), &first()).await);
    }
    assert_eq!(proxy.queries(), places.len(), "one message per tenant");
    let mut session = fleet.open(&places[0], &claim(2)).await;
    for version in ["2", "3"] {
        applied(
            session
                .step(&Migration::new(version, &["SELECT 1"]).step())
                .await,
        );
    }
    assert_eq!(proxy.queries(), 2, "one message per version");
    let (four, five) = (
        Migration::new("4", &["SELECT 1"]),
        Migration::new("5", &["SELECT 1"]),
    );
    applied(session.steps(&[four.step(), five.step()]).await);
    session.close().await;
    assert_eq!(
        proxy.queries(),
        1,
        "one message for versions that move together"
    );
    assert_eq!((proxy.others(), proxy.connections()), (0, 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn state_reset_between_tenants() {
    let (fleet, proxy) = same_connection().await;
    let (a, b) = (fleet.create("a").await, fleet.create("b").await);
    fleet.run(&b, "CREATE TABLE accounts (id integer)").await;
    let leaves = Migration::new(
        "1",
        &[
            "CREATE TEMP TABLE accounts (id integer)",
            "SET work_mem = '77MB'",
            "PREPARE kept AS SELECT 1",
            "CREATE SEQUENCE numbers",
            "SELECT nextval('numbers')",
            // Spelled so that no look at the text knows of them.
            "DO $$ BEGIN EXECUTE 'DECLARE held CURSOR WITH HO' || 'LD FOR SELECT 1'; END $$",
            "DO $$ BEGIN EXECUTE 'SELECT pg_advi' || 'sory_lock(4711)'; END $$",
            "DO $$ BEGIN EXECUTE 'LIS' || 'TEN news'; END $$",
            "CREATE ROLE state_reset_role",
            "GRANT ALL ON SCHEMA a TO state_reset_role",
            "SET ROLE state_reset_role",
        ],
    );
    applied(fleet.apply(&a, &claim(1), &leaves).await);
    let finds = Migration::new(
        "1",
        &[
            "ALTER TABLE accounts ADD COLUMN name text",
            "CREATE TABLE found AS SELECT
                (SELECT count(*) FROM pg_prepared_statements) AS prepared,
                (SELECT count(*) FROM pg_cursors) AS cursors,
                (SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND objid = 4711) AS locks,
                (current_setting('work_mem') = '77MB')::int AS settings,
                (current_user <> session_user)::int AS role",
            "DO $$ BEGIN PERFORM lastval(); UPDATE found SET prepared = 99; EXCEPTION WHEN object_not_in_prerequisite_state THEN NULL; END $$",
        ],
    );
    applied(fleet.apply(&b, &claim(1), &finds).await);
    assert_eq!(proxy.connections(), 1, "the same connection served both");
    let left = "SELECT (prepared + cursors + locks + settings + role)::bigint FROM found";
    assert_eq!(fleet.count(&b, left).await, 0);
    // UNLISTEN takes effect when the transaction that resets commits.
    let channels = "CREATE TABLE channels AS SELECT count(*) AS n FROM pg_listening_channels()";
    applied(
        fleet
            .apply(&b, &claim(1), &Migration::new("2", &[channels]))
            .await,
    );
    assert_eq!(fleet.count(&b, "SELECT n FROM channels").await, 0);
    let column = "SELECT count(*) FROM information_schema.columns WHERE table_schema = 'b' AND table_name = 'accounts' AND column_name = 'name'";
    assert_eq!(
        fleet.count(&b, column).await,
        1,
        "the tenant's own table was changed"
    );
    fleet
        .run(
            &a,
            "DROP OWNED BY state_reset_role; DROP ROLE state_reset_role",
        )
        .await;
}

/// A backend's caches grow with every tenant it has seen; only its end gives them back.
#[tokio::test(flavor = "multi_thread")]
async fn a_connection_serves_so_many_tenants_and_no_more() {
    let (mut fleet, proxy) = counted();
    fleet.hosts = fleet.hosts.recycling_after(3);
    let place = fleet.create("t1").await;
    fleet.run(&place, "CREATE TABLE served (pid integer)").await;
    for version in 1..=7 {
        let note = Migration::new(
            &version.to_string(),
            &["INSERT INTO served VALUES (pg_backend_pid())"],
        );
        applied(fleet.apply(&place, &claim(1), &note).await);
    }
    let pids = "SELECT count(DISTINCT pid) FROM served";
    assert_eq!(fleet.count(&place, pids).await, 3);
    assert_eq!(proxy.connections(), 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_that_reads_text_otherwise_is_put_right() {
    let (fleet, proxy) = same_connection().await;
    let names = [
        "SET standard_conforming_strings = off",
        "SET client_encoding = 'LATIN1'",
        "SET SESSION CHARACTERISTICS AS TRANSACTION ISOLATION LEVEL SERIALIZABLE",
        "SET SESSION CHARACTERISTICS AS TRANSACTION READ ONLY",
    ];
    for (n, setting) in names.iter().enumerate() {
        let before = fleet.create(&format!("before{n}")).await;
        applied(
            fleet
                .apply(&before, &claim(1), &Migration::new("1", &[setting]))
                .await,
        );
        // This schema's name would end its literal early under the other reading of backslashes.
        let after = fleet.create(&format!("after\\{n}'é")).await;
        applied(fleet.apply(&after, &claim(1), &first()).await);
    }
    // The same left behind by a migration that fails after a hidden COMMIT.
    let hidden = Migration::new(
        "9",
        &[
            "SET standard_conforming_strings = off",
            "COMMIT",
            "SELECT 1/0",
        ],
    );
    let place = fleet.place("warm");
    failed(fleet.apply(&place, &claim(1), &hidden).await);
    applied(
        fleet
            .apply(&place, &claim(1), &Migration::new("2", &["SELECT 1"]))
            .await,
    );
    assert_eq!(proxy.connections(), 1, "it was cleaned, not closed");
}

#[tokio::test(flavor = "multi_thread")]
async fn transaction_id_check() {
    let (fleet, _proxy) = same_connection().await;
    let place = fleet.create("t1").await;
    applied(fleet.apply(&place, &claim(1), &first()).await);
    for hidden in [
        "ROLLBACK",
        "ROLLBACK; BEGIN",
        "COMMIT",
        "COMMIT AND CHAIN",
        "ROLLBACK AND CHAIN",
    ] {
        let body = ["INSERT INTO t VALUES (2)", hidden, "SELECT 1"];
        let mut migration = Migration::new("2", &body);
        migration.has_ledger = true;
        let failure = failed(fleet.apply(&place, &claim(1), &migration).await);
        assert_eq!(failure.cause.code, "transaction_ended", "{hidden}");
        assert_eq!(fleet.ledger(&place).await.len(), 1, "{hidden}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn missing_schema_never_writes_pg_temp() {
    let (fleet, proxy) = same_connection().await;
    let gone = fleet.place("gone");
    let failure = failed(fleet.apply(&gone, &claim(1), &first()).await);
    assert_eq!(failure.cause.class, ErrorClass::Precondition);
    // The guard says so before anything of the migration, or the ledger, is looked for.
    assert_eq!(failure.cause.code, "missing");
    assert!(failure.message.contains("gone"), "{failure:?}");
    let place = fleet.place("warm");
    let temporary =
        "CREATE TABLE seen AS SELECT count(*) AS n FROM pg_class WHERE relpersistence = 't'";
    applied(
        fleet
            .apply(&place, &claim(1), &Migration::new("2", &[temporary]))
            .await,
    );
    assert_eq!(fleet.count(&place, "SELECT n FROM seen").await, 0);
    assert_eq!(proxy.connections(), 1);
}

/// The message of a worker that died waits for a lock in front of its guard's fence; meanwhile the claim is resolved.
#[tokio::test(flavor = "multi_thread")]
async fn fence_refuses_late_message() {
    let fleet = Fleet::postgres();
    let place = fleet.create("t1").await;
    applied(fleet.apply(&place, &claim(1), &first()).await);
    // Somebody holds the fence's row, so the late message stops just there.
    let mut holder = PgConnection::connect(fleet.url()).await.unwrap();
    holder
        .execute("BEGIN; SELECT 1 FROM sanderling.fence FOR UPDATE")
        .await
        .unwrap();
    let mut late = fleet.open(&place, &claim_of("store-a", 2, "dead")).await;
    let message = tokio::spawn(async move {
        let mut migration = Migration::new("2", &["INSERT INTO t VALUES (2)"]);
        migration.has_ledger = true;
        late.step(&migration.step()).await
    });
    wait_for_a_waiter(&fleet, 1).await;
    // Its successor fences with a newer epoch, in front of the late message's wake-up.
    holder
        .execute("UPDATE sanderling.fence SET epoch = 3, claim = 'alive'; COMMIT")
        .await
        .unwrap();
    let outcome = message.await.unwrap();
    assert!(
        matches!(
            outcome,
            StepOutcome::Fenced(FenceRefusal::Ahead { epoch: Epoch(3) })
        ),
        "{outcome:?}"
    );
    let mut resolver = fleet.open(&place, &claim_of("store-a", 3, "alive")).await;
    assert_eq!(resolver.fence().await.unwrap().len(), 1);
    assert_eq!(fleet.count(&place, "SELECT count(*) FROM t").await, 1);
}

/// While a message holds the tenant, fencing waits for it and then sees what it did.
#[tokio::test(flavor = "multi_thread")]
async fn fence_waits_for_a_message_that_runs() {
    let fleet = Fleet::postgres();
    let place = fleet.create("t1").await;
    applied(fleet.apply(&place, &claim(1), &first()).await);
    let mut holder = PgConnection::connect(fleet.url()).await.unwrap();
    holder
        .execute("BEGIN; LOCK TABLE t1.t IN ACCESS EXCLUSIVE MODE")
        .await
        .unwrap();
    let mut running = fleet.open(&place, &claim(2)).await;
    let message = tokio::spawn(async move {
        running
            .step(&Migration::new("2", &["INSERT INTO t VALUES (2)"]).step())
            .await
    });
    wait_for_a_waiter(&fleet, 1).await;
    let busy = fleet
        .apply(
            &place,
            &claim_of("store-a", 3, "n"),
            &Migration::new("2", &["SELECT 1"]),
        )
        .await;
    assert!(matches!(busy, StepOutcome::Busy), "{busy:?}");
    let mut resolver = fleet.open(&place, &claim_of("store-a", 3, "n")).await;
    let resolved = tokio::spawn(async move { resolver.fence().await });
    wait_for_a_waiter(&fleet, 2).await;
    holder.execute("COMMIT").await.unwrap();
    applied(message.await.unwrap());
    assert_eq!(resolved.await.unwrap().unwrap().len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_connection_is_lost_and_its_claim_cannot_fence() {
    let fleet = Fleet::postgres();
    let place = fleet.create("t1").await;
    let mut session = fleet.open(&place, &claim(1)).await;
    let killing = Migration::new(
        "1",
        &[
            "CREATE TABLE t (n integer)",
            "SELECT pg_terminate_backend(pg_backend_pid())",
        ],
    );
    let outcome = session.step(&killing.step()).await;
    let StepOutcome::Lost(failure) = outcome else {
        panic!("{outcome:?}");
    };
    assert_eq!(failure.cause.class, ErrorClass::Connection);
    assert!(matches!(
        session.fence().await,
        Err(FenceRefusal::Unavailable(_))
    ));
    assert!(matches!(
        session.step(&first().step()).await,
        StepOutcome::Lost(_)
    ));
    session.close().await;
    let mut next = fleet.open(&place, &claim(2)).await;
    assert!(next.fence().await.unwrap().is_empty());
    // The dying session gives the tenant's lock back a moment after its transaction ended.
    let migration = first();
    let step = migration.step();
    until_async(
        Duration::from_secs(10),
        "the lock of the dead session",
        async || match fleet.open(&place, &claim(2)).await.step(&step).await {
            StepOutcome::Busy => Err("busy".to_owned()),
            outcome => Ok(applied(outcome)),
        },
    )
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dropped_step_gives_no_connection_back() {
    let fleet = Fleet::postgres();
    let place = fleet.create("t1").await;
    let mut session = fleet.open(&place, &claim(1)).await;
    let slow = Migration::new("1", &["SELECT pg_sleep(1)", "CREATE TABLE t (n integer)"]);
    let slow = slow.step();
    let cut = tokio::time::timeout(Duration::from_millis(100), session.step(&slow)).await;
    assert!(cut.is_err());
    assert!(matches!(
        session.step(&first().step()).await,
        StepOutcome::Lost(_)
    ));
    session.close().await;
    // Fencing waits for the message or refuses it; either way the ledger then tells what happened.
    let rows = until_async(
        Duration::from_secs(20),
        "the abandoned message's end",
        async || {
            fleet
                .open(&place, &claim(2))
                .await
                .fence()
                .await
                .map_err(|refusal| format!("{refusal:?}"))
        },
    )
    .await;
    let outcome = until_async(Duration::from_secs(20), "its lock", async || {
        match fleet.open(&place, &claim(2)).await.step(&slow).await {
            StepOutcome::Busy => Err("busy".to_owned()),
            outcome => Ok(outcome),
        }
    })
    .await;
    match rows.len() {
        0 => drop(applied(outcome)),
        _ => assert!(
            matches!(outcome, StepOutcome::AlreadyApplied(_)),
            "{outcome:?}"
        ),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn limits_of_a_step_are_its_own() {
    let (fleet, proxy) = same_connection().await;
    let place = fleet.place("warm");
    let mut holder = PgConnection::connect(fleet.url()).await.unwrap();
    holder
        .execute("BEGIN; LOCK TABLE warm.t IN ACCESS EXCLUSIVE MODE")
        .await
        .unwrap();
    let insert = Migration::new("2", &["INSERT INTO t VALUES (2)"]);
    let mut short = insert.step();
    short.lock_timeout_ms = Some(20);
    let mut session = fleet.open(&place, &claim(1)).await;
    let failure = failed(session.step(&short).await);
    assert_eq!(failure.cause.class, ErrorClass::LockTimeout);
    assert_eq!(failure.cause.statement, Some(1));
    holder.execute("COMMIT").await.unwrap();
    let sleep = Migration::new("2", &["SELECT pg_sleep(20)"]);
    let mut short = sleep.step();
    short.statement_timeout_ms = Some(20);
    assert_eq!(
        failed(session.step(&short).await).cause.class,
        ErrorClass::Timeout
    );
    let shown = "CREATE TABLE shown AS SELECT current_setting('lock_timeout') = '2s' AND current_setting('statement_timeout') = '30s' AS ok";
    applied(session.step(&Migration::new("2", &[shown]).step()).await);
    session.close().await;
    assert_eq!(fleet.count(&place, "SELECT ok::int FROM shown").await, 1);
    assert_eq!(
        proxy.connections(),
        1,
        "an error of the database keeps the connection"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn an_error_at_commit_rolls_everything_back() {
    let fleet = Fleet::postgres();
    let place = fleet.create("t1").await;
    let migration = Migration::new(
        "1",
        &[
            "CREATE TABLE p (id integer PRIMARY KEY)",
            "CREATE TABLE c (id integer REFERENCES p DEFERRABLE INITIALLY DEFERRED)",
            "INSERT INTO c VALUES (1)",
        ],
    );
    let failure = failed(fleet.apply(&place, &claim(1), &migration).await);
    assert_eq!(
        (failure.cause.code.as_str(), failure.cause.statement),
        ("23503", None)
    );
    assert!(failure.message.starts_with("at COMMIT"));
    assert!(fleet.ledger(&place).await.is_empty());
}

async fn wait_for_a_waiter(fleet: &Fleet, waiters: i64) {
    let place = fleet.place("public");
    let sql = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'";
    until_async(
        Duration::from_secs(10),
        "a session that waits for a lock",
        async || {
            let seen = fleet.count(&place, sql).await;
            if seen == waiters {
                Ok(())
            } else {
                Err(format!("{seen} waiting"))
            }
        },
    )
    .await;
}

/// An error comes before the server lets go of the transaction's locks, and the word that it is ready after that: the
/// ledger that is not there, while the tenant's lock is held.
#[tokio::test(flavor = "multi_thread")]
async fn an_error_is_over_when_the_server_is_ready() {
    const LATE: Duration = Duration::from_secs(1);
    let (fleet, proxy) = same_connection().await;
    let place = fleet.create("t1").await;
    let mut session = fleet.open(&place, &claim(1)).await;
    // The first is that of the fence itself.
    let ready = Message::to_client().containing(b"Z\0\0\0\x05").nth(2);
    let trap = proxy.trap(ready, Fault::Delay(LATE));
    let begun = Instant::now();
    assert_eq!(session.fence().await, Ok(Vec::new()));
    assert!(begun.elapsed() >= LATE, "it was over before");
    trap.release();
}
