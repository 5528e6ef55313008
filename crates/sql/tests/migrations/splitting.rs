//! Where statements begin and end, and where their characters are.

use super::{migration, only, statements, texts, up};
use sanderling_sql::Dialect::{Postgres, Sqlite};
use sanderling_sql::{Dialect, position};

fn splits(dialect: Dialect, body: &str, expected: &[&str]) {
    assert_eq!(texts(dialect, body), expected, "{body}");
}

#[test]
fn both_dialects_agree_on_the_plain_cases() {
    for (body, expected) in [
        ("select 1", vec!["select 1"]),
        ("select 1;", vec!["select 1"]),
        (";; select 1 ;; select 2 ; ;", vec!["select 1", "select 2"]),
        (
            "select ';', 'it''s;'; select \"a;\"",
            vec!["select ';', 'it''s;'", "select \"a;\""],
        ),
        (
            "-- a;\nselect /* ; */ 1 -- ;\n; /* b */ select 2 -- c",
            vec!["select /* ; */ 1", "select 2"],
        ),
        ("select 1 -- no newline at the end", vec!["select 1"]),
        (
            "select E'\\\\';select 2",
            vec!["select E'\\\\'", "select 2"],
        ),
        (
            "insert into t values ('\\');select 2",
            vec!["insert into t values ('\\')", "select 2"],
        ),
        (
            "create table é (ñ int);select 2;",
            vec!["create table é (ñ int)", "select 2"],
        ),
    ] {
        splits(Postgres, body, &expected);
        splits(Sqlite, body, &expected);
    }
}

#[test]
fn postgres_bodies_and_strings_stay_whole() {
    for statement in [
        "create function f() returns int language plpgsql as $$ begin; return 1; end; $$",
        "create function f() returns int language plpgsql as $body$ select '$$;'; $body$",
        "do $$ begin perform 1; end $$",
        "select E'it\\'s; ' || E'\\\\'",
        "select E'a'\n  'b\\'; c'",
        "select U&'\\0041;' uescape '\\'",
        "select /* /* ; */ ; */ 1",
        "select a$b$c, d$b$ from t",
        "create rule r as on insert to t do also (insert into a values (1); insert into b values (2))",
        "create function f() returns int begin atomic select 1; select 2; end",
        "create or replace procedure p() begin atomic\n insert into t values (case when true then 1 else 2 end);\n select 1; end",
        "create function f(a int) returns int language sql begin atomic select case a when 1 then (case 2 when 2 then 3 end) end; end",
        "create function f() returns int begin atomic select 1 as end, t.end from t; select 2; end",
        "create procedure begin() begin atomic end",
        "create function f(case_end int) returns int begin atomic select case_end; end",
        "create schema s create view begin as select 1 as one create procedure p() begin atomic select 1; end",
        "create table t (a int check (a in (1, 2)), b text default ';')",
        "select 1 as \"begin atomic\"",
    ] {
        splits(
            Postgres,
            &format!("{statement};\nselect 2;"),
            &[statement, "select 2"],
        );
    }
}

#[test]
fn begin_atomic_means_something_only_where_a_routine_is_created() {
    splits(
        Postgres,
        "create table begin (atomic int); select begin atomic from t; select 3",
        &[
            "create table begin (atomic int)",
            "select begin atomic from t",
            "select 3",
        ],
    );
    splits(
        Postgres,
        "create view v as select begin atomic from t; select 2",
        &["create view v as select begin atomic from t", "select 2"],
    );
}

#[test]
fn sqlite_names_and_triggers_stay_whole() {
    for statement in [
        "create table [a;b] (`c;d` int, \"e;f\" text)",
        "create trigger t after insert on a begin insert into b values (1); delete from c; end",
        "create temp trigger t after update on a when new.x > 1 begin select case when 1 then 2 end; end",
        "CREATE TEMPORARY TRIGGER IF NOT EXISTS t AFTER INSERT ON a BEGIN SELECT CASE 1 WHEN 1 THEN 2 END; SELECT 3; END",
        "create trigger t after insert on a begin select 1; -- end;\n select 'end;'; end",
        "explain create trigger t after insert on a begin select 1; end",
        "create table trigger_log (begin_at text, end_at text)",
        "select x'3b'",
        "select /* /* ; */ 1",
    ] {
        splits(
            Sqlite,
            &format!("{statement};\nselect 2;"),
            &[statement, "select 2"],
        );
        splits(Sqlite, statement, &[statement]);
    }
}

#[test]
fn what_is_opened_and_not_closed_is_refused() {
    for (dialect, body, start) in [
        (
            Postgres,
            "create table a (b int;\nselect 1;",
            "2:16: a parenthesis that is never closed",
        ),
        (
            Postgres,
            "select 1);",
            "2:9: a closing parenthesis that nothing opened",
        ),
        (
            Postgres,
            "create function f() returns int begin atomic select 1;",
            "2:33: a body that no END closes",
        ),
        (
            Postgres,
            "do $$ begin end;",
            "2:4: a dollar-quoted body that never ends",
        ),
        (Postgres, "select E'a\\';", "2:8: a string that never ends"),
        (
            Sqlite,
            "create trigger t after insert on a begin select 1;",
            "2:1: a trigger whose body",
        ),
        (Sqlite, "select [a;", "2:8: a quoted name that never ends"),
    ] {
        only(&statements(dialect, body).unwrap_err(), start);
    }
}

#[test]
fn frames_are_accepted_and_edges_of_statements() {
    let frame =
        |body: &str| format!("-- +migrate StatementBegin\n{body}\n-- +migrate StatementEnd\n");
    let function = "create function f() returns int language plpgsql as $$ begin return 1; end; $$";
    for dialect in [Postgres, Sqlite] {
        splits(
            dialect,
            &format!("select 1;\n{}select 3", frame("select 2")),
            &["select 1", "select 2", "select 3"],
        );
        splits(
            dialect,
            &format!("select 1\n{}", frame("select 2;")),
            &["select 1", "select 2"],
        );
        // Files of the sql-migrate kind frame several statements at once; they are counted one by one.
        splits(
            dialect,
            &frame("select 1;\nselect 2;"),
            &["select 1", "select 2"],
        );
    }
    splits(Postgres, &frame(&format!("{function};")), &[function]);
    // A name that the count of BEGIN and END takes for an END: the frame and the syntax tree settle it.
    let odd = "create function f() returns int begin atomic select 1 end; select 2; end";
    splits(Postgres, &frame(&format!("{odd};")), &[odd]);
}

/// Beyond what the syntax tree is asked for.
fn long(statement: &str) -> String {
    format!("{statement}{}", " + 1".repeat(400))
}

#[test]
fn a_frame_hides_nothing_from_whoever_refuses_statements() {
    let frame =
        |body: &str| format!("-- +migrate StatementBegin\n{body}\n-- +migrate StatementEnd\n");
    for (hidden, message) in [
        ("COMMIT", "COMMIT controls"),
        ("SET search_path TO a", "SET search_path leaves"),
        ("SET ROLE a", "SET role changes"),
    ] {
        for before in [long("select 1"), "selekt 1".to_owned()] {
            let body = frame(&format!("{before};\n{hidden};\nselect 2;"));
            let problems = statements(Postgres, &body).unwrap_err();
            only(&problems, &format!("4:1: {message}"));
        }
    }
    // Long bodies stay whole: in dollar quotes they are one token, after BEGIN ATOMIC they are counted.
    let lines = "perform 1; if true then return 1; end if;\n".repeat(300);
    let atomic = format!("{}; select case 1 when 1 then 2 end; ", long("select 1"));
    for function in [
        format!("create function f() returns int language plpgsql as $$ begin {lines} end; $$"),
        format!("do $body$ begin {lines} end; $body$"),
        format!("create or replace function f() returns int begin atomic {atomic} end"),
    ] {
        splits(Postgres, &frame(&format!("{function};")), &[&function]);
        splits(Postgres, &format!("{function};"), &[&function]);
    }
}

#[test]
fn semicolons_that_nobody_vouches_for_are_refused() {
    let long = long("select 1");
    for body in [
        format!("select (1; commit; {long});"),
        format!("create table t (a int; commit; {long});"),
        format!("create function f(a int default (1; commit; {long})) returns int return 1;"),
        format!("create schema s create view v as select begin atomic from t; commit; {long} end;"),
    ] {
        let problems = statements(Postgres, &body).unwrap_err();
        let at = body.find(';').unwrap() + 1;
        only(
            &problems,
            &format!("2:{at}: a semicolon inside a statement"),
        );
    }
    // Names that look like the beginning of a body.
    for create in [
        "create view function as",
        "create rule schema as on insert to t do also",
        "create table procedure as",
    ] {
        let body = format!("{create} select begin atomic from t; commit; {long} end;");
        let problems = statements(Postgres, &body).unwrap_err();
        let at = body.find("commit").unwrap() + 1;
        only(&problems, &format!("2:{at}: COMMIT"));
    }
    // A name that looks like a CASE does not keep the body open.
    let body = format!(
        "create function f() returns int begin atomic {long} case; end; commit; select 1 end;"
    );
    let problems = statements(Postgres, &body).unwrap_err();
    assert!(problems[0].message.starts_with("COMMIT"), "{problems:?}");
    let rule = format!(
        "create or replace rule r as on insert to t do also (insert into a values (1); {long})"
    );
    splits(
        Postgres,
        &format!("{rule}; select 2;"),
        &[&rule, "select 2"],
    );
}

#[test]
fn statements_know_their_places() {
    let text = up("  select 1; /* é\n */ select\n 'ß',\n x;");
    let read = migration(&text);
    for dialect in Dialect::ALL {
        let found = read.statements(dialect).unwrap();
        assert_eq!((found[0].line, found[0].column), (2, 3));
        assert_eq!((found[1].line, found[1].column), (3, 5));
        assert_eq!(found[1].locate(0), (3, 5));
        assert_eq!(found[1].locate(5), (3, 10));
        assert_eq!(found[1].locate(8), (4, 2), "the string, in characters");
        assert_eq!(found[1].locate(10), (4, 4), "a character, not a byte");
        assert_eq!(found[1].locate(14), (5, 2));
        assert_eq!(found[1].locate(999), (5, 3), "the end");
        let at = text.find("'ß'").unwrap();
        assert_eq!(found[1].locate(8), position(&text, at));
    }
}

#[test]
fn a_large_file_is_cut_in_one_pass() {
    let body = "insert into t (a, b) values (1, 'it''s; fine');\n".repeat(20_000);
    for dialect in Dialect::ALL {
        let found = statements(dialect, &body).unwrap();
        assert_eq!(found.len(), 20_000);
        assert_eq!(found[19_999].line, 20_001);
    }
}
