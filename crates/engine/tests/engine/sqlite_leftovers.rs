//! What one SQLite migration leaves must not reach rows or versions that it does not name.

use sanderling_core::{ErrorClass, Standing};
use sqlx::{Connection, Executor, SqliteConnection};

use crate::support::{Fleet, Migration, applied, claim, failed};

const FAMILY: &str = "CREATE TABLE p (id INTEGER PRIMARY KEY, name TEXT); \
     CREATE TABLE c (id INTEGER PRIMARY KEY, p INTEGER REFERENCES p (id) ON DELETE CASCADE); \
     INSERT INTO p VALUES (1, 'a'), (2, 'b'); INSERT INTO c VALUES (10, 1), (20, 2), (30, 2)";

/// The procedure that SQLite's own documentation gives for changes that ALTER TABLE cannot make.
const REBUILD: [&str; 4] = [
    "CREATE TABLE p2 (id INTEGER PRIMARY KEY, name TEXT NOT NULL)",
    "INSERT INTO p2 SELECT id, name FROM p",
    "DROP TABLE p",
    "ALTER TABLE p2 RENAME TO p",
];

#[tokio::test(flavor = "multi_thread")]
async fn rebuilding_a_parent_keeps_its_children() {
    let fleet = Fleet::sqlite();
    let place = fleet.create("t1").await;
    fleet.run(&place, FAMILY).await;
    applied(
        fleet
            .apply(&place, &claim(1), &Migration::new("1", &REBUILD))
            .await,
    );
    assert_eq!(fleet.count(&place, "SELECT count(*) FROM c").await, 3);
    let broken = "SELECT count(*) FROM pragma_foreign_key_check";
    assert_eq!(fleet.count(&place, broken).await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broken_foreign_key_fails_the_step_and_names_both_tables() {
    let fleet = Fleet::sqlite();
    let place = fleet.create("t1").await;
    fleet.run(&place, FAMILY).await;
    let orphans = Migration::new("1", &["DELETE FROM p WHERE id = 2"]);
    let failure = failed(fleet.apply(&place, &claim(1), &orphans).await);
    assert_eq!(
        (failure.cause.class, failure.cause.code.as_str()),
        (ErrorClass::MigrationSql, "foreign_key")
    );
    assert!(
        failure.message.contains("2 rows of c point at no row of p"),
        "{failure:?}"
    );
    assert_eq!(failure.cause.version, Some(orphans.version.clone()));
    assert_eq!(fleet.count(&place, "SELECT count(*) FROM p").await, 2);
    // In a transaction of several versions it is the version that broke them.
    let (one, two) = (
        Migration::new(
            "1",
            &["DELETE FROM c WHERE p = 2", "DELETE FROM p WHERE id = 2"],
        ),
        Migration::new("2", &["DELETE FROM p"]),
    );
    let mut session = fleet.open(&place, &claim(1)).await;
    let failure = failed(session.steps(&[one.step(), two.step()]).await);
    assert_eq!(failure.cause.version, Some(two.version.clone()));
    applied(session.step(&one.step()).await);
}

/// What was broken before is not this migration's fault, nor is a reference that SQLite cannot follow.
#[tokio::test(flavor = "multi_thread")]
async fn foreign_keys_that_were_broken_before_do_not_count() {
    let fleet = Fleet::sqlite();
    let place = fleet.create("t1").await;
    let broken = "CREATE TABLE k (x INTEGER); CREATE TABLE m (x INTEGER REFERENCES k (x)); INSERT INTO m VALUES (1); \
         INSERT INTO c VALUES (40, 9)";
    fleet
        .run(
            &place,
            &format!("PRAGMA foreign_keys = OFF; {FAMILY}; {broken}"),
        )
        .await;
    applied(
        fleet
            .apply(&place, &claim(1), &Migration::new("1", &REBUILD))
            .await,
    );
    let more = Migration::new("2", &["INSERT INTO c VALUES (50, 9)"]);
    let failure = failed(fleet.apply(&place, &claim(1), &more).await);
    assert_eq!(failure.cause.code, "foreign_key");
    assert!(failure.message.contains("1 rows of c"), "{failure:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_version_leaves_in_its_connection_does_not_reach_the_next() {
    let fleet = Fleet::sqlite();
    let place = fleet.create("t1").await;
    let other = fleet.create("other").await;
    fleet
        .run(&other, "CREATE TABLE elsewhere (n INTEGER)")
        .await;
    fleet
        .run(
            &place,
            "CREATE TABLE acc (n INTEGER CHECK (n > 0)); CREATE TABLE log (n INTEGER)",
        )
        .await;
    let attach = format!("ATTACH '{}' AS other", fleet.file(&other).display());
    let leaves = Migration::new(
        "1",
        &[
            "CREATE TEMP TABLE acc (n INTEGER)",
            "CREATE TEMP TRIGGER echo AFTER INSERT ON main.log BEGIN DELETE FROM log; END",
            "CREATE TEMP VIEW v AS SELECT 1",
            &attach,
            "PRAGMA ignore_check_constraints = ON",
            "PRAGMA locking_mode = EXCLUSIVE",
        ],
    );
    let mut session = fleet.open(&place, &claim(1)).await;
    applied(session.step(&leaves.step()).await);
    let writes = Migration::new(
        "2",
        &["INSERT INTO acc VALUES (1)", "INSERT INTO log VALUES (1)"],
    );
    applied(session.step(&writes.step()).await);
    for lost in [
        "INSERT INTO elsewhere VALUES (1)",
        "INSERT INTO acc VALUES (0)",
        "SELECT * FROM v",
    ] {
        let failure = failed(session.step(&Migration::new("3", &[lost]).step()).await);
        assert_eq!(failure.cause.class, ErrorClass::MigrationSql, "{lost}");
    }
    assert_eq!(session.fence().await.unwrap().len(), 2);
    session.close().await;
    let both = "SELECT (SELECT count(*) FROM main.acc) + (SELECT count(*) FROM main.log)";
    assert_eq!(fleet.count(&place, both).await, 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn versions_of_one_transaction_do_not_see_what_the_former_left() {
    let fleet = Fleet::sqlite();
    let place = fleet.create("t1").await;
    fleet
        .run(
            &place,
            "CREATE TABLE acc (n INTEGER CHECK (n > 0)); CREATE TABLE log (n INTEGER)",
        )
        .await;
    let leaves = Migration::new(
        "1",
        &[
            "CREATE TEMP TABLE acc (n INTEGER)",
            "CREATE TEMP TABLE \"odd \"\" name\" (n INTEGER PRIMARY KEY AUTOINCREMENT)",
            "CREATE TEMP TRIGGER echo AFTER INSERT ON main.log BEGIN DELETE FROM log; END",
            "CREATE TEMP VIEW v AS SELECT 1",
            "PRAGMA ignore_check_constraints = ON",
        ],
    );
    let writes = Migration::new(
        "2",
        &["INSERT INTO acc VALUES (1)", "INSERT INTO log VALUES (1)"],
    );
    let unchecked = Migration::new("2", &["INSERT INTO acc VALUES (0)"]);
    let mut session = fleet.open(&place, &claim(1)).await;
    failed(session.steps(&[leaves.step(), unchecked.step()]).await);
    applied(session.steps(&[leaves.step(), writes.step()]).await);
    session.close().await;
    let both = "SELECT (SELECT count(*) FROM main.acc) + (SELECT count(*) FROM main.log)";
    assert_eq!(fleet.count(&place, both).await, 2);
    let attaches = Migration::new(
        "3",
        &["ATTACH ':memory:' AS other", "CREATE TABLE other.x (n)"],
    );
    let mut session = fleet.open(&place, &claim(2)).await;
    let next = Migration::new("4", &["SELECT 1"]);
    let failure = failed(session.steps(&[attaches.step(), next.step()]).await);
    assert_eq!(
        (failure.cause.code.as_str(), failure.cause.version),
        ("attached", Some(attaches.version.clone()))
    );
}

/// The journal of a writer that was killed must be rolled back before anything can be read.
#[tokio::test(flavor = "multi_thread")]
async fn a_hot_journal_says_that_a_writer_died() {
    let fleet = Fleet::sqlite();
    let (alive, dead) = (fleet.create("alive").await, fleet.place("dead"));
    let journal = |place| fleet.file(place).with_extension("db-journal");
    let options = sqlx::sqlite::SqliteConnectOptions::new().filename(fleet.file(&alive));
    let mut writer = SqliteConnection::connect_with(&options).await.unwrap();
    writer
        .execute("PRAGMA cache_size = 1; CREATE TABLE t (x); BEGIN IMMEDIATE")
        .await
        .unwrap();
    writer
        .execute(
            "INSERT INTO t WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 500) \
             SELECT randomblob(2000) FROM n",
        )
        .await
        .unwrap();
    std::fs::copy(fleet.file(&alive), fleet.file(&dead)).unwrap();
    std::fs::copy(journal(&alive), journal(&dead)).unwrap();
    writer.execute("ROLLBACK").await.unwrap();
    let Standing::Unreachable(failure) = fleet
        .hosts
        .survey(std::slice::from_ref(&dead))
        .await
        .remove(0)
    else {
        panic!("the half-written file was read");
    };
    assert_eq!(
        (failure.cause.class, failure.cause.code.as_str()),
        (ErrorClass::Precondition, "hot_journal")
    );
    assert!(
        failure.message.contains("a writer died here"),
        "{failure:?}"
    );
    fleet.run(&dead, "SELECT count(*) FROM t").await;
    assert!(matches!(
        fleet.hosts.survey(&[dead]).await.remove(0),
        Standing::Present { .. }
    ));
}
