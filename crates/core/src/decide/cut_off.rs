//! Claims whose host is gone in the middle of a step. Nobody can report them: what became of them is known only when
//! the host is back. Until then they count to the limits as if they had failed, once patience is over.

use std::collections::BTreeSet;

use crate::halt::{Trip, judge};
use crate::ids::{HostName, Micros, TenantId};
use crate::rollout::{Halt, InFlight, Rollout, RolloutState};

/// What one worker has in flight on a host that it cannot work on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CutOff {
    /// The host.
    pub host: HostName,
    /// Since when, by the control store's clock.
    pub since: Micros,
    /// What the host does, and what it said.
    pub reason: String,
    /// The tenants.
    pub tenants: BTreeSet<TenantId>,
}

impl CutOff {
    /// The claims among them that are in the middle of something. One that was granted later is a try at the door of
    /// the host, and speaks for itself: it is given back, or fails.
    fn claims<'r>(&'r self, rollout: &'r Rollout) -> impl Iterator<Item = &'r InFlight> {
        let claims = self.tenants.iter().filter_map(|t| rollout.in_flight.get(t));
        claims.filter(|c| c.host == self.host && (c.takeover || c.since <= self.since))
    }

    /// Whether the rollout has waited long enough. Where it stood still in between, it waits anew.
    fn is_over(&self, rollout: &Rollout, now: Micros) -> bool {
        let since = rollout
            .window_at
            .map_or(self.since, |at| at.max(self.since));
        since.plus_millis(rollout.policy.host_patience_ms) <= now
    }
}

/// The halt that they call for, a wave's limits first. No failure is recorded: when the host is back each claim says
/// what became of it.
pub(super) fn halt(rollout: &Rollout, cut_off: &[CutOff], now: Micros) -> Option<Halt> {
    if rollout.state != RolloutState::Running {
        return None;
    }
    let over: Vec<_> = cut_off
        .iter()
        .filter(|of| of.is_over(rollout, now))
        .collect();
    let lost: Vec<_> = over.iter().flat_map(|of| of.claims(rollout)).collect();
    let halt = |trip: Trip, wave: Option<String>| Halt {
        rule: trip.rule,
        wave,
        cause: None,
        failures: trip.failures,
        tolerated: trip.tolerated,
        in_flight: rollout.in_flight.len() as u64,
        tenant: None,
        detail: Some(detail(rollout, &over, now)),
    };
    for (index, wave) in rollout.waves.iter().enumerate() {
        let of_wave = lost.iter().filter(|claim| claim.wave == index).count() as u64;
        let trip = judge(&wave.limits, &wave.tally.with_more(of_wave));
        if let Some(trip) = trip.filter(|_| of_wave > 0) {
            return Some(halt(trip, Some(wave.name.clone())));
        }
    }
    let all = lost.len() as u64;
    let trip = judge(&rollout.policy.limits, &rollout.tally.with_more(all));
    trip.filter(|_| all > 0).map(|trip| halt(trip, None))
}

fn detail(rollout: &Rollout, over: &[&CutOff], now: Micros) -> String {
    let said = over.iter().filter_map(|of| {
        let claims = of.claims(rollout).count();
        (claims > 0).then(|| {
            format!(
                "{claims} in flight on host {} since before its worker lost it {} s ago (it {}), longer than \
                 rollout.host_patience; what became of them is known when it is back",
                of.host,
                now.millis_since(of.since) / 1_000,
                of.reason
            )
        })
    });
    said.collect::<Vec<_>>().join("; ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::decide::{Outside, decide_seeing};
    use crate::event::EventKind;
    use crate::halt::Rule;
    use crate::ids::RolloutId;
    use crate::rollout::Action;
    use crate::testing::{plan, started};

    const SECOND: i64 = 1_000_000;

    fn at(second: i64) -> Micros {
        Micros(second * SECOND)
    }

    fn happens(rollout: &mut Rollout, second: i64, kind: EventKind) {
        rollout.record(at(second), kind).unwrap();
    }

    /// One wave of four, one failure tolerated, ten seconds of patience; `a` and `b` started in seconds 2 and 3.
    fn flying() -> Rollout {
        let mut plan = plan(&[(4, Some(1))]);
        plan.policy.host_patience_ms = 10_000;
        let mut rollout = Rollout::new(&RolloutId::new("r1"), &plan);
        happens(&mut rollout, 1, EventKind::Submitted { tenants: 4 });
        happens(&mut rollout, 1, EventKind::WaveOpened { wave: 0 });
        happens(&mut rollout, 2, started("a", 0, 1));
        happens(&mut rollout, 3, started("b", 0, 1));
        rollout
    }

    fn lost(rollout: &Rollout, since: i64, tenants: &[&str]) -> CutOff {
        let host = rollout.in_flight.values().next().unwrap().host.clone();
        CutOff {
            host,
            since: at(since),
            reason: "is away: connection refused".into(),
            tenants: tenants.iter().map(|t| TenantId::new(*t)).collect(),
        }
    }

    fn halt(rollout: &Rollout, now: i64, cut_off: &[CutOff]) -> Option<Halt> {
        let outside = Outside {
            cut_off: cut_off.to_vec(),
            ..Outside::default()
        };
        match decide_seeing(rollout, at(now), &outside).actions.pop() {
            Some(Action::Halt(halt)) => Some(halt),
            _ => None,
        }
    }

    #[test]
    fn what_nobody_can_settle_counts_when_patience_is_over() {
        let rollout = flying();
        let both = [lost(&rollout, 5, &["a", "b"])];
        assert_eq!(halt(&rollout, 14, &both), None);
        let halted = halt(&rollout, 15, &both).unwrap();
        assert_eq!(
            (halted.rule, halted.failures, halted.tolerated),
            (Rule::MaxFailures, 2, 1)
        );
        assert_eq!(halted.wave.as_deref(), Some("wave0"));
        let detail = halted.detail.unwrap();
        assert!(detail.starts_with("2 in flight on host"), "{detail}");
        let one = [lost(&rollout, 5, &["a"])];
        assert_eq!(halt(&rollout, 99, &one), None, "as many as are tolerated");
        let two = [lost(&rollout, 5, &["a"]), lost(&rollout, 6, &["b"])];
        assert_eq!(halt(&rollout, 15, &two), None, "the other has a second");
        assert!(halt(&rollout, 16, &two).is_some());
    }

    #[test]
    fn the_rollouts_own_limits_are_judged_too() {
        let mut rollout = flying();
        rollout.policy.limits = std::mem::take(&mut rollout.waves[0].limits);
        let both = [lost(&rollout, 5, &["a", "b"])];
        assert_eq!(halt(&rollout, 15, &both).unwrap().wave, None);
        rollout.policy.limits.max_failures = None;
        assert_eq!(halt(&rollout, 15, &both), None);
    }

    #[test]
    fn a_try_at_the_door_and_other_hosts_do_not_count() {
        let mut rollout = flying();
        let late = [lost(&rollout, 2, &["a", "b"])];
        assert_eq!(halt(&rollout, 99, &late), None, "b came later");
        let mut elsewhere = [lost(&rollout, 5, &["a", "b"])];
        elsewhere[0].host = HostName::new("elsewhere");
        assert_eq!(halt(&rollout, 99, &elsewhere), None);
        let EventKind::Started {
            tenant,
            wave,
            host,
            worker,
            ..
        } = started("b", 0, 2)
        else {
            panic!("a start")
        };
        let takeover = EventKind::Started {
            tenant,
            wave,
            host,
            epoch: crate::ids::Epoch(2),
            worker,
            takeover: true,
        };
        happens(&mut rollout, 7, takeover);
        assert!(halt(&rollout, 99, &late).is_some(), "it has one to settle");
    }

    #[test]
    fn who_goes_on_waits_anew() {
        let mut rollout = flying();
        rollout.window_at = Some(at(20));
        let both = [lost(&rollout, 5, &["a", "b"])];
        assert_eq!(halt(&rollout, 29, &both), None);
        assert!(halt(&rollout, 30, &both).is_some());
        rollout.state = RolloutState::Paused;
        assert_eq!(halt(&rollout, 30, &both), None);
    }
}
