//! Plans: who goes first, what a file of a plan is good for, and what time alone stops.

use sanderling_testkit::{Ended, Postgres, Signal, until};

use crate::fleet::{DEADLINE, Fleet};

fn files(n: usize, rollout: &str) -> Fleet {
    let fleet = Fleet::embedded().files(n).rollout(rollout).written();
    fleet.probe_migrations(1);
    fleet
}

#[track_caller]
fn says(ended: &Ended, words: &[&str]) {
    for word in words {
        assert!(ended.stderr.contains(word), "{word}: {}", ended.stderr);
    }
}

#[track_caller]
fn says_out(ended: &Ended, words: &[&str]) {
    for word in words {
        assert!(ended.stdout.contains(word), "{word}: {}", ended.stdout);
    }
}

fn names(list: &serde_json::Value, field: &str) -> Vec<String> {
    let names = list.as_array().unwrap().iter();
    names
        .map(|one| one[field].as_str().unwrap().to_owned())
        .collect()
}

#[test]
fn a_canary_by_name_and_by_coverage_and_whom_it_never_takes() {
    let fleet = files(
        20,
        "canary_exclude = \"file000\"\n[[rollout.waves]]\nname = \"canary\"\ntenants = [\"file000\", \"file00[\", \"file01?\"]\n[[rollout.waves]]\nname = \"rest\"\nrest = true\n",
    );
    says(
        &fleet.expect(2, &["plan"]),
        &[
            "wave canary: tenants names `file00[`",
            "no tenant of the registry",
        ],
    );
    let toml = std::fs::read_to_string(fleet.path("sanderling.toml")).unwrap();
    fleet.write("sanderling.toml", toml.replace("\"file00[\", ", ""));
    let plan = fleet.json(0, &["plan"]);
    assert_eq!(plan["canary"]["tenants"], 10, "{plan}");
    let members = names(&plan["canary"]["members"], "tenant");
    assert!(members.iter().all(|m| m.starts_with("file01")), "{plan}");
    assert_eq!(plan["canary_exclude"]["tenants"], 1, "{plan}");
    let covering = toml.replace(
        "tenants = [\"file000\", \"file00[\", \"file01?\"]",
        "coverage = { keys = [\"engine\", \"host\", \"fingerprint\"], min = 2 }",
    );
    fleet.write("sanderling.toml", &covering);
    let plan = fleet.json(0, &["plan"]);
    assert_eq!(plan["canary"]["tenants"], 2, "{plan}");
    let keys = names(&plan["coverage"], "key");
    // Nothing is there yet, so no tenant has a catalog.
    assert_eq!(keys, ["engine", "host"], "{plan}");
    fleet.write("sanderling.toml", covering.replace("\"host\"", "\"hots\""));
    says(&fleet.expect(2, &["plan"]), &["the key `hots`"]);
}

/// Whoever configures no waves waits after the canary, and a fleet that is all canary does not.
#[test]
fn the_default_waves_cover_and_bake() {
    let fleet = Fleet::embedded()
        .with_postgres(Postgres::shared())
        .schemas(40)
        .files(20)
        .default_waves()
        .written();
    fleet.probe_migrations(1);
    // One has a table that no other has: its catalog is one of its own, so it is looked at first.
    crate::fleet::sqlite(&fleet.path("data/file013.db"), "CREATE TABLE mine (a text)");
    let plan = fleet.json(0, &["plan"]);
    assert_eq!(names(&plan["waves"], "name"), ["canary", "early", "rest"]);
    let canary = &plan["waves"][0];
    assert_eq!(
        (&canary["tenants"], &canary["halts_on"], &canary["strict"]),
        (&5.into(), &1.into(), &true.into()),
        "{plan}"
    );
    assert_eq!(canary["gates"][0]["least_ms"], 600_000, "{plan}");
    assert_eq!(plan["waves"][1]["tenants"], 6, "{plan}");
    let members = names(&plan["canary"]["members"], "tenant");
    assert!(members.contains(&"file013".to_owned()), "{plan}");
    let engines: Vec<_> = plan["coverage"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|c| c["key"] == "engine_major" && c["covered_by"].is_string())
        .map(|c| c["value"].as_str().unwrap().to_owned())
        .collect();
    assert_eq!(engines.len(), 2, "{plan}");
    assert!(
        engines[0].starts_with("postgres ") && engines[1] == "sqlite 3",
        "{engines:?}"
    );
    says_out(&fleet.expect(0, &["plan"]), &["then 10m 00s of bake"]);
    let mut up = fleet.spawn(&["--json", "up"]);
    let id = until(DEADLINE, "the canary to bake", || {
        let list = fleet.run(&["--json", "rollout", "list"]);
        let rollouts: serde_json::Value = serde_json::from_str(list.stdout.trim()).ok()?;
        let id = rollouts.as_array()?.first()?["rollout"]
            .as_str()?
            .to_owned();
        (fleet.json(0, &["rollout", "show", &id])["gates"][0]["state"] == "open").then_some(id)
    });
    let shown = fleet.json(0, &["rollout", "show", &id]);
    assert_eq!(
        (&shown["succeeded"], &shown["pending"]),
        (&5.into(), &55.into()),
        "{shown}"
    );
    fleet.expect(
        0,
        &["rollout", "skip", &id, "--gate", "bake", "--reason", "seen"],
    );
    let ended = up.wait_with_deadline(DEADLINE);
    assert_eq!(ended.code(), Some(0), "{}", ended.stderr);
    fleet.assert_exactly_once(1);
    let small = Fleet::embedded().files(5).default_waves().written();
    small.probe_migrations(1);
    assert_eq!(small.json(0, &["up"])["succeeded"], 5);
}

#[test]
fn a_plan_in_a_file_is_carried_out_or_refused() {
    let fleet = files(6, "");
    let plan = fleet.json(
        0,
        &["plan", "--tenants", "id!=file005", "--out", "plan.json"],
    );
    assert_eq!(
        (&plan["tenants"], &plan["request"]["tenants"]),
        (&5.into(), &"id!=file005".into())
    );
    says(
        &fleet.expect(0, &["plan"]),
        &["there is no control store yet"],
    );
    assert_eq!(
        (&plan["held"], &plan["estimate_seconds"]),
        (&serde_json::Value::Null, &serde_json::Value::Null)
    );
    says(
        &fleet.expect(2, &["up", "--plan", "plan.json", "--to", "0001"]),
        &["cannot be used with"],
    );
    says(
        &fleet.expect(2, &["up", "--plan", "gone.json"]),
        &["gone.json"],
    );
    fleet.write("bad.json", "{}");
    says(
        &fleet.expect(2, &["up", "--plan", "bad.json"]),
        &["not a plan", "plan --out FILE"],
    );
    // Another migration: the bundle is another one.
    fleet.probe_migrations(2);
    says(
        &fleet.expect(1, &["up", "--plan", "plan.json"]),
        &[
            "migrations (bundle)",
            "target: 0001 in the file, 0002 now",
            "nothing was started",
        ],
    );
    std::fs::remove_file(fleet.path("migrations/0002_step_2.sql")).unwrap();
    // Another registry.
    let csv = std::fs::read_to_string(fleet.path("tenants/fleet.csv")).unwrap();
    fleet.write(
        "tenants/fleet.csv",
        format!("{csv}new,files,,,new.db,,rf\n"),
    );
    says(
        &fleet.expect(1, &["up", "--plan", "plan.json"]),
        &["selected tenants: 5 in the file, 6 now"],
    );
    fleet.write("tenants/fleet.csv", csv);
    // Another setting.
    let toml = std::fs::read_to_string(fleet.path("sanderling.toml")).unwrap();
    fleet.write(
        "sanderling.toml",
        toml.replace("[rollout]\n", "[rollout]\nlock_timeout = \"2s\"\n"),
    );
    says(
        &fleet.expect(1, &["up", "--plan", "plan.json"]),
        &["a setting of [rollout] or [retry]"],
    );
    fleet.write("sanderling.toml", toml);
    assert!(
        !fleet.path("control.db").exists(),
        "a refused plan made a control store"
    );
    let summary = fleet.json(0, &["up", "--plan", "plan.json"]);
    assert_eq!(summary["succeeded"], 5, "{summary}");
    says(
        &fleet.expect(1, &["up", "--plan", "plan.json"]),
        &["was carried out by rollout", "(succeeded)"],
    );
}

#[test]
fn a_plan_in_a_file_joins_its_own_rollout() {
    let fleet = files(60, "");
    fleet.probe_migrations(4);
    fleet.json(0, &["plan", "--out", "plan.json"]);
    let mut up = fleet.spawn(&["--json", "up", "--plan", "plan.json"]);
    until(DEADLINE, "targets that ended", || {
        (up.stdout().matches("\"type\":\"ended\"").count() >= 6).then_some(())
    });
    up.signal(Signal::Kill);
    up.wait_with_deadline(DEADLINE);
    let begun = fleet.newest_rollout();
    // Six tenants at least have moved, so what would be planned now is another plan. It is this plan that moved them.
    let now = fleet.json(0, &["plan"]);
    assert!(now["pending"].as_u64().unwrap() < 60, "{now}");
    let summary = fleet.json(0, &["up", "--plan", "plan.json"]);
    assert_eq!(summary["succeeded"], 60, "{summary}");
    assert_eq!(summary["rollout"].as_str(), Some(begun.as_str()));
    fleet.assert_exactly_once(4);
}

#[test]
fn a_class_of_errors_has_a_limit_of_its_own() {
    let fleet = files(
        8,
        "[[rollout.waves]]\nname = \"rest\"\nrest = true\nconcurrency = 1\nhalt = { class_limits = { migration_sql = 1, timeout = \"50%\" } }\n",
    );
    let plan = fleet.json(0, &["plan"]);
    let limits = &plan["waves"][0]["limits"]["class_limits"];
    assert_eq!(
        limits,
        &serde_json::json!({"migration_sql": 1, "timeout": 4})
    );
    says_out(
        &fleet.expect(0, &["plan"]),
        &[
            "on the 2nd migration_sql",
            "on the 5th timeout",
            "; no others in flight",
        ],
    );
    for broken in ["file001", "file004", "file006"] {
        let path = fleet.path(&format!("data/{broken}.db"));
        crate::fleet::sqlite(&path, "CREATE TABLE things_1 (mine text)");
    }
    let summary = fleet.json(3, &["up"]);
    let halt = &summary["halt"];
    assert_eq!(
        (&halt["rule"], &halt["failures"], &halt["tolerated"]),
        (&"class_limits".into(), &2.into(), &1.into()),
        "{summary}"
    );
    assert!(
        halt["cause"]
            .as_str()
            .unwrap()
            .starts_with("migration_sql/"),
        "{summary}"
    );
    assert_eq!(summary["failed"], 2, "{summary}");
    assert_eq!(summary["started_after_halt"], 0, "{summary}");
    // Who has acknowledged two begins to count anew: the third alone halts nothing.
    let id = summary["rollout"].as_str().unwrap();
    fleet.expect(0, &["rollout", "resume", id, "--acknowledge"]);
    let summary = fleet.json(4, &["up"]);
    assert_eq!(
        (&summary["failed"], &summary["succeeded"]),
        (&3.into(), &5.into())
    );
}

#[test]
fn who_failed_before_goes_last_until_it_is_retried() {
    let fleet = files(12, "[[rollout.waves]]\nname = \"rest\"\nrest = true\n");
    let broken = fleet.path("data/file003.db");
    crate::fleet::sqlite(&broken, "CREATE TABLE things_1 (mine text)");
    let summary = fleet.json(4, &["up"]);
    assert_eq!(
        (&summary["failed"], &summary["succeeded"]),
        (&1.into(), &11.into())
    );
    let plan = fleet.json(0, &["plan"]);
    assert_eq!(plan["known_failures"], 1, "{plan}");
    assert_eq!(names(&plan["waves"], "name"), ["known-failures"], "{plan}");
    assert_eq!(plan["canary"], serde_json::Value::Null);
    assert!(plan["estimate_seconds"].as_u64().is_some(), "{plan}");
    // Another bundle: everybody may be a canary again.
    fleet.probe_migrations(2);
    let plan = fleet.json(0, &["plan"]);
    assert_eq!(plan["known_failures"], 0, "{plan}");
    std::fs::remove_file(fleet.path("migrations/0002_step_2.sql")).unwrap();
    crate::fleet::sqlite(&broken, "DROP TABLE things_1");
    let id = summary["rollout"].as_str().unwrap().to_owned();
    fleet.expect(0, &["rollout", "retry", &id, "--failed"]);
    assert_eq!(fleet.json(0, &["plan"])["known_failures"], 0);
}

#[test]
fn the_sql_of_each_path() {
    let fleet = files(3, "");
    fleet.json(0, &["up", "--tenants", "file000"]);
    fleet.probe_migrations(2);
    let shown = fleet.expect(0, &["plan", "--sql"]).stdout;
    assert!(
        shown.contains("-- 2 tenants: nothing → 0002 (SQLite)"),
        "{shown}"
    );
    assert!(
        shown.contains("-- 1 tenant: 0001 → 0002 (SQLite)"),
        "{shown}"
    );
    assert_eq!(shown.matches("CREATE TABLE things_2").count(), 2, "{shown}");
    assert_eq!(shown.matches("CREATE TABLE things_1").count(), 1, "{shown}");
    assert!(!shown.contains("DROP TABLE"), "{shown}");
}

#[test]
fn time_alone_halts_and_resume_begins_to_count_anew() {
    for (limit, rule) in [
        ("stall_after", "stall_after"),
        ("max_duration", "max_duration"),
    ] {
        let fleet = Fleet::embedded()
            .with_postgres(Postgres::shared())
            .schemas(2)
            .rollout(&format!(
                "[[rollout.waves]]\nname = \"rest\"\nrest = true\nconcurrency = 1\nhalt = {{ {limit} = \"1s\" }}\n"
            ))
            .written();
        fleet.migration("0001", "slow", "SELECT pg_sleep(4);", "SELECT 1;");
        let summary = fleet.json(3, &["up"]);
        assert_eq!(summary["halt"]["rule"], rule, "{summary}");
        assert_eq!(summary["halt"]["wave"], "rest", "{summary}");
        assert!(summary["halt"]["cause"].is_null(), "{summary}");
        assert!(
            summary["halt"]["detail"]
                .as_str()
                .unwrap()
                .contains("1 s allowed"),
            "{summary}"
        );
        assert_eq!(summary["in_flight_at_halt"], 1, "{summary}");
        // What was in flight finished; what was not did not begin.
        assert_eq!(
            (&summary["succeeded"], &summary["pending"]),
            (&1.into(), &1.into())
        );
        fleet.verified_clean();
    }
}
