//! Where the processor's time goes during the rollouts of a cluster: by process, and by database of PostgreSQL's sessions.

use std::collections::BTreeMap;
use std::time::Instant;

use sanderling_testkit::{Postgres, Redis};

use crate::ours::Ours;

/// What the kernel counts a process's time in.
const TICKS_PER_SECOND: f64 = 100.0;

/// The seconds that everybody spent so far in the rollouts that were watched.
#[derive(Default)]
pub(crate) struct Spent {
    seconds: BTreeMap<String, f64>,
    wall: f64,
    tenants: usize,
}

impl Spent {
    /// Runs a rollout of so many tenants and adds what was spent on it. Sessions that end meanwhile are missed: those of
    /// the survey; those that migrate and those of the control store are kept.
    pub(crate) fn watch(
        &mut self,
        (postgres, redis, fleet): (&Postgres, &Redis, &Ours),
        tenants: usize,
        rollout: impl FnOnce(),
    ) {
        let now = || ticks(postgres, redis, fleet);
        let (begun, before) = (Instant::now(), now());
        rollout();
        for (pid, (who, after)) in now() {
            let before = before.get(&pid).map_or(0.0, |(_, ticks)| *ticks);
            *self.seconds.entry(who).or_default() += (after - before) / TICKS_PER_SECOND;
        }
        self.wall += begun.elapsed().as_secs_f64();
        self.tenants += tenants;
    }

    /// Prints milliseconds of processor for each tenant, the largest first.
    pub(crate) fn print(&self) {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        let each = |seconds: f64| seconds * 1_000.0 / self.tenants as f64;
        println!(
            "processor time in the cluster, milliseconds for each tenant, of {:.2} that {cores} cores had from the start \
             of `up` to its end:",
            each(self.wall) * cores as f64
        );
        let mut all: Vec<_> = self.seconds.iter().collect();
        all.sort_by(|a, b| b.1.total_cmp(a.1));
        for (who, seconds) in all {
            println!("  {:.2}  {who}", each(*seconds));
        }
    }
}

/// The processes of a cluster and its servers: who each is, and the ticks it has had.
fn ticks(postgres: &Postgres, redis: &Redis, fleet: &Ours) -> BTreeMap<u32, (String, f64)> {
    let mut all = BTreeMap::new();
    for (at, process) in fleet.processes().iter().enumerate() {
        let who = if at == 0 { "coordinator" } else { "workers" };
        all.extend(of(process.pid()).map(|(ticks, _)| (process.pid(), (who.to_owned(), ticks))));
    }
    all.extend(of(redis.pid()).map(|(ticks, _)| (redis.pid(), ("Redis".to_owned(), ticks))));
    for entry in std::fs::read_dir("/proc").unwrap().flatten() {
        let Some(pid) = entry
            .file_name()
            .to_str()
            .and_then(|name| name.parse().ok())
        else {
            continue;
        };
        if let Some((ticks, parent)) = of(pid)
            && parent == postgres.pid()
        {
            all.insert(pid, (session(pid), ticks));
        }
    }
    all
}

/// The ticks that a process has had, in user and system mode, and its parent; none once it has ended.
fn of(pid: u32) -> Option<(f64, u32)> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let (_, rest) = stat.rsplit_once(')')?;
    let fields: Vec<&str> = rest.split_whitespace().collect();
    let ticks = |at: usize| fields.get(at)?.parse::<f64>().ok();
    Some((ticks(11)? + ticks(12)?, fields.get(1)?.parse().ok()?))
}

/// Whose a process of PostgreSQL is, by its title: `postgres: USER DATABASE HOST(PORT) STATE` for a session.
fn session(pid: u32) -> String {
    let title = std::fs::read_to_string(format!("/proc/{pid}/cmdline")).unwrap_or_default();
    let words: Vec<&str> = title
        .split([' ', '\0'])
        .filter(|word| !word.is_empty())
        .collect();
    match words.as_slice() {
        [_, _, database, from, ..] if from.contains('(') => {
            format!("PostgreSQL, sessions of {database}")
        }
        _ => "PostgreSQL, its own processes".to_owned(),
    }
}
