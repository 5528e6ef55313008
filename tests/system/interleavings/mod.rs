//! The interleavings of docs/reference/interleavings.md that need whole programs.

mod clocks;
mod copies;
mod failover;
mod frozen;
mod leaders;

use sanderling_testkit::{Message, Process, Proxy, Signal};

use crate::fleet::{DEADLINE, Fleet};
use crate::history::assert_possible;

/// Setting of the tenants' server.
const TENANTS: &str = "SANDERLING_HOSTS__PG__URL";
/// Setting of the control store.
const CONTROL: &str = "SANDERLING_CONTROL__URL";

/// The message of a migration that leaves a row in `probe`.
fn a_probe() -> Message {
    Message::to_server().containing("INSERT INTO probe")
}

impl Fleet {
    /// Starts the program with settings of its own.
    fn spawn_with(&self, settings: &[(&str, &str)], args: &[&str]) -> Process {
        let mut command = self.command(args);
        command.envs(settings.iter().copied());
        Process::spawn(command)
    }

    /// A proxy in front of the tenants, and a worker that reaches them through it.
    fn worker_through(&self) -> (Proxy, Process) {
        let proxy = Proxy::postgres(self.tenants_url());
        let worker = self.spawn_with(&[(TENANTS, proxy.url())], &["worker"]);
        (proxy, worker)
    }

    /// Waits for `up`, and asserts that all is well: in the summary, in the tenants, in the events.
    #[track_caller]
    fn assert_well(&self, up: &mut Process, versions: usize) {
        let ended = up.wait_with_deadline(DEADLINE);
        assert_eq!(ended.code(), Some(0), "{}", ended.stderr);
        let summary = crate::fleet::last_json(&ended.stdout);
        assert_eq!(summary["succeeded"], summary["tenants"], "{summary}");
        self.assert_exactly_once(versions);
        assert_possible(&self.history(summary["rollout"].as_str().unwrap()));
        let verdict = self.json(0, &["verify"]);
        assert_eq!(verdict["violations"], serde_json::json!([]), "{verdict}");
    }
}

/// Ends a worker that has learnt that its claim is gone: it drains as any other.
#[track_caller]
fn drains(mut worker: Process) {
    worker.signal(Signal::Term);
    let ended = worker.wait_with_deadline(DEADLINE);
    assert_eq!(ended.code(), Some(143), "{}", ended.stderr);
}
