//! A person after a halt.

use std::collections::BTreeMap;

use sanderling_core::event::RetriedTargets;
use sanderling_core::{EventKind, FoldError, Outcome, RolloutState};

use crate::conditions::Person;
use crate::run::{Next, Run};

/// How long it takes until somebody has looked.
const COMES_AFTER_MS: u64 = 300_000;

impl Run<'_> {
    /// The rollout halted: somebody is called.
    pub(crate) fn halted(&mut self) {
        self.measured.halts += 1;
        self.queue.put(COMES_AFTER_MS, Next::Person);
    }

    /// What that person does.
    pub(crate) fn help(&mut self) -> Result<(), FoldError> {
        if self.rollout.state != RolloutState::Halted {
            return Ok(());
        }
        match self.conditions.person {
            Person::Sleeps => {}
            Person::Cancels => self.cancel()?,
            Person::Resumes => {
                self.resume()?;
                self.put_back(|outcome| outcome == Outcome::Partial)?;
                self.queue.put(0, Next::Lead);
            }
            Person::Retries(most) if self.helped < most => {
                self.helped += 1;
                // What was wrong has been mended.
                self.targets
                    .iter_mut()
                    .for_each(|target| target.broken = false);
                self.put_back(|outcome| {
                    matches!(
                        outcome,
                        Outcome::Partial | Outcome::Failed | Outcome::Deferred
                    )
                })?;
                if self.rollout.state == RolloutState::Halted {
                    // Time halted it, and nothing had failed: there is nothing to retry.
                    self.resume()?;
                }
                self.queue.put(0, Next::Lead);
            }
            Person::Retries(_) => self.cancel()?,
        }
        Ok(())
    }

    fn resume(&mut self) -> Result<(), FoldError> {
        let actor = "simulated".into();
        self.record(EventKind::Resumed {
            actor,
            reason: None,
        })?;
        Ok(())
    }

    /// Targets of these outcomes are pending again.
    fn put_back(&mut self, wanted: impl Fn(Outcome) -> bool) -> Result<(), FoldError> {
        let mut groups: BTreeMap<(usize, Outcome, Option<String>), u64> = BTreeMap::new();
        for (index, target) in self.targets.iter_mut().enumerate() {
            if !wanted(target.outcome) {
                continue;
            }
            let failure = target.failure.take();
            let cause = failure
                .filter(|_| target.outcome.counts_to_halt())
                .map(|failure| failure.cause.to_string());
            *groups
                .entry((target.wave, target.outcome, cause))
                .or_default() += 1;
            target.outcome = Outcome::Pending;
            target.attempts.clear();
            self.queue.put(0, Next::Due(index));
        }
        if groups.is_empty() {
            return Ok(());
        }
        let group = |((wave, outcome, cause), targets)| RetriedTargets {
            wave,
            outcome,
            cause,
            targets,
        };
        self.record(EventKind::Retried {
            actor: "simulated".into(),
            reason: None,
            targets: groups.into_iter().map(group).collect(),
        })?;
        Ok(())
    }

    fn cancel(&mut self) -> Result<(), FoldError> {
        let (mut cancelled, mut partial) = (BTreeMap::new(), BTreeMap::new());
        for target in self.targets.iter_mut().filter(|target| target.is_left()) {
            let (counts, outcome) = if target.applied == 0 {
                (&mut cancelled, Outcome::Cancelled)
            } else {
                (&mut partial, Outcome::Partial)
            };
            *counts.entry(target.wave).or_insert(0) += 1;
            (target.outcome, target.failure) = (outcome, None);
        }
        self.waiting.iter_mut().for_each(BTreeMap::clear);
        self.record(EventKind::Cancelled {
            actor: "simulated".into(),
            reason: "simulated".into(),
            targets: cancelled.into_iter().collect(),
            partial: partial.into_iter().collect(),
        })?;
        Ok(())
    }
}
