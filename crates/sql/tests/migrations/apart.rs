//! Files with `transaction=off`: how each of their statements may be sent.

use super::{only, shown};
use sanderling_sql::Dialect::{self, Postgres, Sqlite};
use sanderling_sql::{Alone, Diagnostic, Sending, Trace, parse_set};

fn sendings(dialect: Dialect, body: &str) -> Result<Vec<Sending>, Vec<Diagnostic>> {
    let text = format!("-- sanderling: transaction=off\n-- +migrate Up\n{body}\n");
    let set = parse_set(&[(super::FILE.to_owned(), text)], &[dialect])?;
    let statements = set[0].statements(dialect)?;
    assert!(!set[0].header.transaction);
    Ok(statements.into_iter().map(|s| s.sending).collect())
}

fn alone(body: &str) -> Alone {
    match sendings(Postgres, body).as_deref() {
        Ok([Sending::Alone(alone)]) => alone.clone(),
        other => panic!("{body}: {other:?}"),
    }
}

fn named(schema: Option<&str>, name: &str) -> (Option<String>, String) {
    (schema.map(str::to_owned), name.to_owned())
}

#[test]
fn a_detach_is_known_by_its_two_tables() {
    for (statement, parent_schema, schema) in [
        ("ALTER TABLE a DETACH PARTITION b CONCURRENTLY", None, None),
        (
            "alter table if exists only s.A * detach partition \"S 2\".b concurrently",
            Some("s"),
            Some("S 2"),
        ),
    ] {
        let trace = Trace::Detached {
            parent_schema: parent_schema.map(str::to_owned),
            parent: "a".to_owned(),
            schema: schema.map(str::to_owned),
            name: "b".to_owned(),
        };
        assert_eq!(alone(statement).trace, trace, "{statement}");
    }
}

#[test]
fn an_index_can_be_found_again_by_the_name_the_server_stores() {
    for (statement, schema, name, if_not_exists) in [
        ("create index concurrently Ab on t (c)", None, "ab", false),
        (
            "CREATE UNIQUE INDEX CONCURRENTLY \"A\"\"b\" ON ONLY \"S\".t (c)",
            Some("S"),
            "A\"b",
            false,
        ),
        (
            "CREATE INDEX CONCURRENTLY IF NOT EXISTS a ON db.S.t USING gin (c)",
            Some("s"),
            "a",
            true,
        ),
    ] {
        let alone = alone(statement);
        let (schema, name) = named(schema, name);
        let trace = Trace::IndexMade {
            schema,
            name,
            if_not_exists,
        };
        assert_eq!((alone.trace, alone.waits_for_all), (trace, true));
    }
    for (statement, schema, if_exists) in [
        ("DROP INDEX CONCURRENTLY a", None, false),
        (
            "drop index concurrently if exists s.a restrict",
            Some("s"),
            true,
        ),
    ] {
        let (schema, name) = named(schema, "a");
        let trace = Trace::IndexGone {
            schema,
            name,
            if_exists,
        };
        assert_eq!(alone(statement).trace, trace, "{statement}");
    }
    for (statement, table) in [
        ("REINDEX INDEX CONCURRENTLY a", false),
        ("REINDEX (VERBOSE, CONCURRENTLY TRUE) TABLE s.a", true),
    ] {
        let (schema, name) = named(table.then_some("s"), "a");
        let trace = Trace::Rebuilt {
            table,
            schema,
            name,
        };
        assert_eq!(alone(statement).trace, trace, "{statement}");
    }
}

#[test]
fn what_may_be_repeated_and_what_nobody_can_tell() {
    for statement in [
        "VACUUM",
        "VACUUM (ANALYZE) t",
        "CLUSTER",
        "REINDEX SCHEMA CONCURRENTLY a",
    ] {
        assert_eq!(alone(statement).trace, Trace::Repeatable, "{statement}");
    }
    for statement in [
        "ALTER SYSTEM SET a = b",
        "CREATE DATABASE a",
        "ALTER TABLE a DETACH PARTITION U&\"b\" CONCURRENTLY",
        "CREATE SUBSCRIPTION a CONNECTION 'b' PUBLICATION c",
    ] {
        assert_eq!(alone(statement).trace, Trace::Unknown, "{statement}");
    }
    let vacuum = sendings(Sqlite, "create table t (a); vacuum").unwrap();
    assert_eq!(vacuum[0], Sending::Shared);
    assert!(matches!(&vacuum[1], Sending::Alone(a) if a.trace == Trace::Repeatable));
}

#[test]
fn the_rest_shares_a_transaction_and_settings_are_known() {
    let all = sendings(
        Postgres,
        "set maintenance_work_mem = '1GB'; update t set n = n + 1; create index a on t (c); reindex index a",
    );
    let shared = [
        Sending::Setting,
        Sending::Shared,
        Sending::Shared,
        Sending::Shared,
    ];
    assert_eq!(all.unwrap(), shared);
}

#[test]
fn an_index_without_a_plain_name_cannot_be_found_again() {
    for statement in [
        "CREATE INDEX CONCURRENTLY ON t (c)",
        "CREATE INDEX CONCURRENTLY U&\"a\" ON t (c)",
        "CREATE INDEX CONCURRENTLY a ON U&\"t\" (c)",
    ] {
        let problems = sendings(Postgres, statement).unwrap_err();
        only(&problems, "3:27: CREATE INDEX CONCURRENTLY without a name");
        assert!(shown(&problems).contains("CREATE INDEX CONCURRENTLY <name> ON"));
    }
    let problems = sendings(Postgres, "DROP INDEX CONCURRENTLY a, b").unwrap_err();
    only(&problems, "3:25: DROP INDEX CONCURRENTLY takes one index");
}

#[test]
fn what_a_session_alone_holds_is_refused_and_so_is_transaction_control() {
    for statement in [
        "CREATE TEMP TABLE a (b int)",
        "create or replace temporary view a as select 1",
        "SELECT 1 AS a INTO TEMP b",
        "PREPARE a AS SELECT 1",
        "DECLARE a CURSOR WITH HOLD FOR SELECT 1",
        "SET LOCAL work_mem = '1MB'",
    ] {
        let problems = sendings(Postgres, statement).unwrap_err();
        only(&problems, "3:1: what this makes is gone");
    }
    for dialect in Dialect::ALL {
        let problems = sendings(dialect, "BEGIN").unwrap_err();
        only(&problems, "3:1: BEGIN controls the transaction");
    }
    only(
        &sendings(Sqlite, "create temp table a (b)").unwrap_err(),
        "3:1: what is temporary is gone",
    );
}

#[test]
fn what_the_session_of_a_file_rests_on_may_not_be_set() {
    for (statement, said) in [
        (
            "SET idle_session_timeout = 0",
            "3:1: SET idle_session_timeout",
        ),
        (
            "reset \"idle_in_transaction_session_timeout\"",
            "3:1: RESET idle_in_transaction_session_timeout",
        ),
        (
            "SET SESSION client_connection_check_interval TO 0",
            "3:1: SET client_connection_check_interval",
        ),
        (
            "set default_transaction_read_only to off",
            "3:1: SET default_transaction_read_only",
        ),
        (
            "SET default_transaction_isolation = 'serializable'",
            "3:1: SET default_transaction_isolation",
        ),
        (
            "SELECT set_config('idle_session_timeout', '0', false)",
            "3:8: set_config('idle_session_timeout', …)",
        ),
    ] {
        let problems = sendings(Postgres, statement).unwrap_err();
        only(&problems, said);
        let whole = format!("-- +migrate Up\n{statement}\n");
        let set = parse_set(&[(super::FILE.to_owned(), whole)], &[Postgres]).unwrap();
        assert!(set[0].statements(Postgres).is_ok(), "{statement}");
    }
    for statement in ["SET lock_timeout = 0", "SET statement_timeout = '1h'"] {
        assert_eq!(sendings(Postgres, statement), Ok(vec![Sending::Setting]));
    }
}
