//! What the nemesis sees: the control store by plain SQL, failpoints that were reached, connections by sampling.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::JoinHandle;

use sanderling_testkit::{Postgres, until};

use super::scene::Scene;
use crate::fleet::{DEADLINE, Fleet};

impl Scene {
    /// Rows of the control store; empty while it is away or not made yet.
    pub(crate) fn store(&self, sql: &str) -> String {
        Postgres::shared()
            .try_sql(self.fleet.control_url(), sql)
            .unwrap_or_default()
    }

    fn count(&self, what: &str) -> u64 {
        let sql = format!("SELECT count(*) FROM sanderling_control.{what}");
        self.store(&sql).trim().parse().unwrap_or(0)
    }

    /// Targets in flight.
    pub(crate) fn in_flight(&self) -> u64 {
        self.count("targets WHERE in_flight = 1")
    }

    /// Events so far, of a kind such as `ended`.
    pub(crate) fn events(&self, kind: &str) -> u64 {
        self.count(&format!("events WHERE kind::jsonb ->> 'type' = '{kind}'"))
    }

    /// Targets in flight of a process.
    pub(crate) fn held_by(&self, pid: u32) -> u64 {
        self.count(&format!(
            "targets WHERE in_flight = 1 AND owner LIKE '%-{pid}-%'"
        ))
    }

    /// The leader's process id.
    pub(crate) fn leader(&self) -> Option<u32> {
        let holder = self.store("SELECT holder FROM sanderling_control.leaders");
        holder.trim().rsplit('-').nth(1)?.parse().ok()
    }

    /// Waits until at least `ended` targets have ended and others are in flight.
    pub(crate) fn until_under_way(&self, ended: u64) {
        until(DEADLINE, "a rollout under way", || {
            let (done, busy) = (self.events("ended"), self.in_flight());
            (done >= ended && busy > 0)
                .then_some(())
                .ok_or_else(|| format!("{done} ended, {busy} in flight; up: {}", self.printed()))
        });
    }

    /// Waits until process `pid` has reached a failpoint.
    pub(crate) fn until_reached(&self, pid: u32, failpoint: &str) {
        let line = format!("{pid} {failpoint} ");
        until(DEADLINE, &format!("process {pid} at {failpoint}"), || {
            let seen = self.reached();
            seen.contains(&line)
                .then_some(())
                .ok_or_else(|| format!("{seen}; up: {}", self.printed()))
        });
    }

    /// Our sessions in the tenants' database that are running a statement.
    pub(crate) fn active_sessions(&self) -> Vec<String> {
        let sql = "SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND state = 'active' AND application_name LIKE 'sanderling/%'";
        let seen = Postgres::shared().try_sql(self.fleet.tenants_url(), sql);
        let lines = seen.unwrap_or_default();
        lines
            .lines()
            .map(|line| line.trim().to_owned())
            .filter(|line| !line.is_empty())
            .collect()
    }

    /// Waits until at least `ended` have ended, or the rollout has; how many had.
    pub(crate) fn until_ended(&self, least: u64) -> u64 {
        until(DEADLINE, "the rollout to go on", || {
            let ended = self.events("ended");
            (ended >= least || self.events("finished") > 0)
                .then_some(ended)
                .ok_or_else(|| format!("{ended} ended"))
        })
    }

    /// What failpoints have noted so far.
    pub(crate) fn reached(&self) -> String {
        std::fs::read_to_string(self.reached_path()).unwrap_or_default()
    }
}

/// Counts our connections to the tenants' databases, again and again, until it is asked for the highest count.
pub(crate) struct Sampler {
    done: Arc<AtomicBool>,
    thread: JoinHandle<usize>,
}

impl Sampler {
    pub(super) fn start(fleet: &Fleet) -> Self {
        let done = Arc::new(AtomicBool::new(false));
        let (url, stop) = (fleet.tenants_url().to_owned(), done.clone());
        let sql = format!(
            "SELECT count(*) FROM pg_stat_activity WHERE application_name LIKE 'sanderling/%'
             AND (datname = current_database() OR starts_with(datname, '{}_d'))",
            fleet.name()
        );
        let thread = std::thread::spawn(move || {
            let most = AtomicUsize::new(0);
            while !stop.load(Ordering::Relaxed) {
                // A psql a look is pace enough. A server that is away has no connections.
                let seen = Postgres::shared().try_sql(&url, &sql).unwrap_or_default();
                most.fetch_max(seen.trim().parse().unwrap_or(0), Ordering::Relaxed);
            }
            most.into_inner()
        });
        Self { done, thread }
    }

    pub(super) fn peak(self) -> usize {
        self.done.store(true, Ordering::Relaxed);
        self.thread.join().unwrap()
    }
}
