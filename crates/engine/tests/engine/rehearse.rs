//! Rehearsals: what a migration would make of a place, which is afterwards as it was.

use sanderling_core::{ErrorClass, Failure};
use sanderling_engine::{Catalog, Limits, Step, StepOutcome};
use sanderling_sql::Dialect;
use sanderling_testkit::until_async;

use crate::conformance::conformance;
use crate::support::{Fleet, LIMITS, Migration, claim, first, is_applied};

conformance!(
    a_rehearsal_shows_what_would_be_and_leaves_nothing,
    a_rehearsal_makes_no_fence_and_no_ledger,
    a_rehearsal_that_fails_names_the_statement,
    several_versions_are_rehearsed_as_one,
    a_place_at_work_is_not_rehearsed,
    what_is_in_effect_is_not_rehearsed,
    a_rehearsal_notices_that_its_transaction_ended,
    what_no_transaction_holds_is_not_rehearsed,
);

const SOON: std::time::Duration = std::time::Duration::from_secs(30);

async fn rehearse(
    fleet: &Fleet,
    place: &sanderling_core::Place,
    migrations: &[&Migration],
) -> Result<Option<Catalog>, Failure> {
    let limits = Limits {
        lock_timeout_ms: 50,
        ..LIMITS
    };
    let steps: Vec<Step<'_>> = migrations.iter().map(|m| m.step()).collect();
    let driver = fleet.driver();
    let rehearsed = driver.rehearse(place, &claim(0), &limits, &steps).await;
    rehearsed.map_err(|error| error.0)
}

fn second() -> Migration {
    let mut second = Migration::new(
        "2",
        &[
            "CREATE TABLE u (n INTEGER NOT NULL, w TEXT)",
            "INSERT INTO t VALUES (2)",
            "CREATE INDEX u_by_n ON u (n)",
        ],
    );
    second.has_ledger = true;
    second
}

/// Everything that the port and plain SQL tell of a place.
async fn all_of(fleet: &Fleet, place: &sanderling_core::Place) -> String {
    let places = std::slice::from_ref(place);
    let catalog = fleet.hosts.catalogs(places).await.remove(0).unwrap();
    let inspection = fleet.hosts.inspect(places).await.remove(0).unwrap();
    let rows = fleet.count(place, "SELECT count(*) FROM t").await;
    let ledger = fleet.ledger(place).await;
    format!("{catalog:?} {inspection:?} {rows} {ledger:?}")
}

async fn a_rehearsal_shows_what_would_be_and_leaves_nothing(fleet: Fleet) {
    let (tried, truly) = (fleet.create("t1").await, fleet.create("t2").await);
    for place in [&tried, &truly] {
        assert!(is_applied(&fleet.apply(place, &claim(4), &first()).await));
    }
    let before = all_of(&fleet, &tried).await;
    let shown = rehearse(&fleet, &tried, &[&second()]).await;
    let shown = shown.unwrap().expect("nobody is at work");
    assert_eq!(all_of(&fleet, &tried).await, before);
    assert!(is_applied(&fleet.apply(&truly, &claim(5), &second()).await));
    let would = fleet.hosts.catalogs(std::slice::from_ref(&truly)).await;
    assert_eq!(shown, would[0].clone().unwrap());
    // And the claim that comes next is refused by nothing.
    assert!(is_applied(&fleet.apply(&tried, &claim(5), &second()).await));
}

async fn a_rehearsal_makes_no_fence_and_no_ledger(fleet: Fleet) {
    let place = fleet.create("t1").await;
    let shown = rehearse(&fleet, &place, &[&first()]).await.unwrap();
    assert!(shown.is_some());
    let ours = match fleet.dialect() {
        Dialect::Postgres => {
            "SELECT count(*) FROM pg_class WHERE relname IN ('fence', 'sanderling_migrations', 't')"
        }
        Dialect::Sqlite => "SELECT count(*) FROM sqlite_schema",
    };
    assert_eq!(fleet.count(&place, ours).await, 0);
}

async fn a_rehearsal_that_fails_names_the_statement(fleet: Fleet) {
    let place = fleet.create("t1").await;
    assert!(is_applied(&fleet.apply(&place, &claim(1), &first()).await));
    let before = all_of(&fleet, &place).await;
    let mut wrong = Migration::new("2", &["INSERT INTO t VALUES (2)", "SELECT 1 FROM nowhere"]);
    wrong.has_ledger = true;
    let failure = rehearse(&fleet, &place, &[&wrong]).await.unwrap_err();
    assert_eq!(failure.cause.class, ErrorClass::MigrationSql, "{failure:?}");
    assert_eq!(failure.cause.statement, Some(2));
    assert_eq!(failure.line, Some(20));
    assert_eq!(all_of(&fleet, &place).await, before);
}

async fn several_versions_are_rehearsed_as_one(fleet: Fleet) {
    let (tried, truly) = (fleet.create("t1").await, fleet.create("t2").await);
    let shown = rehearse(&fleet, &tried, &[&first(), &second()]).await;
    let shown = shown.unwrap().expect("nobody is at work");
    for migration in [first(), second()] {
        assert!(is_applied(
            &fleet.apply(&truly, &claim(1), &migration).await
        ));
    }
    let would = fleet.hosts.catalogs(std::slice::from_ref(&truly)).await;
    assert_eq!(shown.fingerprint, would[0].clone().unwrap().fingerprint);
}

async fn a_place_at_work_is_not_rehearsed(fleet: Fleet) {
    let place = fleet.create("t1").await;
    assert!(is_applied(&fleet.apply(&place, &claim(1), &first()).await));
    let slow = match fleet.dialect() {
        Dialect::Postgres => "SELECT pg_sleep(1.5)",
        Dialect::Sqlite => {
            "WITH RECURSIVE c (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c WHERE n < 20000000) SELECT count(*) FROM c"
        }
    };
    let mut slow = Migration::new("2", &["INSERT INTO t VALUES (2)", slow]);
    slow.has_ledger = true;
    let second = claim(2);
    let at_work = async {
        loop {
            // The rehearsal may have been faster.
            match fleet.apply(&place, &second, &slow).await {
                StepOutcome::Busy => tokio::task::yield_now().await,
                outcome => return outcome,
            }
        }
    };
    let turned_away = until_async(SOON, "a rehearsal beside a session", async || {
        let answer = rehearse(&fleet, &place, &[&Migration::new("3", &["SELECT 1"])]).await;
        answer.unwrap().is_none().then_some(())
    });
    let (applied, ()) = tokio::join!(at_work, turned_away);
    assert!(is_applied(&applied), "{applied:?}");
}

async fn what_is_in_effect_is_not_rehearsed(fleet: Fleet) {
    let place = fleet.create("t1").await;
    assert!(is_applied(&fleet.apply(&place, &claim(1), &first()).await));
    let failure = rehearse(&fleet, &place, &[&first()]).await.unwrap_err();
    assert!(failure.message.contains("has the version"), "{failure:?}");
}

/// The parser would not have let it pass.
async fn a_rehearsal_notices_that_its_transaction_ended(fleet: Fleet) {
    let place = fleet.create("t1").await;
    assert!(is_applied(&fleet.apply(&place, &claim(1), &first()).await));
    let ends = Migration::new("2", &["INSERT INTO t VALUES (2)", "ROLLBACK; BEGIN"]);
    let failure = rehearse(&fleet, &place, &[&ends]).await.unwrap_err();
    assert_eq!(failure.cause.code, "transaction_ended", "{failure:?}");
    assert_eq!(fleet.count(&place, "SELECT count(*) FROM t").await, 1);
}

async fn what_no_transaction_holds_is_not_rehearsed(fleet: Fleet) {
    let place = fleet.create("t1").await;
    let apart = Migration::apart(fleet.dialect(), "1", "CREATE TABLE t (n INTEGER);");
    let failure = rehearse(&fleet, &place, &[&apart]).await.unwrap_err();
    assert!(failure.message.contains("transaction=off"), "{failure:?}");
    assert!(rehearse(&fleet, &place, &[]).await.is_err());
}
