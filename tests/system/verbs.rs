//! An operator's verbs on a rollout, as typed.

use sanderling_testkit::Postgres;

use crate::fleet::{DEADLINE, Fleet};

/// A fleet whose first tenant fails in the canary, and its halted rollout.
fn halted(schemas: usize) -> (Fleet, String) {
    let postgres = Postgres::shared();
    let fleet = Fleet::embedded()
        .with_postgres(postgres)
        .schemas(schemas)
        .written();
    fleet.migration(
        "0001",
        "things",
        "CREATE TABLE things (id integer PRIMARY KEY);",
        "DROP TABLE things;",
    );
    postgres.sql(
        fleet.tenants_url(),
        "CREATE SCHEMA t0000; CREATE TABLE t0000.things (mine integer)",
    );
    let summary = fleet.json(3, &["up"]);
    let id = summary["rollout"].as_str().unwrap().to_owned();
    (fleet, id)
}

#[test]
fn a_rollout_is_paused_and_resumed() {
    let (fleet, id) = halted(7);
    let refused = fleet.expect(1, &["rollout", "pause", &id]);
    assert!(
        refused.stderr.contains("halted") && refused.stderr.contains("rollout show"),
        "{}",
        refused.stderr
    );
    // Nobody works on it, so it stays where a verb leaves it.
    fleet.expect(0, &["rollout", "retry", &id, "--failed"]);
    let receipt = fleet.json(0, &["rollout", "pause", &id, "--reason", "lunch"]);
    assert_eq!(receipt["changed"], true, "{receipt}");
    assert_eq!(receipt["verb"], "pause", "{receipt}");
    let again = fleet.json(0, &["rollout", "pause", &id]);
    assert_eq!(again["changed"], false, "{again}");
    let shown = fleet.expect(0, &["rollout", "show", &id]);
    assert!(
        shown.stdout.contains(&format!("rollout resume {id}")),
        "{}",
        shown.stdout
    );
    let up = fleet.json(5, &["up"]);
    assert_eq!(up["state"], "paused", "{up}");
    fleet.expect(
        0,
        &[
            "rollout", "skip", &id, "--tenant", "t0000", "--reason", "by hand",
        ],
    );
    fleet.expect(0, &["rollout", "resume", &id]);
    let up = fleet.json(0, &["up"]);
    assert_eq!(
        (up["succeeded"].as_u64(), up["skipped"].as_u64()),
        (Some(6), Some(1)),
        "{up}"
    );
}

#[test]
fn what_failed_stays_so_and_the_rest_goes_on() {
    let (fleet, id) = halted(8);
    let refused = fleet.expect(
        2,
        &["rollout", "skip", &id, "--tenant", "t0003", "--reason", " "],
    );
    assert!(refused.stderr.contains("--reason"), "{}", refused.stderr);
    fleet.expect(
        0,
        &[
            "rollout", "skip", &id, "--tenant", "t0007", "--reason", "leaves",
        ],
    );
    let unknown = fleet.expect(
        1,
        &["rollout", "skip", &id, "--tenant", "t9999", "--reason", "x"],
    );
    assert!(unknown.stderr.contains("t9999"), "{}", unknown.stderr);
    fleet.expect(2, &["rollout", "retry", &id, "--not-started", "--failed"]);
    let receipt = fleet.json(0, &["rollout", "retry", &id, "--not-started"]);
    assert_eq!(receipt["targets"], 7, "{receipt}");
    let mut up = fleet.spawn(&["--json", "up"]);
    let ended = up.wait_with_deadline(DEADLINE);
    assert_eq!(ended.code(), Some(4), "{}\n{}", ended.stdout, ended.stderr);
    let shown = fleet.json(0, &["rollout", "show", &id]);
    assert_eq!(
        (shown["succeeded"].as_u64(), shown["failed"].as_u64()),
        (Some(7), Some(1)),
        "{shown}"
    );
}
