//! What scripts and people rely on: contracts, looking without writing, joining, completions.

use sanderling_testkit::{Postgres, Process, Redis};

use crate::fleet::{DEADLINE, Fleet};

#[test]
fn looking_never_writes() {
    let postgres = Postgres::shared();
    let fleet = Fleet::embedded()
        .with_postgres(postgres)
        .schemas(3)
        .files(2)
        .written();
    fleet.probe_migrations(2);
    for args in [
        vec!["plan"],
        vec!["status"],
        vec!["up", "--dry-run"],
        vec!["verify"],
        vec!["rollout", "list"],
        vec!["tenants", "list"],
        vec!["tenants", "show", "t0000"],
        vec!["tenants", "show", "file001"],
    ] {
        fleet.expect(0, &args);
    }
    assert!(!fleet.path("control.db").exists());
    assert_eq!(std::fs::read_dir(fleet.path("data")).unwrap().count(), 0);
    let schemas = postgres.sql(
        fleet.tenants_url(),
        "SELECT count(*) FROM pg_namespace WHERE nspname LIKE 't0%' OR nspname LIKE 'sanderling%'",
    );
    assert_eq!(schemas.trim(), "0");
}

#[test]
fn looking_needs_only_select() {
    let postgres = Postgres::shared();
    let fleet = Fleet::embedded()
        .with_postgres(postgres)
        .schemas(3)
        .written();
    fleet.probe_migrations(2);
    fleet.expect(0, &["up"]);
    let role = sanderling_testkit::unique("reader");
    let grants: Vec<_> = fleet.schema_names().iter().map(|s| format!("GRANT USAGE ON SCHEMA {s} TO {role}; GRANT SELECT ON {s}.sanderling_migrations TO {role};")).collect();
    postgres.sql(
        fleet.tenants_url(),
        &format!("CREATE ROLE {role} LOGIN; {}", grants.concat()),
    );
    let text = std::fs::read_to_string(fleet.path("sanderling.toml")).unwrap();
    fleet.write(
        "sanderling.toml",
        text.replace("postgres@", &format!("{role}@")),
    );
    let status = fleet.json(0, &["status"]);
    assert_eq!(status["up_to_date"], 3, "{status}");
    assert_eq!(fleet.json(0, &["plan"])["pending"], 0);
    let list = fleet.json(0, &["tenants", "list"]);
    assert_eq!(list[2]["state"], "up_to_date", "{list}");
    postgres.sql(
        fleet.tenants_url(),
        &format!("DROP OWNED BY {role}; DROP ROLE {role}"),
    );
}

#[test]
fn the_json_contracts_hold_their_fields() {
    let fleet = Fleet::embedded().files(12).written();
    fleet.probe_migrations(2);
    let plan = fleet.json(0, &["plan"]);
    for field in [
        "plan_hash",
        "bundle",
        "target",
        "tenants",
        "pending",
        "up_to_date",
        "ahead",
        "held",
        "dirty",
        "unreachable",
        "waves",
        "paths",
        "estimate_seconds",
    ] {
        assert!(plan.get(field).is_some(), "plan has no {field}: {plan}");
    }
    assert_eq!(
        (plan["tenants"].as_u64(), plan["pending"].as_u64()),
        (Some(12), Some(12)),
        "{plan}"
    );
    assert_eq!(plan["waves"][0]["name"], "canary", "{plan}");
    assert_eq!(plan["waves"][0]["tolerated_failures"], 0, "{plan}");
    let summary = fleet.json(0, &["up"]);
    for field in [
        "rollout",
        "state",
        "target",
        "tenants",
        "succeeded",
        "up_to_date",
        "partial",
        "failed",
        "dirty",
        "deferred",
        "held",
        "skipped",
        "cancelled",
        "unreachable",
        "pending",
        "max_in_flight",
        "in_flight_at_halt",
        "started_after_halt",
        "duration_ms",
        "tenants_per_second",
        "halt",
        "causes",
    ] {
        assert!(
            summary.get(field).is_some(),
            "summary has no {field}: {summary}"
        );
    }
    let status = fleet.json(0, &["status"]);
    for field in [
        "tenants",
        "up_to_date",
        "behind",
        "ahead",
        "dirty",
        "held",
        "unreachable",
        "versions",
        "rollouts",
    ] {
        assert!(
            status.get(field).is_some(),
            "status has no {field}: {status}"
        );
    }
    let again = fleet.json(0, &["up"]);
    assert_eq!(
        (again["up_to_date"].as_u64(), again["state"].as_str()),
        (Some(12), Some("succeeded")),
        "{again}"
    );
}

#[test]
fn a_cluster_without_workers_says_so() {
    let fleet = Fleet::cluster(Postgres::shared(), Redis::shared())
        .schemas(1)
        .written();
    fleet.probe_migrations(1);
    let ended = fleet.expect(2, &["up"]);
    assert!(ended.stderr.contains("--yes"), "{}", ended.stderr);
    let ended = fleet.expect(1, &["up", "--yes"]);
    assert!(
        ended.stderr.contains("sanderling worker") && ended.stderr.contains("--embedded"),
        "{}",
        ended.stderr
    );
    let summary = fleet.json(0, &["up", "--embedded"]);
    assert_eq!(summary["succeeded"], 1, "{summary}");
}

#[test]
fn processes_of_a_cluster_refuse_claims_in_memory() {
    let fleet = Fleet::embedded().files(1).written();
    fleet.probe_migrations(1);
    for process in ["coordinator", "worker"] {
        let ended = fleet.expect(2, &[process]);
        assert!(ended.stderr.contains("redis://"), "{}", ended.stderr);
    }
}

#[test]
fn doctor_takes_a_fence_that_another_store_held() {
    let fleet = Fleet::embedded()
        .with_postgres(Postgres::shared())
        .schemas(2)
        .files(1)
        .written();
    fleet.probe_migrations(1);
    fleet.expect(0, &["up"]);
    // Another store for the same tenants: a colleague's laptop, or a store that was deleted.
    for suffix in ["", "-wal", "-shm"] {
        let _ = std::fs::remove_file(fleet.path(&format!("control.db{suffix}")));
    }
    fleet.probe_migrations(2);
    let ended = fleet.expect(3, &["up"]);
    assert!(ended.stderr.contains("take-fence"), "{}", ended.stderr);
    for tenant in ["t0000", "t0001", "file000"] {
        fleet.expect(
            0,
            &[
                "doctor",
                "--take-fence",
                "--tenant",
                tenant,
                "--reason",
                "the old store is gone",
            ],
        );
    }
    let list = fleet.json(0, &["rollout", "list"]);
    let id = list[0]["rollout"].as_str().unwrap();
    fleet.expect(0, &["rollout", "retry", id, "--failed"]);
    let summary = fleet.json(0, &["up"]);
    assert_eq!(summary["succeeded"], 3, "{summary}");
    fleet.assert_exactly_once(2);
}

#[test]
fn a_cancelled_rollout_is_over_and_another_bundle_may_start() {
    let fleet = Fleet::embedded().files(6).written();
    fleet.probe_migrations(1);
    fleet.migration(
        "0002",
        "broken",
        "CREATE TABLE probe (version integer);",
        "DROP TABLE probe;",
    );
    let summary = fleet.json(3, &["up"]);
    let id = summary["rollout"].as_str().unwrap().to_owned();
    fleet.migration(
        "0002",
        "broken",
        "CREATE TABLE mended (version integer);",
        "DROP TABLE mended;",
    );
    let ended = fleet.expect(1, &["up"]);
    assert!(ended.stderr.contains(&id), "{}", ended.stderr);
    fleet.expect(
        0,
        &["rollout", "cancel", &id, "--reason", "wrong migration"],
    );
    fleet.expect(
        0,
        &["rollout", "cancel", &id, "--reason", "wrong migration"],
    );
    fleet.expect(1, &["rollout", "resume", &id, "--acknowledge"]);
    let shown = fleet.json(0, &["rollout", "show", &id]);
    assert_eq!(shown["state"], "cancelled", "{shown}");
    let summary = fleet.json(0, &["up"]);
    assert_eq!(summary["succeeded"], 6, "{summary}");
}

/// As a newcomer types it: no flag, in the directory of the configuration.
#[test]
fn relative_paths_start_at_the_configuration_wherever_it_is_named_from() {
    let fleet = Fleet::embedded().files(2).written();
    fleet.probe_migrations(1);
    let dir = fleet.path("");
    for (arguments, from) in [
        (vec!["up"], dir.clone()),
        (
            vec!["--config", "../sanderling.toml", "plan", "--json"],
            dir.join("data"),
        ),
    ] {
        let mut command = Process::command(env!("CARGO_BIN_EXE_sanderling"));
        command.args(&arguments).current_dir(from);
        let ended = Process::spawn(command).wait_with_deadline(DEADLINE);
        assert_eq!(ended.code(), Some(0), "{arguments:?}: {}", ended.stderr);
    }
    assert!(fleet.path("control.db").exists() && fleet.path("data/file001.db").exists());
    fleet.assert_exactly_once(1);
}

#[test]
fn completions_and_help_work_without_a_configuration() {
    let fleet = Fleet::embedded();
    for shell in ["bash", "zsh", "fish"] {
        assert!(
            fleet
                .expect(0, &["completions", shell])
                .stdout
                .contains("sanderling")
        );
    }
    assert!(fleet.expect(0, &["--help"]).stdout.contains("rollout"));
    assert_eq!(fleet.run(&["upp"]).code(), Some(2));
}
