//! The control store: `start`, `reissue`, `report` and `act` of `crates/store`, over the real rollout of `core`.

use std::sync::Arc;

use sanderling_core::halt::judge;
use sanderling_core::rollout::{Action, Halt};
use sanderling_core::{
    Epoch, ErrorClass, Event, EventKind, Failure, FoldError, Micros, Outcome, Rollout, RolloutId,
    RolloutState, WorkerId, fold,
};

use crate::flaws::Flaw;
use crate::setup::{Setup, host, listed, tenant_id};
use crate::world::{
    Claim, Control, Coordinator, Decided, Ending, Folded, Number, Report, Seen, Target, TenantNo,
};

impl Control {
    /// A rollout that was submitted; nothing is open yet.
    pub(crate) fn new(setup: &Setup) -> Self {
        let plan = setup.plan();
        let target = |wave| Target {
            wave,
            outcome: Outcome::Pending,
            class: None,
            applied: 0,
            attempts: Default::default(),
            number: 0,
            unresolved: false,
            claim: None,
        };
        let mut control = Self {
            rollout: Folded(Arc::new(Rollout::new(&RolloutId::new("r"), &plan))),
            targets: setup.places().map(target).collect(),
            leader: 1,
            coordinators: vec![Coordinator {
                number: 1,
                decided: None,
            }],
        };
        let tenants = plan.targets.len() as u64;
        control
            .record(EventKind::Submitted { tenants })
            .expect("a new rollout is submitted");
        control
    }

    pub(crate) fn rollout(&self) -> &Rollout {
        &self.rollout.0
    }

    pub(crate) fn runs(&self) -> bool {
        self.rollout().state == RolloutState::Running
    }

    /// As the store records: numbered, folded, judged. True where it halted.
    pub(crate) fn record(&mut self, kind: EventKind) -> Result<bool, FoldError> {
        let events = Arc::make_mut(&mut self.rollout.0).record(Micros(0), kind)?;
        self.forget();
        Ok(events
            .iter()
            .any(|event| matches!(event.kind, EventKind::Halted { .. })))
    }

    /// Folded and not judged.
    fn record_unjudged(&mut self, kind: EventKind) -> Result<(), FoldError> {
        let rollout = Arc::make_mut(&mut self.rollout.0);
        let seq = rollout.last_seq + 1;
        let at = Micros(0);
        fold(rollout, &Event { seq, at, kind })?;
        self.forget();
        Ok(())
    }

    /// Takes out what no decision reads and what would make equal states differ. That an event happened is kept as
    /// what it means to a coordinator: its decision is not fresh any more.
    fn forget(&mut self) {
        let rollout = Arc::make_mut(&mut self.rollout.0);
        rollout.last_seq = 1;
        rollout.window_at = None;
        for group in rollout.causes.values_mut() {
            group.examples.clear();
        }
        if let Some(halt) = &mut rollout.halt {
            (halt.in_flight, halt.failures, halt.tenant) = (0, 0, None);
        }
        for coordinator in &mut self.coordinators {
            if let Some((_, fresh)) = &mut coordinator.decided {
                *fresh = false;
            }
        }
    }

    /// Whether a limit has been crossed that halts a running rollout.
    pub(crate) fn crossed(&self) -> bool {
        let rollout = self.rollout();
        let waves = rollout.waves.iter();
        waves
            .map(|wave| judge(&wave.limits, &wave.tally))
            .chain([judge(&rollout.policy.limits, &rollout.tally)])
            .any(|trip| trip.is_some())
    }

    /// Whether the target may be started now, or taken over if its lease has run out.
    pub(crate) fn may_start(&self, tenant: TenantNo, setup: &Setup, redis: u8) -> bool {
        let target = &self.targets[tenant];
        if target.claim.is_some() || target.outcome != Outcome::Pending || !self.runs() {
            return false;
        }
        if setup.lacks(Flaw::PermitsInRedis) {
            let wave = &self.rollout().waves[target.wave];
            return wave.opened_at.is_some() && u32::from(redis) < self.rollout().max_in_flight();
        }
        self.rollout().permits(target.wave) > 0
    }

    /// `Store::start`: the next number, and whether an older claim may still have something on its way.
    pub(crate) fn start(&mut self, tenant: TenantNo, seen: &mut Seen) -> Claim {
        let running = self.runs();
        let crossed = self.crossed();
        let target = &mut self.targets[tenant];
        let takeover = target.claim.is_some();
        if takeover {
            *target.attempts.entry(ErrorClass::WorkerLost).or_default() += 1;
        } else {
            seen.start_beyond_limit |= crossed;
        }
        target.number += 1;
        let claim = Claim {
            number: target.number,
            takeover: target.unresolved,
            resolves: !running,
        };
        target.unresolved = true;
        target.claim = Some(claim);
        let kind = EventKind::Started {
            tenant: tenant_id(tenant),
            wave: target.wave,
            host: host(),
            epoch: epoch(claim.number),
            worker: WorkerId::new("w"),
            takeover,
        };
        self.record(kind).expect("start records what it checked");
        claim
    }

    /// Whether the claim of that number is the target's.
    pub(crate) fn is_current(&self, tenant: TenantNo, number: Number) -> bool {
        self.targets[tenant]
            .claim
            .is_some_and(|claim| claim.number == number)
    }

    /// `Store::reissue`: the new number, unless the claim is not current any more.
    pub(crate) fn reissue(&mut self, tenant: TenantNo, number: Number) -> Option<Number> {
        let target = &mut self.targets[tenant];
        let claim = target.claim.as_mut().filter(|c| c.number == number)?;
        target.number += 1;
        target.unresolved = true;
        (claim.number, claim.takeover) = (target.number, true);
        let number = target.number;
        let kind = EventKind::Reissued {
            tenant: tenant_id(tenant),
            wave: target.wave,
            epoch: epoch(number),
        };
        self.record(kind).expect("the claim is in flight");
        Some(number)
    }

    /// `Store::report`, the halt included. False where it came too late and changed nothing.
    pub(crate) fn report(&mut self, report: &Report, setup: &Setup) -> bool {
        let rollout = self.rollout.0.clone();
        let target = &mut self.targets[report.tenant];
        let compared = !setup.lacks(Flaw::ReportWithoutCompare);
        let Some(claim) = target
            .claim
            .filter(|claim| !compared || claim.number == report.number)
        else {
            return false;
        };
        if proves(claim, report.ending) {
            target.unresolved = false;
        }
        target.claim = None;
        target.applied = report.applied;
        let (tenant, wave) = (tenant_id(report.tenant), target.wave);
        let epoch = epoch(claim.number);
        let kind = match as_it_stands(&rollout, wave, report) {
            Ending::Ended(outcome, class) => {
                (target.outcome, target.class) = (outcome, class);
                EventKind::Ended {
                    tenant,
                    wave,
                    epoch,
                    outcome,
                    applied: listed(report.applied),
                    failure: class.map(failure),
                    duration_ms: 0,
                }
            }
            given_back => {
                let class = match given_back {
                    Ending::Retry(class, _) => Some(class),
                    _ => None,
                };
                if let Some(class) = class {
                    *target.attempts.entry(class).or_default() += 1;
                }
                target.outcome = self.rollout.0.outcome_of_release();
                EventKind::Released {
                    tenant,
                    wave,
                    epoch,
                    class,
                    not_before: None,
                }
            }
        };
        if setup.lacks(Flaw::HaltByCoordinatorOnly) {
            self.record_unjudged(kind).expect("the claim is in flight");
        } else {
            self.record(kind).expect("the claim is in flight");
        }
        true
    }

    /// `Store::act`: compares the leader's number and what it had seen.
    pub(crate) fn act(
        &mut self,
        number: Number,
        decided: &(Decided, bool),
        setup: &Setup,
        seen: &mut Seen,
    ) {
        let (action, fresh) = decided;
        let leads = number == self.leader;
        if !leads && !setup.lacks(Flaw::LeaderWithoutEpoch) {
            return;
        }
        if !fresh && !setup.lacks(Flaw::ActWithoutSeq) {
            return;
        }
        let kind = match action {
            Decided::Act(Action::OpenWave(wave)) => EventKind::WaveOpened { wave: *wave },
            Decided::Act(Action::Finish(state)) => EventKind::Finished { state: *state },
            Decided::Act(Action::Sweep(wave)) => self.sweep_of(*wave),
            Decided::Act(Action::Halt(halt)) => EventKind::Halted { halt: halt.clone() },
            Decided::Act(Action::JudgeGate { .. } | Action::MeasuredGate { .. }) => {
                unreachable!("its plan has no gates")
            }
            Decided::Act(Action::Wait | Action::EndHolds) => return,
            Decided::Halt => EventKind::Halted { halt: a_halt() },
        };
        let opens = match &kind {
            EventKind::WaveOpened { wave } => *wave,
            _ => 0,
        };
        let early = self
            .targets
            .iter()
            .any(|target| target.wave < opens && target.is_left());
        if self.record(kind.clone()).is_ok() {
            if let EventKind::Swept { wave, .. } = kind {
                self.sweep(wave);
            }
            seen.stale_leader |= !leads;
            seen.early_wave |= early;
        }
    }
}

impl Control {
    fn deferred(&mut self, wave: usize) -> impl Iterator<Item = &mut Target> {
        let deferred = move |t: &&mut Target| t.wave == wave && t.outcome == Outcome::Deferred;
        self.targets.iter_mut().filter(deferred)
    }

    fn sweep_of(&mut self, wave: usize) -> EventKind {
        let targets = self.deferred(wave).count() as u64;
        EventKind::Swept { wave, targets }
    }

    /// Deferred targets are pending again, with the whole budget for locks and what is left of any other.
    fn sweep(&mut self, wave: usize) {
        for target in self.deferred(wave) {
            (target.outcome, target.class) = (Outcome::Pending, None);
            target.attempts.remove(&ErrorClass::LockTimeout);
        }
    }
}

impl Target {
    /// Whether it has not ended.
    pub(crate) fn is_left(&self) -> bool {
        matches!(self.outcome, Outcome::Pending | Outcome::Deferred)
    }
}

/// As the store's `proves`: nothing of this claim or an older one can take effect any more.
fn proves(claim: Claim, ending: Ending) -> bool {
    match ending {
        Ending::Ended(outcome, _) => {
            !claim.takeover || claim.resolves || outcome == Outcome::Failed
        }
        Ending::Retry(_, fenced) => fenced,
        Ending::Released(fenced) => fenced && !claim.takeover,
    }
}

/// As the store's: what a report means in the state that the rollout has now.
fn as_it_stands(rollout: &Rollout, wave: usize, report: &Report) -> Ending {
    match (rollout.state, report.ending) {
        (state, Ending::Ended(Outcome::Deferred, class)) if !rollout.may_defer(wave) => match state
        {
            RolloutState::Cancelled if report.applied != 0 => Ending::Ended(Outcome::Partial, None),
            RolloutState::Cancelled => Ending::Released(true),
            _ => Ending::Ended(Outcome::Failed, class),
        },
        (RolloutState::Running, Ending::Ended(Outcome::Partial, _)) => Ending::Released(true),
        (RolloutState::Cancelled, Ending::Retry(..) | Ending::Released(_))
            if report.applied != 0 =>
        {
            Ending::Ended(Outcome::Partial, None)
        }
        (_, ending) => ending,
    }
}

pub(crate) fn failure(class: ErrorClass) -> Failure {
    Failure::new(class, "x", "")
}

fn epoch(number: Number) -> Epoch {
    Epoch(i64::from(number))
}

/// What a leader would halt for, where halting is left to it.
fn a_halt() -> Halt {
    Halt {
        rule: sanderling_core::halt::Rule::MaxFailures,
        wave: None,
        cause: None,
        failures: 0,
        tolerated: 0,
        in_flight: 0,
        tenant: None,
        detail: None,
    }
}
