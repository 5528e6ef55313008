//! Recording: number an event, fold it, and in the same breath say what it calls for.

use super::{FoldError, fold};
use crate::cause::Failure;
use crate::event::{Event, EventKind};
use crate::gate::{GateKind, Verdict};
use crate::halt::{Rule, judge};
use crate::ids::{Micros, TenantId};
use crate::rollout::{Halt, Rollout, RolloutState};

impl Rollout {
    /// Makes the event that follows the last one, folds it, and returns what is to be persisted in one transaction:
    /// the event and what it calls for. A failure that crosses a limit of a running or paused rollout is followed by `Halted`; a
    /// measurement by what its gate says, once it says something; and a gate that fails by `Halted`.
    ///
    /// # Errors
    /// As [`fold`]; the rollout is unchanged then and nothing may be persisted.
    pub fn record(&mut self, at: Micros, kind: EventKind) -> Result<Vec<Event>, FoldError> {
        let mut events = Vec::with_capacity(1);
        let mut next = Some(kind);
        while let Some(kind) = next {
            let event = self.next(at, kind);
            fold(self, &event)?;
            next = self.crossed(&event.kind).map_or_else(
                || self.said(at, &event.kind),
                |halt| Some(EventKind::Halted { halt }),
            );
            events.push(event);
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

    /// The verdict that a gate has earned by the measurement just folded.
    fn said(&self, at: Micros, kind: &EventKind) -> Option<EventKind> {
        let EventKind::GateMeasured { wave, .. } = kind else {
            return None;
        };
        self.verdict(at).filter(|said| match said {
            EventKind::GateJudged { wave: of, .. } => of == wave,
            _ => false,
        })
    }

    /// What the gate that it stands at has earned to say at this moment; `None` while it is open.
    pub fn verdict(&self, at: Micros) -> Option<EventKind> {
        let (wave, index) = self.at_gate()?;
        let gate = &self.waves[wave].gates[index];
        let (verdict, reason) = crate::gate::judge(gate, at)?;
        Some(EventKind::GateJudged {
            wave,
            gate: gate.gate.name.clone(),
            evaluation: gate.evaluation,
            verdict,
            reason,
        })
    }

    /// The halt that this event, just folded, calls for: its wave's limits are judged first, then the rollout's.
    fn crossed(&self, kind: &EventKind) -> Option<Halt> {
        if let EventKind::GateJudged {
            wave,
            gate,
            verdict: Verdict::Fail,
            reason,
            ..
        } = kind
        {
            return self.halt_at(*wave, gate, reason);
        }
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

    /// The halt of a gate that failed. It counts measurements, not tenants.
    fn halt_at(&self, wave: usize, gate: &str, reason: &str) -> Option<Halt> {
        let wave = self.waves.get(wave)?;
        let state = wave.gates.iter().find(|g| g.gate.name == gate)?;
        let tolerated = match &state.gate.kind {
            GateKind::Promql(promql) => promql.failure_limit,
            GateKind::Bake(_) => 0,
        };
        Some(Halt {
            rule: Rule::Gate,
            wave: Some(wave.name.clone()),
            cause: None,
            failures: u64::from(state.tally.failed),
            tolerated: u64::from(tolerated),
            in_flight: self.in_flight.len() as u64,
            tenant: None,
            detail: Some(format!("gate {gate}: {reason}")),
        })
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
            cause: trip.cause.or_else(|| Some(failure.cause.to_string())),
            failures: trip.failures,
            tolerated: trip.tolerated,
            in_flight: self.in_flight.len() as u64,
            tenant: Some(tenant.clone()),
            detail: None,
        }
    }
}
