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

/// The first two go first; nobody else may fail, and one is in flight at a time.
fn one_by_one(first: [&str; 2]) -> String {
    format!(
        "halt = {{ max_failures = 0 }}\n[[rollout.waves]]\nname = \"canary\"\ntenants = [\"{}\", \"{}\"]\n\
         [[rollout.waves]]\nname = \"rest\"\nrest = true\nconcurrency = 1\n",
        first[0], first[1]
    )
}

const UNIQUE: &str = "CREATE UNIQUE INDEX things_1_by_name ON things_1 (name);";
const TWICE: &str = "INSERT INTO things_1 VALUES (1, 'twice'), (2, 'twice')";
const SQLSTATE_OR_CODE: [&str; 2] = ["23505", "2067"];

/// Version 0002 wants names to be unique; some tenants apply it, and then one has a name twice.
fn halted_on_both_sides(fleet: &Fleet) -> String {
    fleet.migration("0002", "unique", UNIQUE, "DROP INDEX things_1_by_name;");
    let summary = fleet.json(3, &["up"]);
    assert!(summary["succeeded"].as_u64() >= Some(2), "{summary}");
    assert_eq!(summary["failed"], 1, "{summary}");
    let code = summary["causes"][0]["code"].as_str().unwrap();
    assert!(SQLSTATE_OR_CODE.contains(&code), "{summary}");
    summary["rollout"].as_str().unwrap().to_owned()
}

/// The same end by another text: duplicates go first.
fn mend_names(fleet: &Fleet) {
    let dedupe =
        "DELETE FROM things_1 WHERE id NOT IN (SELECT min(id) FROM things_1 GROUP BY name);";
    edit(
        fleet,
        "migrations/0002_unique.sql",
        UNIQUE,
        &format!("{dedupe}\n{UNIQUE}"),
    );
}

/// Another end: the index is not unique.
fn weaken_names(fleet: &Fleet) {
    edit(
        fleet,
        "migrations/0002_unique.sql",
        "CREATE UNIQUE INDEX",
        "CREATE INDEX",
    );
}

/// Both texts in one fleet, and in the rollouts after it.
fn goes_on_with_both(fleet: &Fleet, id: &str, tenants: u64, checksums: impl Fn() -> String) {
    mend_names(fleet);
    let receipt = fleet.json(0, &amend(id, "0002"));
    assert_eq!(receipt["targets"], 1, "{receipt}");
    assert!(receipt["with_text_before"].as_u64() >= Some(2), "{receipt}");
    finished(fleet, id, tenants);
    assert_eq!(checksums(), "2", "both texts are in the ledgers");

    fleet.migration(
        "0003",
        "next",
        "CREATE TABLE next (id integer);",
        "DROP TABLE next;",
    );
    let summary = fleet.json(0, &["up"]);
    assert_eq!(summary["succeeded"].as_u64(), Some(tenants), "{summary}");
    let verdict = fleet.json(0, &["verify"]);
    assert_eq!(verdict["violations"], serde_json::json!([]), "{verdict}");
    assert_eq!(fleet.json(0, &["status"])["edited"], 0);

    // Only the store knows.
    let settings = std::fs::read_to_string(fleet.path("sanderling.toml")).unwrap();
    fleet.write(
        "sanderling.toml",
        settings.replace("sqlite://control.db", "sqlite://other.db"),
    );
    let status = fleet.expect(0, &["--json", "status"]);
    assert!(status.stderr.contains("amendments"), "{}", status.stderr);
    let status: Value = serde_json::from_str(status.stdout.trim()).unwrap();
    assert!(status["edited"].as_u64() >= Some(1), "{status}");
    let plan = fleet.expect(1, &["plan"]);
    assert!(
        plan.stderr.contains("whether it was amended"),
        "{}",
        plan.stderr
    );
    assert!(!fleet.path("other.db").exists(), "looking creates nothing");
}

/// The refusal, with the difference and two ways out; everything is as it was.
fn refuses_another_end(fleet: &Fleet, id: &str, tenant: &str) {
    weaken_names(fleet);
    let shown = || {
        let mut summary = fleet.json(0, &["rollout", "show", id]);
        let fields = summary.as_object_mut().unwrap();
        for moves in ["duration_ms", "tenants_per_second"] {
            fields.remove(moves);
        }
        summary
    };
    let before = shown();
    let refused = fleet.expect(1, &amend(id, "0002"));
    for words in [
        "two ways out",
        "things_1_by_name",
        "follow-up migration",
        "roll back",
        "sanderling new",
        tenant,
    ] {
        assert!(
            refused.stderr.contains(words),
            "{words}: {}",
            refused.stderr
        );
    }
    edit(
        fleet,
        "migrations/0002_unique.sql",
        "ON things_1 (name);",
        "ON things_1 (nam);",
    );
    let refused = fleet.expect(1, &amend(id, "0002"));
    for words in [
        "0002_unique.sql:2:1",
        "does not get there",
        "rolled back",
        tenant,
    ] {
        assert!(
            refused.stderr.contains(words),
            "{words}: {}",
            refused.stderr
        );
    }
    fleet.write(
        "migrations/0002_unique.sql",
        format!("-- sanderling: transaction=off\n-- +migrate Up\n{UNIQUE}\n"),
    );
    let refused = fleet.expect(1, &amend(id, "0002"));
    assert!(
        refused.stderr.contains("transaction=off"),
        "{}",
        refused.stderr
    );
    assert_eq!(shown(), before);
    // A way out: the file as it was, and the rest goes on without the one.
    fleet.migration("0002", "unique", UNIQUE, "DROP INDEX things_1_by_name;");
    fleet.expect(0, &["rollout", "resume", id, "--acknowledge"]);
    let summary = fleet.json(4, &["up"]);
    assert_eq!(summary["failed"], 1, "{summary}");
    let verdict = fleet.json(0, &["verify"]);
    assert_eq!(verdict["violations"], serde_json::json!([]), "{verdict}");
}

fn schemas_on_both_sides() -> (Fleet, String) {
    let fleet = Fleet::embedded()
        .with_postgres(Postgres::shared())
        .schemas(6)
        .rollout(&one_by_one(["t0000", "t0001"]))
        .written();
    fleet.probe_migrations(1);
    fleet.expect(0, &["up"]);
    let twice = TWICE.replace("things_1", "t0003.things_1");
    Postgres::shared().sql(fleet.tenants_url(), &twice);
    let id = halted_on_both_sides(&fleet);
    (fleet, id)
}

fn files_on_both_sides() -> (Fleet, String) {
    let fleet = Fleet::embedded()
        .files(6)
        .rollout(&one_by_one(["file000", "file001"]))
        .written();
    fleet.probe_migrations(1);
    fleet.expect(0, &["up"]);
    sqlite(&fleet.path("data/file003.db"), TWICE);
    let id = halted_on_both_sides(&fleet);
    (fleet, id)
}

#[test]
fn schemas_with_both_texts_are_alike() {
    let (fleet, id) = schemas_on_both_sides();
    let checksums = || {
        let of = |schema: &String| {
            format!("SELECT checksum FROM {schema}.sanderling_migrations WHERE version = '0002'")
        };
        let all: Vec<_> = fleet.schema_names().iter().map(of).collect();
        let sql = format!(
            "SELECT count(DISTINCT checksum) FROM ({}) c",
            all.join(" UNION ALL ")
        );
        Postgres::shared()
            .sql(fleet.tenants_url(), &sql)
            .trim()
            .to_owned()
    };
    goes_on_with_both(&fleet, &id, 6, checksums);
}

#[test]
fn files_with_both_texts_are_alike() {
    let (fleet, id) = files_on_both_sides();
    let checksums = || {
        let read = |file: &String| {
            let sql = "SELECT checksum FROM sanderling_migrations WHERE version = '0002'";
            sqlite(&fleet.path(&format!("data/{file}.db")), sql)
        };
        let all: std::collections::BTreeSet<_> = fleet.file_names().iter().map(read).collect();
        all.len().to_string()
    };
    goes_on_with_both(&fleet, &id, 6, checksums);
}

#[test]
fn schemas_that_would_differ_are_not_amended() {
    let (fleet, id) = schemas_on_both_sides();
    refuses_another_end(&fleet, &id, "t0003");
}

#[test]
fn files_that_would_differ_are_not_amended() {
    let (fleet, id) = files_on_both_sides();
    refuses_another_end(&fleet, &id, "file003");
}
