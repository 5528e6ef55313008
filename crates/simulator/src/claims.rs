//! How claims end: as the worker does it, as the store records it.

use sanderling_core::{ErrorClass, EventKind, Failure, FoldError, Outcome, RolloutState};

use crate::run::{Fate, Next, Run};

impl Run<'_> {
    /// An attempt is over.
    pub(crate) fn tried(&mut self, index: usize, epoch: i64, fate: Fate) -> Result<(), FoldError> {
        debug_assert_eq!(
            self.targets[index].epoch, epoch,
            "a claim's worker is alone"
        );
        match fate {
            Fate::Commits => {
                self.targets[index].commit();
                self.go_on(index)
            }
            Fate::Fails(class) => {
                self.targets[index].applied = self.targets[index].ledger;
                let failure = Failure::new(class, "simulated", "as the conditions say");
                match self.again(index, class) {
                    Some(after) => self.give_back(index, Some((class, after))),
                    // Nothing is deferred where no sweep comes any more.
                    None if class == ErrorClass::LockTimeout
                        && self.rollout.state == RolloutState::Cancelled =>
                    {
                        self.stop(index)
                    }
                    None => {
                        let outcome = self.given_up(index, class);
                        self.end(index, outcome, Some(failure))
                    }
                }
            }
            Fate::Dies(commits) => {
                if commits {
                    self.targets[index].commit();
                }
                self.measured.deaths += 1;
                // A worker's death ends all its claims; here each slot is a process of its own.
                let lease = self.conditions.lease_ms;
                self.queue.put(lease, Next::LeaseEnds(index, epoch));
                Ok(())
            }
        }
    }

    /// Where only locks stood in the way there is a sweep to come, unless this is it.
    fn given_up(&self, index: usize, class: ErrorClass) -> Outcome {
        let wave = self.targets[index].wave;
        match class {
            ErrorClass::LockTimeout if self.rollout.may_defer(wave) => Outcome::Deferred,
            _ => Outcome::Failed,
        }
    }

    /// The next version, if the rollout still runs; else the end.
    fn go_on(&mut self, index: usize) -> Result<(), FoldError> {
        let runs = self.rollout.state == RolloutState::Running;
        let target = &mut self.targets[index];
        target.applied = target.ledger;
        if target.applied == target.versions {
            self.end(index, Outcome::Succeeded, None)
        } else if runs {
            self.begin(index);
            Ok(())
        } else {
            self.stop(index)
        }
    }

    /// A claim of a rollout that does not run ends: partial where it has moved, as it was where not.
    fn stop(&mut self, index: usize) -> Result<(), FoldError> {
        if self.targets[index].applied == 0 {
            self.give_back(index, None)
        } else {
            self.end(index, Outcome::Partial, None)
        }
    }

    /// A dead worker's lease has run out, another one (in the dead one's slot) takes over. Fence, then the ledger:
    /// what the dead one did is known from here on.
    pub(crate) fn take_over(&mut self, index: usize, epoch: i64) -> Result<(), FoldError> {
        debug_assert_eq!(self.targets[index].epoch, epoch, "nobody else took it");
        let runs = self.rollout.state == RolloutState::Running;
        let budget = self.plan.policy.retry.get(&ErrorClass::WorkerLost);
        let most = budget.map(|budget| budget.attempts);
        self.grant(index, true)?;
        let target = &mut self.targets[index];
        target.applied = target.ledger;
        let lost = target.attempts.get(&ErrorClass::WorkerLost).copied();
        if target.applied == target.versions {
            self.end(index, Outcome::Succeeded, None)
        } else if !runs {
            self.stop(index)
        } else if lost.zip(most).is_some_and(|(lost, most)| lost >= most) {
            let failure = Failure::new(ErrorClass::WorkerLost, "worker_lost", "simulated");
            self.end(index, Outcome::Failed, Some(failure))
        } else {
            self.begin(index);
            Ok(())
        }
    }

    /// The claim is over with this outcome.
    fn end(
        &mut self,
        index: usize,
        outcome: Outcome,
        failure: Option<Failure>,
    ) -> Result<(), FoldError> {
        self.leave(index);
        let path = &self.plan.paths[self.plan.targets[index].path];
        let target = &mut self.targets[index];
        target.outcome = outcome;
        target.failure.clone_from(&failure);
        let kind = EventKind::Ended {
            tenant: target.tenant.clone(),
            wave: target.wave,
            epoch: target.epoch(),
            outcome,
            applied: target.listed(&path.versions),
            failure,
            duration_ms: 0,
        };
        if self.record(kind)? {
            self.halted();
        }
        Ok(())
    }

    /// The claim is given back, to be tried again or not.
    fn give_back(
        &mut self,
        index: usize,
        again: Option<(ErrorClass, u64)>,
    ) -> Result<(), FoldError> {
        if self.rollout.state == RolloutState::Cancelled && self.targets[index].applied > 0 {
            return self.end(index, Outcome::Partial, None);
        }
        self.leave(index);
        let released = self.rollout.outcome_of_release();
        let target = &mut self.targets[index];
        target.outcome = released;
        if let Some((class, _)) = again {
            *target.attempts.entry(class).or_default() += 1;
        }
        let kind = EventKind::Released {
            tenant: target.tenant.clone(),
            wave: target.wave,
            epoch: target.epoch(),
            class: again.map(|(class, _)| class),
            not_before: again.map(|(_, after)| self.at().plus_millis(after)),
        };
        self.record(kind)?;
        self.queue
            .put(again.map_or(0, |(_, after)| after), Next::Due(index));
        Ok(())
    }

    fn leave(&mut self, index: usize) {
        self.free += 1;
        let target = &mut self.targets[index];
        target.held = false;
        if let Some(taken) = self.on_host.get_mut(&target.host) {
            *taken -= 1;
        }
    }
}
