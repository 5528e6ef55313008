//! The halt is exact, and it needs no coordinator.

use std::collections::BTreeSet;

use sanderling_testkit::{Postgres, Process, Redis, Signal, until};
use serde_json::Value;

use crate::chaos::events;
use crate::cluster::{drain, start_cluster};
use crate::fleet::{DEADLINE, Fleet, last_json};

const EFFECT: &str = "CREATE TABLE effects (at timestamptz NOT NULL);\nCREATE TYPE mood AS ENUM ('ok');\n\
    CREATE TABLE things (id integer PRIMARY KEY);\nSELECT pg_sleep(0.05);\nINSERT INTO effects VALUES (clock_timestamp());";

/// One tenant in twenty fails, for three different causes; three failures are tolerated; 16 are in flight.
#[test]
fn policy_halts_exactly_with_both_coordinators_stopped() {
    let postgres = Postgres::shared();
    let rollout = "halt = { max_failures = 3 }\n[[rollout.waves]]\nname = \"all\"\nrest = true\n";
    let fleet = Fleet::cluster(postgres, Redis::shared())
        .schemas(200)
        .rollout(rollout)
        .written();
    fleet.migration("0001", "effect", EFFECT, "DROP TABLE effects;");
    let failing: Vec<_> = (100..200).step_by(10).collect();
    let plants = [
        "CREATE TABLE {}.things (mine integer)",
        "CREATE TYPE {}.mood AS ENUM ('mine')",
        "CREATE TABLE {}.effects (mine integer)",
    ];
    for (i, tenant) in failing.iter().enumerate() {
        let schema = format!("t{tenant:04}");
        postgres.sql(
            fleet.tenants_url(),
            &format!(
                "CREATE SCHEMA {schema}; {}",
                plants[i % 3].replace("{}", &schema)
            ),
        );
    }
    let plan = fleet.json(0, &["plan"]);
    let max_in_flight = plan["waves"][0]["max_in_flight"].as_u64().unwrap();
    assert_eq!(max_in_flight, 16, "{plan}");

    let mut coordinators = start_cluster(&fleet, 2, 0);
    let mut workers = start_cluster(&fleet, 0, 3);
    let mut up = fleet.spawn(&["--json", "up", "--yes"]);
    until(DEADLINE, "the wave to move", || {
        (up.stdout().matches("\"type\":\"ended\"").count() >= 5).then_some(())
    });
    stop_all(&mut coordinators);
    assert!(
        !up.stdout().contains("\"outcome\":\"failed\""),
        "the coordinators must be stopped before the first failure"
    );

    let ended = up.wait_with_deadline(DEADLINE);

    assert_eq!(ended.code(), Some(3), "{}\n{}", ended.stdout, ended.stderr);
    let summary = last_json(&ended.stdout);
    assert_eq!(summary["state"], "halted", "{summary}");
    assert_eq!(summary["halt"]["rule"], "max_failures", "{summary}");
    assert_eq!(summary["halt"]["tolerated"], 3, "{summary}");
    assert_eq!(summary["halt"]["failures"], 4, "{summary}");
    assert_eq!(summary["started_after_halt"], 0, "{summary}");
    assert_eq!(summary["max_in_flight"], max_in_flight, "{summary}");
    let causes: BTreeSet<_> = summary["causes"]
        .as_array()
        .unwrap()
        .iter()
        .map(|c| c["code"].as_str().unwrap())
        .collect();
    assert!(causes.len() >= 2, "{summary}");

    let events = events(&ended.stdout);
    let halted = events.iter().find(|e| e["type"] == "halted").unwrap();
    let late: Vec<_> = events
        .iter()
        .filter(|e| e["type"] == "started" && seq(e) > seq(halted))
        .collect();
    assert!(late.is_empty(), "started after the halt: {late:?}");
    assert_effects(&fleet, halted["at"].as_str().unwrap(), max_in_flight - 1);
    assert_unchanged(&fleet, &failing);
    drain(&mut workers);
    for coordinator in &mut coordinators {
        coordinator.signal(Signal::Kill);
    }
}

/// The default canary: five tenants, none may fail.
#[test]
fn a_failed_canary_leaves_the_next_wave_untouched() {
    let postgres = Postgres::shared();
    let fleet = Fleet::embedded()
        .with_postgres(postgres)
        .schemas(60)
        .written();
    fleet.migration("0001", "effect", EFFECT, "DROP TABLE effects;");
    postgres.sql(
        fleet.tenants_url(),
        "CREATE SCHEMA t0002; CREATE TABLE t0002.things (mine integer)",
    );

    let summary = fleet.json(3, &["up"]);

    assert_eq!(summary["halt"]["wave"], "canary", "{summary}");
    assert_eq!(summary["halt"]["tolerated"], 0, "{summary}");
    assert_eq!(summary["failed"], 1, "{summary}");
    let touched = tables(&fleet, "effects");
    let canary: BTreeSet<_> = (0..5).map(|i| format!("t{i:04}")).collect();
    assert!(
        touched.is_subset(&canary),
        "touched outside the canary: {touched:?}"
    );
    let next = fleet.expect(3, &["up"]);
    for words in [
        "rollout resume",
        "rollout retry",
        "rollout cancel",
        "42P07",
        "t0002",
    ] {
        assert!(
            next.stderr.contains(words) || next.stdout.contains(words),
            "{words}: {}{}",
            next.stdout,
            next.stderr
        );
    }
    assert_eq!(
        tables(&fleet, "effects"),
        touched,
        "a halted rollout is not moved by another `up`"
    );

    // The way out that the message names: mend the tenant, retry, go on.
    postgres.sql(fleet.tenants_url(), "DROP TABLE t0002.things");
    let id = summary["rollout"].as_str().unwrap().to_owned();
    fleet.expect(1, &["rollout", "resume", &id]);
    fleet.expect(0, &["rollout", "retry", &id, "--failed"]);
    let summary = fleet.json(0, &["up"]);
    assert_eq!(summary["rollout"].as_str(), Some(id.as_str()), "{summary}");
    assert_eq!(summary["succeeded"], 60, "{summary}");
    assert_eq!(tables(&fleet, "effects").len(), 60);
}

fn stop_all(processes: &mut [Process]) {
    for process in processes {
        process.signal(Signal::Stop);
    }
}

fn seq(event: &Value) -> i64 {
    event["seq"].as_i64().unwrap()
}

/// Effects that the tenants themselves date after the halt.
fn assert_effects(fleet: &Fleet, halted_at: &str, most: u64) {
    let unions: Vec<_> = tables(fleet, "effects")
        .iter()
        .filter(|s| Postgres::shared().sql(fleet.tenants_url(), &format!("SELECT 1 FROM information_schema.columns WHERE table_schema = '{s}' AND table_name = 'effects' AND column_name = 'at'")).contains('1'))
        .map(|s| format!("SELECT at FROM {s}.effects"))
        .collect();
    let sql = format!(
        "SELECT count(*) FROM ({}) e WHERE at > '{halted_at}'::timestamptz",
        unions.join(" UNION ALL ")
    );
    let late: u64 = Postgres::shared()
        .sql(fleet.tenants_url(), &sql)
        .trim()
        .parse()
        .unwrap();
    assert!(
        late <= most,
        "{late} tenants have an effect dated after the halt; the plan printed at most {most}"
    );
}

/// Of the failing tenants nothing is there but what was planted, and no ledger row.
fn assert_unchanged(fleet: &Fleet, failing: &[usize]) {
    for tenant in failing {
        let schema = format!("t{tenant:04}");
        let sql = format!(
            "SELECT string_agg(c.relname, ' ' ORDER BY c.relname) FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace \
             WHERE n.nspname = '{schema}' AND c.relkind = 'r' AND c.relname NOT LIKE 'sanderling%'"
        );
        let found = Postgres::shared().sql(fleet.tenants_url(), &sql);
        assert!(
            ["things", "effects", ""].contains(&found.trim()),
            "{schema} has {found}"
        );
    }
}

fn tables(fleet: &Fleet, name: &str) -> BTreeSet<String> {
    let sql = format!("SELECT schemaname FROM pg_tables WHERE tablename = '{name}'");
    Postgres::shared()
        .sql(fleet.tenants_url(), &sql)
        .lines()
        .map(|l| l.trim().to_owned())
        .filter(|l| !l.is_empty())
        .collect()
}
