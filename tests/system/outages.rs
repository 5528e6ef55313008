//! Hosts that go away, fill up, or take no writes in the middle of a rollout: they pause, and their tenants do not fail.

use std::os::unix::fs::MetadataExt;

use sanderling_testkit::{Postgres, Process, until};
use serde_json::Value;

use crate::chaos::events;
use crate::fleet::{DEADLINE, Fleet, last_json};
use crate::mount::Mount;

/// Room for others beside what a host of four connections may have in flight.
const ROOMY: &str = "[[rollout.waves]]\nname = \"all\"\nrest = true\nhalt = { max_failures = 0 }";

/// A first wave of one, after which the rollout stands still until [`skip_bake`].
const BAKING: &str = "[[rollout.waves]]\nname = \"canary\"\ncount = 1\nbake = \"1h\"";

/// Lets the rollout go on after [`BAKING`]; its id.
fn skip_bake(fleet: &Fleet, up: &Process) -> String {
    let events = events(&up.stdout());
    let id = events[0]["rollout"].as_str().unwrap();
    fleet.expect(
        0,
        &["rollout", "skip", id, "--gate", "bake", "--reason", "test"],
    );
    id.to_owned()
}

fn count(up: &Process, what: &str) -> usize {
    up.stdout().matches(what).count()
}

fn progress(up: &Process, ended: usize) {
    until(DEADLINE, "the rollout to move", || {
        let seen = count(up, "\"type\":\"ended\"");
        (seen >= ended).then_some(()).ok_or(seen)
    });
}

/// Waits until `status` names the host as away, and gives what it says.
fn away(fleet: &Fleet) -> Value {
    until(DEADLINE, "status to say that a host is away", || {
        let status = fleet.run(&["--json", "status"]);
        let status: Value = last_json(&status.stdout);
        let away = status["hosts_away"].as_array().cloned().unwrap_or_default();
        away.first().cloned().ok_or(status.to_string())
    })
}

fn all_succeeded(fleet: &Fleet, up: &mut Process, tenants: u64, versions: usize) -> Vec<Value> {
    let ended = up.wait_with_deadline(DEADLINE);
    assert_eq!(ended.code(), Some(0), "{}\n{}", ended.stdout, ended.stderr);
    let summary = last_json(&ended.stdout);
    assert_eq!(summary["succeeded"], tenants, "{summary}");
    assert_eq!(summary["failed"], 0, "{summary}");
    fleet.assert_exactly_once(versions);
    let verdict = fleet.json(0, &["verify"]);
    assert_eq!(verdict["violations"], serde_json::json!([]), "{verdict}");
    events(&ended.stdout)
}

/// Two hosts. The server is killed in the middle and stays away until every tenant of the other host is done; then it
/// comes back. Nobody fails, although the rollout tolerates no failure.
#[test]
fn a_host_that_dies_pauses_and_the_others_go_on() {
    let postgres = Postgres::private();
    let fleet = Fleet::embedded()
        .with_postgres(&postgres)
        .pg_connections(4)
        .schemas(60)
        .files(40)
        .rollout(ROOMY)
        .written();
    fleet.probe_migrations(3);
    let mut up = fleet.spawn(&["--json", "up"]);
    progress(&up, 5);
    postgres.kill();
    let files = until(DEADLINE, "all files to be done", || {
        let out = up.stdout();
        let done = events(&out)
            .iter()
            .filter(|e| e["type"] == "ended" && e["tenant"].as_str().unwrap().starts_with("file"))
            .count();
        (done == 40).then_some(done).ok_or(out)
    });
    assert_eq!(files, 40);
    let host = away(&fleet);
    assert_eq!(host["host"], "pg", "{host}");
    assert!(
        host["reason"].as_str().unwrap().starts_with("is away"),
        "{host}"
    );
    let before = count(&up, "\"type\":\"ended\"");
    assert!(before < 100, "the server died too late to matter");
    postgres.restart();

    let events = all_succeeded(&fleet, &mut up, 100, 3);

    assert!(up.stderr().contains("host pg is away"), "{}", up.stderr());
    assert!(events.iter().all(|e| e["outcome"] != "failed"));
}

/// The server comes back as a standby, which takes no writes, and is promoted later.
#[test]
fn a_host_that_takes_no_writes_pauses() {
    let postgres = Postgres::private();
    let fleet = Fleet::embedded()
        .with_postgres(&postgres)
        .pg_connections(4)
        .schemas(60)
        .rollout(ROOMY)
        .written();
    fleet.probe_migrations(3);
    let mut up = fleet.spawn(&["--json", "up"]);
    progress(&up, 3);
    std::fs::write(postgres.data_path().join("standby.signal"), "").unwrap();
    postgres.restart();
    until(
        DEADLINE,
        "status to say that the host takes no writes",
        || {
            let host = away(&fleet);
            let reason = host["reason"].as_str().unwrap().to_owned();
            reason
                .starts_with("takes no writes")
                .then_some(())
                .ok_or(reason)
        },
    );
    assert!(up.is_running());
    postgres.sql(postgres.url(), "SELECT pg_promote()");

    all_succeeded(&fleet, &mut up, 60, 3);
}

/// Others take every connection that the server has, for a while.
#[test]
fn a_host_without_free_connections_pauses() {
    let postgres = Postgres::private_with(&[
        ("max_connections", "12"),
        ("superuser_reserved_connections", "0"),
        ("max_wal_senders", "0"),
        ("client_connection_check_interval", "100ms"),
    ]);
    let fleet = Fleet::embedded()
        .with_postgres(&postgres)
        .pg_connections(4)
        .schemas(40)
        .rollout(&format!("{BAKING}\n{ROOMY}"))
        .written();
    fleet.probe_migrations(2);
    let url = fleet.tenants_url().to_owned();
    let mut others: Vec<Process> = Vec::new();
    let mut up = fleet.spawn(&["--json", "up"]);
    progress(&up, 1);
    // Of twelve, `up` has one; one more is not the four that it wants.
    until(DEADLINE, "ten others to be connected", || {
        let mut other = Process::command("psql");
        other.args(["-X", "-q", "-t", "-c", "SELECT 'held'"]);
        other.args(["-c", "SELECT pg_sleep(600)"]).arg(&url);
        others.push(Process::spawn(other));
        others.retain_mut(Process::is_running);
        let held = |other: &&Process| other.stdout().contains("held");
        let held = others.iter().filter(held).count();
        (held >= 10).then_some(()).ok_or(held)
    });
    skip_bake(&fleet, &up);
    until(DEADLINE, "the host to be full", || {
        let said = up.stderr();
        said.contains("takes no more connections")
            .then_some(())
            .ok_or(said)
    });
    assert!(up.is_running());
    // The server looks whether a client is still there, and ends what a dead one had begun.
    drop(others);

    all_succeeded(&fleet, &mut up, 40, 2);
}

/// A host that stays away longer than the rollout has patience fails its tenants, and the limits hold.
#[test]
fn patience_ends_and_the_rollout_halts_with_the_hosts_cause() {
    let postgres = Postgres::private();
    let fleet = Fleet::embedded()
        .with_postgres(&postgres)
        .pg_connections(4)
        .schemas(40)
        .rollout(&format!("host_patience = \"1s\"\n{BAKING}\n{ROOMY}"))
        .written();
    fleet.probe_migrations(2);
    let mut up = fleet.spawn(&["--json", "up"]);
    progress(&up, 1);
    // Between two waves, so that nothing is in flight: what is stays so until its fence can be written.
    postgres.kill();
    let id = skip_bake(&fleet, &up);

    let ended = up.wait_with_deadline(DEADLINE);
    assert_eq!(ended.code(), Some(3), "{}\n{}", ended.stdout, ended.stderr);
    let summary = last_json(&ended.stdout);
    assert_eq!(
        (&summary["failed"], &summary["started_after_halt"]),
        (&1.into(), &0.into())
    );
    let cause = &summary["causes"][0];
    assert_eq!(
        (&cause["class"], &cause["code"]),
        (&"connection".into(), &"io".into())
    );
    let message = cause["message"].as_str().unwrap();
    assert!(
        message.contains("host pg has been out of reach"),
        "{message}"
    );

    postgres.restart();
    fleet.expect(0, &["rollout", "retry", &id, "--failed"]);
    assert_eq!(fleet.json(0, &["up"])["succeeded"], 40);
    fleet.assert_exactly_once(2);
}

/// A host dies while all that it may have in flight is in the middle of a step. Nobody is left who could be tried there,
/// and nobody can say what became of those: they count to the limits when patience is over, `up` comes back, and when
/// the host is there again they are settled.
#[test]
fn a_host_that_dies_under_all_that_is_in_flight_halts() {
    let postgres = Postgres::private();
    let fleet = Fleet::embedded()
        .with_postgres(&postgres)
        .pg_connections(4)
        .schemas(12)
        .rollout(&format!("host_patience = \"1s\"\n{ROOMY}"))
        .written();
    fleet.probe_migrations(1);
    fleet.expect(0, &["up"]);
    fleet.probe_migrations(2);
    // Long enough that the server dies under it, and not at all once that is back.
    let nap = "SELECT pg_sleep(CAST(coalesce(current_setting('test.nap', true), '600') AS real));";
    fleet.migration("0003", "nap", nap, "SELECT 1;");
    let mut up = fleet.spawn(&["--json", "up"]);
    until(DEADLINE, "four to be in the middle of a step", || {
        let asleep = "SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'PgSleep'";
        let asleep = postgres.sql(postgres.url(), asleep);
        (asleep.trim() == "4").then_some(()).ok_or(asleep)
    });
    postgres.kill();
    let settings = postgres.data_path().join("postgresql.conf");
    let mut text = std::fs::read_to_string(&settings).unwrap();
    text.push_str("\ntest.nap = '0'\n");
    std::fs::write(&settings, text).unwrap();

    let ended = up.wait_with_deadline(DEADLINE);
    assert_eq!(ended.code(), Some(3), "{}\n{}", ended.stdout, ended.stderr);
    let summary = last_json(&ended.stdout);
    let halt = &summary["halt"];
    assert_eq!(
        (&halt["rule"], &halt["failures"], &halt["tolerated"]),
        (&"max_failures".into(), &4.into(), &0.into()),
        "{summary}"
    );
    let detail = halt["detail"].as_str().unwrap();
    assert!(detail.starts_with("4 in flight on host pg"), "{detail}");
    assert_eq!(summary["failed"], 0, "nobody knows yet: {summary}");
    let left = "4 in flight stay so";
    assert!(ended.stderr.contains(left), "{}", ended.stderr);

    // Nobody is left who would say anything: who only watches is told so, and need not wait for the host.
    let id = summary["rollout"].as_str().unwrap();
    let watched = fleet.expect(3, &["rollout", "watch", id]).stderr;
    assert!(watched.contains(left), "{watched}");

    // Who lets it go on knows of them: they halt nothing again, although another worker has them now.
    fleet.expect(0, &["rollout", "resume", id, "--acknowledge"]);
    let mut up = fleet.spawn(&["--json", "up"]);
    let patient = || {
        let host = away(&fleet);
        let now = std::time::SystemTime::UNIX_EPOCH.elapsed().unwrap();
        let since = std::time::Duration::from_micros(host["since"].as_u64().unwrap());
        now.saturating_sub(since) > std::time::Duration::from_secs(3)
    };
    until(DEADLINE, "patience to be over long ago", || {
        patient().then_some(()).ok_or_else(|| up.stderr())
    });
    let shown = fleet.json(0, &["rollout", "show", id]);
    assert_eq!(
        (&shown["state"], &shown["halt"]),
        (&"running".into(), &Value::Null)
    );
    postgres.restart();
    let ended = up.wait_with_deadline(DEADLINE);
    assert_eq!(ended.code(), Some(0), "{}\n{}", ended.stdout, ended.stderr);
    assert_eq!(last_json(&ended.stdout)["succeeded"], 12);
    fleet.assert_exactly_once(2);
    let verdict = fleet.json(0, &["verify"]);
    assert_eq!(verdict["violations"], serde_json::json!([]), "{verdict}");
}

/// A directory that is read-only for a while.
#[test]
fn a_directory_that_is_read_only_pauses() {
    let fleet = Fleet::embedded().files(30).rollout(ROOMY).written();
    fleet.probe_migrations(1);
    fleet.expect(0, &["up"]);
    fleet.probe_migrations(3);
    let mount = Mount::bind(&fleet.path("data"));
    mount.remount("ro");
    let mut up = fleet.spawn(&["--json", "up"]);
    let host = away(&fleet);
    assert_eq!(host["host"], "files", "{host}");
    assert!(
        host["reason"]
            .as_str()
            .unwrap()
            .starts_with("takes no writes"),
        "{host}"
    );
    mount.remount("rw");

    let ended = up.wait_with_deadline(DEADLINE);

    assert_eq!(ended.code(), Some(0), "{}\n{}", ended.stdout, ended.stderr);
    assert_eq!(last_json(&ended.stdout)["succeeded"], 30);
    fleet.assert_exactly_once(3);
}

/// A tenant that is alone in its trouble stops nobody, and ends when its fence can be written again: as failed where
/// patience had run out, or by going on where its circuit had closed by then.
#[test]
fn one_read_only_file_stops_nobody() {
    let fleet = Fleet::embedded()
        .files(12)
        .rollout("host_patience = \"1s\"\n[[rollout.waves]]\nname = \"all\"\nrest = true\nhalt = { max_failures = 3 }")
        .written();
    fleet.probe_migrations(1);
    fleet.expect(0, &["up"]);
    fleet.probe_migrations(2);
    let mount = Mount::bind(&fleet.path("data/file003.db"));
    mount.remount("ro");

    let mut up = fleet.spawn(&["--json", "up"]);
    until(DEADLINE, "the others to be done", || {
        let done = count(&up, "\"outcome\":\"succeeded\"");
        // Its fence cannot be written either, and each try at it takes a number of its own.
        let settling = count(&up, "\"type\":\"reissued\"") > 0;
        (done == 11 && settling).then_some(()).ok_or(up.stdout())
    });
    // Until its fence can be written again it stays in flight.
    mount.remount("rw");

    let ended = up.wait_with_deadline(DEADLINE);

    let summary = last_json(&ended.stdout);
    match ended.code() {
        Some(0) => assert_eq!(summary["succeeded"], 12, "{summary}"),
        Some(4) => {
            assert_eq!(summary["failed"], 1, "{summary}");
            assert_eq!(summary["succeeded"], 11, "{summary}");
            assert_eq!(summary["causes"][0]["example"], "file003", "{summary}");
        }
        code => panic!("{code:?}: {}", ended.stderr),
    }
}

/// Waits until `status` says that the host's disk is full.
fn full(fleet: &Fleet, up: &Process, host: &str) {
    until(DEADLINE, "status to say that the disk is full", || {
        let away = away(fleet);
        assert_eq!(away["host"], host, "{away}");
        let reason = away["reason"].as_str().unwrap().to_owned();
        reason
            .starts_with("has no room on its disk")
            .then_some(())
            .ok_or_else(|| format!("{reason}\n{}", up.stderr()))
    });
}

/// The disk of the tenants' files fills up and is emptied again.
#[test]
fn a_full_disk_of_files_pauses() {
    let fleet = Fleet::embedded().files(20).rollout(ROOMY).written();
    let mount = Mount::room(&fleet.path("data"), 16 << 20);
    fleet.probe_migrations(1);
    fleet.expect(0, &["up"]);
    fleet.probe_migrations(3);
    let filler = mount.filled();
    let mut up = fleet.spawn(&["--json", "up"]);
    full(&fleet, &up, "files");
    assert!(up.is_running());
    drop(filler);

    all_succeeded(&fleet, &mut up, 20, 3);
}

/// The tablespace of the tenants fills up in the middle; the server itself has room, and so its log.
#[test]
fn a_full_tablespace_pauses() {
    let postgres = Postgres::private();
    let place = postgres.data_path().with_file_name("small");
    std::fs::create_dir(&place).unwrap();
    let owner = std::fs::metadata(postgres.data_path()).unwrap();
    std::os::unix::fs::chown(&place, Some(owner.uid()), Some(owner.gid())).unwrap();
    let mount = Mount::room(&place, 64 << 20);
    let fleet = Fleet::embedded()
        .with_postgres(&postgres)
        .pg_connections(4)
        .schemas(40)
        .rollout(ROOMY)
        .written();
    let small = format!("CREATE TABLESPACE small LOCATION '{}'", place.display());
    postgres.sql(postgres.url(), &small);
    let database = fleet.tenants_url().rsplit('/').next().unwrap();
    let database = database.split('?').next().unwrap();
    let tables = format!("ALTER DATABASE {database} SET default_tablespace = small");
    postgres.sql(postgres.url(), &tables);
    fleet.probe_migrations(3);
    let mut up = fleet.spawn(&["--json", "up"]);
    progress(&up, 1);
    let filler = mount.filled();
    full(&fleet, &up, "pg");
    assert!(up.is_running());
    drop(filler);

    all_succeeded(&fleet, &mut up, 40, 3);
}
