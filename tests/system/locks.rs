//! Locks that others hold, deadlocks, statements that run too long: what is tried again, how often, and what then.

use sanderling_testkit::{Postgres, Process, Signal, unique, until};
use serde_json::Value;

use crate::chaos::events;
use crate::fleet::{DEADLINE, Fleet, last_json};

/// A migration that needs ACCESS EXCLUSIVE on a table of the application.
const NEEDS_LOCK: &str = "ALTER TABLE things ADD COLUMN note text;\nCREATE TABLE probe (version integer NOT NULL);\nINSERT INTO probe (version) VALUES (1);";

const IMPATIENT: &str = "lock_timeout = \"50ms\"\n[[rollout.waves]]\nname = \"all\"\nrest = true\nhalt = { max_failures = 0 }\n\
     [retry.lock_timeout]\nattempts = 3\nbase = \"10ms\"\nmax = \"20ms\"";

/// An application's transaction that holds a table, until it is let go.
struct Holder {
    _process: Process,
    url: String,
    name: String,
}

impl Holder {
    fn of(url: &str, schemas: &[&str]) -> Self {
        let name = unique("holder");
        let mut command = Process::command("psql");
        command.arg("-X").arg("-c").arg("BEGIN");
        for schema in schemas {
            let lock = format!("LOCK TABLE {schema}.things IN ACCESS EXCLUSIVE MODE");
            command.arg("-c").arg(lock);
        }
        command.args(["-c", "SELECT 'held'", "-c", "SELECT pg_sleep(600)"]);
        command.arg(url).env("PGAPPNAME", &name);
        let process = Process::spawn(command);
        until(DEADLINE, "the lock to be held", || {
            process.stdout().contains("held").then_some(())
        });
        Self {
            _process: process,
            url: url.to_owned(),
            name,
        }
    }

    fn let_go(self) {
        let end = format!(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = '{}'",
            self.name
        );
        Postgres::shared().sql(&self.url, &end);
    }
}

fn fleet(tenants: usize, rollout: &str) -> Fleet {
    let fleet = Fleet::embedded()
        .with_postgres(Postgres::shared())
        .schemas(tenants)
        .rollout(rollout)
        .written();
    for schema in fleet.schema_names() {
        let table = format!("CREATE SCHEMA {schema}; CREATE TABLE {schema}.things (id integer)");
        Postgres::shared().sql(fleet.tenants_url(), &table);
    }
    fleet
}

fn of_type<'e>(events: &'e [Value], kind: &str) -> Vec<&'e Value> {
    events.iter().filter(|e| e["type"] == kind).collect()
}

/// Two of eight tenants are locked by the application for as long as the others take: they are deferred, not failed,
/// and moved by the sweep once the lock is gone.
#[test]
fn a_locked_tenant_is_deferred_and_swept_when_the_others_are_done() {
    let fleet = fleet(8, IMPATIENT);
    fleet.migration("0001", "note", NEEDS_LOCK, "DROP TABLE probe;");
    let holder = Holder::of(fleet.tenants_url(), &["t0001", "t0004"]);
    let mut up = fleet.spawn(&["--json", "up"]);
    // The last of its tries before the sweep; the six others may end before or after it.
    until(DEADLINE, "two deferred tenants", || {
        let deferred = up.stdout().matches("\"outcome\":\"deferred\"").count();
        (deferred == 2).then_some(()).ok_or(up.stdout())
    });
    holder.let_go();

    let ended = up.wait_with_deadline(DEADLINE);

    assert_eq!(ended.code(), Some(0), "{}\n{}", ended.stdout, ended.stderr);
    let summary = last_json(&ended.stdout);
    assert_eq!(summary["succeeded"], 8, "{summary}");
    assert_eq!(summary["deferred"], 0, "{summary}");
    let events = events(&ended.stdout);
    let swept = of_type(&events, "swept");
    assert_eq!(swept.len(), 1, "{swept:?}");
    assert_eq!(
        (&swept[0]["wave"], &swept[0]["targets"]),
        (&"all".into(), &2.into())
    );
    for tenant in ["t0001", "t0004"] {
        let retried = of_type(&events, "released")
            .iter()
            .filter(|e| e["tenant"] == tenant && e["class"] == "lock_timeout")
            .filter(|e| e["seq"].as_u64() < swept[0]["seq"].as_u64())
            .count();
        assert_eq!(retried, 2, "attempts = 3: {tenant}");
    }
    fleet.assert_exactly_once(1);
    fleet.json(0, &["verify"]);
}

/// The application never lets go: the sweep's tries fail too, and that failure counts.
#[test]
fn a_tenant_that_stays_locked_fails_in_the_sweep_and_halts() {
    let fleet = fleet(3, IMPATIENT);
    fleet.migration("0001", "note", NEEDS_LOCK, "DROP TABLE probe;");
    let holder = Holder::of(fleet.tenants_url(), &["t0001"]);

    let ended = fleet.expect(3, &["--json", "up"]);

    let summary = last_json(&ended.stdout);
    assert_eq!(summary["halt"]["rule"], "max_failures", "{summary}");
    assert_eq!(
        (&summary["failed"], &summary["succeeded"]),
        (&1.into(), &2.into())
    );
    assert_eq!(summary["causes"][0]["class"], "lock_timeout", "{summary}");
    let events = events(&ended.stdout);
    let tries = of_type(&events, "started")
        .iter()
        .filter(|e| e["tenant"] == "t0001")
        .count();
    assert_eq!(tries, 6, "three tries, and three in the sweep");
    holder.let_go();
    let id = summary["rollout"].as_str().unwrap();
    fleet.expect(0, &["rollout", "retry", id, "--failed"]);
    assert_eq!(fleet.json(0, &["up"])["succeeded"], 3);
    fleet.assert_exactly_once(1);
}

/// Two tenants' migrations take two shared rows in opposite order: the server ends one of them, and it is tried again.
#[test]
fn a_deadlock_is_tried_again() {
    let fleet = fleet(
        2,
        "lock_timeout = \"30s\"\n[retry.deadlock]\nattempts = 4\nbase = \"10ms\"\nmax = \"20ms\"\n[[rollout.waves]]\nname = \"all\"\nrest = true",
    );
    // Each takes its own row, waits until both have one, and reaches for the other's. Sequences are seen before commit.
    let shared = "CREATE SCHEMA shared; CREATE TABLE shared.rows (id integer PRIMARY KEY, met integer NOT NULL DEFAULT 0);
        INSERT INTO shared.rows (id) VALUES (1), (2);
        CREATE SEQUENCE shared.arrivals;
        CREATE FUNCTION shared.meet() RETURNS void LANGUAGE plpgsql AS $$
        DECLARE mine integer := CASE current_schema() WHEN 't0000' THEN 1 ELSE 2 END; seen bigint;
        BEGIN
            UPDATE shared.rows SET met = met + 1 WHERE id = mine;
            PERFORM nextval('shared.arrivals');
            LOOP
                SELECT last_value INTO seen FROM shared.arrivals;
                EXIT WHEN seen >= 2;
                PERFORM pg_sleep(0.005);
            END LOOP;
            UPDATE shared.rows SET met = met + 1 WHERE id = 3 - mine;
        END $$";
    Postgres::shared().sql(fleet.tenants_url(), shared);
    let body = "CREATE TABLE probe (version integer NOT NULL);\nINSERT INTO probe (version) VALUES (1);\nSELECT shared.meet();";
    fleet.migration("0001", "meet", body, "DROP TABLE probe;");

    let ended = fleet.expect(0, &["--json", "up"]);

    let events = events(&ended.stdout);
    let released = of_type(&events, "released");
    assert_eq!(released.len(), 1, "one victim: {released:?}");
    assert_eq!(released[0]["class"], "deadlock");
    fleet.assert_exactly_once(1);
}

/// A statement that runs too long fails at once by default, and as often as the settings say otherwise.
#[test]
fn a_slow_statement_is_tried_as_often_as_the_settings_say() {
    for (attempts, tries) in [
        ("", 1),
        (
            "[retry.timeout]\nattempts = 3\nbase = \"5ms\"\nmax = \"10ms\"",
            3,
        ),
    ] {
        // Long enough for statements of our own, whatever else the machine does.
        let waves = "statement_timeout = \"1s\"\n[[rollout.waves]]\nname = \"all\"\nrest = true\nhalt = { max_failures = 9 }\n";
        let fleet = fleet(1, &format!("{waves}{attempts}"));
        fleet.migration("0001", "slow", "SELECT pg_sleep(60);", "SELECT 1;");

        let ended = fleet.expect(4, &["--json", "up"]);

        let summary = last_json(&ended.stdout);
        assert_eq!(summary["causes"][0]["class"], "timeout", "{summary}");
        assert_eq!(summary["causes"][0]["code"], "57014", "{summary}");
        let events = events(&ended.stdout);
        assert_eq!(of_type(&events, "started").len(), tries);
    }
}

/// The same in SQLite: a file that another program has locked is deferred, and swept once it lets go.
#[test]
fn a_locked_file_is_deferred_and_swept() {
    let fleet = Fleet::embedded().files(3).rollout(IMPATIENT).written();
    fleet.probe_migrations(1);
    fleet.expect(0, &["up"]);
    fleet.probe_migrations(2);
    let file = fleet.path("data/file001.db");
    let mut command = Process::command("sqlite3");
    command
        .arg(&file)
        .arg("PRAGMA busy_timeout = 0; BEGIN EXCLUSIVE; SELECT 'held'; WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n) SELECT count(*) FROM n;");
    let mut holder = Process::spawn(command);
    until(DEADLINE, "the file to be locked", || {
        let mut try_it = Process::command("sqlite3");
        try_it.arg(&file).arg("BEGIN IMMEDIATE");
        let tried = Process::spawn(try_it).wait_with_deadline(DEADLINE);
        tried.stderr.contains("locked").then_some(())
    });
    let mut up = fleet.spawn(&["--json", "up"]);
    until(DEADLINE, "a deferred tenant", || {
        let deferred = up.stdout().matches("\"outcome\":\"deferred\"").count();
        (deferred == 1).then_some(()).ok_or(up.stdout())
    });
    holder.signal(Signal::Kill);
    holder.wait_with_deadline(DEADLINE);

    let ended = up.wait_with_deadline(DEADLINE);

    assert_eq!(ended.code(), Some(0), "{}\n{}", ended.stdout, ended.stderr);
    assert_eq!(last_json(&ended.stdout)["succeeded"], 3);
    fleet.assert_exactly_once(2);
}
