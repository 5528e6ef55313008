//! How long a tenant waits for another worker after its own was killed.
//!
//! `scripts/bench takeover [KILLS]` kills busy workers with SIGKILL, one after the other, in one rollout over real
//! PostgreSQL and Redis. For each target that a victim held it prints two times by the control store's clock: from
//! the kill to the grant of the next claim, and from the kill to the target's end.

#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a benchmark that cannot go on panics with what it saw, and prints what it measured"
)]

#[path = "../tests/system/fleet.rs"]
#[expect(dead_code, reason = "the tests use the rest of it")]
mod fleet;

use std::collections::BTreeMap;

use sanderling_testkit::{Postgres, Process, Redis, Signal, until};
use serde_json::Value;

use fleet::{DEADLINE, Fleet};

/// As `fleet` writes them into every configuration, in seconds.
const LEASE: f64 = 3.0;
const POLL: f64 = 0.1;
/// Workers at any time, and targets that each holds at once.
const WORKERS: usize = 3;
const SLOTS: usize = 2;

fn main() {
    let words: Vec<_> = std::env::args().filter_map(|a| a.parse().ok()).collect();
    let kills: usize = words.first().copied().unwrap_or(50);
    let (postgres, redis) = (Postgres::private(), Redis::private());
    // Long enough that a worker is busy whenever it is looked at, and enough of them for every kill.
    let fleet = Fleet::cluster(&postgres, &redis)
        .schemas(kills * 40)
        .rollout("[[rollout.waves]]\nname = \"all\"\nrest = true")
        .written();
    fleet.migration(
        "0001",
        "slow",
        "CREATE TABLE t (id integer); SELECT pg_sleep(1);",
        "DROP TABLE t;",
    );
    let store = Store {
        postgres: &postgres,
        url: fleet.control_url(),
    };
    let _coordinator = fleet.spawn(&["coordinator"]);
    let mut workers: Vec<_> = (0..WORKERS).map(|_| worker(&fleet)).collect();
    let _up = fleet.spawn(&["--json", "up", "--yes"]);

    let mut granted = Vec::new();
    let mut ended = Vec::new();
    for kill in 1..=kills {
        let (at, held) = store.kill_a_busy_one(&mut workers);
        workers.push(worker(&fleet));
        for (tenant, epoch) in held {
            let (grant, end) = store.wait_for_both(&tenant, epoch);
            granted.push(seconds(grant - at));
            ended.push(seconds(end - at));
        }
        say_progress(kill, kills, granted.len());
    }
    println!(
        "{kills} kills, {} targets taken over; lease {LEASE} s, poll {POLL} s (times 0.75 to 1.25)",
        granted.len()
    );
    println!(
        "{:<28} {:>7} {:>7} {:>7} {:>7} {:>7}",
        "seconds after the kill", "min", "p50", "p90", "p99", "max"
    );
    print_row("next claim granted", &mut granted);
    print_row("target ended", &mut ended);
    println!("lease + poll interval       {:>7.2}", LEASE + POLL * 1.25);
}

fn worker(fleet: &Fleet) -> Process {
    let mut command = fleet.command(&["worker"]);
    command.env("SANDERLING_WORKER__SLOTS", SLOTS.to_string());
    Process::spawn(command)
}

/// The control store, read by plain SQL.
struct Store<'a> {
    postgres: &'a Postgres,
    url: &'a str,
}

impl Store<'_> {
    /// Freezes workers until one is found that holds targets, kills it, and gives the time and what it held.
    fn kill_a_busy_one(&self, workers: &mut Vec<Process>) -> (i64, BTreeMap<String, i64>) {
        let (at, held) = until(DEADLINE, "a worker with targets in flight", || {
            for (index, worker) in workers.iter_mut().enumerate() {
                worker.signal(Signal::Stop);
                let held = self.held_by(worker.pid());
                if !held.is_empty() {
                    return Some((index, held));
                }
                worker.signal(Signal::Cont);
            }
            None
        });
        let killed_at =
            self.text("SELECT (extract(epoch FROM clock_timestamp()) * 1000000)::bigint");
        let mut victim = workers.remove(at);
        victim.signal(Signal::Kill);
        victim.wait_with_deadline(DEADLINE);
        (killed_at.parse().unwrap(), held)
    }

    fn held_by(&self, pid: u32) -> BTreeMap<String, i64> {
        let sql = format!(
            "SELECT tenant || ' ' || epoch FROM sanderling_control.targets WHERE in_flight = 1 AND owner LIKE 'worker-%-{pid}-%'"
        );
        self.text(&sql)
            .lines()
            .filter_map(|line| {
                let (tenant, epoch) = line.split_once(' ')?;
                Some((tenant.to_owned(), epoch.parse().ok()?))
            })
            .collect()
    }

    /// When the next claim on a tenant was granted after `epoch`, and when the tenant ended.
    fn wait_for_both(&self, tenant: &str, epoch: i64) -> (i64, i64) {
        until(
            DEADLINE,
            &format!("the end of {tenant}, taken over"),
            || {
                let sql = format!(
                    "SELECT at || ' ' || kind FROM sanderling_control.events WHERE kind LIKE '%\"{tenant}\"%' ORDER BY seq"
                );
                let said = self.text(&sql);
                let events: Vec<(i64, Value)> = said
                    .lines()
                    .filter_map(|line| {
                        let (at, kind) = line.split_once(' ')?;
                        Some((at.parse().ok()?, serde_json::from_str(kind).ok()?))
                    })
                    .collect();
                let first = |kind: &str| {
                    events
                        .iter()
                        .find(|(_, e)| e["type"] == kind && e["epoch"].as_i64() > Some(epoch))
                        .map(|(at, _)| *at)
                };
                first("started").zip(first("ended")).ok_or(said)
            },
        )
    }

    fn text(&self, sql: &str) -> String {
        self.postgres.try_sql(self.url, sql).unwrap_or_default()
    }
}

fn seconds(micros: i64) -> f64 {
    std::time::Duration::from_micros(micros.unsigned_abs()).as_secs_f64()
}

fn print_row(name: &str, values: &mut [f64]) {
    values.sort_by(f64::total_cmp);
    let at = |percent: usize| values[(values.len() - 1) * percent / 100];
    println!(
        "{name:<28} {:>7.2} {:>7.2} {:>7.2} {:>7.2} {:>7.2}",
        at(0),
        at(50),
        at(90),
        at(99),
        at(100)
    );
}

fn say_progress(kill: usize, kills: usize, targets: usize) {
    use std::io::Write as _;
    let _ = writeln!(
        std::io::stderr(),
        "kill {kill} of {kills}: {targets} targets taken over so far"
    );
}
