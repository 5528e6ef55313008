//! A whole cluster: coordinators and workers as processes, PostgreSQL control store, real Redis.

use sanderling_testkit::{Postgres, Process, Redis, Signal};

use crate::fleet::{DEADLINE, Fleet};
use crate::history::assert_possible;

/// 500 schemas and 20 files, six migrations, two coordinators, three workers.
#[test]
fn a_cluster_takes_a_mixed_fleet_to_the_newest_version() {
    let fleet = Fleet::cluster(Postgres::shared(), Redis::shared())
        .schemas(500)
        .files(20)
        .written();
    fleet.probe_migrations(6);
    let mut processes = start_cluster(&fleet, 2, 3);

    let summary = fleet.json(0, &["up", "--yes"]);

    assert_eq!(summary["state"], "succeeded", "{summary}");
    assert_eq!(summary["succeeded"], 520, "{summary}");
    assert_eq!(summary["tenants"], 520, "{summary}");
    fleet.assert_exactly_once(6);
    assert_possible(&fleet.history(&fleet.newest_rollout()));
    let verdict = fleet.json(0, &["verify"]);
    assert_eq!(verdict["checked"], 520, "{verdict}");
    assert_eq!(verdict["violations"], serde_json::json!([]), "{verdict}");
    assert_eq!(fleet.json(0, &["plan"])["pending"], 0);
    drain(&mut processes);
}

/// SIGTERM drains: the process ends by itself with the code for it, and what it held is finished or given back.
#[test]
fn sigterm_drains_a_worker_and_another_goes_on() {
    let fleet = Fleet::cluster(Postgres::shared(), Redis::shared())
        .schemas(60)
        .written();
    fleet.migration("0001", "slow", "CREATE TABLE probe (version integer); SELECT pg_sleep(0.05); INSERT INTO probe VALUES (1);", "DROP TABLE probe;");
    let mut processes = start_cluster(&fleet, 1, 2);
    let mut up = fleet.spawn(&["--json", "up", "--yes"]);
    sanderling_testkit::until(DEADLINE, "a target in flight", || {
        up.stdout().contains("\"type\":\"started\"").then_some(())
    });
    let mut worker = processes.pop().unwrap();
    worker.signal(Signal::Term);
    let ended = worker.wait_with_deadline(DEADLINE);
    assert_eq!(ended.code(), Some(143), "{}", ended.stderr);

    let ended = up.wait_with_deadline(DEADLINE);
    assert_eq!(ended.code(), Some(0), "{}", ended.stderr);
    fleet.assert_exactly_once(1);
    drain(&mut processes);
}

/// Starts coordinators, then workers.
pub(crate) fn start_cluster(fleet: &Fleet, coordinators: usize, workers: usize) -> Vec<Process> {
    let coordinators = (0..coordinators).map(|_| fleet.spawn(&["coordinator"]));
    let workers = (0..workers).map(|_| fleet.spawn(&["worker"]));
    coordinators.chain(workers).collect()
}

/// Ends processes as a service manager would.
pub(crate) fn drain(processes: &mut [Process]) {
    for process in processes.iter_mut() {
        process.signal(Signal::Term);
    }
    for process in processes {
        process.wait_with_deadline(DEADLINE);
    }
}
