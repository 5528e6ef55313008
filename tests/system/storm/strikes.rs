//! The strikes, each at work in flight, spread over the whole run.

use std::time::{Duration, Instant};

use sanderling_testkit::{Signal, until};

use super::fleet::Storm;
use super::position;
use crate::fleet::DEADLINE;

/// As `Fleet` configures it.
const LOCK_LIFETIME: Duration = Duration::from_secs(3);

impl Storm {
    /// Five workers and two leaders killed, PostgreSQL crashed, a worker frozen for three lifetimes of its locks.
    pub(super) fn strike_all(&mut self) {
        self.kill_a_worker(5);
        self.kill_the_leader(10);
        let (frozen, since) = self.freeze_a_worker(15);
        self.kill_a_worker(25);
        self.crash_postgres(35);
        self.thaw(frozen, since);
        self.kill_a_worker(50);
        self.kill_the_leader(60);
        self.kill_a_worker(70);
        self.kill_a_worker(80);
    }

    fn kill_a_worker(&mut self, percent: usize) {
        let (pid, held) = self.busy_worker(percent);
        let at = position(&self.workers, pid);
        let mut worker = self.workers.remove(at);
        worker.signal(Signal::Kill);
        worker.wait_with_deadline(DEADLINE);
        self.workers.push(self.fleet.spawn(&["worker"]));
        self.struck(
            percent,
            &format!("worker {pid} killed with {held} in flight"),
        );
    }

    fn freeze_a_worker(&mut self, percent: usize) -> (u32, Instant) {
        let (pid, held) = self.busy_worker(percent);
        self.struck(
            percent,
            &format!("worker {pid} frozen with {held} in flight"),
        );
        (pid, Instant::now())
    }

    /// What it held is others' by now, and three lifetimes of its locks have gone by.
    fn thaw(&mut self, pid: u32, since: Instant) {
        until(
            DEADLINE,
            "three lifetimes of a frozen worker's locks",
            || {
                let (held, asleep) = (self.held_by(pid), since.elapsed());
                (held == 0 && asleep > LOCK_LIFETIME * 3)
                    .then_some(())
                    .ok_or(format!("{held} still held after {asleep:?}"))
            },
        );
        let at = position(&self.workers, pid);
        self.workers[at].signal(Signal::Cont);
    }

    fn kill_the_leader(&mut self, percent: usize) {
        self.until_done(percent);
        let pid = until(DEADLINE, "a leader while work is in flight", || {
            let leader = self.store("SELECT holder FROM sanderling_control.leaders");
            let pid = leader
                .trim()
                .rsplit('-')
                .nth(1)
                .and_then(|pid| pid.parse().ok());
            pid.filter(|pid| {
                self.coordinators.iter().any(|c| c.pid() == *pid) && self.in_flight() > 0
            })
            .ok_or(leader)
        });
        let at = position(&self.coordinators, pid);
        let mut leader = self.coordinators.remove(at);
        leader.signal(Signal::Kill);
        leader.wait_with_deadline(DEADLINE);
        self.coordinators.push(self.fleet.spawn(&["coordinator"]));
        let in_flight = self.in_flight();
        self.struck(
            percent,
            &format!("leader {pid} killed with {in_flight} in flight"),
        );
    }

    /// Control store and tenants are on one server: both crash in the middle of what they are doing.
    fn crash_postgres(&mut self, percent: usize) {
        self.until_done(percent);
        let sql = "SELECT count(*) FROM pg_stat_activity WHERE state <> 'idle' AND application_name LIKE 'sanderling/%'";
        let active = until(DEADLINE, "sessions at work", || {
            let active = self
                .postgres
                .try_sql(self.postgres.url(), sql)
                .unwrap_or_default();
            (active.trim() != "0" && !active.is_empty() && self.in_flight() > 0)
                .then_some(active.trim().to_owned())
                .ok_or(active)
        });
        self.postgres.restart();
        self.struck(
            percent,
            &format!("PostgreSQL crashed with {active} sessions at work"),
        );
    }

    /// Freezes workers until one is found that holds targets; it stays frozen.
    fn busy_worker(&mut self, percent: usize) -> (u32, u64) {
        self.until_done(percent);
        until(DEADLINE, "a worker with targets in flight", || {
            for at in 0..self.workers.len() {
                let pid = self.workers[at].pid();
                if is_frozen(pid) {
                    continue;
                }
                self.workers[at].signal(Signal::Stop);
                let held = self.held_by(pid);
                if held > 0 {
                    return Some((pid, held));
                }
                self.workers[at].signal(Signal::Cont);
            }
            None
        })
    }

    /// Waits until so many of a hundred targets have ended.
    fn until_done(&self, percent: usize) {
        let wanted = (self.size.tenants() * percent / 100) as u64;
        until(DEADLINE, &format!("{percent} % of the tenants"), || {
            let ended = self.count("events WHERE kind LIKE '%\"type\":\"ended\"%'");
            (ended >= wanted)
                .then_some(())
                .ok_or(format!("{ended} ended"))
        });
    }

    #[expect(
        clippy::print_stdout,
        reason = "said when the test fails, or with --no-capture"
    )]
    fn struck(&mut self, percent: usize, what: &str) {
        self.strikes += 1;
        println!("at {percent} %: {what}");
    }

    fn held_by(&self, pid: u32) -> u64 {
        self.count(&format!(
            "targets WHERE in_flight = 1 AND owner LIKE '%-{pid}-%'"
        ))
    }

    fn in_flight(&self) -> u64 {
        self.count("targets WHERE in_flight = 1")
    }

    fn count(&self, what: &str) -> u64 {
        let sql = format!("SELECT count(*) FROM sanderling_control.{what}");
        self.store(&sql).trim().parse().unwrap_or(0)
    }

    fn store(&self, sql: &str) -> String {
        // Before the first process has made the store, and while the server is away, there is nothing to read.
        self.postgres
            .try_sql(self.fleet.control_url(), sql)
            .unwrap_or_default()
    }

    /// The rollouts, oldest first.
    pub(super) fn rollouts(&self) -> Vec<String> {
        let ids = self.store("SELECT id FROM sanderling_control.rollouts ORDER BY number");
        ids.lines().map(|id| id.trim().to_owned()).collect()
    }
}

/// Whether a process was stopped by a signal.
fn is_frozen(pid: u32) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit_once(')')
        .is_some_and(|(_, rest)| rest.trim_start().starts_with('T'))
}
