//! Many files together.

use super::shown;
use sanderling_sql::{Diagnostic, Dialect, parse_set};

fn files(entries: &[(&str, &str)]) -> Vec<(String, String)> {
    entries
        .iter()
        .map(|(name, text)| ((*name).to_owned(), (*text).to_owned()))
        .collect()
}

const ONE: &str = "-- +migrate Up\nselect 1;\n";

fn refused(entries: &[(&str, &str)], dialects: &[Dialect]) -> Vec<Diagnostic> {
    parse_set(&files(entries), dialects).unwrap_err()
}

#[test]
fn sorted_by_version_as_a_number() {
    let set = parse_set(
        &files(&[
            ("10_b.sql", ONE),
            ("9_a.sql", ONE),
            ("0011_c.sql", ONE),
            ("20260101120000_d.sql", ONE),
        ]),
        &Dialect::ALL,
    )
    .unwrap();
    let versions: Vec<_> = set.iter().map(|m| m.version.as_str()).collect();
    assert_eq!(versions, ["9", "10", "0011", "20260101120000"]);
    assert!(parse_set(&[], &Dialect::ALL).unwrap().is_empty());
}

#[test]
fn one_number_in_two_spellings_is_refused_and_names_both() {
    let problems = refused(
        &[("7_a.sql", ONE), ("007_b.sql", ONE), ("8_c.sql", ONE)],
        &[Dialect::Postgres],
    );
    assert_eq!(problems.len(), 1);
    let all = shown(&problems);
    assert!(
        all.contains("7_a.sql") && all.contains("007_b.sql"),
        "{all}"
    );
}

#[test]
fn what_a_migration_requires_has_to_come_before_it() {
    let with =
        |requires: &str| format!("-- why\n-- sanderling: kind=data requires={requires}\n{ONE}");
    let fine = [
        ("1_a.sql".to_owned(), ONE.to_owned()),
        ("2_b.sql".to_owned(), with("01")),
    ];
    assert_eq!(
        parse_set(&fine, &Dialect::ALL).unwrap()[1].header.requires,
        ["01"]
    );
    for (requires, message) in [
        ("3", "which no file has"),
        ("2", "does not come before"),
        ("4", "does not come before"),
    ] {
        let text = with(requires);
        let all = shown(&refused(
            &[("1_a.sql", ONE), ("2_b.sql", &text), ("4_d.sql", ONE)],
            &Dialect::ALL,
        ));
        assert!(
            all.starts_with("2_b.sql:2:35: ") && all.contains(message),
            "{all}"
        );
    }
}

#[test]
fn every_fault_of_every_file_is_found_at_once() {
    let problems = refused(
        &[
            (
                "3_c.sql",
                "-- +migrate Up\nselect 1;\n-- +migrate Down\nvacuum;\nbegin;\n",
            ),
            ("nonsense.sql", ONE),
            ("1_a.sql", "-- +migrate Up\ncommit;\n"),
            ("2_b.sql", "select 1;"),
        ],
        &Dialect::ALL,
    );
    let places: Vec<_> = problems
        .iter()
        .map(|p| format!("{}:{}:{}", p.file, p.line, p.column))
        .collect();
    assert_eq!(
        places,
        [
            "1_a.sql:2:1",
            "2_b.sql:1:1",
            "3_c.sql:4:1",
            "3_c.sql:5:1",
            "nonsense.sql:1:1"
        ]
    );
}

#[test]
fn only_the_dialects_of_the_fleet_count() {
    let postgres = ("1_a.sql", "-- +migrate Up\ndo $$ begin null; end $$;\n");
    let sqlite = ("1_a.sql", "-- +migrate Up\nselect 1 as [it's];\n");
    assert!(parse_set(&files(&[postgres]), &[Dialect::Postgres]).is_ok());
    assert!(parse_set(&files(&[sqlite]), &[Dialect::Sqlite]).is_ok());
    assert!(parse_set(&files(&[postgres, sqlite][..1]), &Dialect::ALL).is_err());
    assert!(parse_set(&files(&[sqlite]), &[Dialect::Postgres]).is_err());
    // The faults are those of the dialect that was asked for.
    let text = "-- +migrate Up\nselect 1 as [it's];\n-- +migrate Up\n";
    let all = shown(&refused(&[("1_a.sql", text)], &[Dialect::Sqlite]));
    assert!(all.starts_with("1_a.sql:3:1: a second Up"), "{all}");
}

#[test]
fn a_file_for_both_dialects_has_its_sections_in_the_same_places() {
    let text = "-- +migrate Up\nselect 1 /* /* */\n-- +migrate Down\nselect 2 */;\n";
    let all = shown(&refused(&[("1_a.sql", text)], &Dialect::ALL));
    assert!(
        all.contains("find the directives of this file in different places"),
        "{all}"
    );
    assert!(parse_set(&files(&[("1_a.sql", text)]), &[Dialect::Postgres]).is_ok());
}
