//! A registry as an export writes it: one large JSON file.
#![expect(clippy::unwrap_used, reason = "helpers of tests may panic")]

use std::collections::BTreeSet;
use std::fmt::Write as _;

use sanderling_core::HostName;
use sanderling_registry::tenants::load;
use sanderling_registry::{RegistryError, Tenants};

/// Rows of a fleet, one a line after the bracket, with the row at `odd` replaced.
fn rows(n: usize, odd: Option<(usize, &str)>) -> String {
    let mut text = String::from("[\n");
    for at in 0..n {
        match odd {
            Some((there, row)) if there == at => text.push_str(row),
            _ => {
                let _ = write!(
                    text,
                    r#"{{"id": "tenant-{at}", "host": "eu1", "schema": "t_{at}", "size": {at}, "labels": {{"plan": "pro", "region": "eu", "shard": "s{}"}}}}"#,
                    at % 64
                );
            }
        }
        text.push_str(if at + 1 < n { ",\n" } else { "\n" });
    }
    text.push(']');
    text
}

fn read(text: &str) -> Result<Tenants, RegistryError> {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("fleet.json"), text).unwrap();
    let hosts = BTreeSet::from([HostName::new("eu1")]);
    load(dir.path(), &["fleet.json".into()], &hosts)
}

fn refused(text: &str) -> String {
    let error = read(text).unwrap_err().to_string();
    let (_, said) = error.split_once("fleet.json:").unwrap();
    said.to_owned()
}

#[test]
fn a_large_json_file_is_read_whole() {
    let read = read(&rows(20_000, None)).unwrap();
    assert_eq!(read.tenants.len(), 20_000);
    let last = &read.tenants[19_999];
    assert_eq!(last.id.as_str(), "tenant-19999");
    assert_eq!((last.size, last.labels.len()), (Some(19_999), 3));
}

/// The second of two equal keys would win in silence, and be another tenant's schema.
#[test]
fn a_key_that_is_there_twice_is_refused_where_it_stands() {
    for (row, at) in [
        (
            r#"{"id": "a", "host": "eu1", "schema": "a", "schema": "b"}"#,
            "702:43",
        ),
        (
            r#"{"id": "a", "id": "b", "host": "eu1", "schema": "a"}"#,
            "702:13",
        ),
        (
            r#"{"id": "a", "host": "eu1", "schema": "a", "labels": {"plan": "pro", "plan": "free"}}"#,
            "702:69",
        ),
        (
            r#"{"id": "a", "host": "eu1", "schema": "a", "labels": {}, "labels": {"plan": "free"}}"#,
            "702:57",
        ),
    ] {
        let said = refused(&rows(1_000, Some((700, row))));
        assert!(said.starts_with(at), "{row}: {said}");
        assert!(said.contains("duplicate"), "{row}: {said}");
    }
}
