//! The way down: versions are taken back wave by wave, as they were applied.

use sanderling_testkit::{Postgres, Process, Redis};
use serde_json::json;

use crate::chaos::{events, kill_a_busy_worker};
use crate::cluster::{drain, start_cluster};
use crate::fleet::{DEADLINE, Fleet, last_json, sqlite};
use crate::history::assert_possible;

/// Migrations 0001 to 0003. Each adds a row to `probe` and takes it away again; each way back adds one to `undone`, which
/// stays: what was taken back twice shows.
pub(crate) fn migrations(fleet: &Fleet) {
    for i in 1..=3 {
        let create = match i {
            1 => {
                "CREATE TABLE probe (version integer NOT NULL);\nCREATE TABLE IF NOT EXISTS undone (version integer NOT NULL);\n"
            }
            _ => "",
        };
        let drop = match i {
            1 => "DROP TABLE probe;\n",
            _ => "DELETE FROM probe WHERE version = ",
        };
        let end = match i {
            1 => String::new(),
            _ => format!("{i};\n"),
        };
        fleet.migration(
            &format!("000{i}"),
            &format!("step_{i}"),
            &format!("{create}CREATE TABLE things_{i} (id integer PRIMARY KEY, name text NOT NULL);\nINSERT INTO probe VALUES ({i});"),
            &format!("{drop}{end}DROP TABLE things_{i};\nINSERT INTO undone VALUES ({i});"),
        );
    }
}

/// Six schemas and three files at version 0003.
fn at_three() -> Fleet {
    let fleet = Fleet::embedded()
        .with_postgres(Postgres::shared())
        .schemas(6)
        .files(3)
        .written();
    migrations(&fleet);
    let up = fleet.json(0, &["up"]);
    assert_eq!(up["succeeded"], 9, "{up}");
    fleet
}

/// One query on every tenant, by plain SQL.
#[track_caller]
pub(crate) fn everywhere(fleet: &Fleet, query: &str) -> Vec<(String, String)> {
    let url = fleet.tenants_url();
    let schemas = fleet.schema_names().iter().map(|schema| {
        let sql = format!("SET search_path = \"{schema}\"; {query}");
        (schema.clone(), Postgres::shared().sql(url, &sql))
    });
    let files = fleet.file_names().iter().map(|file| {
        let path = fleet.path(&format!("data/{file}.db"));
        (file.clone(), sqlite(&path, query))
    });
    schemas
        .chain(files)
        .map(|(tenant, text)| {
            let last = text.lines().rfind(|line| !line.trim().is_empty());
            (tenant, last.unwrap_or_default().trim().to_owned())
        })
        .collect()
}

/// Every tenant gives this one answer.
#[track_caller]
pub(crate) fn all_say(fleet: &Fleet, query: &str, expected: &str) {
    let other: Vec<_> = everywhere(fleet, query)
        .into_iter()
        .filter(|(_, said)| said != expected)
        .collect();
    assert!(
        other.is_empty(),
        "{query}: expected {expected}, got {other:?}"
    );
}

/// How often each version was taken back: a digit each, `110` says once for versions 0003 and 0002.
const UNDONE: &str = "SELECT coalesce(sum(CASE version WHEN 1 THEN 1 WHEN 2 THEN 10 WHEN 3 THEN 100 END), 0) FROM undone";
/// The newest version in effect by the ledger.
const NEWEST: &str = "SELECT max(version) FROM sanderling_migrations WHERE state = 'applied'";
const REVERTED: &str = "SELECT count(*) FROM sanderling_migrations WHERE state = 'reverted'";

#[test]
fn versions_are_taken_back_and_applied_again() {
    let fleet = at_three();
    let before = fleet.json(0, &["status"]);
    let plan = fleet.json(0, &["down", "--all-tenants", "--dry-run"]);
    assert_eq!(
        (&plan["direction"], &plan["target"], &plan["pending"]),
        (&json!("down"), &json!("0002"), &json!(9)),
        "{plan}"
    );
    assert_eq!(
        plan["paths"],
        json!([{"from": "0003", "to": "0002", "tenants": 9}]),
        "{plan}"
    );
    assert_eq!(
        fleet.json(0, &["status"]),
        before,
        "a dry run changes nothing"
    );
    let down = fleet.json(0, &["down", "--all-tenants"]);
    assert_eq!(
        (&down["direction"], &down["target"], &down["succeeded"]),
        (&json!("down"), &json!("0002"), &json!(9)),
        "{down}"
    );
    all_say(&fleet, NEWEST, "0002");
    all_say(&fleet, REVERTED, "1");
    all_say(&fleet, UNDONE, "100");
    all_say(&fleet, "SELECT sum(version) FROM probe", "3");
    fleet.verified_clean();

    // Some of them further, the newest first; others have nothing above.
    let some = fleet.expect(0, &["down", "--tenants", "id=t000*", "--to", "0001"]);
    assert!(
        some.stdout.contains("down to version 0001"),
        "{}",
        some.stdout
    );
    let rest = fleet.json(0, &["down", "--tenants", "id=t000*", "--to", "0001"]);
    assert_eq!(
        (&rest["rollout"], &rest["up_to_date"]),
        (&json!(null), &json!(6)),
        "{rest}"
    );
    fleet.verified_clean();
    let all = fleet.json(0, &["down", "--all-tenants", "--to", "0"]);
    assert_eq!(all["succeeded"], 9, "{all}");
    all_say(&fleet, UNDONE, "111");
    all_say(&fleet, REVERTED, "3");
    fleet.verified_clean();
    let nothing = fleet.expect(0, &["down", "--all-tenants"]);
    assert!(
        nothing.stdout.contains("nothing to take back"),
        "{}",
        nothing.stdout
    );

    let up = fleet.json(0, &["up"]);
    assert_eq!(
        (&up["direction"], &up["succeeded"]),
        (&json!("up"), &json!(9))
    );
    all_say(&fleet, NEWEST, "0003");
    all_say(&fleet, REVERTED, "0");
    all_say(&fleet, UNDONE, "111");
    fleet.verified_clean();
}

#[test]
fn nobody_is_taken_down_unasked_or_without_a_way_back() {
    let fleet = at_three();
    let unasked = fleet.expect(2, &["down"]);
    assert!(
        unasked.stderr.contains("--all-tenants") && unasked.stderr.contains("--tenants"),
        "{}",
        unasked.stderr
    );
    let unknown = fleet.expect(2, &["down", "--all-tenants", "--to", "0009"]);
    assert!(unknown.stderr.contains("0009"), "{}", unknown.stderr);

    let none = "-- +migrate Up\nCREATE TABLE a (n integer);\n";
    fleet.write("migrations/0004_none.sql", none);
    let kept = "-- sanderling: irreversible=\"the rows are gone\"\n-- +migrate Up\nCREATE TABLE b (n integer);\n";
    fleet.write("migrations/0005_kept.sql", kept);
    fleet.json(0, &["up", "--tenants", "t0001"]);
    fleet.json(0, &["up", "--tenants", "file001", "--to", "0004"]);
    let refused = fleet.expect(1, &["down", "--all-tenants", "--to", "0002"]);
    for said in [
        "0005_kept.sql:1:16: version 0005 is irreversible: the rows are gone; 1 tenant at or above it (for example t0001)",
        "0004_none.sql:1:1: version 0004 cannot be taken back: it has no Down section; 2 tenants at or above it",
        "nothing was changed",
    ] {
        assert!(refused.stderr.contains(said), "{said}: {}", refused.stderr);
    }
    std::fs::remove_file(fleet.path("migrations/0005_kept.sql")).unwrap();
    let foreign = fleet.expect(1, &["down", "--all-tenants", "--to", "0002"]);
    for said in ["version 0005", "put the files back", "t0001"] {
        assert!(foreign.stderr.contains(said), "{said}: {}", foreign.stderr);
    }
    // Who has none of them may go.
    fleet.migration("0003", "step_3", "SELECT 1;", "SELECT 1;");
    let edited = fleet.expect(1, &["down", "--tenants", "t0002"]);
    assert!(edited.stderr.contains("was edited"), "{}", edited.stderr);
    migrations(&fleet);
    fleet.json(0, &["down", "--tenants", "t0002"]);
    assert!(everywhere(&fleet, UNDONE).contains(&("t0002".into(), "100".into())));
}

#[test]
fn a_way_back_that_fails_halts_in_the_canary() {
    let fleet = at_three();
    let postgres = Postgres::shared();
    let view = "CREATE VIEW t0000.looks AS SELECT id FROM t0000.things_3";
    postgres.sql(fleet.tenants_url(), view);
    let go = ["down", "--all-tenants", "--waves", "canary=1,rest"];
    let halted = fleet.json(3, &go);
    assert_eq!(
        (&halted["direction"], &halted["failed"], &halted["pending"]),
        (&json!("down"), &json!(1), &json!(8)),
        "{halted}"
    );
    let cause = &halted["causes"][0];
    assert_eq!(
        (&cause["file"], &cause["line"]),
        (&json!("0003_step_3.sql"), &json!(6)),
        "{halted}"
    );
    all_say(&fleet, NEWEST, "0003");
    all_say(&fleet, UNDONE, "0");
    let id = halted["rollout"].as_str().unwrap();
    let said = fleet.expect(0, &["rollout", "show", id]).stdout;
    assert!(said.contains("sanderling down --to 0002"), "{said}");
    // Nobody goes up meanwhile, and nobody elsewhere.
    fleet.migration("0004", "more", "SELECT 1;", "SELECT 1;");
    for other in [
        &["up"] as &[&str],
        &["down", "--all-tenants", "--to", "0001"],
    ] {
        let refused = fleet.expect(1, other);
        assert!(refused.stderr.contains(id), "{}", refused.stderr);
    }
    std::fs::remove_file(fleet.path("migrations/0004_more.sql")).unwrap();
    postgres.sql(fleet.tenants_url(), "DROP VIEW t0000.looks");
    fleet.expect(0, &["rollout", "retry", id, "--failed"]);
    let joined = fleet.json(0, &["down", "--all-tenants", "--to", "0002"]);
    assert_eq!(
        (&joined["rollout"], &joined["succeeded"]),
        (&json!(id), &json!(9)),
        "{joined}"
    );
    all_say(&fleet, UNDONE, "100");
    fleet.verified_clean();
}

/// Workers die on the way down: one before its message, one behind its answer, one wherever SIGKILL finds it. What they
/// had done is found by those who take over, and nothing is taken back twice.
#[test]
fn killed_workers_take_nothing_back_twice() {
    let fleet = Fleet::cluster(Postgres::shared(), Redis::shared())
        .schemas(120)
        .files(8)
        .written();
    migrations(&fleet);
    let mut processes = start_cluster(&fleet, 1, 2);
    let up = fleet.json(0, &["up", "--yes"]);
    assert_eq!(up["succeeded"], 128, "{up}");
    for moment in ["worker.before_message", "worker.after_answer"] {
        let mut command = fleet.command(&["worker"]);
        command.env("FAILPOINTS", format!("{moment}=9*off->return(abort)"));
        processes.push(Process::spawn(command));
    }
    let args = ["--json", "down", "--all-tenants", "--to", "0001", "--yes"];
    let mut down = fleet.spawn(&args);
    // The first 128 were of the way up.
    kill_a_busy_worker(&fleet, &mut processes, 128 + 30);
    processes.push(fleet.spawn(&["worker"]));

    let ended = down.wait_with_deadline(DEADLINE);
    assert_eq!(ended.code(), Some(0), "{}", ended.stderr);
    let summary = last_json(&ended.stdout);
    assert_eq!(
        (&summary["direction"], &summary["succeeded"]),
        (&json!("down"), &json!(128)),
        "{summary}"
    );
    let takeovers = events(&ended.stdout)
        .iter()
        .filter(|e| e["type"] == "started" && e["takeover"] == true)
        .count();
    assert!(takeovers > 0, "the kills hit nothing");
    all_say(&fleet, UNDONE, "110");
    all_say(&fleet, NEWEST, "0001");
    assert_possible(&fleet.history(&fleet.newest_rollout()));
    fleet.verified_clean();
    drain(&mut processes);
}

/// The newest version goes down and up again, where it was; elsewhere nothing moves.
#[test]
fn redo_takes_the_newest_version_back_and_applies_it_again() {
    let fleet = at_three();
    fleet.json(0, &["down", "--tenants", "t0004"]);
    let unasked = fleet.expect(2, &["redo"]);
    assert!(unasked.stderr.contains("--tenants"), "{}", unasked.stderr);
    let dry = fleet.expect(0, &["redo", "--tenants", "id=t*", "--dry-run"]);
    assert!(
        dry.stderr
            .contains("then version 0003 would be applied again"),
        "{}",
        dry.stderr
    );
    let redone = fleet.expect(0, &["redo", "--tenants", "id=t*"]);
    let (down, up) = redone.stdout.split_once("at version 0003").unwrap();
    assert!(
        down.contains("down to version 0002: 5 succeeded, 1 up to date"),
        "{}",
        redone.stdout
    );
    assert!(up.contains("5 succeeded"), "{}", redone.stdout);
    let undone = everywhere(&fleet, UNDONE);
    let expected = |tenant: &str| if tenant.starts_with('t') { "100" } else { "0" };
    for (tenant, said) in undone {
        assert_eq!(said, expected(&tenant), "{tenant}");
    }
    let newest = everywhere(&fleet, NEWEST);
    let expected = |tenant: &str| if tenant == "t0004" { "0002" } else { "0003" };
    for (tenant, said) in newest {
        assert_eq!(said, expected(&tenant), "{tenant}");
    }
    fleet.verified_clean();
}

/// Where the way down did not get everywhere, nothing is applied again, and what to type is said.
#[test]
fn redo_stops_where_the_way_down_did() {
    let fleet = at_three();
    let view = "CREATE VIEW t0002.looks AS SELECT id FROM t0002.things_3";
    Postgres::shared().sql(fleet.tenants_url(), view);
    let stopped = fleet.expect(
        4,
        &[
            "redo",
            "--tenants",
            "id=t*",
            "--max-failures",
            "1",
            "--waves",
            "rest",
        ],
    );
    for said in [
        "version 0003 is not applied again",
        "sanderling up --tenants 'id=t*' --to 0003",
    ] {
        assert!(stopped.stderr.contains(said), "{said}: {}", stopped.stderr);
    }
    let reverted = everywhere(&fleet, REVERTED);
    assert_eq!(
        reverted.iter().filter(|(_, n)| n == "1").count(),
        5,
        "{reverted:?}"
    );
    Postgres::shared().sql(fleet.tenants_url(), "DROP VIEW t0002.looks");
    fleet.expect(0, &["up", "--tenants", "id=t*", "--to", "0003"]);
    all_say(&fleet, NEWEST, "0003");
    fleet.verified_clean();
}
