//! Counts the sessions of the tenants' host ten times a second, as the server sees them.

use std::collections::BTreeSet;

use sanderling_testkit::Process;

use super::fleet::Storm;

/// A `psql` that looks again and again; one more after each time that the server came back.
pub(super) struct Sampler(Process);

/// What was seen.
#[derive(Debug, Default)]
pub(super) struct Seen {
    pub(super) samples: usize,
    /// The most sessions that were there in two looks, one after the other. A backend that has been told goodbye, or
    /// whose client was killed, takes a moment to leave.
    pub(super) peak: usize,
    /// The most in any one look.
    pub(super) peak_with_leaving: usize,
}

const LOOK: &str = "SELECT 'seen:' || coalesce(string_agg(pid::text, ','), '') FROM pg_stat_activity \
     WHERE application_name LIKE 'sanderling/%'";

impl Sampler {
    pub(super) fn start(storm: &Storm) -> Self {
        let script = storm.fleet.path("sampler.sql");
        // Until the server ends the connection the shell goes round by itself.
        storm
            .fleet
            .write("sampler.sql", format!("{LOOK} \\watch 0.1\n"));
        Self(psql(storm.postgres.url(), &script))
    }

    pub(super) fn stop(self) -> Seen {
        let mut seen = Seen::default();
        let mut before = BTreeSet::new();
        for line in self.0.stdout().lines() {
            let Some(pids) = line.trim().strip_prefix("seen:") else {
                continue;
            };
            let now: BTreeSet<_> = pids
                .split(',')
                .filter(|pid| !pid.is_empty())
                .map(str::to_owned)
                .collect();
            seen.samples += 1;
            seen.peak = seen.peak.max(now.intersection(&before).count());
            seen.peak_with_leaving = seen.peak_with_leaving.max(now.len());
            before = now;
        }
        seen
    }
}

/// Begins anew whenever the server hung up.
fn psql(url: &str, script: &std::path::Path) -> Process {
    let mut command = Process::command("sh");
    command
        .arg("-c")
        .arg("while :; do psql -X -q -A -t -d \"$1\" -f \"$2\"; done")
        .arg("sampler")
        .arg(url)
        .arg(script);
    Process::spawn(command)
}
