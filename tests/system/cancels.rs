//! A person cancels tenants that are in flight, and processes die around it.

use sanderling_testkit::{Postgres, Signal, until};
use serde_json::Value;

use crate::fleet::{DEADLINE, Fleet, last_json, sqlite};

/// Tenant `stuck` never comes to an end with the last of two versions.
fn stuck_in_schemas(stuck: &str) -> Fleet {
    let fleet = Fleet::embedded()
        .with_postgres(Postgres::shared())
        .schemas(5)
        .rollout("[[rollout.waves]]\nname = \"all\"\nrest = true\n")
        .written();
    fleet.probe_migrations(1);
    fleet.expect(0, &["up"]);
    let sleeps = format!("INSERT INTO {stuck}.things_1 VALUES (3600, 'stuck')");
    Postgres::shared().sql(fleet.tenants_url(), &sleeps);
    fleet.migration(
        "0002",
        "more",
        "CREATE TABLE more (id integer);",
        "DROP TABLE more;",
    );
    let late = "CREATE TABLE late (id integer);\nSELECT pg_sleep(id) FROM things_1;";
    fleet.migration("0003", "late", late, "DROP TABLE late;");
    fleet
}

fn sleeping(fleet: &Fleet) -> String {
    let sql = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event = 'PgSleep'";
    let count = Postgres::shared().sql(fleet.tenants_url(), sql);
    count.trim().to_owned()
}

fn until_stuck(fleet: &Fleet) {
    until(DEADLINE, "the tenant to be stuck", || {
        (sleeping(fleet) == "1").then_some(())
    });
}

fn cancel(fleet: &Fleet, tenant: &str) -> Value {
    fleet.json(
        0,
        &[
            "tenants",
            "cancel",
            "--tenants",
            tenant,
            "--reason",
            "its locks hurt",
        ],
    )
}

/// What was applied before is in effect there, the last version is not and will not be.
fn assert_stopped(fleet: &Fleet, stuck: &str) {
    let versions = format!(
        "SELECT string_agg(version || ' ' || state, ',' ORDER BY version) FROM {stuck}.sanderling_migrations"
    );
    let versions = Postgres::shared().sql(fleet.tenants_url(), &versions);
    assert_eq!(versions.trim(), "0001 applied,0002 applied");
    let late = format!(
        "SELECT count(*) FROM pg_tables WHERE schemaname = '{stuck}' AND tablename = 'late'"
    );
    assert_eq!(
        Postgres::shared().sql(fleet.tenants_url(), &late).trim(),
        "0"
    );
    assert_eq!(sleeping(fleet), "0", "nothing runs on");
}

#[test]
fn a_stuck_tenant_is_cancelled_and_the_others_go_on() {
    let fleet = stuck_in_schemas("t0002");
    let mut up = fleet.spawn(&["--json", "up"]);
    until_stuck(&fleet);
    let receipt = cancel(&fleet, "t0002");
    assert_eq!(
        receipt["stopping"],
        serde_json::json!(["t0002"]),
        "{receipt}"
    );
    let again = cancel(&fleet, "t0002");
    assert_eq!(again["changed"], false, "{again}");
    let ended = up.wait_with_deadline(DEADLINE);
    assert_eq!(ended.code(), Some(4), "{}\n{}", ended.stdout, ended.stderr);
    let summary = last_json(&ended.stdout);
    assert_eq!(summary["succeeded"], 4, "{summary}");
    assert_eq!(summary["partial"], 1, "{summary}");
    assert!(
        ended.stdout.contains("\"cancel_asked\""),
        "{}",
        ended.stdout
    );
    assert_stopped(&fleet, "t0002");
    fleet.verified_clean();
}

/// The process that had it in hand is killed right after: who takes over applies nothing.
#[test]
fn a_cancel_outlives_the_worker_that_should_have_heard_it() {
    let fleet = stuck_in_schemas("t0003");
    let mut up = fleet.spawn(&["up"]);
    until_stuck(&fleet);
    cancel(&fleet, "t0003");
    up.signal(Signal::Kill);
    let summary = fleet.json(4, &["up"]);
    assert_eq!(summary["succeeded"], 4, "{summary}");
    assert_eq!(summary["partial"], 1, "{summary}");
    assert_stopped(&fleet, "t0003");
    fleet.verified_clean();
}

#[test]
fn a_statement_on_a_file_is_interrupted() {
    let fleet = Fleet::embedded()
        .files(3)
        .rollout("[[rollout.waves]]\nname = \"all\"\nrest = true\n")
        .written();
    fleet.probe_migrations(1);
    fleet.expect(0, &["up"]);
    let stuck = fleet.path("data/file001.db");
    sqlite(&stuck, "INSERT INTO things_1 VALUES (1, 'stuck')");
    let endless = "INSERT INTO probe (version) WITH RECURSIVE c (n) AS (SELECT 1 FROM things_1 UNION ALL SELECT n + 1 FROM c) \
                   SELECT count(*) FROM c HAVING count(*) > 0;\nINSERT INTO probe (version) VALUES (2);";
    fleet.migration("0002", "endless", endless, "DELETE FROM probe;");
    let mut up = fleet.spawn(&["--json", "up"]);
    until(DEADLINE, "the others to end", || {
        (up.stdout().matches("\"outcome\":\"succeeded\"").count() == 2).then_some(())
    });
    let receipt = cancel(&fleet, "file001");
    assert_eq!(receipt["targets"], 1, "{receipt}");
    let ended = up.wait_with_deadline(DEADLINE);
    let summary = last_json(&ended.stdout);
    assert_eq!(summary["cancelled"], 1, "{summary}");
    let versions = "SELECT group_concat(version) FROM probe";
    assert_eq!(sqlite(&stuck, versions).trim(), "1");
    fleet.verified_clean();
}
