//! Tenants that each have a database of their own.

use sanderling_testkit::{Postgres, Redis};

use crate::cluster::{drain, start_cluster};
use crate::fleet::Fleet;
use crate::history::assert_possible;

/// 100 databases that are not there yet, over a cluster: more databases than connections of their host.
#[test]
fn a_hundred_databases_are_made_and_migrated_once() {
    let fleet = Fleet::cluster(Postgres::shared(), Redis::shared())
        .schemas(20)
        .databases(100)
        .written();
    fleet.probe_migrations(3);
    let mut processes = start_cluster(&fleet, 1, 2);

    let summary = fleet.json(0, &["up", "--yes"]);

    assert_eq!(summary["succeeded"], 120, "{summary}");
    fleet.assert_exactly_once(3);
    assert_possible(&fleet.history(summary["rollout"].as_str().unwrap()));
    let verdict = fleet.json(0, &["verify"]);
    assert_eq!(verdict["checked"], 120, "{verdict}");
    assert_eq!(verdict["violations"], serde_json::json!([]), "{verdict}");
    let again = fleet.json(0, &["up", "--yes"]);
    assert_eq!(again["up_to_date"], 120, "{again}");
    drain(&mut processes);
}

/// Looking does not make them, and without leave nobody does.
#[test]
fn missing_databases_are_left_alone_without_leave() {
    let postgres = Postgres::shared();
    let fleet = Fleet::embedded()
        .with_postgres(postgres)
        .databases(2)
        .written();
    fleet.probe_migrations(1);
    let text = std::fs::read_to_string(fleet.path("sanderling.toml")).unwrap();
    for command in ["plan", "status"] {
        fleet.expect(0, &[command]);
    }
    fleet.write(
        "sanderling.toml",
        text.replace("create_missing = true", "create_missing = false"),
    );
    let summary = fleet.json(4, &["up"]);
    assert_eq!(summary["unreachable"], 2, "{summary}");
    for database in fleet.database_names() {
        let found = format!("SELECT count(*) FROM pg_database WHERE datname = '{database}'");
        assert_eq!(postgres.sql(postgres.url(), &found), "0");
    }
}

/// Catalogs are compared across databases.
#[test]
fn a_database_that_was_touched_by_hand_is_found() {
    let postgres = Postgres::shared();
    let fleet = Fleet::embedded()
        .with_postgres(postgres)
        .databases(4)
        .written();
    fleet.probe_migrations(2);
    fleet.expect(0, &["up"]);
    let touched = &fleet.database_names()[2];
    postgres.sql(
        &postgres.url_of(touched),
        "ALTER TABLE public.things_1 ADD COLUMN extra text",
    );
    let verdict = fleet.json(6, &["verify"]);
    let violations = verdict["violations"].as_array().unwrap();
    assert_eq!(violations.len(), 1, "{verdict}");
    assert_eq!(violations[0]["tenant"], touched.as_str(), "{verdict}");
    assert_eq!(violations[0]["kind"], "catalog", "{verdict}");
}
