//! Recording: number an event, fold it, and halt in the same breath where a limit is crossed.

use super::{FoldError, fold};
use crate::cause::Failure;
use crate::event::{Event, EventKind};
use crate::halt::judge;
use crate::ids::{Micros, TenantId};
use crate::rollout::{Halt, Rollout, RolloutState};

impl Rollout {
    /// Makes the event that follows the last one, folds it, and returns what is to be persisted in one transaction:
    /// the event and, when it is the failure that crosses a limit of a running or paused rollout, `Halted` after it.
    ///
    /// # Errors
    /// As [`fold`]; the rollout is unchanged then and nothing may be persisted.
    pub fn record(&mut self, at: Micros, kind: EventKind) -> Result<Vec<Event>, FoldError> {
        let event = self.next(at, kind);
        fold(self, &event)?;
        let mut events = vec![event];
        if let Some(halt) = self.crossed(&events[0].kind) {
            let halted = self.next(at, EventKind::Halted { halt });
            fold(self, &halted)?;
            events.push(halted);
        }
        Ok(events)
    }

    fn next(&self, at: Micros, kind: EventKind) -> Event {
        Event {
            seq: self.last_seq + 1,
            at,
            kind,
        }
    }

    /// The halt that this event, just folded, calls for: its wave's limits are judged first, then the rollout's.
    fn crossed(&self, kind: &EventKind) -> Option<Halt> {
        let EventKind::Ended {
            tenant,
            wave,
            outcome,
            failure: Some(failure),
            ..
        } = kind
        else {
            return None;
        };
        let halts = matches!(self.state, RolloutState::Running | RolloutState::Paused);
        if !halts || !outcome.counts_to_halt() {
            return None;
        }
        let wave = self.waves.get(*wave)?;
        if let Some(trip) = judge(&wave.limits, &wave.tally) {
            return Some(self.halt_for(trip, Some(wave.name.clone()), tenant, failure));
        }
        let trip = judge(&self.policy.limits, &self.tally)?;
        Some(self.halt_for(trip, None, tenant, failure))
    }

    fn halt_for(
        &self,
        trip: crate::halt::Trip,
        wave: Option<String>,
        tenant: &TenantId,
        failure: &Failure,
    ) -> Halt {
        Halt {
            rule: trip.rule,
            wave,
            cause: trip.cause.unwrap_or_else(|| failure.cause.to_string()),
            failures: trip.failures,
            tolerated: trip.tolerated,
            in_flight: self.in_flight.len() as u64,
            tenant: tenant.clone(),
        }
    }
}
