//! Tenants and migrations that lay traps for the statements around a migration.

use sanderling_core::ErrorClass;
use sanderling_engine::StepOutcome;
use sanderling_testkit::{Postgres, unique};

use crate::support::{Fleet, Migration, applied, claim, failed, first};

/// Notes at COMMIT, after everything that we sent before it, how the commit will be flushed.
const NOTES: &str = "CREATE TABLE notes (level text); CREATE TABLE bell (n integer); \
     CREATE FUNCTION note() RETURNS trigger LANGUAGE plpgsql AS \
     $$ BEGIN INSERT INTO t1.notes VALUES (current_setting('synchronous_commit')); RETURN NULL; END $$; \
     CREATE CONSTRAINT TRIGGER note AFTER INSERT ON bell DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION note()";

/// A login role with these attributes, and the fleet as that role sees it.
pub(crate) fn as_role(owner: &Fleet, attributes: &str) -> (String, Fleet) {
    let role = unique("role");
    let sql = format!("CREATE ROLE {role} LOGIN {attributes}");
    Postgres::shared().sql(owner.url(), &sql);
    let through = owner.url().replace("postgres@", &format!("{role}@"));
    let fleet = Fleet::postgres_at(owner.url(), &through);
    (role, fleet)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_commit_that_is_evidence_was_flushed() {
    let owner = Fleet::postgres();
    let place = owner.create("t1").await;
    owner.run(&place, NOTES).await;
    let (role, fleet) = as_role(&owner, "SUPERUSER");
    let alter = |level: &str| format!("ALTER ROLE {role} SET synchronous_commit = {level}");
    Postgres::shared().sql(owner.url(), &alter("off"));
    let noted = async |level: &str| {
        let sql = format!("SELECT count(*) FROM notes WHERE level = '{level}'");
        owner.count(&place, &sql).await
    };
    let rings = Migration::new("1", &["INSERT INTO bell VALUES (1)"]);
    applied(fleet.apply(&place, &claim(1), &rings).await);
    let lowers = [
        "SET synchronous_commit = off",
        "INSERT INTO bell VALUES (2)",
    ];
    applied(
        owner
            .apply(&place, &claim(1), &Migration::new("2", &lowers))
            .await,
    );
    let (three, four) = (Migration::new("3", &lowers), Migration::new("4", &lowers));
    let mut session = fleet.open(&place, &claim(1)).await;
    applied(session.steps(&[three.step(), four.step()]).await);
    assert_eq!((noted("on").await, noted("off").await), (4, 0));
    // So is the fence by itself.
    let bell = "CREATE CONSTRAINT TRIGGER note AFTER INSERT OR UPDATE ON sanderling.fence \
         DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION t1.note()";
    owner.run(&place, bell).await;
    session.fence().await.unwrap();
    assert_eq!((noted("on").await, noted("off").await), (5, 0));
    owner
        .run(&place, "DROP TRIGGER note ON sanderling.fence")
        .await;
    // What an operator asked for and is no loss stays.
    Postgres::shared().sql(owner.url(), &alter("local"));
    let fresh = Fleet::postgres_at(
        owner.url(),
        &owner.url().replace("postgres@", &format!("{role}@")),
    );
    let rings = Migration::new("5", &["INSERT INTO bell VALUES (1)"]);
    applied(fresh.apply(&place, &claim(1), &rings).await);
    assert_eq!(noted("local").await, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_error_after_the_commit_asks_the_ledger() {
    let fleet = Fleet::postgres();
    let place = fleet.create("t1").await;
    let role = unique("role");
    // At COMMIT the session becomes somebody who may not read the ledger.
    let trap = format!(
        "CREATE ROLE {role}; CREATE TABLE bell (n integer); CREATE FUNCTION leave() RETURNS trigger LANGUAGE plpgsql AS \
         $$ BEGIN PERFORM set_config('role', '{role}', false); RETURN NULL; END $$; \
         CREATE CONSTRAINT TRIGGER leave AFTER INSERT ON bell DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION leave()"
    );
    fleet.run(&place, &trap).await;
    let rings = Migration::new("1", &["INSERT INTO bell VALUES (1)"]);
    let mut session = fleet.open(&place, &claim(1)).await;
    let row = applied(session.step(&rings.step()).await);
    assert_eq!(row.version, rings.version);
    applied(
        session
            .step(&Migration::new("2", &["SELECT 1"]).step())
            .await,
    );
    session.close().await;
    fleet.run(&place, &format!("DROP ROLE {role}")).await;
}

/// Two versions may have the same text: the row of the one proves nothing of the other.
#[tokio::test(flavor = "multi_thread")]
async fn a_commit_that_failed_is_not_proved_by_another_version() {
    let fleet = Fleet::postgres();
    let place = fleet.create("t1").await;
    let once = "CREATE TABLE bell (n integer); CREATE FUNCTION once() RETURNS trigger LANGUAGE plpgsql AS \
         $$ BEGIN IF (SELECT count(*) FROM t1.bell) > 1 THEN RAISE EXCEPTION 'once is enough'; END IF; RETURN NULL; END $$; \
         CREATE CONSTRAINT TRIGGER once AFTER INSERT ON bell DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION once()";
    fleet.run(&place, once).await;
    let rings = Migration::new("1", &["INSERT INTO bell VALUES (1)"]);
    let mut again = Migration::new("2", &["INSERT INTO bell VALUES (1)"]);
    again.checksum = rings.checksum.clone();
    let mut session = fleet.open(&place, &claim(1)).await;
    applied(session.step(&rings.step()).await);
    let failure = failed(session.step(&again.step()).await);
    assert_eq!(failure.message, "at COMMIT: once is enough");
    assert_eq!(session.fence().await.unwrap().len(), 1);
    session.close().await;
}

/// A piece of several statements shifts the count past the message's end; the server's answer is still an answer.
#[tokio::test(flavor = "multi_thread")]
async fn an_answer_of_the_server_is_never_a_loss() {
    let fleet = Fleet::postgres();
    let place = fleet.create("t1").await;
    let many = format!("{}; SELECT 1/0", vec!["SELECT 1"; 40].join("; "));
    let mut session = fleet.open(&place, &claim(1)).await;
    let failure = failed(session.step(&Migration::new("1", &[&many]).step()).await);
    assert_eq!(failure.cause.code, "22012");
    assert_eq!(failure.file.as_deref(), Some("migrations/sample.sql"));
    assert!(session.fence().await.unwrap().is_empty());
    applied(session.step(&first().step()).await);
}

/// Positions are bytes in such a database.
#[tokio::test(flavor = "multi_thread")]
async fn a_database_without_encoding_blames_the_right_statement() {
    let pg = Postgres::shared();
    let name = unique("ascii");
    let sql = format!(
        "CREATE DATABASE {name} ENCODING 'SQL_ASCII' LC_COLLATE 'C' LC_CTYPE 'C' TEMPLATE template0"
    );
    pg.sql(pg.url(), &sql);
    let fleet = Fleet::postgres_at(&pg.url_of(&name), &pg.url_of(&name));
    let place = fleet.create("t1").await;
    let wide = format!("COMMENT ON TABLE t IS '{}'", "é".repeat(200));
    let body = [
        "CREATE TABLE t (n integer)",
        &wide,
        "SELECT nope FROM t",
        "SELECT 2",
        "SELECT 3",
        "SELECT 4",
        "SELECT 5",
    ];
    let failure = failed(
        fleet
            .apply(&place, &claim(1), &Migration::new("1", &body))
            .await,
    );
    assert_eq!(
        (failure.cause.code.as_str(), failure.cause.statement),
        ("42703", Some(3))
    );
}

/// Operators that fit better than the server's own, where a tenant or anybody can make them.
#[tokio::test(flavor = "multi_thread")]
async fn nobodys_operators_are_called() {
    let fleet = Fleet::postgres();
    let place = fleet.create("t1").await;
    for schema in ["t1", "public"] {
        let mut traps = String::new();
        for (n, (operator, left, right, result)) in [
            ("*", "numeric", "integer", "numeric"),
            ("*", "numeric", "bigint", "numeric"),
            ("=", "text", "name", "boolean"),
            ("=", "oid", "regclass", "boolean"),
            ("=", "varchar", "varchar", "boolean"),
            ("<>", "varchar", "varchar", "boolean"),
            ("=", "bigint", "numeric", "boolean"),
            (">=", "oid", "integer", "boolean"),
        ]
        .into_iter()
        .enumerate()
        {
            traps.push_str(&format!(
                "CREATE FUNCTION {schema}.trap{n}({left}, {right}) RETURNS {result} LANGUAGE plpgsql AS \
                 $$ BEGIN RAISE EXCEPTION 'hijacked {operator} {left} {right} in {schema}'; END $$; \
                 CREATE OPERATOR {schema}.{operator} (LEFTARG = {left}, RIGHTARG = {right}, FUNCTION = {schema}.trap{n});"
            ));
        }
        fleet.run(&place, &traps).await;
    }
    applied(fleet.apply(&place, &claim(1), &first()).await);
    let mut again = first();
    again.has_ledger = true;
    let outcome = fleet.apply(&place, &claim(2), &again).await;
    assert!(
        matches!(outcome, StepOutcome::AlreadyApplied(_)),
        "{outcome:?}"
    );
    let mut session = fleet.open(&place, &claim(3)).await;
    assert_eq!(session.fence().await.unwrap().len(), 1);
    session.close().await;
    assert_eq!(fleet.ledger(&place).await.len(), 1);
    let catalog = fleet
        .hosts
        .catalogs(std::slice::from_ref(&place))
        .await
        .remove(0);
    assert!(catalog.is_ok(), "{catalog:?}");
}

/// A path that moves at COMMIT, behind the tail, does not decide what the evidence means.
#[tokio::test(flavor = "multi_thread")]
async fn the_evidence_depends_on_no_path() {
    let fleet = Fleet::postgres();
    let place = fleet.create("t1").await;
    let mut trap = "CREATE TABLE bell (n integer); CREATE FUNCTION moves() RETURNS trigger LANGUAGE plpgsql AS \
         $$ BEGIN PERFORM pg_catalog.set_config('search_path', 't1, pg_catalog', false); RETURN NULL; END $$; \
         CREATE CONSTRAINT TRIGGER moves AFTER INSERT ON bell DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION moves();"
        .to_owned();
    trap.push_str("CREATE TABLE hits (n integer);");
    for (operator, operand, result) in [("=", "text", "boolean"), ("*", "numeric", "numeric")] {
        trap.push_str(&format!(
            "CREATE FUNCTION trap({operand}, {operand}) RETURNS {result} LANGUAGE plpgsql AS $$ BEGIN INSERT INTO t1.hits VALUES (1); RETURN $1 OPERATOR(pg_catalog.{operator}) $2; END $$; \
             CREATE OPERATOR t1.{operator} (LEFTARG = {operand}, RIGHTARG = {operand}, FUNCTION = trap);"
        ));
    }
    fleet.run(&place, &trap).await;
    let marked = Migration::new("1", &["INSERT INTO bell VALUES (1)"]);
    let mut session = fleet.open(&place, &claim(1)).await;
    applied(session.step(&marked.step()).await);
    assert_eq!(fleet.count(&place, "SELECT count(*) FROM hits").await, 0);
    applied(
        session
            .step(&Migration::new("2", &["SELECT 1"]).step())
            .await,
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_search_path_that_was_moved_is_refused() {
    let fleet = Fleet::postgres();
    let place = fleet.create("My \"tenant").await;
    fleet.create("other").await;
    for moves in [
        "SET search_path = other",
        "SET LOCAL search_path = \"My \"\"tenant\", public, pg_temp",
        "SELECT pg_catalog.set_config('search_path', '', false)",
        "DO $$ BEGIN PERFORM set_config('search_path', 'other', true); END $$",
        "RESET search_path",
    ] {
        let failure = failed(
            fleet
                .apply(&place, &claim(1), &Migration::new("1", &[moves]))
                .await,
        );
        let seen = (failure.cause.class, failure.cause.code.as_str());
        assert_eq!(seen, (ErrorClass::MigrationSql, "search_path"), "{moves}");
        assert_eq!(failure.file.as_deref(), Some("migrations/sample.sql"));
        assert!(fleet.ledger(&place).await.is_empty(), "{moves}");
    }
    let back = "DO $$ DECLARE path text := current_setting('search_path'); BEGIN PERFORM set_config('search_path', 'other', true); \
         CREATE TABLE t (n int); PERFORM set_config('search_path', path, true); END $$";
    applied(
        fleet
            .apply(&place, &claim(1), &Migration::new("1", &[back]))
            .await,
    );
    let function =
        "CREATE FUNCTION f() RETURNS int LANGUAGE sql SET search_path = other AS 'SELECT 1'";
    applied(
        fleet
            .apply(
                &place,
                &claim(1),
                &Migration::new("2", &[function, "SELECT f()"]),
            )
            .await,
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn an_idle_connection_holds_no_lock_of_a_tenant() {
    let fleet = Fleet::postgres();
    let place = fleet.create("t1").await;
    let locks = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND classid = 0 AND objid = 4712";
    let body = [
        "SELECT PG_ADVISORY_LOCK(4712)",
        "LISTEN news",
        "DECLARE c CURSOR WITH HOLD FOR SELECT 1",
    ];
    applied(
        fleet
            .apply(&place, &claim(1), &Migration::new("1", &body))
            .await,
    );
    assert_eq!(fleet.count(&place, locks).await, 0);
    // Also where the migration failed: such a lock survives its transaction.
    let body = ["SELECT pg_advisory_lock(4712)", "SELECT 1/0"];
    failed(
        fleet
            .apply(&place, &claim(1), &Migration::new("2", &body))
            .await,
    );
    assert_eq!(fleet.count(&place, locks).await, 0);
    let connections = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'sanderling/h1' AND datname = current_database()";
    assert_eq!(
        fleet.count(&place, connections).await,
        1,
        "it was cleaned, not closed"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn values_of_rows_are_not_repeated() {
    let fleet = Fleet::postgres();
    let place = fleet.create("t1").await;
    fleet.run(&place, "CREATE TABLE people (mail text); INSERT INTO people VALUES ('jane@example.org \" doe')").await;
    for body in [
        "ALTER TABLE people ALTER COLUMN mail TYPE integer USING mail::integer",
        "DO $$ BEGIN EXECUTE format('SELECT %L::date', (SELECT mail FROM people)); END $$",
    ] {
        let failure = failed(
            fleet
                .apply(&place, &claim(1), &Migration::new("1", &[body]))
                .await,
        );
        assert!(failure.cause.code.starts_with("22"), "{failure:?}");
        assert!(failure.message.contains("\"***\""), "{failure:?}");
        assert!(
            !failure.message.contains("jane") && !failure.message.contains("doe"),
            "{failure:?}"
        );
        assert_eq!(failure.cause.statement, Some(1));
    }
    // What the migration's own text says is repeated: it is what has to be corrected.
    let failure = failed(
        fleet
            .apply(
                &place,
                &claim(1),
                &Migration::new("1", &["SELECT 'oops'::integer"]),
            )
            .await,
    );
    assert!(failure.message.contains("\"oops\""), "{failure:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn versions_of_one_transaction_do_not_share_temporary_tables() {
    let fleet = Fleet::postgres();
    let place = fleet.create("t1").await;
    fleet.run(&place, "CREATE TABLE acc (n integer)").await;
    let one = Migration::new(
        "1",
        &[
            "CREATE TEMP TABLE acc (n integer)",
            "INSERT INTO pg_temp.acc VALUES (1)",
        ],
    );
    let two = Migration::new(
        "2",
        &["CREATE TABLE seen AS SELECT to_regclass('pg_temp.acc') IS NULL AS ok"],
    );
    let mut session = fleet.open(&place, &claim(1)).await;
    applied(session.steps(&[one.step(), two.step()]).await);
    assert_eq!(fleet.count(&place, "SELECT ok::int FROM seen").await, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_migration_that_drops_ledger_or_fence_is_told_so() {
    let fleet = Fleet::postgres();
    let place = fleet.create("t1").await;
    applied(fleet.apply(&place, &claim(1), &first()).await);
    for drops in [
        "DROP TABLE sanderling_migrations",
        "ALTER TABLE sanderling_migrations RENAME TO kept",
        "DROP TABLE sanderling.fence",
        "DROP SCHEMA sanderling CASCADE",
    ] {
        for has_ledger in [false, true] {
            let mut migration = Migration::new("2", &[drops]);
            migration.has_ledger = has_ledger;
            let failure = failed(fleet.apply(&place, &claim(1), &migration).await);
            let seen = (failure.cause.class, failure.cause.code.as_str());
            assert_eq!(
                seen,
                (ErrorClass::MigrationSql, "own_table"),
                "{drops} {failure:?}"
            );
            assert_eq!(fleet.ledger(&place).await.len(), 1, "{drops}");
        }
    }
}

/// Somebody else applies the version while ours runs, knowing of no lock: our change is undone, theirs stays.
#[tokio::test(flavor = "multi_thread")]
async fn a_row_that_came_meanwhile_undoes_the_change() {
    let fleet = Fleet::postgres();
    let place = fleet.create("t1").await;
    applied(fleet.apply(&place, &claim(1), &first()).await);
    let row = "INSERT INTO sanderling_migrations SELECT '2', name, checksum, state, step, steps, epoch, 'theirs', applied_at, duration_ms, applied_by FROM sanderling_migrations";
    let mut migration = Migration::new("2", &["INSERT INTO t VALUES (2)", row]);
    migration.has_ledger = true;
    let failure = failed(fleet.apply(&place, &claim(1), &migration).await);
    assert_eq!(failure.cause.code, "ledger_row", "{failure:?}");
    assert_eq!(fleet.count(&place, "SELECT count(*) FROM t").await, 1);
    assert_eq!(fleet.ledger(&place).await.len(), 1);
    // The same where the version had been taken back, and has a row that may be written over.
    let back = "INSERT INTO sanderling_migrations SELECT '2', name, checksum, 'reverted', step, steps, epoch, rollout, applied_at, duration_ms, applied_by FROM sanderling_migrations";
    fleet.run(&place, back).await;
    let row = "UPDATE sanderling_migrations SET state = 'applied' WHERE version = '2'";
    let mut migration = Migration::new("2", &["INSERT INTO t VALUES (2)", row]);
    migration.has_ledger = true;
    let failure = failed(fleet.apply(&place, &claim(1), &migration).await);
    assert_eq!(failure.cause.code, "ledger_row", "{failure:?}");
    assert_eq!(fleet.count(&place, "SELECT count(*) FROM t").await, 1);
    let mut migration = Migration::new("2", &["INSERT INTO t VALUES (2)"]);
    migration.has_ledger = true;
    applied(fleet.apply(&place, &claim(1), &migration).await);
}

/// A fence that is dropped under a running process is made again by the next session.
#[tokio::test(flavor = "multi_thread")]
async fn a_fence_that_is_gone_is_made_again() {
    let fleet = Fleet::postgres();
    let place = fleet.create("t1").await;
    let mut session = fleet.open(&place, &claim(1)).await;
    session.fence().await.unwrap();
    for drop in [
        "DROP TABLE sanderling.fence",
        "DROP SCHEMA sanderling CASCADE",
    ] {
        fleet.run(&place, drop).await;
        session.fence().await.unwrap_err();
        session = fleet.open(&place, &claim(1)).await;
        session.fence().await.unwrap();
    }
}
