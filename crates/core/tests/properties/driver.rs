//! A fleet in a test: starts only by permits, acts only as `decide` says, and remembers every target by itself, so
//! that what was folded can be compared with what happened.

use std::collections::BTreeMap;

use sanderling_core::event::{HeldTargets, RetriedTargets};
use sanderling_core::halt::{Limits, judge};
use sanderling_core::plan::{Plan, PlannedTarget};
use sanderling_core::rollout::{Action, Wave};
use sanderling_core::{
    Epoch, ErrorClass, Event, EventKind, Failure, Micros, Outcome, Rollout, RolloutId,
    RolloutState, TenantId, Version, WorkerId, decide,
};

use crate::gates::opened_on_evidence;
use crate::times::Times;

/// Numbers from a seed (splitmix64): the only source of chance.
pub(crate) struct Dice(pub(crate) u64);

impl Dice {
    pub(crate) fn roll(&mut self, sides: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        usize::try_from((z ^ (z >> 31)) % sides as u64).unwrap()
    }
}

/// What the store would keep of a target.
pub(crate) struct Target {
    pub(crate) wave: usize,
    pub(crate) outcome: Outcome,
    pub(crate) cause: Option<Failure>,
    pub(crate) claim: Option<Epoch>,
    epochs: i64,
}

pub(crate) struct Driver {
    pub(crate) plan: Plan,
    pub(crate) rollout: Rollout,
    pub(crate) log: Vec<Event>,
    pub(crate) targets: BTreeMap<TenantId, Target>,
    pub(crate) acknowledged: bool,
    pub(crate) clock: i64,
    pub(crate) times: Times,
}

impl Driver {
    pub(crate) fn submit(plan: Plan) -> Self {
        let targets = plan
            .targets
            .iter()
            .map(|PlannedTarget { tenant, wave, .. }| {
                let target = Target {
                    wave: *wave,
                    outcome: Outcome::Pending,
                    cause: None,
                    claim: None,
                    epochs: 0,
                };
                (tenant.clone(), target)
            })
            .collect();
        let tenants = (plan.targets.len() + plan.left_out.len()) as u64;
        let mut driver = Self {
            rollout: Rollout::new(&RolloutId::new("r"), &plan),
            plan,
            log: Vec::new(),
            targets,
            acknowledged: false,
            clock: 0,
            times: Times::default(),
        };
        driver.record(EventKind::Submitted { tenants });
        driver
    }

    pub(crate) fn record(&mut self, kind: EventKind) {
        self.clock += 1;
        let through: Vec<bool> = self.rollout.waves.iter().map(Wave::has_ended).collect();
        let ran = self.rollout.state == RolloutState::Running;
        let events = self
            .rollout
            .record(Micros(self.clock), kind.clone())
            .unwrap();
        for event in &events {
            if let EventKind::WaveOpened { wave } = event.kind {
                opened_on_evidence(&self.rollout, &self.log, wave);
            }
        }
        self.log.extend(events);
        self.note(&kind, &through, ran);
    }

    /// Does what the leader would, or lets the time go by that it waits for; false where there is nothing to do.
    pub(crate) fn lead(&mut self, dice: &mut Dice) -> bool {
        let decision = decide(&self.rollout, Micros(self.clock));
        if let Some(question) = &decision.ask {
            self.measure(question, dice);
            return true;
        }
        let actions = decision.actions;
        let waits = self.rollout.at_gate().is_some() || self.rollout.state == RolloutState::Waiting;
        if let Some(at) = decision.wake_at.filter(|_| waits && actions.is_empty()) {
            self.clock = self.clock.max(at.0);
        }
        for action in &actions {
            let kind = match action {
                Action::OpenWave(wave) => EventKind::WaveOpened { wave: *wave },
                Action::Sweep(wave) => self.sweep(*wave),
                Action::Halt(halt) => EventKind::Halted { halt: halt.clone() },
                Action::Wait => EventKind::Waiting {
                    held: self.rollout.held(),
                },
                Action::EndHolds => {
                    self.let_go();
                    continue;
                }
                Action::Finish(state) => EventKind::Finished { state: *state },
                Action::JudgeGate { .. } => self.rollout.verdict(Micros(self.clock)).unwrap(),
                Action::MeasuredGate { .. } => unreachable!("never decided"),
            };
            self.record(kind);
        }
        !actions.is_empty()
    }

    /// Deferred targets of a wave go back to pending; the event that says so.
    fn sweep(&mut self, wave: usize) -> EventKind {
        let mut targets = 0;
        for target in self.targets.values_mut() {
            if target.wave == wave && target.outcome == Outcome::Deferred {
                target.outcome = Outcome::Pending;
                targets += 1;
            }
        }
        EventKind::Swept { wave, targets }
    }

    fn pick(&self, dice: &mut Dice, wanted: impl Fn(&Target) -> bool) -> Option<TenantId> {
        let fitting: Vec<&TenantId> = self
            .targets
            .iter()
            .filter(|(_, t)| wanted(t))
            .map(|(id, _)| id)
            .collect();
        (!fitting.is_empty()).then(|| fitting[dice.roll(fitting.len())].clone())
    }

    /// Starts one target that permits allow; false where they allow none.
    pub(crate) fn start(&mut self, dice: &mut Dice) -> bool {
        let Some(tenant) = self.pick(dice, |t| {
            t.outcome == Outcome::Pending && t.claim.is_none() && self.rollout.permits(t.wave) > 0
        }) else {
            return false;
        };
        self.claim(&tenant, false);
        true
    }

    /// A claim whose lease expired is granted anew, or gets a new number.
    pub(crate) fn take_over(&mut self, dice: &mut Dice) {
        if let Some(tenant) = self.pick(dice, |t| t.claim.is_some()) {
            if dice.roll(2) == 0 {
                self.claim(&tenant, true);
                return;
            }
            let target = self.targets.get_mut(&tenant).unwrap();
            target.epochs += 1;
            target.claim = Some(Epoch(target.epochs));
            let (wave, epoch) = (target.wave, Epoch(target.epochs));
            self.record(EventKind::Reissued {
                tenant,
                wave,
                epoch,
            });
        }
    }

    fn claim(&mut self, tenant: &TenantId, takeover: bool) {
        let place = &self
            .plan
            .targets
            .iter()
            .find(|t| t.tenant == *tenant)
            .unwrap()
            .place;
        let host = place.host.clone();
        let target = self.targets.get_mut(tenant).unwrap();
        target.epochs += 1;
        target.claim = Some(Epoch(target.epochs));
        let (wave, epoch) = (target.wave, Epoch(target.epochs));
        self.record(EventKind::Started {
            tenant: tenant.clone(),
            wave,
            host,
            epoch,
            worker: WorkerId::new("w"),
            takeover,
        });
    }

    /// Ends one claim, as `outcome` says of its tenant.
    pub(crate) fn end(
        &mut self,
        dice: &mut Dice,
        outcome: impl Fn(&TenantId, &mut Dice) -> (Outcome, Option<Failure>),
    ) {
        let Some(tenant) = self.pick(dice, |t| t.claim.is_some()) else {
            return;
        };
        let (mut outcome, failure) = outcome(&tenant, dice);
        let target = self.targets.get_mut(&tenant).unwrap();
        if outcome == Outcome::Deferred && !self.rollout.may_defer(target.wave) {
            let cancelled = self.rollout.state == RolloutState::Cancelled;
            outcome = if cancelled {
                Outcome::Partial
            } else {
                Outcome::Failed
            };
        }
        let (wave, epoch) = (target.wave, target.claim.take().unwrap());
        target.outcome = outcome;
        target.cause = failure.clone().filter(|_| outcome.counts_to_halt());
        self.record(EventKind::Ended {
            tenant,
            wave,
            epoch,
            outcome,
            applied: vec![Version::new("1")],
            failure,
            duration_ms: 1,
        });
        self.halts_are_exact(wave, outcome);
    }

    /// A rollout that runs, or would when it is resumed, is within its limits after every failure.
    fn halts_are_exact(&self, wave: usize, outcome: Outcome) {
        let runs = matches!(
            self.rollout.state,
            RolloutState::Running | RolloutState::Paused
        );
        if outcome.counts_to_halt() && runs {
            let wave = &self.rollout.waves[wave];
            assert_eq!(judge(&wave.limits, &wave.tally), None);
            assert_eq!(
                judge(&self.rollout.policy.limits, &self.rollout.tally),
                None
            );
        }
    }

    pub(crate) fn release(&mut self, dice: &mut Dice) {
        let Some(tenant) = self.pick(dice, |t| t.claim.is_some()) else {
            return;
        };
        let outcome = self.rollout.outcome_of_release();
        let target = self.targets.get_mut(&tenant).unwrap();
        target.outcome = outcome;
        let (wave, epoch) = (target.wave, target.claim.take().unwrap());
        self.record(EventKind::Released {
            tenant,
            wave,
            epoch,
            class: Some(ErrorClass::Connection),
            not_before: (dice.roll(2) == 0).then(|| Micros(self.clock + 4_000)),
        });
    }

    pub(crate) fn resume(&mut self) {
        let halted = self.rollout.state == RolloutState::Halted;
        self.acknowledged |= halted;
        let at_gate =
            self.rollout.state == RolloutState::Waiting && !self.rollout.waits_for_holds();
        if halted || at_gate || self.rollout.state == RolloutState::Paused {
            self.record(EventKind::Resumed {
                actor: "eve".into(),
                reason: None,
            });
        }
    }

    pub(crate) fn pause(&mut self) {
        if matches!(
            self.rollout.state,
            RolloutState::Running | RolloutState::Waiting
        ) {
            self.record(EventKind::Paused {
                actor: "eve".into(),
                reason: None,
            });
        }
    }

    /// Leaves out one target that nobody has in hand.
    pub(crate) fn skip(&mut self, dice: &mut Dice) {
        let left = |t: &Target| {
            t.claim.is_none()
                && !matches!(
                    t.outcome,
                    Outcome::Succeeded | Outcome::UpToDate | Outcome::Skipped | Outcome::Cancelled
                )
        };
        let Some(tenant) = self
            .pick(dice, left)
            .filter(|_| self.rollout.state.is_active())
        else {
            return;
        };
        let target = self.targets.get_mut(&tenant).unwrap();
        let was = std::mem::replace(&mut target.outcome, Outcome::Skipped);
        let cause = target.cause.take().map(|failure| failure.cause.to_string());
        // A failure that is left out stays counted, so tallies cannot be rebuilt from targets any more.
        self.acknowledged |= cause.is_some();
        let wave = target.wave;
        self.record(EventKind::Skipped {
            tenant,
            wave,
            was,
            cause,
            actor: "eve".into(),
            reason: "test".into(),
        });
    }

    /// Pins the tenants of every third target that nobody has in hand, for a time or until they are let go.
    pub(crate) fn hold(&mut self, dice: &mut Dice) {
        if !self.rollout.state.is_active() {
            return;
        }
        let mut groups: BTreeMap<(usize, Outcome), u64> = BTreeMap::new();
        let waits = |t: &Target| matches!(t.outcome, Outcome::Pending | Outcome::Deferred);
        for target in self.targets.values_mut().step_by(3) {
            if waits(target) && target.claim.is_none() {
                *groups.entry((target.wave, target.outcome)).or_default() += 1;
                target.outcome = Outcome::Held;
            }
        }
        let group = |((wave, outcome), targets)| HeldTargets {
            wave,
            outcome,
            targets,
        };
        self.record(EventKind::Held {
            targets: groups.into_iter().map(group).collect(),
            actor: None,
            reason: None,
            until: (dice.roll(2) == 0).then(|| Micros(self.clock + 2_000)),
        });
    }

    /// Lets all of them go.
    pub(crate) fn let_go(&mut self) {
        if !self.rollout.state.is_active() {
            return;
        }
        let mut groups: BTreeMap<usize, u64> = BTreeMap::new();
        for target in self.targets.values_mut() {
            if target.outcome == Outcome::Held {
                *groups.entry(target.wave).or_default() += 1;
                target.outcome = Outcome::Pending;
            }
        }
        self.record(EventKind::HoldEnded {
            actor: None,
            targets: groups.into_iter().collect(),
            until: None,
        });
    }

    /// Retries all that failed, or only those of one cause.
    pub(crate) fn retry(&mut self, dice: &mut Dice) {
        if self.rollout.state == RolloutState::Cancelled {
            return;
        }
        let only = (dice.roll(2) == 0).then(|| failure(dice).cause);
        let mut groups: BTreeMap<(usize, Outcome, Option<String>), u64> = BTreeMap::new();
        for target in self.targets.values_mut() {
            let failed = target.outcome.counts_to_halt()
                || matches!(target.outcome, Outcome::Partial | Outcome::Deferred);
            let cause = target.cause.as_ref().map(|f| f.cause.clone());
            if !failed || (only.is_some() && only != cause) {
                continue;
            }
            let key = (target.wave, target.outcome, cause.map(|c| c.to_string()));
            *groups.entry(key).or_default() += 1;
            target.outcome = Outcome::Pending;
            target.cause = None;
        }
        if groups.is_empty() {
            return;
        }
        let targets = groups
            .into_iter()
            .map(|((wave, outcome, cause), targets)| RetriedTargets {
                wave,
                outcome,
                cause,
                targets,
            })
            .collect();
        self.record(EventKind::Retried {
            actor: "eve".into(),
            reason: None,
            targets,
        });
    }

    pub(crate) fn cancel(&mut self) {
        if !self.rollout.state.is_active() {
            return;
        }
        let mut targets: BTreeMap<usize, u64> = BTreeMap::new();
        for target in self.targets.values_mut() {
            let waits = matches!(
                target.outcome,
                Outcome::Pending | Outcome::Deferred | Outcome::Held
            );
            if waits && target.claim.is_none() {
                target.outcome = Outcome::Cancelled;
                *targets.entry(target.wave).or_default() += 1;
            }
        }
        self.record(EventKind::Cancelled {
            actor: "eve".into(),
            reason: "test".into(),
            targets: targets.into_iter().collect(),
            partial: Vec::new(),
        });
    }
}

/// One of a few failures, deterministic and transient.
pub(crate) fn failure(dice: &mut Dice) -> Failure {
    let (class, code) = [
        (ErrorClass::MigrationSql, "42703"),
        (ErrorClass::MigrationSql, "23505"),
        (ErrorClass::Connection, "08006"),
    ][dice.roll(3)];
    Failure::new(class, code, "it broke")
}

/// Random limits of a scope.
pub(crate) fn limits(dice: &mut Dice) -> Limits {
    let mut one = |sides: usize| {
        let n = dice.roll(sides * 2);
        (n < sides).then(|| u32::try_from(n).unwrap())
    };
    Limits {
        max_failures: one(4),
        max_failure_percent: one(4),
        max_consecutive: one(5),
        same_cause: one(4),
        class_limits: one(4)
            .map(|n| (ErrorClass::Connection, n))
            .into_iter()
            .collect(),
        stall_after_ms: one(4).map(|n| 2 + u64::from(n)),
        max_duration_ms: one(4).map(|n| 5 + 5 * u64::from(n)),
    }
}
