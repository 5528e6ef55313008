//! What a run is measured by, beside what the rollout says of itself.

use std::collections::BTreeMap;

use sanderling_core::{HostName, Rollout, RolloutState};

/// Counts of one run.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Measured {
    /// Virtual milliseconds from the submission to the last event.
    pub makespan_ms: u64,
    /// Attempts at versions.
    pub attempts: u64,
    /// Workers that died.
    pub deaths: u64,
    /// Claims taken over.
    pub takeovers: u64,
    /// Turns at which nobody led.
    pub leaders: u64,
    /// Sweeps of what was deferred.
    pub sweeps: u64,
    /// Halts.
    pub halts: u64,
    /// The most targets in flight at once.
    pub most_in_flight: u64,
    /// The same, by host.
    pub most_on_host: BTreeMap<HostName, u32>,
    /// Starts granted while the rollout did not run.
    pub starts_after_halt: u64,
    /// The most often that one version took effect on one tenant.
    pub most_effects: u8,
}

impl Measured {
    pub(crate) fn see(&mut self, rollout: &Rollout) {
        let in_flight = rollout.in_flight.len() as u64;
        self.most_in_flight = self.most_in_flight.max(in_flight);
    }

    pub(crate) fn start(&mut self, rollout: &Rollout, takeover: bool) {
        let runs = rollout.state == RolloutState::Running;
        self.starts_after_halt += u64::from(!takeover && !runs);
    }

    pub(crate) fn host(&mut self, on_host: &BTreeMap<HostName, u32>, host: &HostName) {
        let now = on_host.get(host).copied().unwrap_or(0);
        let most = self.most_on_host.entry(host.clone()).or_default();
        *most = now.max(*most);
    }
}
