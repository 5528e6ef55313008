//! Whole databases as tenants: made, made anew, copied, and one place under two names.

use sanderling_core::{Epoch, Standing};
use sanderling_engine::{FenceRefusal, Limits, StepOutcome};
use sanderling_testkit::{Postgres, unique};

use crate::support::{Fleet, LIMITS, Migration, applied, claim, claim_of, first};

const MAKING: Limits = Limits {
    create_missing: true,
    ..LIMITS
};

#[tokio::test(flavor = "multi_thread")]
async fn a_database_and_its_schema_public_have_one_fence_and_one_ledger() {
    let fleet = Fleet::postgres_databases();
    let whole = fleet.create("t1").await;
    let mut public = whole.clone();
    public.schema = Some("public".into());
    fleet.open(&whole, &claim(5)).await.fence().await.unwrap();
    let outcome = fleet.apply(&public, &claim(4), &first()).await;
    assert!(
        matches!(
            outcome,
            StepOutcome::Fenced(FenceRefusal::Ahead { epoch: Epoch(5) })
        ),
        "{outcome:?}"
    );
    applied(fleet.apply(&public, &claim(6), &first()).await);
    let outcome = fleet.apply(&whole, &claim(5), &first()).await;
    assert!(matches!(outcome, StepOutcome::Fenced(_)), "{outcome:?}");
    assert_eq!(fleet.ledger(&whole).await, fleet.ledger(&public).await);
    let rows = "SELECT count(*) FROM sanderling.fence";
    assert_eq!(fleet.count(&whole, rows).await, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_is_made_once_by_claims_that_race() {
    let fleet = Fleet::postgres_databases();
    let place = fleet.place("new");
    let open = async || fleet.driver().open(&place, &claim(1), &MAKING).await;
    let (a, b, c) = tokio::join!(open(), open(), open());
    for session in [a, b, c] {
        session.unwrap().close().await;
    }
    assert_eq!(
        fleet.hosts.survey(std::slice::from_ref(&place)).await,
        [Standing::Present {
            has_ledger: false,
            rows: Vec::new()
        }]
    );
}

/// What somebody left in `template1`, a fence above all, is not in a tenant's database.
#[tokio::test(flavor = "multi_thread")]
async fn nothing_of_template1_comes_along() {
    let server = Postgres::private();
    let template = server.url_of("template1");
    let left = Fleet::postgres_at(&template, &template);
    let mut place = left.place("public");
    applied(
        left.apply(&place, &claim_of("another-store", 900, "n"), &first())
            .await,
    );
    left.hosts.close().await;
    let fleet = Fleet::postgres_at(server.url(), server.url());
    (place.database, place.schema) = (Some("d1".into()), None);
    let mut session = fleet
        .driver()
        .open(&place, &claim(1), &MAKING)
        .await
        .unwrap();
    applied(session.step(&first().step()).await);
}

/// The process remembers where it has seen a fence; a name that now means another database is asked again.
#[tokio::test(flavor = "multi_thread")]
async fn a_database_that_was_made_anew_gets_a_fence() {
    let fleet = Fleet::postgres_databases();
    let place = fleet.create("t1").await;
    applied(fleet.apply(&place, &claim(1), &first()).await);
    let name = place.database.as_deref().unwrap();
    let anew = [
        format!("DROP DATABASE \"{name}\" WITH (FORCE)"),
        format!("CREATE DATABASE \"{name}\""),
    ];
    for sql in anew {
        Postgres::shared().sql(fleet.url(), &sql);
    }
    let mut session = fleet.open(&place, &claim(2)).await;
    let mut outcome = session.step(&first().step()).await;
    // The kept connection was ended with the database: that is found out by using it, unless it was idle for long.
    if matches!(outcome, StepOutcome::Lost(_)) {
        session = fleet.open(&place, &claim(3)).await;
        outcome = session.step(&first().step()).await;
    }
    applied(outcome);
}

/// A golden database is copied for new tenants. Its ledger is theirs too; its fence is not, whoever held it.
#[tokio::test(flavor = "multi_thread")]
async fn a_copied_fence_is_not_believed() {
    let fleet = Fleet::postgres_databases();
    let golden = fleet.create("golden").await;
    applied(
        fleet
            .apply(&golden, &claim_of("another-store", 900, "n"), &first())
            .await,
    );
    let copy = fleet.place("copy");
    let names = [&golden, &copy].map(|place| place.database.clone().unwrap());
    let sql = format!("CREATE DATABASE \"{}\" TEMPLATE \"{}\"", names[1], names[0]);
    fleet.hosts.close().await;
    let server = Postgres::shared();
    sanderling_testkit::until(
        std::time::Duration::from_secs(30),
        "the golden database to be left alone",
        || server.try_sql(fleet.url(), &sql),
    );
    let two = Migration::new("2", &["INSERT INTO t VALUES (2)"]);
    applied(fleet.apply(&copy, &claim(1), &two).await);
    assert_eq!(fleet.ledger(&copy).await.len(), 2);
    // From then on it is this database's own, and the golden one's is untouched.
    let outcome = fleet.apply(&copy, &claim_of("store-b", 2, "n"), &two).await;
    assert!(matches!(outcome, StepOutcome::Fenced(_)), "{outcome:?}");
    let outcome = fleet.apply(&golden, &claim(901), &two).await;
    assert!(matches!(outcome, StepOutcome::Fenced(_)), "{outcome:?}");
}

/// As after a dump that was restored, or a switch by renaming: the stamp's name or oid is the database's own.
#[tokio::test(flavor = "multi_thread")]
async fn a_fence_that_came_back_is_believed() {
    let fleet = Fleet::postgres_databases();
    let place = fleet.create("t1").await;
    applied(fleet.apply(&place, &claim(5), &first()).await);
    fleet.hosts.close().await;
    let name = place.database.clone().unwrap();
    let other = unique("renamed");
    let restamp = format!("COMMENT ON TABLE sanderling.fence IS 'fence of database 1 {name}'");
    fleet.run(&place, &restamp).await;
    let fresh = fleet.with(|_| ());
    let two = Migration::new("2", &["SELECT 1"]);
    let outcome = fresh.apply(&place, &claim(4), &two).await;
    assert!(matches!(outcome, StepOutcome::Fenced(_)), "{outcome:?}");
    fresh.hosts.close().await;
    let own = format!(
        "DO $$ BEGIN EXECUTE format('COMMENT ON TABLE sanderling.fence IS %L', \
         (SELECT 'fence of database ' || oid || ' {other}' FROM pg_database WHERE datname = current_database())); END $$"
    );
    fresh.run(&place, &own).await;
    let fresh = fresh.with(|_| ());
    let outcome = fresh.apply(&place, &claim(4), &two).await;
    assert!(matches!(outcome, StepOutcome::Fenced(_)), "{outcome:?}");
    applied(fresh.apply(&place, &claim(6), &two).await);
}

/// Renamed, then restored under the new name: oid and name both differ from where the fence was made, and it is no copy.
#[tokio::test(flavor = "multi_thread")]
async fn a_fence_is_believed_through_a_renaming_and_a_restore() {
    let fleet = Fleet::postgres_databases();
    let (old, new, restored) = (
        fleet.create("old").await,
        fleet.place("new"),
        fleet.place("restored"),
    );
    let [o, n, r] = [&old, &new, &restored].map(|place| place.database.clone().unwrap());
    let server = Postgres::shared();
    let sql = |sql: String| {
        let deadline = std::time::Duration::from_secs(30);
        sanderling_testkit::until(deadline, "the database to be left alone", || {
            server.try_sql(fleet.url(), &sql)
        });
    };
    let two = Migration::new("2", &["SELECT 1"]);
    let late = async |place| {
        let fresh = fleet.hosts_anew();
        let mut session = fresh.open(place, &claim(4)).await;
        let outcome = session.step(&two.step()).await;
        session.close().await;
        fresh.hosts.close().await;
        assert!(matches!(outcome, StepOutcome::Fenced(_)), "{outcome:?}");
    };
    applied(fleet.apply(&old, &claim(5), &first()).await);
    fleet.hosts.close().await;
    sql(format!("ALTER DATABASE \"{o}\" RENAME TO \"{n}\""));
    late(&new).await;
    sql(format!("CREATE DATABASE \"{r}\" TEMPLATE \"{n}\""));
    sql(format!("DROP DATABASE \"{n}\" WITH (FORCE)"));
    sql(format!("ALTER DATABASE \"{r}\" RENAME TO \"{n}\""));
    late(&new).await;
    // Of a database that is not there nobody can say that this is a copy.
    let elsewhere = "COMMENT ON TABLE sanderling.fence IS 'fence of database 1 elsewhere'";
    fleet.run(&new, elsewhere).await;
    late(&new).await;
}
