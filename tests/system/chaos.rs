//! Kills and wipes, triggered by what is seen, so that they hit work in flight.

use sanderling_testkit::{Postgres, Process, Redis, Signal, until};
use serde_json::Value;

use crate::cluster::{drain, start_cluster};
use crate::fleet::{DEADLINE, Fleet};
use crate::history::assert_possible;

/// Two workers and the leading coordinator are killed, and Redis is wiped, each while targets are in flight.
#[test]
fn killed_workers_a_killed_leader_and_a_wiped_redis_change_nothing() {
    // A private Redis: this test wipes it.
    let redis = Redis::private();
    let fleet = Fleet::cluster(Postgres::shared(), &redis)
        .schemas(500)
        .files(20)
        .written();
    fleet.probe_migrations(6);
    let mut processes = start_cluster(&fleet, 2, 5);
    let mut up = fleet.spawn(&["--json", "up", "--yes"]);

    kill_a_busy_worker(&fleet, &mut processes, 40);
    assert!(in_flight(&fleet) > 0, "the wipe must hit work in flight");
    assert_eq!(redis.command(&["FLUSHALL"]), "OK");
    kill_the_leader(&fleet, &mut processes);
    kill_a_busy_worker(&fleet, &mut processes, 160);

    let ended = up.wait_with_deadline(DEADLINE);
    assert_eq!(ended.code(), Some(0), "{}", ended.stderr);
    let summary = crate::fleet::last_json(&ended.stdout);
    assert_eq!(summary["succeeded"], 520, "{summary}");
    let takeovers = events(&ended.stdout)
        .iter()
        .filter(|e| e["type"] == "started" && e["takeover"] == true)
        .count();
    assert!(
        takeovers > 0,
        "no claim was taken over from a dead worker: the kills hit nothing"
    );
    fleet.assert_exactly_once(6);
    assert_possible(&fleet.history(&fleet.newest_rollout()));
    fleet.verified_clean();
    drain(&mut processes);
}

/// The same where claims wait in their workers for a connection: those that die take waiting claims with them, and what
/// they had in connections goes on with whoever takes the claims over.
#[test]
fn kills_among_claims_that_wait_for_connections_change_nothing() {
    let redis = Redis::private();
    let fleet = Fleet::cluster(Postgres::shared(), &redis)
        .schemas(200)
        .pg_connections(4)
        .rollout("[[rollout.waves]]\nname = \"all\"\nrest = true")
        .written();
    let toml = std::fs::read_to_string(fleet.path("sanderling.toml")).unwrap();
    let toml = toml
        .replace("concurrency = 16", "concurrency = 24")
        .replacen("connections = 4\n", "connections = 4\nin_flight = 24\n", 1);
    fleet.write("sanderling.toml", &toml);
    fleet.probe_migrations(2);
    let mut processes = start_cluster(&fleet, 2, 3);
    let mut up = fleet.spawn(&["--json", "up", "--yes"]);

    kill_a_busy_worker(&fleet, &mut processes, 20);
    assert_eq!(redis.command(&["FLUSHALL"]), "OK");
    kill_the_leader(&fleet, &mut processes);
    kill_a_busy_worker(&fleet, &mut processes, 80);

    let ended = up.wait_with_deadline(DEADLINE);
    assert_eq!(ended.code(), Some(0), "{}", ended.stderr);
    let summary = crate::fleet::last_json(&ended.stdout);
    assert_eq!(summary["succeeded"], 200, "{summary}");
    assert_eq!(summary["max_in_flight"], 24, "{summary}");
    fleet.assert_exactly_once(2);
    assert_possible(&fleet.history(&fleet.newest_rollout()));
    fleet.verified_clean();
    drain(&mut processes);
}

/// Redis is killed for good while targets are in flight: the control store decides alone.
#[test]
fn a_rollout_ends_without_redis() {
    let redis = Redis::private();
    let fleet = Fleet::cluster(Postgres::shared(), &redis)
        .schemas(120)
        .written();
    fleet.probe_migrations(3);
    let mut processes = start_cluster(&fleet, 1, 2);
    let mut up = fleet.spawn(&["--json", "up", "--yes"]);
    until(DEADLINE, "targets in flight", || {
        (up.stdout().matches("\"type\":\"ended\"").count() >= 10 && in_flight(&fleet) > 0)
            .then_some(())
    });
    redis.kill();

    let ended = up.wait_with_deadline(DEADLINE);

    assert_eq!(ended.code(), Some(0), "{}", ended.stderr);
    fleet.assert_exactly_once(3);
    assert_possible(&fleet.history(&fleet.newest_rollout()));
    fleet.verified_clean();
    drain(&mut processes);
}

/// An embedded `up` is killed in the middle; the next one takes over what it left.
#[test]
fn a_killed_embedded_up_is_finished_by_the_next() {
    let fleet = Fleet::embedded().files(60).written();
    fleet.probe_migrations(4);
    let mut up = fleet.spawn(&["--json", "up"]);
    until(DEADLINE, "targets that ended", || {
        (up.stdout().matches("\"type\":\"ended\"").count() >= 6).then_some(())
    });
    up.signal(Signal::Kill);
    up.wait_with_deadline(DEADLINE);

    let summary = fleet.json(0, &["up"]);

    assert_eq!(
        summary["succeeded"], 60,
        "joined the same rollout: {summary}"
    );
    fleet.assert_exactly_once(4);
    assert_possible(&fleet.history(&fleet.newest_rollout()));
    fleet.verified_clean();
}

/// Waits until `done` targets ended and some process owns targets in flight, freezes it to be sure, and kills it.
pub(crate) fn kill_a_busy_worker(fleet: &Fleet, processes: &mut Vec<Process>, done: u64) {
    until(DEADLINE, "progress", || {
        let ended = number(
            fleet,
            "SELECT count(*) FROM sanderling_control.events WHERE kind LIKE '%\"ended\"%'",
        );
        (ended >= done)
            .then_some(())
            .ok_or(format!("{ended} ended"))
    });
    let pid = until(DEADLINE, "a worker with targets in flight", || {
        for process in processes.iter_mut() {
            process.signal(Signal::Stop);
            if owned_by(fleet, process.pid()) > 0 {
                return Some(process.pid());
            }
            process.signal(Signal::Cont);
        }
        None
    });
    let at = processes.iter().position(|p| p.pid() == pid).unwrap();
    let mut worker = processes.remove(at);
    worker.signal(Signal::Kill);
    worker.wait_with_deadline(DEADLINE);
}

fn kill_the_leader(fleet: &Fleet, processes: &mut Vec<Process>) {
    let at = leading(fleet, processes);
    let mut leader = processes.remove(at);
    leader.signal(Signal::Kill);
    leader.wait_with_deadline(DEADLINE);
}

/// Which of the processes leads.
pub(crate) fn leading(fleet: &Fleet, processes: &[Process]) -> usize {
    until(DEADLINE, "a leader among the processes", || {
        let leader = text(fleet, "SELECT holder FROM sanderling_control.leaders");
        processes
            .iter()
            .position(|p| is_named(&leader, p.pid()))
            .ok_or(leader)
    })
}

fn owned_by(fleet: &Fleet, pid: u32) -> usize {
    text(
        fleet,
        "SELECT owner FROM sanderling_control.targets WHERE in_flight = 1",
    )
    .lines()
    .filter(|owner| is_named(owner, pid))
    .count()
}

/// Process names are `<kind>-<host>-<pid>-<random>`.
fn is_named(name: &str, pid: u32) -> bool {
    name.trim().rsplit('-').nth(1) == Some(&pid.to_string())
}

fn in_flight(fleet: &Fleet) -> u64 {
    number(
        fleet,
        "SELECT count(*) FROM sanderling_control.targets WHERE in_flight = 1",
    )
}

/// A number from the control store, by plain SQL.
pub(crate) fn number(fleet: &Fleet, sql: &str) -> u64 {
    text(fleet, sql).trim().parse().unwrap()
}

fn text(fleet: &Fleet, sql: &str) -> String {
    // Before the first process has made the store there is nothing to read.
    Postgres::shared()
        .try_sql(fleet.control_url(), sql)
        .unwrap_or_else(|_| "0".into())
}

/// The events of a `--json` output, without the summary.
pub(crate) fn events(stdout: &str) -> Vec<Value> {
    stdout
        .lines()
        .filter_map(|line| serde_json::from_str(line).ok())
        .filter(|v: &Value| v.get("type").is_some())
        .collect()
}
