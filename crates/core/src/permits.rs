//! Permits: how many targets may start now.

use crate::outcome::Outcome;
use crate::rollout::{Rollout, RolloutState, Wave};

impl Wave {
    /// Targets that have not ended, those in flight included.
    pub fn pending(&self) -> u64 {
        self.counts.get(Outcome::Pending)
    }

    /// Targets that have not begun: pending and not in flight. Some may not be due yet.
    pub fn startable(&self) -> u64 {
        self.pending().saturating_sub(self.in_flight)
    }

    /// Targets that wait for the wave's sweep.
    pub fn deferred(&self) -> u64 {
        self.counts.get(Outcome::Deferred)
    }

    /// Targets that a hold keeps from starting.
    pub fn held(&self) -> u64 {
        self.counts.get(Outcome::Held)
    }

    /// Whether nothing is left but deferred targets that have not had their last try.
    pub fn awaits_sweep(&self) -> bool {
        self.opened_at.is_some()
            && self.swept_at.is_none()
            && self.pending() == 0
            && self.deferred() > 0
    }

    /// Whether every target has ended; one that is deferred has not. One that is held keeps no other wave shut: a tenant
    /// may be pinned for weeks. The rollout waits for it at its end.
    pub fn has_ended(&self) -> bool {
        self.pending() == 0 && self.deferred() == 0
    }

    /// The first of its gates that keeps the next wave shut.
    pub fn shut_gate(&self) -> Option<usize> {
        self.gates.iter().position(|gate| !gate.lets_go_on())
    }

    /// How many more may start by this wave's own limits.
    ///
    /// Besides its concurrency, the number that the plan printed holds: never more in flight than that. A strict
    /// wave starts no more than could all fail with at most one failure above what is tolerated.
    fn permits(&self) -> u64 {
        let most = self
            .concurrency
            .map_or(self.max_in_flight, |own| own.min(self.max_in_flight));
        let most = match self.limits.tolerated() {
            Some(tolerated) if self.strict => {
                let may_fail = (u64::from(tolerated) + 1).saturating_sub(self.tally.failed);
                may_fail.min(u64::from(most))
            }
            _ => u64::from(most),
        };
        most.saturating_sub(self.in_flight)
    }
}

impl Rollout {
    /// The most targets in flight at once over all waves: what the plan printed for its widest wave. It holds when a
    /// retry has more than one wave open, too.
    pub fn max_in_flight(&self) -> u32 {
        let widest = self.waves.iter().map(|w| w.max_in_flight).max();
        widest.unwrap_or(0).min(self.policy.concurrency)
    }

    /// The gate that it stands at, as wave and gate: every wave that is open has ended, and this gate keeps the next
    /// one shut.
    pub fn at_gate(&self) -> Option<(usize, usize)> {
        let next = self.waves.iter().position(|w| w.opened_at.is_none())?;
        let last = next.checked_sub(1)?;
        let ended = self.waves[..next].iter().all(Wave::has_ended);
        let gate = self.waves[last].shut_gate()?;
        ended.then_some((last, gate))
    }

    /// The gate that keeps the next wave shut and has said why, as wave and gate; also where it stands still and targets
    /// were put back into that wave since.
    pub fn kept_by_gate(&self) -> Option<(usize, usize)> {
        let next = self.waves.iter().position(|w| w.opened_at.is_none())?;
        let last = next.checked_sub(1)?;
        let gate = self.waves[last].shut_gate()?;
        let said = self.waves[last].gates[gate].verdict.is_some();
        said.then_some((last, gate))
    }

    /// How many more targets of this wave may start now: 0 unless the rollout runs and the wave is open.
    ///
    /// Budgets of hosts span rollouts and are the store's to count. A claim whose lease expired is still in flight
    /// and keeps its permit until it is taken over or ended.
    pub fn permits(&self, wave: usize) -> u32 {
        let Some(wave) = self.waves.get(wave) else {
            return 0;
        };
        if self.state != RolloutState::Running || wave.opened_at.is_none() {
            return 0;
        }
        let free = u64::from(self.max_in_flight()).saturating_sub(self.in_flight.len() as u64);
        u32::try_from(free.min(wave.permits())).unwrap_or(u32::MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::RolloutId;
    use crate::testing::plan;

    /// All of a strict wave may fail at once, so it starts no more than may; another wave counts on its halt.
    #[test]
    fn only_a_strict_wave_starts_no_more_than_may_fail() {
        let mut rollout = Rollout::new(&RolloutId::new("r1"), &plan(&[(6, Some(0))]));
        let wave = &mut rollout.waves[0];
        assert_eq!(wave.permits(), 1);
        wave.strict = false;
        assert_eq!(wave.permits(), 6);
        wave.in_flight = 2;
        assert_eq!(wave.permits(), 4);
    }
}
