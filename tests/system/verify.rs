//! `verify` is itself tested: each kind of violation is planted, and exactly that is reported.

use sanderling_testkit::Postgres;
use serde_json::Value;

use crate::fleet::{Fleet, sqlite};

/// Eight schemas and four files, three versions, clean.
pub(crate) fn migrated() -> Fleet {
    let fleet = Fleet::embedded()
        .with_postgres(Postgres::shared())
        .schemas(8)
        .files(4)
        .written();
    fleet.probe_migrations(3);
    fleet.json(0, &["up"]);
    assert_eq!(
        fleet.json(0, &["verify"])["violations"],
        serde_json::json!([])
    );
    fleet
}

/// Exactly one violation, and what it says.
#[track_caller]
pub(crate) fn assert_only(fleet: &Fleet, tenant: &str, kind: &str) -> Value {
    let verdict = fleet.json(6, &["verify"]);
    let violations = verdict["violations"].as_array().unwrap();
    assert_eq!(violations.len(), 1, "{verdict}");
    assert_eq!(violations[0]["tenant"], tenant, "{verdict}");
    assert_eq!(violations[0]["kind"], kind, "{verdict}");
    assert!(
        violations[0]["detail"].as_str().unwrap().len() > 10,
        "{verdict}"
    );
    violations[0].clone()
}

#[test]
fn a_missing_ledger_row_is_found() {
    let fleet = migrated();
    Postgres::shared().sql(
        fleet.tenants_url(),
        "DELETE FROM t0003.sanderling_migrations WHERE version = '0002'",
    );
    assert_only(&fleet, "t0003", "missing_row");
}

#[test]
fn a_missing_ledger_row_is_found_in_a_file() {
    let fleet = migrated();
    sqlite(
        &fleet.path("data/file002.db"),
        "DELETE FROM sanderling_migrations WHERE version = '0003'",
    );
    assert_only(&fleet, "file002", "missing_row");
}

#[test]
fn a_version_outside_the_bundle_is_found() {
    let fleet = migrated();
    let sql = "INSERT INTO t0005.sanderling_migrations SELECT (jsonb_populate_record(m, '{\"version\": \"0009\"}')).* FROM t0005.sanderling_migrations m WHERE version = '0003'";
    Postgres::shared().sql(fleet.tenants_url(), sql);
    assert_only(&fleet, "t0005", "unknown_version");
}

#[test]
fn a_wrong_checksum_is_found() {
    let fleet = migrated();
    Postgres::shared().sql(
        fleet.tenants_url(),
        "UPDATE t0001.sanderling_migrations SET checksum = repeat('0', 64) WHERE version = '0001'",
    );
    assert_only(&fleet, "t0001", "checksum");
}

#[test]
fn a_changed_column_is_found() {
    let fleet = migrated();
    Postgres::shared().sql(
        fleet.tenants_url(),
        "ALTER TABLE t0006.things_2 ALTER COLUMN name DROP NOT NULL",
    );
    assert_only(&fleet, "t0006", "catalog");
}

#[test]
fn a_changed_column_is_found_in_a_file() {
    let fleet = migrated();
    sqlite(
        &fleet.path("data/file001.db"),
        "ALTER TABLE things_2 ADD COLUMN extra text",
    );
    assert_only(&fleet, "file001", "catalog");
}

#[test]
fn a_store_that_contradicts_a_ledger_is_found() {
    let fleet = migrated();
    let sql = "UPDATE targets SET outcome = 'failed', applied = '[]' WHERE tenant = 't0004'";
    sqlite(&fleet.path("control.db"), sql);
    assert_only(&fleet, "t0004", "store_mismatch");
}
