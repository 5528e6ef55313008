//! The settings of a file.

use super::{migration, only, shown};
use sanderling_sql::{Header, Kind, Phase, parse};

fn header(lines: &str) -> Header {
    migration(&format!("{lines}\n-- +migrate Up\nselect 1;\n")).header
}

#[test]
fn everything_that_can_be_set() {
    let read = header(
        "-- what it does\n-- sanderling: phase=expand change=split-name lock_timeout=1s statement_timeout=0\n\
         -- sanderling: requires=1,0002 kind=data transaction=on scope=tenant online=none\n\
         -- sanderling: allow=add-not-null reason=\"small table = fine\" allow=other reason=x\n",
    );
    assert_eq!(read.phase, Some(Phase::Expand));
    assert_eq!(read.change.as_deref(), Some("split-name"));
    assert_eq!(read.lock_timeout_ms, Some(1_000));
    assert_eq!(read.statement_timeout_ms, Some(0));
    assert_eq!(read.requires, ["1", "0002"]);
    assert_eq!(read.kind, Kind::Data);
    assert!(read.transaction);
    let allowed: Vec<_> = read
        .allow
        .iter()
        .map(|a| (a.rule.as_str(), a.reason.as_str()))
        .collect();
    assert_eq!(
        allowed,
        [("add-not-null", "small table = fine"), ("other", "x")]
    );
    let why = header("-- sanderling: irreversible=\"drops data\"");
    assert_eq!(why.irreversible.as_deref(), Some("drops data"));
}

#[test]
fn nothing_set_means_the_defaults() {
    let read = header("-- just a note");
    assert_eq!(read, Header::default());
    assert!(read.transaction && read.kind == Kind::Schema && read.lock_timeout_ms.is_none());
}

#[test]
fn durations_have_a_unit() {
    for (value, millis) in [
        ("500ms", 500),
        ("1s", 1_000),
        ("2m", 120_000),
        ("1h", 3_600_000),
    ] {
        let read = header(&format!("-- sanderling: lock_timeout={value}"));
        assert_eq!(read.lock_timeout_ms, Some(millis));
    }
}

/// Each line, as a header, is refused with a problem that begins so.
fn wrong(cases: &[(&str, &str)]) {
    for (line, start) in cases {
        let text = format!("{line}\n-- +migrate Up\nselect 1;\n");
        only(&parse(super::FILE, &text).unwrap_err(), start);
    }
}

#[test]
fn an_unknown_or_repeated_setting_is_refused_at_its_place() {
    wrong(&[
        ("-- sanderling: fase=expand", "1:16: unknown setting `fase`"),
        (
            "-- sanderling: colour=red",
            "1:16: unknown setting `colour`",
        ),
        (
            "-- sanderling: Phase=expand",
            "1:16: unknown setting `Phase`",
        ),
        (
            "-- sanderling: phase=expnad",
            "1:22: `expnad` is not a value of `phase`",
        ),
        (
            "-- sanderling: kind=table",
            "1:21: `table` is not a value of `kind`",
        ),
        (
            "-- sanderling: phase=expand phase=expand",
            "1:29: `phase` is set twice",
        ),
    ]);
}

#[test]
fn what_is_no_duration_is_refused_at_its_place() {
    wrong(&[
        (
            "-- sanderling: lock_timeout=1",
            "1:29: `1` is not a duration",
        ),
        (
            "-- sanderling: lock_timeout=ms",
            "1:29: `ms` is not a duration",
        ),
        (
            "-- sanderling: lock_timeout=1.5s",
            "1:29: `1.5s` is not a duration",
        ),
        (
            "-- sanderling: lock_timeout=-1s",
            "1:29: `-1s` is not a duration",
        ),
        (
            "-- sanderling: lock_timeout=1S",
            "1:29: `1S` is not a duration",
        ),
        (
            "-- sanderling: lock_timeout=0",
            "1:29: `lock_timeout=0` would wait for ever",
        ),
        (
            "-- sanderling: lock_timeout=0s",
            "1:29: `lock_timeout=0` would wait for ever",
        ),
        (
            "-- sanderling: statement_timeout=600h",
            "1:34: `600h` is longer than",
        ),
        (
            "-- sanderling: statement_timeout=99999999999999999999s",
            "1:34: `99999999999999999999s` is longer",
        ),
    ]);
}

#[test]
fn other_wrong_settings_are_refused_at_their_place() {
    wrong(&[
        ("-- sanderling: requires=1,a", "1:25: `a` is not a version"),
        ("-- sanderling: requires=1,", "1:25: `` is not a version"),
        (
            "-- sanderling: change=\"Two words\"",
            "1:23: `Two words` is not a plain name",
        ),
        (
            "-- sanderling: irreversible=",
            "1:16: `irreversible=` has no value",
        ),
        (
            "-- sanderling: irreversible=\"a b",
            "1:29: a quoted value that never ends",
        ),
        (
            "-- sanderling: phase expand",
            "1:16: `phase` is not of the form key=value",
        ),
        ("-- sanderling:", "1:15: a header line without settings"),
        ("-- sanderling: allow=x", "1:16: `allow=x` gives no reason"),
        (
            "-- sanderling: allow=x kind=data",
            "1:16: `allow=x` gives no reason",
        ),
        (
            "-- sanderling: reason=x",
            "1:16: `reason` without an `allow`",
        ),
        (
            "-- sanderling: transaction=maybe",
            "1:28: `transaction` is `on` or `off`",
        ),
        (
            "-- sanderling: online=sometimes",
            "1:23: `online` is one of",
        ),
        (
            "-- sanderling: scope=all",
            "1:22: `scope` is `tenant` or `shared`",
        ),
        (
            "-- sanderling kind=data",
            "1:1: a header line without a colon",
        ),
        (
            "-- Sanderling: kind=data",
            "1:1: a header line is written in small letters",
        ),
        (
            " -- sanderling: kind=data",
            "1:2: a header line has to stand at the start",
        ),
    ]);
}

#[test]
fn what_is_not_built_yet_is_refused_and_never_ignored() {
    for setting in [
        "scope=shared",
        "bake=72h",
        "min_app_version=2.1",
        "online=auto",
        "online=instant",
        "online=pt-osc",
        "online=gh-ost",
    ] {
        let text = format!("-- sanderling: {setting}\n-- +migrate Up\nselect 1;\n");
        let problems = parse(super::FILE, &text).unwrap_err();
        only(
            &problems,
            &format!("1:16: `{setting}` is not supported yet"),
        );
    }
}

#[test]
fn a_header_stands_before_the_sections() {
    let text = "-- +migrate Up\n-- sanderling: kind=data\nselect 1;\n";
    only(
        &parse(super::FILE, text).unwrap_err(),
        "2:1: a header line after the first section",
    );
}

#[test]
fn irreversible_and_down_contradict_each_other() {
    let text = "-- sanderling: irreversible=\"no\"\n-- +migrate Up\nselect 1;\n-- +migrate Down\nselect 2;\n";
    only(
        &parse(super::FILE, text).unwrap_err(),
        "4:1: the header says `irreversible`",
    );
    migration("-- sanderling: irreversible=\"no\"\n-- +migrate Up\nselect 1;\n-- +migrate Down\n");
}

#[test]
fn a_misspelt_key_names_the_nearest() {
    let text = "-- sanderling: lock_timout=1s\n-- +migrate Up\nselect 1;\n";
    let all = shown(&parse(super::FILE, text).unwrap_err());
    assert!(all.ends_with("hint: did you mean `lock_timeout`?"), "{all}");
}
