//! `verify` finds what is left behind: locks, sessions, files of dead writers, broken indexes, fences. One planted
//! fault, one violation of its kind; and nothing that is at work is taken for a leftover.

use std::path::{Path, PathBuf};

use sanderling_testkit::{Postgres, Process, Redis, Signal, unique, until};
use serde_json::json;

use crate::cluster::{drain, start_cluster};
use crate::fleet::{DEADLINE, Fleet, sqlite};
use crate::verify::{assert_only, migrated};

/// The key of a schema's advisory lock, as docs/reference/ledger.md says it is made.
const KEY: &str = "('x' || encode(substring(sha256(convert_to('sanderling tenant lock 1', 'UTF8') || '\\x00'::bytea \
     || convert_to((SELECT oid::text FROM pg_database WHERE datname = current_database()), 'UTF8') || '\\x00'::bytea \
     || convert_to('t0003', 'UTF8')) from 1 for 8), 'hex'))::bit(64)::bigint";

/// A session that does something and then sits in its transaction.
fn stranger(fleet: &Fleet, application: &str, sql: &str) -> Process {
    let mut command = Process::command("psql");
    command.args(["-X", "-v", "ON_ERROR_STOP=1"]);
    for statement in ["BEGIN", sql, "SELECT 'there'", "SELECT pg_sleep(600)"] {
        command.arg("-c").arg(statement);
    }
    command
        .arg(fleet.tenants_url())
        .env("PGAPPNAME", application);
    let session = Process::spawn(command);
    until(DEADLINE, "the session to be there", || {
        session.stdout().contains("there").then_some(())
    });
    session
}

/// Ends a session and waits until the server has noticed.
fn end(fleet: &Fleet, mut session: Process, application: &str) {
    session.signal(Signal::Kill);
    session.wait_with_deadline(DEADLINE);
    let ended = format!(
        "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE application_name = '{application}'"
    );
    until(DEADLINE, "the server to let it go", || {
        (Postgres::shared().sql(fleet.tenants_url(), &ended) == "0").then_some(())
    });
}

#[test]
fn a_held_advisory_lock_is_found_and_gone_with_its_session() {
    let fleet = migrated();
    let name = unique("stranger");
    let session = stranger(&fleet, &name, &format!("SELECT pg_advisory_lock({KEY})"));
    let found = assert_only(&fleet, "t0003", "lock");
    let detail = found["detail"].as_str().unwrap();
    for part in [
        &*name,
        "advisory lock",
        "in a transaction since 20",
        "pg_terminate_backend(",
    ] {
        assert!(detail.contains(part), "{part}: {detail}");
    }
    end(&fleet, session, &name);
    assert_eq!(fleet.json(0, &["verify"])["violations"], json!([]));
}

#[test]
fn a_forgotten_session_of_ours_is_found() {
    let fleet = migrated();
    let name = format!("sanderling/{}", unique("old"));
    let _session = stranger(
        &fleet,
        &name,
        "LOCK TABLE t0005.probe IN ROW EXCLUSIVE MODE",
    );
    let found = assert_only(&fleet, "t0005", "lock");
    assert!(found["detail"].as_str().unwrap().contains(&name), "{found}");
}

/// What an application does in its own tables is none of our business.
#[test]
fn an_applications_session_is_no_violation() {
    let fleet = migrated();
    let _session = stranger(
        &fleet,
        "shop",
        "LOCK TABLE t0005.probe IN ACCESS EXCLUSIVE MODE",
    );
    let _other = stranger(&fleet, "shop", "SELECT pg_advisory_lock(42)");
    assert_eq!(fleet.json(0, &["verify"])["violations"], json!([]));
}

#[test]
fn an_invalid_index_is_found_with_the_command_that_mends_it() {
    let fleet = migrated();
    let url = fleet.tenants_url();
    // A concurrent build that fails leaves its index behind, not valid.
    Postgres::shared().sql(url, "INSERT INTO t0002.things_1 VALUES (1, 'a'), (2, 'a')");
    let build = "CREATE UNIQUE INDEX CONCURRENTLY one_name ON t0002.things_1 (name)";
    Postgres::shared().try_sql(url, build).unwrap_err();
    let found = assert_only(&fleet, "t0002", "invalid_index");
    let detail = found["detail"].as_str().unwrap();
    assert!(
        detail.contains("REINDEX INDEX CONCURRENTLY t0002.one_name"),
        "{detail}"
    );
    Postgres::shared().sql(url, "DELETE FROM t0002.things_1; DROP INDEX t0002.one_name");
    assert_eq!(fleet.json(0, &["verify"])["violations"], json!([]));
}

/// A concurrent build that waits for an old transaction has an invalid index for as long: that is a note.
#[test]
fn an_index_that_is_being_built_is_a_note() {
    let fleet = migrated();
    // An old snapshot, which the build waits for.
    let _old = stranger(&fleet, "shop", "UPDATE t0002.things_1 SET name = name");
    let mut command = Process::command("psql");
    let build = "CREATE INDEX CONCURRENTLY slow ON t0002.things_1 (name)";
    command.args(["-X", "-c", build]).arg(fleet.tenants_url());
    let _build = Process::spawn(command);
    let there = "SELECT count(*) FROM pg_index WHERE NOT indisvalid";
    until(DEADLINE, "the build to wait", || {
        (Postgres::shared().sql(fleet.tenants_url(), there) == "1").then_some(())
    });
    let verdict = fleet.run(&["--json", "verify"]);
    let verdict = crate::fleet::last_json(&verdict.stdout);
    let kinds = verdict["violations"].to_string();
    assert!(!kinds.contains("invalid_index"), "{verdict}");
    let notes = verdict["notes"].to_string();
    assert!(
        notes.contains("index t0002.slow is not valid, and pid"),
        "{verdict}"
    );
}

#[test]
fn a_fence_that_is_wrong_is_found() {
    for (change, says) in [
        ("store_id = 'elsewhere'", "--take-fence --tenant t0004"),
        ("epoch = epoch + 7", "repair epochs --tenants id=t0004"),
        ("epoch = epoch - 1", "it was lowered"),
    ] {
        let fleet = migrated();
        let sql = format!("UPDATE sanderling.fence SET {change} WHERE place = 't0004'");
        Postgres::shared().sql(fleet.tenants_url(), &sql);
        let found = assert_only(&fleet, "t0004", "fence");
        assert!(found["detail"].as_str().unwrap().contains(says), "{found}");
    }
}

#[test]
fn a_fence_that_is_wrong_is_found_in_a_file() {
    for change in [
        "store_id = 'elsewhere'",
        "epoch = epoch + 7",
        "epoch = epoch - 1",
    ] {
        let fleet = migrated();
        let sql = format!("UPDATE sanderling_fence SET {change}");
        sqlite(&fleet.path("data/file003.db"), &sql);
        assert_only(&fleet, "file003", "fence");
    }
}

fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}

/// A writer that goes on for ever, once a file of its has grown.
fn writer(path: &Path, sql: &str, growing: &Path, bytes: u64) -> Process {
    let mut command = Process::command("sqlite3");
    let for_ever =
        "WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c) SELECT count(*) FROM c";
    command.arg(path).arg(format!("{sql}; {for_ever}"));
    let writer = Process::spawn(command);
    until(DEADLINE, "the writer to have written", || {
        std::fs::metadata(growing)
            .is_ok_and(|meta| meta.len() > bytes)
            .then_some(())
    });
    writer
}

#[test]
fn a_wal_of_a_writer_that_died_in_a_transaction_is_found() {
    let fleet = migrated();
    let path = fleet.path("data/file002.db");
    let rows = "WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c LIMIT 500) INSERT INTO things_1 SELECT x + 10, 'n' FROM c";
    let log = beside(&path, "-wal");
    let kept = format!("PRAGMA wal_autocheckpoint = 0; {rows}");
    let mut complete = Process::command("sqlite3");
    complete.arg(&path).args([&kept, ".system kill -9 $PPID"]);
    Process::spawn(complete).wait_with_deadline(DEADLINE);
    assert!(std::fs::metadata(&log).unwrap().len() > 4_096);
    assert_eq!(
        fleet.json(0, &["verify"])["violations"],
        json!([]),
        "all that it holds was committed"
    );
    // So small a cache spills into the log before the end.
    let spilt = rows.replace("LIMIT 500", "LIMIT 50000");
    let spilt = spilt.replace("x + 10,", "x + 1000,");
    let mut living = writer(
        &path,
        &format!("PRAGMA cache_size = 1; BEGIN; {spilt}"),
        &log,
        400_000,
    );
    assert_eq!(
        fleet.json(0, &["verify"])["violations"],
        json!([]),
        "it is in use"
    );
    living.signal(Signal::Kill);
    living.wait_with_deadline(DEADLINE);
    // In a container nobody can tell, and then nobody is accused.
    let namespace = std::fs::read_link("/proc/self/ns/pid").unwrap();
    if namespace == Path::new("pid:[4026531836]") {
        assert_only(&fleet, "file002", "lock");
    } else {
        let verdict = fleet.json(0, &["verify"]);
        assert!(verdict["notes"].to_string().contains("-wal"), "{verdict}");
    }
    sqlite(&path, "SELECT count(*) FROM sqlite_schema");
    assert_eq!(fleet.json(0, &["verify"])["violations"], json!([]));
}

#[test]
fn a_journal_of_a_dead_writer_is_found() {
    let fleet = migrated();
    let path = fleet.path("data/file002.db");
    sqlite(&path, "PRAGMA journal_mode = delete");
    // So small a cache spills into the file before the end, behind a journal that is on the disk.
    let mut writer = writer(
        &path,
        "PRAGMA cache_size = 1; BEGIN; INSERT INTO things_1 WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n \
         WHERE i < 500) SELECT i + 10, hex(randomblob(1000)) FROM n",
        &path,
        400_000,
    );
    writer.signal(Signal::Kill);
    writer.wait_with_deadline(DEADLINE);
    let found = assert_only(&fleet, "file002", "lock");
    let detail = found["detail"].as_str().unwrap();
    // What it says to type mends it.
    let typed = detail.split('`').nth(1).unwrap();
    let status = std::process::Command::new("sh")
        .args(["-c", typed])
        .status();
    assert!(status.unwrap().success(), "{typed}");
    assert_eq!(fleet.json(0, &["verify"])["violations"], json!([]));
}

/// While a rollout runs nothing that is at work is taken for left over, or half done for wrong.
#[test]
fn a_running_rollout_gives_no_false_alarm() {
    let fleet = Fleet::cluster(Postgres::shared(), Redis::shared())
        .schemas(150)
        .files(10)
        .written();
    fleet.probe_migrations(4);
    let mut processes = start_cluster(&fleet, 1, 3);
    let mut up = fleet.spawn(&["--json", "up", "--yes"]);
    until(DEADLINE, "targets that ended", || {
        up.stdout().contains("\"type\":\"ended\"").then_some(())
    });
    let mut looks = 0;
    while up.is_running() {
        let verdict = fleet.json(0, &["verify"]);
        assert_eq!(verdict["violations"], json!([]), "look {looks}: {verdict}");
        looks += 1;
    }
    assert!(looks > 0, "the rollout was over before anybody looked");
    assert_eq!(up.wait_with_deadline(DEADLINE).code(), Some(0));
    fleet.verified_clean();
    drain(&mut processes);
}
