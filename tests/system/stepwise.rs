//! Files with `transaction=off` in a whole cluster: a worker killed in the middle, a tenant that stops half way.

use sanderling_testkit::{Postgres, Process, Redis, Signal, unique, until};

use crate::chaos::events;
use crate::cluster::{drain, start_cluster};
use crate::fleet::{DEADLINE, Fleet, last_json};

/// A fleet at version 0001, with a version 0002 of this body that is sent statement by statement.
fn fleet_before(body: &str) -> (Fleet, Vec<Process>) {
    let fleet = Fleet::cluster(Postgres::shared(), Redis::shared())
        .schemas(3)
        .written();
    fleet.probe_migrations(1);
    let processes = start_cluster(&fleet, 1, 2);
    fleet.json(0, &["up", "--yes"]);
    let text = format!("-- sanderling: transaction=off\n-- +migrate Up\n{body}\n");
    fleet.write("migrations/0002_apart.sql", text);
    (fleet, processes)
}

fn sql(fleet: &Fleet, sql: &str) -> String {
    let said = Postgres::shared().sql(fleet.tenants_url(), sql);
    said.trim().to_owned()
}

/// A stranger's transaction that CONCURRENTLY has to wait for. Its server process outlives a killed client.
fn hold_a_snapshot(fleet: &Fleet) -> (Process, String) {
    let name = unique("holder");
    let mut command = Process::command("psql");
    for sql in [
        "BEGIN ISOLATION LEVEL REPEATABLE READ",
        "SELECT 'held', count(*) FROM t0000.probe",
        "SELECT pg_sleep(600)",
    ] {
        command.arg("-c").arg(sql);
    }
    command
        .arg("-X")
        .arg(fleet.tenants_url())
        .env("PGAPPNAME", &name);
    let holder = Process::spawn(command);
    until(DEADLINE, "the snapshot to be held", || {
        holder.stdout().contains("held").then_some(())
    });
    (holder, name)
}

/// `kill -9` of the worker whose CREATE INDEX CONCURRENTLY waits for somebody's transaction.
#[test]
fn a_worker_killed_while_an_index_is_built_leaves_one_valid_index() {
    let (fleet, mut processes) = fleet_before(
        "INSERT INTO probe (version) VALUES (2);\nCREATE INDEX CONCURRENTLY things_name ON things_1 (name);",
    );
    let (_holder, holder) = hold_a_snapshot(&fleet);
    let mut up = fleet.spawn(&["--json", "up", "--yes"]);
    let building = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND state = 'active' AND query LIKE 'CREATE INDEX CONC%'";
    until(DEADLINE, "an index under construction", || {
        (sql(&fleet, building) == "1").then_some(())
    });
    let owner = ["t0000", "t0001", "t0002"].map(|schema| {
        format!(
            "SELECT applied_by FROM {schema}.sanderling_migrations WHERE version = '0002' AND step = -2"
        )
    });
    let owner = sql(&fleet, &owner.join(" UNION ALL "));
    let at = processes
        .iter()
        .position(|p| owner.rsplit('-').nth(1) == Some(&p.pid().to_string()))
        .unwrap_or_else(|| panic!("{owner} is no worker of this test"));
    let mut worker = processes.remove(at);
    worker.signal(Signal::Kill);
    worker.wait_with_deadline(DEADLINE);
    let invalid = "SELECT count(*) FROM pg_index WHERE NOT indisvalid";
    until(DEADLINE, "what the killed worker leaves", || {
        (sql(&fleet, invalid) == "1" && sql(&fleet, building) == "0").then_some(())
    });
    sql(
        &fleet,
        &format!(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = '{holder}'"
        ),
    );

    let ended = up.wait_with_deadline(DEADLINE);

    assert_eq!(ended.code(), Some(0), "{}", ended.stderr);
    let summary = last_json(&ended.stdout);
    assert_eq!(summary["succeeded"], 3, "{summary}");
    let taken_over = events(&ended.stdout)
        .iter()
        .filter(|e| e["type"] == "started" && e["takeover"] == true)
        .count();
    assert!(taken_over > 0, "no claim was taken over");
    fleet.assert_exactly_once(2);
    let valid = "SELECT count(*) || ' ' || count(*) FILTER (WHERE indisvalid AND indisready) FROM pg_index WHERE indexrelid::regclass::text LIKE '%things_name%'";
    assert_eq!(sql(&fleet, valid), "3 3");
    let verdict = fleet.json(0, &["verify"]);
    assert_eq!(verdict["violations"], serde_json::json!([]), "{verdict}");
    drain(&mut processes);
}

/// One tenant's rows forbid the unique index: it stops half way, is called dirty, and goes on there once mended.
#[test]
fn a_tenant_that_stopped_half_way_goes_on_there() {
    let (fleet, mut processes) = fleet_before(
        "INSERT INTO probe (version) VALUES (2);\nCREATE UNIQUE INDEX CONCURRENTLY things_name ON things_1 (name);",
    );
    sql(
        &fleet,
        "INSERT INTO t0000.things_1 VALUES (1, 'twin'), (2, 'twin')",
    );
    let summary = fleet.json(3, &["up", "--yes"]);
    assert_eq!(summary["dirty"], 1, "{summary}");
    let cause = &summary["causes"][0];
    assert_eq!(
        (&cause["code"], &cause["statement"], &cause["line"]),
        (&"23505".into(), &2.into(), &4.into()),
        "{cause}"
    );
    let message = cause["message"].as_str().unwrap();
    assert!(
        message.contains("1 of 2 statements are in effect"),
        "{message}"
    );
    let status = fleet.json(0, &["status"]);
    assert_eq!(status["dirty"], 1, "{status}");
    assert_eq!(
        sql(&fleet, "SELECT count(*) FROM pg_index WHERE NOT indisvalid"),
        "0"
    );

    sql(&fleet, "DELETE FROM t0000.things_1 WHERE id = 2");
    let id = summary["rollout"].as_str().unwrap();
    fleet.expect(0, &["rollout", "retry", id, "--failed"]);
    let summary = fleet.json(0, &["up", "--yes"]);

    assert_eq!(
        (&summary["succeeded"], &summary["dirty"]),
        (&3.into(), &0.into()),
        "{summary}"
    );
    fleet.assert_exactly_once(2);
    fleet.json(0, &["verify"]);
    drain(&mut processes);
}

/// A statement whose end nobody heard and no catalog shows: the program says what to type, and takes the word.
#[test]
fn a_person_decides_what_no_catalog_shows() {
    let fleet = Fleet::embedded()
        .with_postgres(Postgres::shared())
        .schemas(1)
        .written();
    fleet.probe_migrations(1);
    let text = "-- sanderling: transaction=off\n-- +migrate Up\nINSERT INTO probe (version) VALUES (2);\nALTER SYSTEM RESET work_mem;\n";
    fleet.write("migrations/0002_apart.sql", text);
    fleet.json(0, &["up"]);
    let announced = "UPDATE t0000.sanderling_migrations SET state = 'applying', step = -2 WHERE version = '0002'";
    sql(&fleet, announced);
    let summary = fleet.json(3, &["up"]);
    assert_eq!(summary["dirty"], 1, "{summary}");
    let cause = &summary["causes"][0];
    assert_eq!(cause["code"], "undecided", "{cause}");
    let typed = "sanderling repair step --tenant t0000 --version 0002 --done --reason";
    assert!(
        cause["message"].as_str().unwrap().contains(typed),
        "{cause}"
    );

    let step = [
        "repair",
        "step",
        "--tenant",
        "t0000",
        "--version",
        "0002",
        "--reason",
        "seen",
    ];
    fleet.expect(2, &step);
    let said = fleet.json(0, &[&step[..], &["--done"]].concat());
    assert_eq!(
        (&said["statement"], &said["decided"]),
        (&2.into(), &"done".into())
    );
    fleet.expect(1, &[&step[..], &["--again"]].concat());
    let id = summary["rollout"].as_str().unwrap();
    fleet.expect(0, &["rollout", "retry", id, "--failed"]);
    fleet.json(0, &["up"]);
    fleet.assert_exactly_once(2);
    fleet.json(0, &["verify"]);
}
