//! What a migration must not contain.

use super::{only, shown, statements, texts};
use sanderling_sql::Dialect::{self, Postgres, Sqlite};

fn refused(dialect: Dialect, statement: &str, message: &str) {
    let body = format!("select 1;\n  {statement};\nselect 2;");
    match statements(dialect, &body) {
        Ok(_) => panic!("{dialect}: let through: {statement}"),
        Err(problems) => {
            let all = shown(&problems);
            assert!(
                all.contains(message),
                "{dialect}: {statement}\n{all}\nwanted {message}"
            );
            assert_eq!((problems.len(), problems[0].line), (1, 3), "{all}");
            assert!(problems[0].hint.is_some(), "{all}");
        }
    }
}

fn allowed(dialect: Dialect, statement: &str) {
    assert_eq!(texts(dialect, statement).len(), 1, "{dialect}: {statement}");
}

#[test]
fn transaction_control_of_either_database() {
    for statement in [
        "BEGIN",
        "begin",
        "/* a */ Begin /* b */",
        "COMMIT",
        "END",
        "ROLLBACK",
        "SAVEPOINT a",
        "RELEASE a",
        "RELEASE SAVEPOINT a",
        "ROLLBACK TO a",
        "ROLLBACK TO SAVEPOINT a",
        "COMMIT AND CHAIN",
        "END TRANSACTION",
        "BEGIN IMMEDIATE",
    ] {
        refused(Postgres, statement, "controls the transaction");
        refused(Sqlite, statement, "controls the transaction");
    }
    for statement in [
        "START TRANSACTION",
        "BEGIN ISOLATION LEVEL SERIALIZABLE",
        "ABORT",
        "ABORT WORK",
        "PREPARE TRANSACTION 'a'",
        "COMMIT PREPARED 'a'",
        "ROLLBACK PREPARED 'a'",
        "SET TRANSACTION READ ONLY",
        "SET LOCAL TRANSACTION READ ONLY",
        "SET SESSION CHARACTERISTICS AS TRANSACTION READ ONLY",
    ] {
        refused(Postgres, statement, "controls the transaction");
    }
}

#[test]
fn leaving_the_place_or_the_role() {
    for statement in [
        "SET search_path TO a",
        "set Search_Path = a",
        "SET LOCAL search_path TO a",
        "SET SESSION search_path TO a",
        "SET \"search_path\" TO a",
        "SET U&\"search_path\" TO a",
        "SET SCHEMA 'a'",
        "RESET search_path",
        "RESET ALL",
        "SET search_path FROM CURRENT",
        "SELECT set_config('search_path', 'a', false)",
        "SELECT pg_catalog.set_config('search_path', '', false)",
        "select SET_CONFIG ( $$search_path$$ , 'a', true)",
        "select set_config(E'search_path', 'a', true)",
        "select set_config(new_value => 'a', setting_name => 'search_path', is_local => true)",
        "with a as (select \"set_config\"('search_path', 'b', true)) select * from a",
    ] {
        refused(
            Postgres,
            statement,
            if statement.to_lowercase().contains("set_config") {
                "set_config("
            } else {
                "leaves the tenant's schema"
            },
        );
    }
    for statement in [
        "SET ROLE a",
        "SET LOCAL ROLE a",
        "SET SESSION ROLE a",
        "SET role TO a",
        "SET role = 'a'",
        "RESET ROLE",
        "SET SESSION AUTHORIZATION a",
        "SET LOCAL SESSION AUTHORIZATION a",
        "SET SESSION SESSION AUTHORIZATION a",
        "RESET SESSION AUTHORIZATION",
        "SET session_authorization TO a",
    ] {
        refused(Postgres, statement, "changes who acts");
    }
    refused(
        Postgres,
        "select set_config('role', 'a', true)",
        "set_config('role'",
    );
    for statement in ["DISCARD ALL", "DISCARD PLANS", "discard temp"] {
        refused(Postgres, statement, "DISCARD throws away");
    }
}

#[test]
fn what_cannot_run_in_a_transaction() {
    for statement in [
        "CREATE INDEX CONCURRENTLY a ON b (c)",
        "CREATE UNIQUE INDEX CONCURRENTLY a ON b (c)",
        "create index concurrently if not exists a on b (c)",
        "DROP INDEX CONCURRENTLY a",
        "REINDEX INDEX CONCURRENTLY a",
        "REINDEX (CONCURRENTLY) TABLE a",
        "REINDEX (VERBOSE, CONCURRENTLY TRUE) TABLE a",
        "REINDEX DATABASE a",
        "REINDEX SCHEMA a",
        "REINDEX SYSTEM a",
        "ALTER TABLE a DETACH PARTITION b CONCURRENTLY",
        "ALTER TABLE IF EXISTS ONLY a DETACH PARTITION b.c CONCURRENTLY",
        "VACUUM",
        "VACUUM ANALYZE a",
        "VACUUM (FULL) a",
        "CREATE DATABASE a",
        "DROP DATABASE a",
        "ALTER DATABASE a SET TABLESPACE b",
        "CREATE TABLESPACE a LOCATION 'b'",
        "DROP TABLESPACE a",
        "ALTER SYSTEM SET a = b",
        "CLUSTER",
        "CLUSTER VERBOSE",
        "CLUSTER (VERBOSE)",
        "CREATE SUBSCRIPTION a CONNECTION 'b' PUBLICATION c",
        "ALTER SUBSCRIPTION a REFRESH PUBLICATION",
        "ALTER SUBSCRIPTION a SET PUBLICATION b",
    ] {
        refused(
            Postgres,
            statement,
            "it needs a file with `-- sanderling: transaction=off`",
        );
    }
    refused(
        Sqlite,
        "VACUUM",
        "it needs a file with `-- sanderling: transaction=off`",
    );
    refused(Sqlite, "VACUUM INTO 'a'", "writes another file");
}

#[test]
fn what_only_a_client_can_do() {
    for statement in [
        "COPY a FROM STDIN",
        "copy a (b, c) from stdin with (format csv)",
        "COPY a FROM STDOUT",
    ] {
        refused(Postgres, statement, "COPY … FROM STDIN reads from a client");
    }
    refused(
        Postgres,
        "COPY (SELECT 1 FROM b) TO STDOUT",
        "COPY … TO STDOUT writes to a client",
    );
    for statement in [
        "\\d a",
        "\\set x 1",
        "\\restrict abc",
        "select 1 \\gexec",
        "\\.",
    ] {
        refused(Postgres, statement, "a backslash outside quotes");
    }
    refused(Sqlite, ".mode csv", "commands of the sqlite3 shell");
    refused(Sqlite, "\\d", "a backslash outside quotes");
}

#[test]
fn data_behind_copy_adds_no_noise() {
    for data in ["1\ta\n", "1\tit's\n", "1\t\"\n2\t$$\n", "begin;\ncommit;\n"] {
        let body = format!("select 1;\nCOPY t FROM stdin;\n{data}\\.\nselect 2;\n");
        only(
            &statements(Postgres, &body).unwrap_err(),
            "3:1: COPY … FROM STDIN",
        );
    }
}

#[test]
fn settings_that_change_how_text_is_read() {
    for statement in [
        "SET standard_conforming_strings = off",
        "SET LOCAL standard_conforming_strings TO 'off'",
        "SET client_encoding TO LATIN1",
        "SET NAMES 'EUC_JP'",
        "SET client_encoding TO DEFAULT",
    ] {
        refused(Postgres, statement, "changes how SQL text is read");
    }
    for statement in [
        "SET standard_conforming_strings = on",
        "SET client_encoding = 'UTF8'",
        "SET NAMES 'utf8'",
    ] {
        allowed(Postgres, statement);
    }
}

#[test]
fn sqlite_statements_about_the_connection() {
    for (statement, message) in [
        ("ATTACH 'a' AS b", "ATTACH reaches for another file"),
        ("DETACH DATABASE b", "DETACH reaches for another file"),
        ("insert into a values (?)", "a parameter in a migration"),
        ("insert into a values (:b)", "a parameter in a migration"),
        ("select $$ a $$", "SQLite has no dollar quotes"),
        ("select $a", "SQLite has no dollar quotes"),
    ] {
        refused(Sqlite, statement, message);
    }
}

#[test]
fn sqlite_pragmas_are_allowed_by_name() {
    for (statement, name) in [
        ("PRAGMA foreign_keys = ON", "foreign_keys"),
        ("pragma main.journal_mode(wal)", "journal_mode"),
        ("PRAGMA \"synchronous\" = off", "synchronous"),
        (
            "PRAGMA ignore_check_constraints = 1",
            "ignore_check_constraints",
        ),
        ("PRAGMA recursive_triggers = 1", "recursive_triggers"),
        ("PRAGMA [main].[writable_schema] = 1", "writable_schema"),
        ("PRAGMA schema_version = 7", "schema_version"),
        ("PRAGMA locking_mode = exclusive", "locking_mode"),
        ("PRAGMA temp_store_directory = 'a'", "temp_store_directory"),
        ("PRAGMA trusted_schema = 0", "trusted_schema"),
        ("PRAGMA case_sensitive_like = 1", "case_sensitive_like"),
        ("PRAGMA busy_timeout = 1", "busy_timeout"),
        ("PRAGMA of_the_next_release = 1", "of_the_next_release"),
        ("EXPLAIN PRAGMA writable_schema = 1", "writable_schema"),
        (
            "explain query plan pragma main.writable_schema = 1",
            "writable_schema",
        ),
    ] {
        refused(
            Sqlite,
            statement,
            &format!("PRAGMA {name} is not for migrations"),
        );
    }
    let problems = statements(Sqlite, "PRAGMA foreign_keys = off;").unwrap_err();
    let hint = problems[0].hint.as_deref().unwrap();
    assert!(hint.contains("nothing needs to be switched"), "{hint}");
    for statement in [
        "pragma defer_foreign_keys = on",
        "pragma main.user_version = 3",
        "PRAGMA \"application_id\" = 3",
        "pragma foreign_key_check",
        "pragma legacy_alter_table = on",
        "pragma table_info(a)",
        "explain pragma table_info(a)",
    ] {
        allowed(Sqlite, statement);
    }
}

#[test]
fn set_config_counts_in_everything_that_runs_it_now() {
    let call = "set_config('search_path', 'a', false)";
    for statement in [
        format!("create table t as select {call}"),
        format!("create materialized view v as select {call}"),
        format!("create temp table function as select {call}"),
        format!("alter table t add column c text default {call}"),
    ] {
        refused(Postgres, &statement, "set_config('search_path'");
    }
    for statement in [
        format!("create function f(a text default {call}) returns int return 1"),
        format!("create or replace procedure p() begin atomic select {call}; end"),
    ] {
        allowed(Postgres, &statement);
    }
}

#[test]
fn subscriptions_of_the_connection() {
    for statement in ["LISTEN a", "listen \"a\"", "UNLISTEN *"] {
        refused(Postgres, statement, "subscribes the connection");
    }
}

#[test]
fn characters_that_nobody_sees_hide_no_word() {
    for dialect in Dialect::ALL {
        for (character, code) in [('\u{feff}', "U+FEFF"), ('\u{b}', "U+000B")] {
            for (body, place) in [
                (format!("select 1;\n {character}ATTACH 'a' AS b;"), "3:2"),
                (format!("select 1; {character}COMMIT;"), "2:11"),
                (format!("create table t (a{character} int);"), "2:18"),
            ] {
                let problems = statements(dialect, &body).unwrap_err();
                only(&problems, &format!("{place}: an invisible "));
                assert!(problems[0].message.contains(code), "{problems:?}");
            }
            allowed(
                dialect,
                &format!(
                    "select '{character}' as \"{character}\" -- {character}\n/* {character} */"
                ),
            );
        }
    }
    allowed(Postgres, "select $$\u{feff}\u{b}$$");
}

#[test]
fn what_only_looks_like_it_is_let_through() {
    for statement in [
        "create function f() returns void language plpgsql set search_path = a as $$ begin commit; end $$",
        "create function f() returns void begin atomic select set_config('search_path', 'a', true); end",
        "alter function f() set search_path to a",
        "select 'set search_path to a; commit', \"commit\" from \"begin\"",
        "set work_mem = '1MB'",
        "set local lock_timeout = '1s'",
        "reset work_mem",
        "set constraints all deferred",
        "select set_config('app.x', 'search_path', true)",
        "select current_setting('search_path')",
        "refresh materialized view concurrently a",
        "create index a on b (concurrently)",
        "alter table a detach partition b",
        "alter table a detach partition b finalize",
        "alter table a rename column b to concurrently_c",
        "reindex table a",
        "reindex (concurrently off) table a",
        "reindex (verbose) index a",
        "cluster a",
        "cluster a using b",
        "cluster (verbose) a",
        "analyze",
        "alter type a add value 'b'",
        "alter database a set timezone to 'utc'",
        "copy a from '/b'",
        "copy a from program 'c'",
        "copy \"stdin\" to '/tmp/a'",
        "prepare a as select 1",
        "lock table a",
        "notify a, 'b'",
        "create subscription a connection 'b' publication c with (connect = false)",
        "create subscription a connection 'b' publication c with (create_slot = 'off')",
        "alter subscription a set publication b with (refresh = false)",
        "alter subscription a disable",
        "grant usage on schema a to b",
        "release_all()",
        "select E'\\\\'",
        "call begin_work()",
        "comment on table a is 'commit;'",
    ] {
        allowed(Postgres, statement);
    }
    for statement in [
        "create table \"begin\" (commit_at text)",
        "pragma defer_foreign_keys = on",
        "pragma user_version = 3",
        "pragma foreign_key_check",
        "reindex a",
        "analyze",
        "select '$1 ? :a'",
        "select json ->> '$.a' from t",
        "select \"a:b\" from t",
        "create trigger t after insert on a begin delete from b; end",
        "select case when 1 then 2 end",
    ] {
        allowed(Sqlite, statement);
    }
}

#[test]
fn down_sections_are_held_to_the_same() {
    let text = "-- +migrate Up\nselect 1;\n-- +migrate Down\ncommit;\n";
    let read = super::migration(text);
    for dialect in Dialect::ALL {
        only(
            &read.down_statements(dialect).unwrap().unwrap_err(),
            "4:1: COMMIT controls the transaction",
        );
    }
}

#[test]
fn every_refusal_of_a_section_is_reported() {
    let problems = statements(Postgres, "begin;\nset role a;\nselect 1;\ncommit;").unwrap_err();
    let lines: Vec<_> = problems.iter().map(|p| p.line).collect();
    assert_eq!(lines, [2, 3, 5]);
}
