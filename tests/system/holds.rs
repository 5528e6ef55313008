//! Tenants that are held: planned around, waited for, let go, and watched.

use sanderling_testkit::{Postgres, until};

use crate::fleet::{DEADLINE, Fleet, last_json};

/// Seven schemas and one migration; nobody works before `up`.
fn fleet() -> Fleet {
    let fleet = Fleet::embedded()
        .with_postgres(Postgres::shared())
        .schemas(7)
        .written();
    fleet.probe_migrations(1);
    fleet
}

#[test]
fn a_held_tenant_is_left_out_of_a_plan_until_it_is_let_go() {
    let fleet = fleet();
    let nobody = fleet.expect(
        2,
        &["tenants", "hold", "--tenants", "t99*", "--reason", "x"],
    );
    assert!(nobody.stderr.contains("t99*"), "{}", nobody.stderr);
    let hold = [
        "tenants",
        "hold",
        "--tenants",
        "t0003",
        "--tenants",
        "ring=r1",
        "--reason",
        "moves house",
    ];
    let receipt = fleet.json(0, &hold);
    // Ring r1 is t0001 and t0005.
    assert_eq!(receipt["tenants"].as_array().unwrap().len(), 3, "{receipt}");
    assert_eq!(fleet.json(0, &hold)["changed"], false);
    let plan = fleet.json(0, &["plan"]);
    assert_eq!(
        (plan["held"].as_u64(), plan["pending"].as_u64()),
        (Some(3), Some(4)),
        "{plan}"
    );
    let status = fleet.json(0, &["status"]);
    assert_eq!(
        (status["held"].as_u64(), status["behind"].as_u64()),
        (Some(3), Some(7)),
        "{status}"
    );
    let said = fleet.expect(0, &["status"]);
    assert!(said.stdout.contains("moves house"), "{}", said.stdout);
    let up = fleet.json(0, &["up"]);
    assert_eq!(
        (up["succeeded"].as_u64(), up["held"].as_u64()),
        (Some(4), Some(3)),
        "{up}"
    );
    let receipt = fleet.json(0, &["tenants", "release", "--tenants", "id=t*"]);
    assert_eq!(receipt["tenants"].as_array().unwrap().len(), 3, "{receipt}");
    let up = fleet.json(0, &["up"]);
    assert_eq!(up["succeeded"], 3, "{up}");
    fleet.assert_exactly_once(1);
}

/// A rollout that waits for `t0006`, and from which `t0005` was cancelled.
fn waiting() -> (Fleet, String) {
    let fleet = fleet();
    let postgres = Postgres::shared();
    postgres.sql(
        fleet.tenants_url(),
        "CREATE SCHEMA t0000; CREATE TABLE t0000.probe (mine integer)",
    );
    let halted = fleet.json(3, &["up"]);
    let id = halted["rollout"].as_str().unwrap().to_owned();
    postgres.sql(fleet.tenants_url(), "DROP TABLE t0000.probe");
    let receipt = fleet.json(
        0,
        &[
            "tenants",
            "hold",
            "--tenants",
            "t0006",
            "--reason",
            "waits",
            "--until",
            "1h",
        ],
    );
    assert_eq!(receipt["targets"], 1, "{receipt}");
    let receipt = fleet.json(
        0,
        &[
            "tenants",
            "cancel",
            "--tenants",
            "t0005",
            "--reason",
            "leaves",
        ],
    );
    assert_eq!(receipt["targets"], 1, "{receipt}");
    fleet.expect(0, &["rollout", "retry", &id, "--failed"]);

    let up = fleet.json(5, &["up"]);
    assert_eq!(
        (
            up["state"].as_str(),
            up["held"].as_u64(),
            up["cancelled"].as_u64()
        ),
        (Some("waiting"), Some(1), Some(1)),
        "{up}"
    );
    (fleet, id)
}

#[test]
fn a_rollout_waits_for_a_held_tenant_and_says_so() {
    let (fleet, id) = waiting();
    let id = id.as_str();
    let again = fleet.json(5, &["up"]);
    assert_eq!(again["rollout"], id, "{again}");
    let shown = fleet.expect(0, &["rollout", "show", id]);
    assert!(
        shown.stdout.contains("tenants release") && shown.stdout.contains("held: t0006"),
        "{}",
        shown.stdout
    );
    let refused = fleet.expect(1, &["rollout", "resume", id]);
    assert!(
        refused.stderr.contains("tenants release"),
        "{}",
        refused.stderr
    );
    let watched = fleet.expect(5, &["rollout", "watch", id]);
    assert!(watched.stdout.contains("waiting"), "{}", watched.stdout);
}

#[test]
fn a_rollout_goes_on_when_its_tenants_are_let_go() {
    let (fleet, id) = waiting();
    let id = id.as_str();
    fleet.expect(0, &["tenants", "release", "--tenants", "t0006"]);
    let mut watch = fleet.spawn(&["--json", "rollout", "watch", id, "--from-start"]);
    until(DEADLINE, "the watch to begin", || {
        watch.stdout().contains("\"submitted\"").then_some(())
    });
    let up = fleet.json(0, &["up"]);
    assert_eq!(up["succeeded"], 6, "{up}");
    let ended = watch.wait_with_deadline(DEADLINE);
    assert_eq!(ended.code(), Some(0), "{}\n{}", ended.stdout, ended.stderr);
    assert_eq!(last_json(&ended.stdout)["state"], "succeeded");
    for kind in [
        "held",
        "tenant_cancelled",
        "waiting",
        "hold_ended",
        "finished",
    ] {
        assert!(
            ended.stdout.contains(&format!("\"type\":\"{kind}\"")),
            "no {kind} in {}",
            ended.stdout
        );
    }
}
