//! Where the sections of a file are.

use super::{migration, only, shown};
use sanderling_sql::{Dialect, parse};

#[test]
fn a_file_has_up_and_perhaps_down() {
    let text = "-- a note\n\n/* and\nanother */\n-- +migrate Up\ncreate table a (b int);\n\n-- +migrate Down\ndrop table a;\n";
    let read = migration(text);
    assert_eq!((read.version.as_str(), read.name.as_str()), ("7", "x"));
    assert_eq!(read.text(), text);
    assert_eq!(read.checksum.len(), 64);
    for dialect in Dialect::ALL {
        let up = read.statements(dialect).unwrap();
        assert_eq!(up.len(), 1);
        assert_eq!(up[0].text, "create table a (b int)");
        assert_eq!((up[0].line, up[0].column), (6, 1));
        let down = read.down_statements(dialect).unwrap().unwrap();
        assert_eq!(down[0].text, "drop table a");
        assert_eq!((down[0].line, down[0].column), (9, 1));
    }
}

#[test]
fn without_statements_in_down_it_cannot_be_undone() {
    for tail in ["", "-- +migrate Down", "-- +migrate Down\n-- nothing\n;\n"] {
        let read = migration(&format!("-- +migrate Up\nselect 1;\n{tail}"));
        for dialect in Dialect::ALL {
            assert!(read.down_statements(dialect).is_none(), "{tail}");
        }
    }
}

#[test]
fn the_checksum_is_that_of_the_text() {
    let read = migration("-- +migrate Up\nselect 1;\n");
    assert_eq!(
        read.checksum,
        "a7502ab0524624fe12ee6ed33f5ff27fb681ccc92e88e4c7da0cd026d03c7bf3",
    );
    assert_ne!(
        read.checksum,
        migration("-- +migrate Up\nselect 2;\n").checksum
    );
}

#[test]
fn what_is_wrong_with_the_sections_is_said_with_its_place() {
    for (text, start) in [
        ("", "1:1: the file has no `-- +migrate Up`"),
        (
            "-- only a comment\n",
            "1:1: the file has no `-- +migrate Up`",
        ),
        ("\n  select 1;", "2:3: the file has no `-- +migrate Up`"),
        ("-- +migrate Up", "1:1: the Up section holds no statement"),
        (
            "-- +migrate Up\n-- a\n/* b */ ;;\n",
            "1:1: the Up section holds no statement",
        ),
        (
            "-- +migrate Up\n-- +migrate Down\ndrop table a;",
            "1:1: the Up section holds no statement",
        ),
        (
            "select 1;\n-- +migrate Up\nselect 2;",
            "1:1: SQL before the first directive",
        ),
        (
            "-- a\n ;\n-- +migrate Up\nselect 2;",
            "2:2: SQL before the first directive",
        ),
        (
            "-- +migrate Up\nselect 1;\n-- +migrate Up\nselect 2;",
            "3:1: a second Up section; the first is on line 1",
        ),
        (
            "-- +migrate Up\nselect 1;\n-- +migrate Down\nselect 2;\n-- +migrate Down\nselect 3;",
            "5:1: a second Down section; the first is on line 3",
        ),
        (
            "-- +migrate Down\nselect 1;\n-- +migrate Up\nselect 2;",
            "1:1: the Down section stands before Up",
        ),
    ] {
        only(&parse(super::FILE, text).unwrap_err(), start);
    }
}

#[test]
fn what_is_wrong_with_a_directive_or_a_frame_is_said_with_its_place() {
    for (text, start) in [
        (
            "-- +migrate Up\nselect 1;\n-- +migrate Sideways\n",
            "3:1: unknown directive `-- +migrate Sideways`",
        ),
        (
            "-- +migrate up\nselect 1;",
            "1:1: unknown directive `-- +migrate up`",
        ),
        (
            "-- +migrate Up\nselect 1; -- +migrate Down\n",
            "2:11: the directive `-- +migrate Down` does not stand",
        ),
        (
            "-- +migrate Up\nselect 1;\n -- +migrate Down\n",
            "3:2: the directive `-- +migrate Down` does not stand",
        ),
        (
            "-- +migrate Up\nselect 1;\n--+migrate Down\n",
            "3:1: `--+migrate Down` is not written as a directive",
        ),
        (
            "-- +migrate Up\n-- +migrate StatementBegin\nselect 1;\n",
            "2:1: StatementBegin without StatementEnd",
        ),
        (
            "-- +migrate Up\n-- +migrate StatementBegin\nselect 1;\n-- +migrate Down\n",
            "2:1: StatementBegin without StatementEnd",
        ),
        (
            "-- +migrate Up\nselect 1;\n-- +migrate StatementEnd\n",
            "3:1: StatementEnd without StatementBegin",
        ),
        (
            "-- +migrate Up\n-- +migrate StatementBegin\n-- +migrate StatementBegin\nselect 1;\n-- +migrate StatementEnd\n",
            "3:1: StatementBegin inside another one",
        ),
        (
            "-- +migrate StatementBegin\n-- +migrate Up\nselect 1;\n",
            "1:1: a statement is framed before any section",
        ),
        (
            "-- +migrate Up\nselect 'a;\n",
            "2:8: a string that never ends",
        ),
        (
            "-- +migrate Up\nselect \"a;\n",
            "2:8: a quoted name that never ends",
        ),
        (
            "-- +migrate Up\nselect 1 /* a;\n",
            "2:10: a comment that never ends",
        ),
    ] {
        only(&parse(super::FILE, text).unwrap_err(), start);
    }
}

#[test]
fn a_word_that_is_nearly_a_directive_names_it() {
    let problems = parse(super::FILE, "-- +migrate Up\nselect 1;\n-- +migrate Dwon\n").unwrap_err();
    assert!(shown(&problems).ends_with("hint: did you mean `-- +migrate Down`?"));
}

#[test]
fn files_of_other_tools_are_named() {
    for (text, tool) in [
        ("-- migrate:up\nselect 1;\n-- migrate:down\n", "dbmate"),
        ("-- +goose Up\nselect 1;\n", "goose"),
        ("--liquibase formatted sql\n", "Liquibase"),
    ] {
        let problems = parse(super::FILE, text).unwrap_err();
        assert!(shown(&problems).contains(tool), "{}", shown(&problems));
    }
}

#[test]
fn a_directive_inside_quotes_and_comments_is_text() {
    for body in [
        "select 'a\n-- +migrate Down\n';",
        "select 1 as \"a\n-- +migrate Down\n\";",
        "select 1 /*\n-- +migrate Down\n*/;",
    ] {
        let read = migration(&super::up(body));
        for dialect in Dialect::ALL {
            assert!(read.down_statements(dialect).is_none(), "{body}");
            assert_eq!(read.statements(dialect).unwrap().len(), 1, "{body}");
        }
    }
}

#[test]
fn each_dialect_reads_the_file_its_own_way() {
    // A function body for PostgreSQL; nonsense for SQLite, which says so where it is asked.
    let read = migration("-- +migrate Up\ndo $$\n-- +migrate Down\n-- it's\n$$;\n");
    assert_eq!(read.statements(Dialect::Postgres).unwrap().len(), 1);
    assert!(read.down_statements(Dialect::Postgres).is_none());
    let problems = read.statements(Dialect::Sqlite).unwrap_err();
    assert!(
        shown(&problems).contains("SQLite has no dollar quotes"),
        "{}",
        shown(&problems)
    );

    // Only SQLite knows names in brackets and backticks.
    for name in ["[it's]", "`it's`"] {
        let read = migration(&format!("-- +migrate Up\nselect 1 as {name};\n"));
        assert_eq!(read.statements(Dialect::Sqlite).unwrap().len(), 1);
        let problems = read.statements(Dialect::Postgres).unwrap_err();
        assert!(shown(&problems).contains("a string that never ends"));
    }

    // Only PostgreSQL nests comments.
    let read = migration("-- +migrate Up\nselect 1 /* /* */\n-- +migrate Down\nselect 2 */;\n");
    assert!(read.down_statements(Dialect::Postgres).is_none());
    assert!(read.down_statements(Dialect::Sqlite).is_some());
}

#[test]
fn a_header_that_depends_on_the_reader_is_refused() {
    let text = "/* /* */\n-- sanderling: kind=data\n-- */\n-- +migrate Up\nselect 1;\n";
    assert!(parse(super::FILE, text).is_err());
    let text = "/* /* */\n-- +migrate Up\nselect 1;\n-- */\n-- sanderling: kind=data\n-- +migrate Up\nselect 1;\n";
    let read = migration(text);
    assert!(read.statements(Dialect::Postgres).is_ok());
    assert!(read.statements(Dialect::Sqlite).is_err());
}

#[test]
fn where_no_dialect_can_read_a_file_the_common_faults_are_said_first() {
    let both = "-- +migrate Up\nselect 1;\n-- +migrate Dwon\nselect [it's] `;\n";
    let problems = parse(super::FILE, both).unwrap_err();
    only(&problems, "3:1: unknown directive");
    let neither = "-- +migrate Up\nselect [it's] `;\n";
    let all = shown(&parse(super::FILE, neither).unwrap_err());
    assert!(
        all.contains("read as PostgreSQL: ") && all.contains("read as SQLite: "),
        "{all}"
    );
}
