//! What every engine owes to the port.

use sanderling_core::{Epoch, ErrorClass, RowState, Standing, StoreId};
use sanderling_engine::{FenceRefusal, Limits, StepOutcome};

use crate::support::{
    Fleet, LIMITS, Migration, applied, claim, claim_of, failed, first, is_applied,
};

macro_rules! conformance {
    ($($name:ident),* $(,)?) => {
        mod postgres_schemas {
            $(#[tokio::test(flavor = "multi_thread")]
            async fn $name() {
                super::$name(super::Fleet::postgres()).await;
            })*
        }
        mod postgres_databases {
            $(#[tokio::test(flavor = "multi_thread")]
            async fn $name() {
                super::$name(super::Fleet::postgres_databases()).await;
            })*
        }
        mod sqlite_files {
            $(#[tokio::test(flavor = "multi_thread")]
            async fn $name() {
                super::$name(super::Fleet::sqlite()).await;
            })*
        }
    };
}

pub(crate) use conformance;

conformance!(
    a_fresh_place_is_migrated_and_says_so,
    applying_again_runs_nothing,
    a_failing_body_leaves_nothing,
    a_failure_names_its_statement,
    a_body_may_return_rows,
    the_fence_refuses_an_older_epoch,
    the_fence_refuses_an_equal_epoch_of_another_claim,
    the_fence_refuses_another_store,
    after_fence_a_late_message_is_refused,
    a_claim_that_is_settled_holds_the_tenant_no_more,
    two_sessions_have_one_effect,
    another_text_of_an_applied_version_is_refused,
    a_reverted_row_is_applied_again,
    steps_are_all_or_nothing,
    steps_leave_out_what_is_there,
    a_mixed_survey_keeps_its_order,
    catalogs_are_equal_for_equal_histories,
    a_fence_can_be_taken,
    a_missing_place_is_created_only_where_allowed,
    a_body_that_ends_the_transaction_fails,
);

async fn a_fresh_place_is_migrated_and_says_so(fleet: Fleet) {
    let place = fleet.create("t1").await;
    let row = applied(fleet.apply(&place, &claim(7), &first()).await);
    assert_eq!(row.version.as_str(), "1");
    assert_eq!(row.epoch, Epoch(7));
    assert_eq!(row.state, RowState::Applied);
    assert_eq!(row.rollout, Some(claim(7).rollout));
    let at = row.applied_at.expect("a row read by itself has its time").0;
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    let now = i64::try_from(now.unwrap().as_micros()).unwrap();
    assert!((now - at).abs() < 600_000_000, "{at} is not about {now}");
    assert_eq!(fleet.count(&place, "SELECT count(*) FROM t").await, 1);
    assert_eq!(fleet.ledger(&place).await.len(), 1);
}

async fn applying_again_runs_nothing(fleet: Fleet) {
    let place = fleet.create("t1").await;
    let mut migration = first();
    assert!(is_applied(
        &fleet.apply(&place, &claim(1), &migration).await
    ));
    migration.has_ledger = true;
    let again = fleet.apply(&place, &claim(2), &migration).await;
    let StepOutcome::AlreadyApplied(evidence) = again else {
        panic!("{again:?}");
    };
    assert_eq!(evidence.row().epoch, Epoch(1));
    assert_eq!(fleet.count(&place, "SELECT count(*) FROM t").await, 1);
}

async fn a_failing_body_leaves_nothing(fleet: Fleet) {
    let place = fleet.create("t1").await;
    let migration = Migration::new(
        "1",
        &["CREATE TABLE t (n INTEGER)", "SELECT 1 FROM nowhere"],
    );
    let failure = failed(fleet.apply(&place, &claim(1), &migration).await);
    assert_eq!(failure.cause.class, ErrorClass::MigrationSql);
    assert!(fleet.ledger(&place).await.is_empty());
    // The table is not there, so the same text without its fault applies.
    assert!(is_applied(&fleet.apply(&place, &claim(1), &first()).await));
}

async fn a_failure_names_its_statement(fleet: Fleet) {
    let place = fleet.create("t1").await;
    let unique = "INSERT INTO t VALUES (1)";
    let migration = Migration::new(
        "1",
        &[
            "CREATE TABLE t (n INTEGER UNIQUE)",
            unique,
            unique,
            "SELECT 1",
        ],
    );
    let failure = failed(fleet.apply(&place, &claim(1), &migration).await);
    assert_eq!(failure.cause.statement, Some(3));
    assert_eq!(failure.cause.version, Some(migration.version.clone()));
    assert_eq!(failure.file.as_deref(), Some("migrations/sample.sql"));
    assert_eq!(failure.line, Some(30));
    let migration = Migration::new(
        "1",
        &["CREATE TABLE t (n INTEGER)", "SELECT\n  nope FROM t"],
    );
    let failure = failed(fleet.apply(&place, &claim(1), &migration).await);
    assert_eq!(failure.cause.statement, Some(2));
    // PostgreSQL knows the very place; SQLite the statement.
    assert!(
        failure.line == Some(21) || failure.line == Some(20),
        "{failure:?}"
    );
}

async fn a_body_may_return_rows(fleet: Fleet) {
    let place = fleet.create("t1").await;
    let rows = "SELECT '1' AS version, 'x' UNION ALL SELECT '2', 'y'";
    let migration = Migration::new("1", &[rows, "CREATE TABLE t (n INTEGER)", rows]);
    assert!(is_applied(
        &fleet.apply(&place, &claim(1), &migration).await
    ));
}

async fn the_fence_refuses_an_older_epoch(fleet: Fleet) {
    let place = fleet.create("t1").await;
    fleet.open(&place, &claim(5)).await.fence().await.unwrap();
    let outcome = fleet.apply(&place, &claim(4), &first()).await;
    let StepOutcome::Fenced(FenceRefusal::Ahead { epoch }) = outcome else {
        panic!("{outcome:?}");
    };
    assert_eq!(epoch, Epoch(5));
    assert!(fleet.ledger(&place).await.is_empty());
    let refused = fleet
        .open(&place, &claim(4))
        .await
        .fence()
        .await
        .unwrap_err();
    assert_eq!(refused, FenceRefusal::Ahead { epoch: Epoch(5) });
}

async fn the_fence_refuses_an_equal_epoch_of_another_claim(fleet: Fleet) {
    let place = fleet.create("t1").await;
    fleet.open(&place, &claim(5)).await.fence().await.unwrap();
    let twin = claim_of("store-a", 5, "nonce-2");
    let outcome = fleet.apply(&place, &twin, &first()).await;
    assert!(
        matches!(
            outcome,
            StepOutcome::Fenced(FenceRefusal::Ahead { epoch: Epoch(5) })
        ),
        "{outcome:?}"
    );
    assert!(is_applied(&fleet.apply(&place, &claim(5), &first()).await));
}

async fn the_fence_refuses_another_store(fleet: Fleet) {
    let place = fleet.create("t1").await;
    fleet.open(&place, &claim(1)).await.fence().await.unwrap();
    let other = claim_of("store-b", 900, "nonce-1");
    let outcome = fleet.apply(&place, &other, &first()).await;
    let StepOutcome::Fenced(FenceRefusal::OtherStore { store }) = outcome else {
        panic!("{outcome:?}");
    };
    assert_eq!(store, StoreId::new("store-a"));
    assert!(fleet.ledger(&place).await.is_empty());
}

async fn after_fence_a_late_message_is_refused(fleet: Fleet) {
    let place = fleet.create("t1").await;
    let mut late = fleet.open(&place, &claim(1)).await;
    let mut resolver = fleet.open(&place, &claim(2)).await;
    assert!(resolver.fence().await.unwrap().is_empty());
    let outcome = late.step(&first().step()).await;
    assert!(matches!(outcome, StepOutcome::Fenced(_)), "{outcome:?}");
    assert!(
        resolver.fence().await.unwrap().is_empty(),
        "fencing again changes nothing"
    );
    // A session whose last message failed can fence, and then reads what is there.
    let broken = Migration::new("1", &["SELECT 1 FROM nowhere"]);
    failed(resolver.step(&broken.step()).await);
    assert!(resolver.fence().await.unwrap().is_empty());
    applied(resolver.step(&first().step()).await);
    assert_eq!(resolver.fence().await.unwrap().len(), 1);
}

/// Also where nothing was ever applied, and the ledger's absence is the answer.
async fn a_claim_that_is_settled_holds_the_tenant_no_more(fleet: Fleet) {
    let place = fleet.create("t1").await;
    let mut first = fleet.open(&place, &claim(1)).await;
    let mut second = fleet.open(&place, &claim(1)).await;
    for round in 1..=30 {
        let said = [first.fence().await, second.fence().await];
        for said in said {
            assert_eq!(said, Ok(Vec::new()), "round {round}");
        }
    }
}

async fn two_sessions_have_one_effect(fleet: Fleet) {
    let place = fleet.create("t1").await;
    fleet.run(&place, "CREATE TABLE t (n INTEGER)").await;
    for round in 1..=8 {
        let migration = Migration::new(&round.to_string(), &["INSERT INTO t VALUES (1)"]);
        let mut effects = 0;
        let one = async |nonce: &str| {
            let claim = claim_of("store-a", round, nonce);
            let mut session = fleet.open(&place, &claim).await;
            let outcome = session.step(&migration.step()).await;
            session.close().await;
            outcome
        };
        let (a, b) = tokio::join!(one("nonce-a"), one("nonce-b"));
        for outcome in [&a, &b] {
            match outcome {
                StepOutcome::Applied(_) => effects += 1,
                StepOutcome::Busy | StepOutcome::Fenced(_) | StepOutcome::AlreadyApplied(_) => {}
                other => panic!("{other:?}"),
            }
        }
        assert_eq!(effects, 1, "{a:?} {b:?}");
        assert_eq!(fleet.count(&place, "SELECT count(*) FROM t").await, round);
    }
}

async fn another_text_of_an_applied_version_is_refused(fleet: Fleet) {
    let place = fleet.create("t1").await;
    let mut migration = first();
    assert!(is_applied(
        &fleet.apply(&place, &claim(1), &migration).await
    ));
    migration.checksum = sanderling_core::Checksum::new("f".repeat(64));
    let failure = failed(fleet.apply(&place, &claim(2), &migration).await);
    assert_eq!(failure.cause.class, ErrorClass::Precondition);
    assert_eq!(failure.cause.code, "checksum");
    assert_eq!(fleet.count(&place, "SELECT count(*) FROM t").await, 1);
}

async fn a_reverted_row_is_applied_again(fleet: Fleet) {
    let place = fleet.create("t1").await;
    let migration = Migration::new("1", &["CREATE TABLE t (n INTEGER)"]);
    assert!(is_applied(
        &fleet.apply(&place, &claim(1), &migration).await
    ));
    fleet
        .run(
            &place,
            "DROP TABLE t; UPDATE sanderling_migrations SET state = 'reverted', epoch = 2",
        )
        .await;
    // A row that a newer claim reverted is not overwritten by an older one, even if the fence were lost.
    let row = applied(fleet.apply(&place, &claim(3), &migration).await);
    assert_eq!((row.state, row.epoch), (RowState::Applied, Epoch(3)));
    assert_eq!(fleet.count(&place, "SELECT count(*) FROM t").await, 0);
}

async fn steps_are_all_or_nothing(fleet: Fleet) {
    let place = fleet.create("t1").await;
    let bad = Migration::new("2", &["SELECT 1 FROM nowhere"]);
    let good = Migration::new("2", &["INSERT INTO t VALUES (2)"]);
    let one = first();
    let mut session = fleet.open(&place, &claim(1)).await;
    let failure = failed(session.steps(&[one.step(), bad.step()]).await);
    assert_eq!(failure.cause.version, Some(bad.version.clone()));
    assert!(fleet.ledger(&place).await.is_empty());
    let row = applied(session.steps(&[one.step(), good.step()]).await);
    assert_eq!(row.version, good.version);
    session.close().await;
    assert_eq!(fleet.ledger(&place).await.len(), 2);
    assert_eq!(fleet.count(&place, "SELECT count(*) FROM t").await, 2);
}

async fn steps_leave_out_what_is_there(fleet: Fleet) {
    let place = fleet.create("t1").await;
    let (one, two) = (first(), Migration::new("2", &["INSERT INTO t VALUES (2)"]));
    assert!(is_applied(&fleet.apply(&place, &claim(1), &one).await));
    let mut session = fleet.open(&place, &claim(2)).await;
    applied(session.steps(&[one.step(), two.step()]).await);
    let again = session.steps(&[one.step(), two.step()]).await;
    assert!(matches!(again, StepOutcome::AlreadyApplied(_)), "{again:?}");
    session.close().await;
    assert_eq!(fleet.count(&place, "SELECT count(*) FROM t").await, 2);
}

async fn a_mixed_survey_keeps_its_order(fleet: Fleet) {
    let there = fleet.create("there").await;
    let empty = fleet.create("empty").await;
    applied(fleet.apply(&there, &claim(1), &first()).await);
    let mut nowhere = fleet.place("x");
    (nowhere.database, nowhere.schema, nowhere.file) = (None, None, None);
    let mut unknown = fleet.place("y");
    unknown.host = sanderling_core::HostName::new("h9");
    let places = [
        fleet.place("gone"),
        there.clone(),
        nowhere,
        empty,
        unknown,
        there,
    ];
    let standings = fleet.hosts.survey(&places).await;
    let shape: Vec<_> = standings
        .iter()
        .map(|standing| match standing {
            Standing::Missing => "missing".to_owned(),
            Standing::Present { has_ledger, rows } => format!("{has_ledger} {}", rows.len()),
            Standing::Unreachable(failure) => failure.cause.class.to_string(),
        })
        .collect();
    let expected = [
        "missing",
        "true 1",
        "precondition",
        "false 0",
        "precondition",
        "true 1",
    ];
    assert_eq!(shape, expected);
}

async fn catalogs_are_equal_for_equal_histories(fleet: Fleet) {
    let tables = [
        "CREATE TABLE a (id INTEGER PRIMARY KEY, x TEXT DEFAULT 'p' NOT NULL, CHECK (x <> ''))",
        "CREATE TABLE b (id INTEGER REFERENCES a (id))",
        "CREATE UNIQUE INDEX b_id ON b (id)",
    ];
    let mut places = Vec::new();
    for name in ["one", "two", "Three é"] {
        let place = fleet.create(name).await;
        applied(
            fleet
                .apply(&place, &claim(1), &Migration::new("1", &tables))
                .await,
        );
        places.push(place);
    }
    fleet
        .run(&places[1], "INSERT INTO a VALUES (1, 'row')")
        .await;
    let read = async || -> Vec<_> {
        let catalogs = fleet.hosts.catalogs(&places).await;
        catalogs.into_iter().map(Result::unwrap).collect()
    };
    let before = read().await;
    assert_eq!(before[0], before[1]);
    assert_eq!(before[0], before[2]);
    assert!(before[0].lines.len() >= 5, "{:?}", before[0].lines);
    assert!(
        !before[0]
            .lines
            .iter()
            .any(|line| line.contains("sanderling")),
        "{:?}",
        before[0].lines
    );
    fleet
        .run(&places[1], "ALTER TABLE b ADD COLUMN extra TEXT")
        .await;
    let after = read().await;
    assert_eq!(after[0], before[0]);
    assert_ne!(after[1].fingerprint, before[1].fingerprint);
    let missing = fleet.hosts.catalogs(&[fleet.place("gone")]).await.remove(0);
    assert_eq!(missing.unwrap_err().cause.class, ErrorClass::Precondition);
}

async fn a_fence_can_be_taken(fleet: Fleet) {
    let place = fleet.create("t1").await;
    let driver = fleet.driver();
    let (a, b) = (StoreId::new("store-a"), StoreId::new("store-b"));
    assert_eq!(driver.take_fence(&place, &a).await.unwrap(), None);
    fleet.open(&place, &claim(5)).await.fence().await.unwrap();
    assert_eq!(driver.take_fence(&place, &b).await.unwrap(), Some(a));
    let outcome = fleet.apply(&place, &claim(6), &first()).await;
    assert!(
        matches!(
            outcome,
            StepOutcome::Fenced(FenceRefusal::OtherStore { .. })
        ),
        "{outcome:?}"
    );
    // The epoch stays, so the new store has to raise its own past it.
    let behind = claim_of("store-b", 5, "nonce-9");
    let outcome = fleet.apply(&place, &behind, &first()).await;
    assert!(
        matches!(
            outcome,
            StepOutcome::Fenced(FenceRefusal::Ahead { epoch: Epoch(5) })
        ),
        "{outcome:?}"
    );
    applied(
        fleet
            .apply(&place, &claim_of("store-b", 6, "nonce-9"), &first())
            .await,
    );
    assert_eq!(driver.take_fence(&place, &b).await.unwrap(), Some(b));
}

async fn a_missing_place_is_created_only_where_allowed(fleet: Fleet) {
    let place = fleet.place("new");
    let refused = match fleet.driver().open(&place, &claim(1), &LIMITS).await {
        Ok(mut session) => failed(session.step(&first().step()).await),
        Err(error) => error.0,
    };
    assert_eq!(refused.cause.class, ErrorClass::Precondition);
    assert_eq!(
        fleet.hosts.survey(std::slice::from_ref(&place)).await,
        [Standing::Missing]
    );
    let limits = Limits {
        create_missing: true,
        ..LIMITS
    };
    for version in ["1", "2"] {
        let mut session = fleet
            .driver()
            .open(&place, &claim(1), &limits)
            .await
            .unwrap();
        let table = format!("CREATE TABLE t{version} (n INTEGER)");
        applied(
            session
                .step(&Migration::new(version, &[&table]).step())
                .await,
        );
        session.close().await;
    }
}

async fn a_body_that_ends_the_transaction_fails(fleet: Fleet) {
    let place = fleet.create("t1").await;
    fleet.run(&place, "CREATE TABLE t (n INTEGER)").await;
    for body in [
        &["INSERT INTO t VALUES (1)", "ROLLBACK"][..],
        &["INSERT INTO t VALUES (1)", "ROLLBACK", "BEGIN"],
        &["INSERT INTO t VALUES (1)", "ROLLBACK; BEGIN"],
        &["COMMIT"],
        &["COMMIT", "BEGIN"],
    ] {
        let outcome = fleet
            .apply(&place, &claim(1), &Migration::new("1", body))
            .await;
        let failure = failed(outcome);
        assert!(
            failure.message.contains("transaction"),
            "{body:?}: {failure:?}"
        );
        assert!(fleet.ledger(&place).await.is_empty(), "{body:?}");
    }
    assert_eq!(fleet.count(&place, "SELECT count(*) FROM t").await, 0);
    assert!(is_applied(
        &fleet
            .apply(
                &place,
                &claim(1),
                &Migration::new("1", &["INSERT INTO t VALUES (1)"])
            )
            .await
    ));
}
