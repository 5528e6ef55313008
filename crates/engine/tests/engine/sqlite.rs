//! SQLite's mechanisms.

use sanderling_core::{ErrorClass, Standing};
use sanderling_engine::StepOutcome;
use sqlx::{Connection, Executor, SqliteConnection};

use crate::support::{Fleet, Migration, applied, claim, failed, first};

#[tokio::test(flavor = "multi_thread")]
async fn a_survey_of_300_files_leaves_no_trace() {
    let fleet = Fleet::sqlite();
    let template = fleet.create("template").await;
    applied(fleet.apply(&template, &claim(1), &first()).await);
    let mut wal = SqliteConnection::connect_with(
        &sqlx::sqlite::SqliteConnectOptions::new().filename(fleet.file(&template)),
    )
    .await
    .unwrap();
    wal.execute("PRAGMA journal_mode = WAL").await.unwrap();
    wal.close().await.unwrap();
    let mut places = Vec::new();
    for n in 0..300 {
        let place = fleet.place(&format!("t{n}"));
        std::fs::copy(fleet.file(&template), fleet.file(&place)).unwrap();
        places.push(place);
    }
    places.push(fleet.place("gone"));
    let directory = fleet.file(&template).parent().unwrap().to_owned();
    let files = || std::fs::read_dir(&directory).unwrap().count();
    let before = files();
    let standings = fleet.hosts.survey(&places).await;
    assert_eq!(files(), before, "nothing appeared beside the files");
    assert_eq!(standings[300], Standing::Missing);
    let applied_once =
        |s: &Standing| matches!(s, Standing::Present { rows, .. } if rows.len() == 1);
    assert!(standings[..300].iter().all(applied_once));
    fleet.hosts.catalogs(&places).await;
    assert_eq!(files(), before);
}

/// What a writer has in its -wal file is seen, although the file itself does not have it yet.
#[tokio::test(flavor = "multi_thread")]
async fn a_survey_sees_what_a_writer_has_committed() {
    let fleet = Fleet::sqlite();
    let place = fleet.place("new");
    let limits = sanderling_engine::Limits {
        create_missing: true,
        ..crate::support::LIMITS
    };
    let wal = fleet.file(&place).with_extension("db-wal");
    let open = async |epoch| {
        let driver = fleet.driver();
        driver.open(&place, &claim(epoch), &limits).await.unwrap()
    };
    let mut session = open(1).await;
    applied(session.step(&first().step()).await);
    assert_eq!(fleet.ledger(&place).await.len(), 1);
    session.close().await;
    let mut session = open(2).await;
    let second = Migration::new("2", &["CREATE TABLE more (id INTEGER)"]);
    applied(session.step(&second.step()).await);
    assert!(wal.exists(), "a file of ours is in WAL mode");
    assert_eq!(fleet.ledger(&place).await.len(), 2);
    session.close().await;
    assert!(!wal.exists());
    assert_eq!(fleet.ledger(&place).await.len(), 2);
}

/// Nothing of a claim has begun there, so that the worker may report it without a fence that could never be written.
#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_is_no_database_is_refused_when_it_is_opened() {
    let fleet = Fleet::sqlite();
    let place = fleet.create("notes").await;
    std::fs::write(fleet.file(&place), "no database ".repeat(1_000)).unwrap();
    let opened = fleet
        .driver()
        .open(&place, &claim(1), &crate::support::LIMITS)
        .await;
    let Err(refused) = opened else {
        panic!("it was opened");
    };
    assert_eq!(refused.0.cause.code, "26", "{refused:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_locked_file_is_busy() {
    let fleet = Fleet::sqlite();
    let place = fleet.create("t1").await;
    let mut session = fleet.open(&place, &claim(1)).await;
    let mut holder = SqliteConnection::connect_with(
        &sqlx::sqlite::SqliteConnectOptions::new().filename(fleet.file(&place)),
    )
    .await
    .unwrap();
    holder.execute("BEGIN IMMEDIATE").await.unwrap();
    let migration = first();
    let mut short = migration.step();
    short.lock_timeout_ms = Some(20);
    let outcome = session.step(&short).await;
    assert!(matches!(outcome, StepOutcome::Busy), "{outcome:?}");
    holder.execute("ROLLBACK").await.unwrap();
    applied(session.step(&short).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_statement_over_its_limit_is_interrupted() {
    let fleet = Fleet::sqlite();
    let place = fleet.create("t1").await;
    let endless = Migration::new(
        "1",
        &["WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT max(i) FROM n"],
    );
    let mut step = endless.step();
    step.statement_timeout_ms = Some(50);
    let mut session = fleet.open(&place, &claim(1)).await;
    let failure = failed(session.step(&step).await);
    assert_eq!(
        (failure.cause.class, failure.cause.statement),
        (ErrorClass::Timeout, Some(1))
    );
    applied(session.step(&first().step()).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn foreign_keys_hold_and_a_broken_one_leaves_nothing() {
    let fleet = Fleet::sqlite();
    let place = fleet.create("t1").await;
    let migration = Migration::new(
        "1",
        &[
            "CREATE TABLE p (id INTEGER PRIMARY KEY)",
            "CREATE TABLE c (id INTEGER REFERENCES p (id) DEFERRABLE INITIALLY DEFERRED)",
            "INSERT INTO c VALUES (1)",
        ],
    );
    let failure = failed(fleet.apply(&place, &claim(1), &migration).await);
    assert_eq!(failure.cause.class, ErrorClass::MigrationSql);
    assert!(fleet.ledger(&place).await.is_empty());
    assert!(
        fleet
            .hosts
            .catalogs(&[place])
            .await
            .remove(0)
            .unwrap()
            .lines
            .is_empty()
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_check_constraint_is_part_of_the_catalog() {
    let fleet = Fleet::sqlite();
    let mut prints = Vec::new();
    for (name, table) in [
        ("a", "CREATE TABLE t (n INTEGER CHECK (n > 0))"),
        ("b", "CREATE TABLE t (n INTEGER CHECK (n > 1))"),
        ("c", "create table  \"t\" (N integer check(n > 0))"),
    ] {
        let place = fleet.create(name).await;
        fleet.run(&place, table).await;
        let catalog = fleet.hosts.catalogs(&[place]).await.remove(0).unwrap();
        prints.push(
            catalog
                .lines
                .into_iter()
                .find(|line| line.starts_with("[\"text\"")),
        );
    }
    assert_ne!(prints[0], prints[1]);
    assert_eq!(prints[0], prints[2]);
}
