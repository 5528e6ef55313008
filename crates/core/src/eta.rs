//! When a rollout will have ended, from what is left of it.

use crate::gate::GateState;
use crate::ids::Micros;
use crate::rollout::{Rollout, RolloutState, Wave};

impl Rollout {
    /// When its last target will have ended, if each takes `target_ms` and as many are in flight as may be: what is left
    /// of each wave, one wave after the other, and the least that the gates between them take. `None` where it does not
    /// run: nobody knows when a person will let it go on.
    ///
    /// Budgets of hosts are not seen from here; a wave that they hold up takes longer.
    pub fn eta(&self, now: Micros, target_ms: u64) -> Option<Micros> {
        self.submitted_at?;
        if self.state != RolloutState::Running {
            return None;
        }
        let last = self.waves.len().saturating_sub(1);
        let left = self.waves.iter().enumerate().map(|(index, wave)| {
            let most = u64::from(wave.max_in_flight.min(self.policy.concurrency).max(1));
            let rounds = (wave.pending() + wave.deferred()).div_ceil(most);
            let opened = self
                .waves
                .get(index + 1)
                .is_some_and(|w| w.opened_at.is_some());
            let gates = match index < last && !opened {
                true => gates_ms(wave, now),
                false => 0,
            };
            rounds.saturating_mul(target_ms).saturating_add(gates)
        });
        Some(now.plus_millis(left.fold(0, u64::saturating_add)))
    }
}

/// The least that the gates after a wave still take, in milliseconds.
fn gates_ms(wave: &Wave, now: Micros) -> u64 {
    let left = |gate: &GateState| {
        let least = gate.gate.least_ms();
        gate.since
            .map_or(least, |since| since.plus_millis(least).millis_since(now))
    };
    let shut = wave.gates.iter().filter(|gate| !gate.lets_go_on());
    shut.map(left).fold(0, u64::saturating_add)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gate::{Bake, Gate, GateKind};
    use crate::ids::RolloutId;
    use crate::outcome::Outcome;
    use crate::testing::plan;

    #[test]
    fn waves_and_gates_follow_each_other() {
        let mut plan = plan(&[(4, Some(3)), (20, None)]);
        plan.waves[0].gates = vec![Gate {
            name: "bake".into(),
            kind: GateKind::Bake(Bake {
                duration_ms: 60_000,
                samples: None,
            }),
        }];
        let now = Micros(1_000_000_000);
        let mut rollout = Rollout::new(&RolloutId::new("r1"), &plan);
        assert_eq!(rollout.eta(now, 1_000), None);
        rollout.submitted_at = Some(now);
        // Four at once, a minute, and twenty by eights.
        assert_eq!(
            rollout.eta(now, 1_000),
            Some(now.plus_millis(1_000 + 60_000 + 3_000))
        );
        let counts = &mut rollout.waves[0].counts;
        *counts = Default::default();
        counts.add(Outcome::Succeeded, 4);
        rollout.waves[0].gates[0].since = Some(Micros(now.0 - 20_000_000));
        assert_eq!(
            rollout.eta(now, 1_000),
            Some(now.plus_millis(40_000 + 3_000))
        );
        rollout.waves[1].opened_at = Some(now);
        assert_eq!(rollout.eta(now, 1_000), Some(now.plus_millis(3_000)));
        rollout.state = RolloutState::Paused;
        assert_eq!(rollout.eta(now, 1_000), None);
    }
}
