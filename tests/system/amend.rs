//! A migration that failed is corrected, and its rollout goes on.

use sanderling_testkit::Postgres;
use serde_json::Value;

use crate::fleet::{Fleet, sqlite};

const WAVES: &str = "[[rollout.waves]]\nname = \"canary\"\ncount = 2\n[[rollout.waves]]\nname = \"rest\"\nrest = true\n";

/// Version 0002 fails everywhere.
fn broken_everywhere(fleet: &Fleet) -> String {
    fleet.probe_migrations(1);
    fleet.migration(
        "0002",
        "more",
        "CREATE TABLE more (id integer);\nINSERT INTO prob (version) VALUES (2);",
        "DROP TABLE more;",
    );
    let summary = fleet.json(3, &["up"]);
    assert_eq!(summary["succeeded"], 0, "{summary}");
    summary["rollout"].as_str().unwrap().to_owned()
}

fn mend(fleet: &Fleet) {
    edit(
        fleet,
        "migrations/0002_more.sql",
        "INTO prob ",
        "INTO probe ",
    );
}

fn edit(fleet: &Fleet, file: &str, from: &str, to: &str) {
    let text = std::fs::read_to_string(fleet.path(file)).unwrap();
    assert!(text.contains(from), "{text}");
    fleet.write(file, text.replace(from, to));
}

fn amend<'a>(id: &'a str, version: &'a str) -> [&'a str; 7] {
    [
        "rollout",
        "retry",
        id,
        "--amend",
        version,
        "--reason",
        "a typing error",
    ]
}

fn finished(fleet: &Fleet, id: &str, tenants: u64) -> Value {
    let summary = fleet.json(0, &["up"]);
    assert_eq!(summary["rollout"].as_str(), Some(id), "{summary}");
    assert_eq!(summary["succeeded"].as_u64(), Some(tenants), "{summary}");
    let verdict = fleet.json(0, &["verify"]);
    assert_eq!(verdict["violations"], serde_json::json!([]), "{verdict}");
    verdict
}

/// Nobody has the text that failed: there is nothing to compare.
fn corrected(fleet: &Fleet, tenants: u64) {
    let id = broken_everywhere(fleet);
    let ending = fleet.expect(3, &["up"]);
    assert!(
        ending.stdout.contains(&format!("retry {id} --amend 0002")),
        "{}",
        ending.stdout
    );
    let untouched = fleet.expect(1, &amend(&id, "0002"));
    assert!(
        untouched.stderr.contains("correct the file first"),
        "{}",
        untouched.stderr
    );
    mend(fleet);
    // Whoever comes with the corrected file alone is told what to type.
    let up = fleet.expect(1, &["up"]);
    assert!(up.stderr.contains("--amend"), "{}", up.stderr);

    let receipt = fleet.json(0, &amend(&id, "0002"));
    assert_eq!(receipt["changed"], true, "{receipt}");
    assert_eq!(receipt["verb"], "amend", "{receipt}");
    assert_eq!(receipt["targets"], 1, "{receipt}");
    assert_eq!(receipt["with_text_before"], 0, "{receipt}");
    let again = fleet.json(0, &amend(&id, "0002"));
    assert_eq!(again["changed"], false, "{again}");

    finished(fleet, &id, tenants);
    let plan = fleet.json(0, &["plan"]);
    assert_eq!(plan["up_to_date"].as_u64(), Some(tenants), "{plan}");
    let again = fleet.json(0, &amend(&id, "0002"));
    assert_eq!(again["changed"], false, "{again}");
    edit(fleet, "migrations/0002_more.sql", "id integer", "id bigint");
    let late = fleet.expect(1, &amend(&id, "0002"));
    assert!(late.stderr.contains("sanderling up"), "{}", late.stderr);
}

#[test]
fn a_text_that_nobody_has_is_corrected_in_schemas() {
    let fleet = Fleet::embedded()
        .with_postgres(Postgres::shared())
        .schemas(6)
        .rollout(WAVES)
        .written();
    corrected(&fleet, 6);
    fleet.assert_exactly_once(2);
}

#[test]
fn a_text_that_nobody_has_is_corrected_in_files() {
    let fleet = Fleet::embedded().files(6).rollout(WAVES).written();
    corrected(&fleet, 6);
    fleet.assert_exactly_once(2);
    let audited =
        "SELECT verb || ' ' || state_before || ' ' || state_after FROM audit ORDER BY number";
    assert_eq!(
        sqlite(&fleet.path("control.db"), audited).trim(),
        "submit  running\namend halted running"
    );
}

#[test]
fn an_amendment_is_one_file_of_the_rollout() {
    let fleet = Fleet::embedded().files(3).rollout(WAVES).written();
    let id = broken_everywhere(&fleet);
    mend(&fleet);
    let says = |args: &[&str], code: i32, words: &[&str]| {
        let ended = fleet.expect(code, args);
        for word in words {
            assert!(ended.stderr.contains(word), "{word}: {}", ended.stderr);
        }
    };
    says(
        &["rollout", "retry", &id, "--amend", "0002"],
        2,
        &["--reason"],
    );
    says(&amend("nowhere", "0002"), 1, &["nowhere", "rollout list"]);
    says(&amend(&id, "0009"), 1, &["0009", "migrations directory"]);
    says(
        &amend(&id, "0001"),
        1,
        &["0002_more.sql", "was changed too"],
    );
    fleet.migration(
        "0003",
        "next",
        "CREATE TABLE next (id integer);",
        "DROP TABLE next;",
    );
    says(&amend(&id, "0003"), 1, &["does not apply version 0003"]);
    says(&amend(&id, "0002"), 1, &["0003_next.sql is new"]);
    std::fs::remove_file(fleet.path("migrations/0003_next.sql")).unwrap();
    edit(
        &fleet,
        "migrations/0001_step_1.sql",
        "name text",
        "title text",
    );
    says(&amend(&id, "0002"), 1, &["0001_step_1.sql was changed too"]);
    edit(
        &fleet,
        "migrations/0001_step_1.sql",
        "title text",
        "name text",
    );
    fleet.expect(
        0,
        &["rollout", "retry", &id, "--failed", "--reason", "once more"],
    );
    says(&amend(&id, "0002"), 1, &["rollout pause"]);
    fleet.expect(0, &["rollout", "pause", &id]);
    let receipt = fleet.json(0, &amend(&id, "0002"));
    assert_eq!(receipt["changed"], true, "{receipt}");
    fleet.expect(0, &["rollout", "resume", &id, "--reason", "mended"]);
    finished(&fleet, &id, 3);
    let details = "SELECT detail FROM audit WHERE verb IN ('retry', 'resume') ORDER BY number";
    assert_eq!(
        sqlite(&fleet.path("control.db"), details).trim(),
        "once more\nmended"
    );
}
