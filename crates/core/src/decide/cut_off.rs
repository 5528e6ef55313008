//! Claims whose host is gone before they could be settled. Nobody can report them: what became of them is known only
//! when the host is back. Until then they count to the limits as if they had failed, once patience is over.

use std::collections::BTreeSet;

use crate::halt::{Trip, judge};
use crate::ids::{HostName, Micros, TenantId};
use crate::rollout::{Halt, InFlight, Rollout, RolloutState};

/// A claim that is cut off from its tenant, as its worker says: a message of it may have arrived, and the host cannot be
/// worked on, so that nobody can ask.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CutOff {
    /// The tenant.
    pub tenant: TenantId,
    /// Its host.
    pub host: HostName,
    /// When the claim was granted: another that came later is not it.
    pub granted: Micros,
    /// Since when, by the control store's clock.
    pub since: Micros,
    /// What the host does, and what it said.
    pub reason: String,
}

impl CutOff {
    /// The claim, if it is still in flight.
    fn claim<'r>(&self, rollout: &'r Rollout) -> Option<&'r InFlight> {
        let claim = rollout.in_flight.get(&self.tenant)?;
        (claim.host == self.host && claim.since == self.granted).then_some(claim)
    }

    /// Whether the rollout has waited for it for as long as it waits for a host. Where it stood still in between, it
    /// waits anew.
    pub fn is_given_up(&self, rollout: &Rollout, now: Micros) -> bool {
        let since = rollout
            .window_at
            .map_or(self.since, |at| at.max(self.since));
        let patience = rollout.policy.host_patience_ms;
        self.claim(rollout).is_some() && since.plus_millis(patience) <= now
    }

    /// Its wave, if it counts. What a person has ended already, or let the rollout go on with, does not.
    fn counts_in(&self, rollout: &Rollout, now: Micros) -> Option<usize> {
        let claim = self.claim(rollout)?;
        let known = claim.cancelling || claim.acknowledged;
        (!known && self.is_given_up(rollout, now)).then_some(claim.wave)
    }
}

/// The halt that they call for, a wave's limits first. No failure is recorded: when the host is back each claim says
/// what became of it.
pub(super) fn halt(rollout: &Rollout, cut_off: &[CutOff], now: Micros) -> Option<Halt> {
    if rollout.state != RolloutState::Running {
        return None;
    }
    let lost: Vec<_> = cut_off
        .iter()
        .filter_map(|of| Some((of.counts_in(rollout, now)?, of)))
        .collect();
    let mut of_waves = rollout
        .waves
        .iter()
        .enumerate()
        .filter_map(|(index, wave)| {
            let of_wave: Vec<_> = lost
                .iter()
                .filter(|(at, _)| *at == index)
                .map(|(_, of)| *of)
                .collect();
            let trip = judge(&wave.limits, &wave.tally.with_more(of_wave.len() as u64));
            let trip = trip.filter(|_| !of_wave.is_empty())?;
            Some(halt_for(rollout, trip, Some(&wave.name), &of_wave, now))
        });
    let of_all = || {
        let all: Vec<_> = lost.iter().map(|(_, of)| *of).collect();
        let trip = judge(
            &rollout.policy.limits,
            &rollout.tally.with_more(all.len() as u64),
        );
        let trip = trip.filter(|_| !all.is_empty())?;
        Some(halt_for(rollout, trip, None, &all, now))
    };
    of_waves.next().or_else(of_all)
}

fn halt_for(
    rollout: &Rollout,
    trip: Trip,
    wave: Option<&str>,
    lost: &[&CutOff],
    now: Micros,
) -> Halt {
    let hosts: BTreeSet<_> = lost.iter().map(|of| &of.host).collect();
    let said = hosts.into_iter().map(|host| {
        let there = || lost.iter().filter(|of| of.host == *host);
        let since = there().map(|of| of.since).min().unwrap_or(now);
        let reason = there().next().map_or("", |of| &of.reason);
        format!(
            "{} in flight on host {host} have not been settled for {} s, longer than rollout.host_patience, because the host \
             {reason}; what became of them is known when it is back",
            there().count(),
            now.millis_since(since) / 1_000,
        )
    });
    Halt {
        rule: trip.rule,
        wave: wave.map(str::to_owned),
        cause: None,
        failures: trip.failures,
        tolerated: trip.tolerated,
        in_flight: rollout.in_flight.len().saturating_sub(lost.len()) as u64,
        tenant: None,
        detail: Some(format!(
            "{}; with what has failed that makes {}, {} tolerated",
            said.collect::<Vec<_>>().join("; "),
            trip.failures,
            trip.tolerated
        )),
    }
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

    /// Since a second, of claims granted as those of [`flying`] were.
    fn lost(since: i64, tenants: &[&str]) -> Vec<CutOff> {
        let of = |tenant: &&str| CutOff {
            tenant: TenantId::new(*tenant),
            host: HostName::new("h"),
            granted: at(if *tenant == "a" { 2 } else { 3 }),
            since: at(since),
            reason: "is away: connection refused".into(),
        };
        tenants.iter().map(of).collect()
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
        let both = lost(5, &["a", "b"]);
        assert_eq!(halt(&rollout, 14, &both), None);
        let halted = halt(&rollout, 15, &both).unwrap();
        assert_eq!(
            (halted.rule, halted.failures, halted.tolerated),
            (Rule::MaxFailures, 2, 1)
        );
        assert_eq!(
            (halted.wave.as_deref(), halted.in_flight),
            (Some("wave0"), 0)
        );
        assert_eq!(
            halted.detail.as_deref(),
            Some(
                "2 in flight on host h have not been settled for 10 s, longer than rollout.host_patience, because the host is \
                 away: connection refused; what became of them is known when it is back; with what has failed that makes 2, 1 \
                 tolerated"
            )
        );
        let one = lost(5, &["a"]);
        assert_eq!(halt(&rollout, 99, &one), None, "as many as are tolerated");
        let two = [lost(5, &["a"]), lost(6, &["b"])].concat();
        assert_eq!(halt(&rollout, 15, &two), None, "the other has a second");
        assert!(halt(&rollout, 16, &two).is_some());
    }

    #[test]
    fn the_rollouts_own_limits_are_judged_too() {
        let mut rollout = flying();
        rollout.policy.limits = std::mem::take(&mut rollout.waves[0].limits);
        let both = lost(5, &["a", "b"]);
        assert_eq!(halt(&rollout, 15, &both).unwrap().wave, None);
        rollout.policy.limits.max_failures = None;
        assert_eq!(halt(&rollout, 15, &both), None);
    }

    #[test]
    fn another_claim_another_host_and_what_a_person_ended_do_not_count() {
        let mut rollout = flying();
        let mut late = lost(5, &["a", "b"]);
        late[1].granted = at(4);
        assert_eq!(halt(&rollout, 99, &late), None, "another claim of b's");
        let mut elsewhere = lost(5, &["a", "b"]);
        elsewhere[0].host = HostName::new("elsewhere");
        assert_eq!(halt(&rollout, 99, &elsewhere), None);
        let both = lost(5, &["a", "b", "c"]);
        assert!(halt(&rollout, 99, &both).is_some());
        let a = rollout.in_flight.get_mut(&TenantId::new("a")).unwrap();
        a.cancelling = true;
        assert_eq!(halt(&rollout, 99, &both), None);
    }

    #[test]
    fn who_goes_on_waits_anew_and_what_was_acknowledged_counts_no_more() {
        let mut rollout = flying();
        let both = lost(5, &["a", "b"]);
        happens(
            &mut rollout,
            6,
            EventKind::Paused {
                actor: "p".into(),
                reason: None,
            },
        );
        assert_eq!(halt(&rollout, 30, &both), None, "it is paused");
        let resumed = || EventKind::Resumed {
            actor: "p".into(),
            reason: None,
        };
        happens(&mut rollout, 20, resumed());
        assert_eq!(halt(&rollout, 29, &both), None);
        let crossed = halt(&rollout, 30, &both).unwrap();
        happens(&mut rollout, 30, EventKind::Halted { halt: crossed });
        happens(&mut rollout, 40, resumed());
        assert_eq!(halt(&rollout, 99, &both), None, "a person knows of them");
        for (tenant, second) in [("a", 50), ("b", 50)] {
            let EventKind::Started {
                tenant,
                wave,
                host,
                worker,
                ..
            } = started(tenant, 0, 2)
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
            happens(&mut rollout, second, takeover);
        }
        let mut again = lost(51, &["a", "b"]);
        again.iter_mut().for_each(|of| of.granted = at(50));
        assert_eq!(halt(&rollout, 99, &again), None, "whoever has them");
        rollout
            .in_flight
            .values_mut()
            .for_each(|c| c.acknowledged = false);
        assert!(halt(&rollout, 99, &again).is_some());
    }
}
