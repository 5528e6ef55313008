//! Everything at once: one rollout per engine over schemas, databases and files, while workers and leaders are killed,
//! Redis is wiped three times a second, PostgreSQL crashes, and a worker sleeps through three lifetimes of its locks.
//!
//! `scripts/chaos storm` runs it at full size on a release build: 2,000 schemas, 100 databases, 100 files.

mod fleet;
mod sampler;
mod strikes;

use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::thread::JoinHandle;
use std::time::Duration;

use sanderling_testkit::{Process, Redis};

use crate::cluster::drain;
use crate::fleet::{DEADLINE, last_json};
use crate::history;
use fleet::{BUDGET, Size, Storm, VERSIONS};
use sampler::{Sampler, Seen};

#[test]
fn everything_at_once_changes_nothing() {
    let size = Size::wanted();
    let mut storm = Storm::prepared(size);
    storm.start();
    let sampler = Sampler::start(&storm);
    let flusher = Flusher::start(storm.redis.clone());
    let mut ups = [
        storm.up("host=pg", "sanderling.toml"),
        storm.up("host=files", "files.toml"),
    ];

    storm.strike_all();

    for (up, tenants) in ups
        .iter_mut()
        .zip([size.schemas + size.databases, size.files])
    {
        let ended = up.wait_with_deadline(DEADLINE);
        let summary = last_json(&ended.stdout);
        assert_eq!(ended.code(), Some(0), "{summary}\n{}", ended.stderr);
        assert_eq!(summary["succeeded"], tenants, "{summary}");
        assert_eq!(summary["tenants"], tenants, "{summary}");
    }
    let flushes = flusher.stop();
    let seen = sampler.stop();
    say(&storm, flushes, &seen);
    assert!(flushes > 5, "Redis was wiped {flushes} times only");
    assert!(seen.samples > 50, "{} samples only", seen.samples);
    assert!(seen.peak <= BUDGET, "{seen:?}");
    storm.fleet.assert_exactly_once(VERSIONS);
    for rollout in storm.rollouts() {
        history::assert_possible(&storm.fleet.history(&rollout));
    }
    storm.verify("host=pg", "sanderling.toml");
    storm.verify("host=files", "files.toml");
    drain(&mut storm.workers);
    drain(&mut storm.coordinators);
}

#[expect(clippy::print_stdout, reason = "the figures of a run at full size")]
fn say(storm: &Storm, flushes: u32, seen: &Seen) {
    println!(
        "{} tenants, {VERSIONS} versions, {} strikes, {flushes} times FLUSHALL, {} samples, at most {} sessions of {BUDGET} ({} where a backend was leaving)",
        storm.size.tenants(),
        storm.strikes,
        seen.samples,
        seen.peak,
        seen.peak_with_leaving,
    );
}

/// Wipes Redis every 300 ms until it is told to stop.
struct Flusher {
    stop: Sender<()>,
    thread: JoinHandle<u32>,
}

impl Flusher {
    fn start(redis: std::sync::Arc<Redis>) -> Self {
        let (stop, stopped) = channel();
        let thread = std::thread::spawn(move || {
            let mut flushes = 0;
            while stopped.recv_timeout(Duration::from_millis(300)) == Err(RecvTimeoutError::Timeout)
            {
                assert_eq!(redis.command(&["FLUSHALL"]), "OK");
                flushes += 1;
            }
            flushes
        });
        Self { stop, thread }
    }

    fn stop(self) -> u32 {
        drop(self.stop);
        self.thread.join().unwrap()
    }
}

/// Where a process stands in a list.
fn position(processes: &[Process], pid: u32) -> usize {
    processes.iter().position(|p| p.pid() == pid).unwrap()
}
