//! One run: the loop over virtual time.

use std::collections::{BTreeMap, VecDeque};

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use sanderling_core::plan::Plan;
use sanderling_core::rollout::Action;
use sanderling_core::{
    ErrorClass, Event, EventKind, FoldError, HostName, Micros, Outcome, Rollout, RolloutId,
    RolloutState, WorkerId, decide, retry,
};

use crate::conditions::Conditions;
use crate::measured::Measured;
use crate::queue::Queue;
use crate::target::Target;

/// What is to come.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Next {
    /// The leader looks.
    Lead,
    /// An attempt at a version of this target ends, under this number.
    Tried(usize, i64, Fate),
    /// The lease of this claim ends.
    LeaseEnds(usize, i64),
    /// A target may be tried again.
    Due(usize),
    /// Somebody comes.
    Person,
}

/// What becomes of an attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Fate {
    Commits,
    Fails(ErrorClass),
    /// The worker dies; whether the change commits.
    Dies(bool),
}

/// A run under way.
pub(crate) struct Run<'a> {
    pub(crate) plan: &'a Plan,
    pub(crate) conditions: &'a Conditions,
    pub(crate) rollout: Rollout,
    pub(crate) history: Vec<Event>,
    pub(crate) targets: Vec<Target>,
    pub(crate) measured: Measured,
    pub(crate) queue: Queue<Next>,
    pub(crate) dice: StdRng,
    /// Targets that wait, by wave and host, in order.
    pub(crate) waiting: Vec<BTreeMap<HostName, VecDeque<usize>>>,
    pub(crate) on_host: BTreeMap<HostName, u32>,
    /// Slots of workers that live and have nothing in hand.
    pub(crate) free: u32,
    pub(crate) helped: u32,
}

impl<'a> Run<'a> {
    pub(crate) fn new(plan: &'a Plan, conditions: &'a Conditions, seed: u64) -> Self {
        let mut dice = StdRng::seed_from_u64(seed);
        let targets: Vec<Target> = plan
            .targets
            .iter()
            .map(|planned| {
                let versions = plan.paths[planned.path].versions.len();
                Target {
                    tenant: planned.tenant.clone(),
                    wave: planned.wave,
                    host: planned.place.host.clone(),
                    versions,
                    outcome: Outcome::Pending,
                    failure: None,
                    applied: 0,
                    attempts: BTreeMap::new(),
                    epoch: 0,
                    held: false,
                    ledger: 0,
                    effects: vec![0; versions],
                    broken: dice.random_bool(conditions.broken),
                }
            })
            .collect();
        let mut waiting = vec![BTreeMap::<_, VecDeque<usize>>::new(); plan.waves.len()];
        for (index, target) in targets.iter().enumerate() {
            let hosts = &mut waiting[target.wave];
            hosts
                .entry(target.host.clone())
                .or_default()
                .push_back(index);
        }
        Self {
            plan,
            conditions,
            rollout: Rollout::new(&RolloutId::new("simulated"), plan),
            history: Vec::new(),
            targets,
            measured: Measured::default(),
            queue: Queue::new(),
            dice,
            waiting,
            on_host: BTreeMap::new(),
            free: conditions.workers * conditions.slots,
            helped: 0,
        }
    }

    pub(crate) fn at(&self) -> Micros {
        let micros = self.queue.now().saturating_mul(1_000);
        Micros(i64::try_from(micros).unwrap_or(i64::MAX))
    }

    /// As the store records: an event, and the halt with it. True where it halted.
    pub(crate) fn record(&mut self, kind: EventKind) -> Result<bool, FoldError> {
        let at = self.at();
        let events = self.rollout.record(at, kind)?;
        let halted = events.len() > 1;
        self.history.extend(events);
        self.measured.see(&self.rollout);
        Ok(halted)
    }

    /// To the end.
    pub(crate) fn through(mut self) -> Result<Self, FoldError> {
        let tenants = self.rollout.outcomes().total();
        self.record(EventKind::Submitted { tenants })?;
        self.queue.put(0, Next::Lead);
        while let Some(next) = self.queue.next() {
            match next {
                Next::Lead => self.lead()?,
                Next::Tried(index, epoch, fate) => self.tried(index, epoch, fate)?,
                Next::LeaseEnds(index, epoch) => self.take_over(index, epoch)?,
                Next::Due(index) => self.wait(index),
                Next::Person => self.help()?,
            }
            self.start()?;
        }
        Ok(self)
    }

    /// The leader's turn: what `decide` says, and the next look.
    fn lead(&mut self) -> Result<(), FoldError> {
        if !self.rollout.state.is_active() {
            return Ok(());
        }
        let gone = self.dice.random_bool(self.conditions.leaderless);
        let decision = decide(&self.rollout, self.at());
        let action = decision.actions.first().filter(|_| !gone);
        match action {
            Some(Action::OpenWave(wave)) => {
                self.record(EventKind::WaveOpened { wave: *wave })?;
            }
            Some(Action::Sweep(wave)) => self.sweep(*wave)?,
            Some(Action::Halt(halt)) => {
                self.record(EventKind::Halted { halt: halt.clone() })?;
                self.halted();
            }
            Some(Action::Finish(state)) => {
                self.record(EventKind::Finished { state: *state })?;
            }
            None if gone => self.measured.leaders += 1,
            // Nobody pins tenants here, and its plans have no gates.
            Some(
                Action::Wait
                | Action::EndHolds
                | Action::JudgeGate { .. }
                | Action::MeasuredGate { .. },
            )
            | None => {}
        }
        if self.rollout.state == RolloutState::Running {
            self.queue.put(self.conditions.poll_ms.max(1), Next::Lead);
        }
        Ok(())
    }

    /// Deferred targets are pending again, with the whole budget for locks and what is left of any other.
    fn sweep(&mut self, wave: usize) -> Result<(), FoldError> {
        let mut swept = 0;
        for (index, target) in self.targets.iter_mut().enumerate() {
            if target.wave != wave || target.outcome != Outcome::Deferred {
                continue;
            }
            (target.outcome, target.failure) = (Outcome::Pending, None);
            target.attempts.remove(&ErrorClass::LockTimeout);
            self.queue.put(0, Next::Due(index));
            swept += 1;
        }
        self.record(EventKind::Swept {
            wave,
            targets: swept,
        })?;
        self.measured.sweeps += 1;
        Ok(())
    }

    /// Grants as many starts as workers, permits and hosts allow.
    fn start(&mut self) -> Result<(), FoldError> {
        for wave in 0..self.waiting.len() {
            while self.free > 0 && self.rollout.permits(wave) > 0 {
                let Some(index) = self.pick(wave) else { break };
                self.free -= 1;
                self.grant(index, false)?;
                self.begin(index);
            }
        }
        Ok(())
    }

    /// The first target in order whose host has room.
    fn pick(&mut self, wave: usize) -> Option<usize> {
        let (on_host, budgets) = (&self.on_host, &self.conditions.budgets);
        let room = |host: &HostName| {
            let most = budgets.get(host).copied().unwrap_or(0);
            on_host.get(host).copied().unwrap_or(0) < most
        };
        let (_, queue) = self.waiting[wave]
            .iter_mut()
            .filter(|(host, queue)| !queue.is_empty() && room(host))
            .min_by_key(|(_, queue)| queue.front().copied())?;
        queue.pop_front()
    }

    /// A claim, new or taken over from a dead worker.
    pub(crate) fn grant(&mut self, index: usize, takeover: bool) -> Result<(), FoldError> {
        let target = &mut self.targets[index];
        target.epoch += 1;
        target.held = true;
        if takeover {
            *target.attempts.entry(ErrorClass::WorkerLost).or_default() += 1;
            self.measured.takeovers += 1;
        } else {
            *self.on_host.entry(target.host.clone()).or_default() += 1;
        }
        let kind = EventKind::Started {
            tenant: target.tenant.clone(),
            wave: target.wave,
            host: target.host.clone(),
            epoch: target.epoch(),
            worker: WorkerId::new("w"),
            takeover,
        };
        self.measured.start(&self.rollout, takeover);
        self.measured.host(&self.on_host, &self.targets[index].host);
        self.record(kind)?;
        Ok(())
    }

    /// The next attempt at a version, and what will become of it.
    pub(crate) fn begin(&mut self, index: usize) {
        let (least, most) = self.conditions.version_ms;
        let takes = self.dice.random_range(least..=most.max(least));
        let target = &self.targets[index];
        let fate = if self.dice.random_bool(self.conditions.dying) {
            Fate::Dies(self.dice.random_bool(self.conditions.outliving))
        } else if target.broken && target.ledger + 1 == target.versions {
            Fate::Fails(ErrorClass::MigrationSql)
        } else {
            let dice = &mut self.dice;
            let failing = self.conditions.failing.iter();
            let class = failing
                .filter(|(_, share)| dice.random_bool(**share))
                .map(|(c, _)| *c);
            class
                .collect::<Vec<_>>()
                .first()
                .map_or(Fate::Commits, |class| Fate::Fails(*class))
        };
        self.measured.attempts += 1;
        self.queue
            .put(takes, Next::Tried(index, target.epoch, fate));
    }

    /// Whether the class may be tried again, and after how long.
    pub(crate) fn again(&mut self, index: usize, class: ErrorClass) -> Option<u64> {
        let attempts = self.targets[index]
            .attempts
            .get(&class)
            .copied()
            .unwrap_or(0);
        let random = self.dice.random_range(0.0..=1.0);
        retry::delay(&self.plan.policy.retry, class, attempts, random)
    }

    fn wait(&mut self, index: usize) {
        let target = &self.targets[index];
        if target.waits() {
            let queue = self.waiting[target.wave]
                .entry(target.host.clone())
                .or_default();
            // Put in twice where it was retried while it waited for its next attempt.
            if let Err(place) = queue.binary_search(&index) {
                queue.insert(place, index);
            }
        }
    }
}
