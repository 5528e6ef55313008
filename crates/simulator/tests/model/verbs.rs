//! What a person types: `rollout retry`, `resume` and `cancel`, as the store carries them out.

use std::collections::BTreeMap;

use sanderling_core::event::RetriedTargets;
use sanderling_core::{EventKind, Outcome, RolloutState};

use crate::control::failure;
use crate::world::{Control, Target};

/// A verb of a person.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Typed {
    Retry,
    Resume,
    Cancel,
}

impl Typed {
    pub(crate) const ALL: [Self; 3] = [Self::Retry, Self::Resume, Self::Cancel];
}

impl Control {
    /// Whether the store would carry the verb out and something would change.
    pub(crate) fn accepts(&self, typed: Typed) -> bool {
        let state = self.rollout().state;
        match typed {
            Typed::Retry => {
                !matches!(state, RolloutState::Cancelled | RolloutState::Succeeded)
                    && self.targets.iter().any(|t| t.is_retried(true))
            }
            Typed::Resume => state == RolloutState::Halted,
            Typed::Cancel => state.is_active(),
        }
    }

    pub(crate) fn carry_out(&mut self, typed: Typed) {
        let actor = String::from("eve");
        match typed {
            Typed::Retry => self.put_back(true),
            Typed::Resume => {
                self.record(EventKind::Resumed {
                    actor,
                    reason: None,
                })
                .expect("a halted rollout resumes");
                self.put_back(false);
            }
            Typed::Cancel => self.cancel(actor),
        }
    }

    /// Targets that failed, or that a halt stopped between two versions, are pending again.
    fn put_back(&mut self, failed_too: bool) {
        let mut groups: BTreeMap<(usize, Outcome, Option<String>), u64> = BTreeMap::new();
        for target in self.targets.iter_mut().filter(|t| t.is_retried(failed_too)) {
            let cause = target.class.map(|class| failure(class).cause.to_string());
            let cause = cause.filter(|_| target.outcome == Outcome::Failed);
            *groups
                .entry((target.wave, target.outcome, cause))
                .or_default() += 1;
            target.outcome = Outcome::Pending;
            if failed_too {
                target.class = None;
                target.attempts.clear();
            }
        }
        if groups.is_empty() {
            return;
        }
        let group = |((wave, outcome, cause), targets)| RetriedTargets {
            wave,
            outcome,
            cause,
            targets,
        };
        self.record(EventKind::Retried {
            actor: "eve".into(),
            reason: None,
            targets: groups.into_iter().map(group).collect(),
        })
        .expect("what the targets are is what was counted");
    }

    fn cancel(&mut self, actor: String) {
        let (mut cancelled, mut partial) = (BTreeMap::new(), BTreeMap::new());
        for target in &mut self.targets {
            if !target.is_left() || target.claim.is_some() {
                continue;
            }
            let (counts, outcome) = if target.applied == 0 {
                (&mut cancelled, Outcome::Cancelled)
            } else {
                (&mut partial, Outcome::Partial)
            };
            *counts.entry(target.wave).or_insert(0) += 1;
            (target.outcome, target.class) = (outcome, None);
        }
        self.record(EventKind::Cancelled {
            actor,
            reason: String::new(),
            targets: cancelled.into_iter().collect(),
            partial: partial.into_iter().collect(),
        })
        .expect("an active rollout is cancelled");
    }
}

impl Target {
    fn is_retried(&self, failed_too: bool) -> bool {
        let failed = matches!(self.outcome, Outcome::Failed | Outcome::Deferred);
        self.claim.is_none() && (self.outcome == Outcome::Partial || failed_too && failed)
    }
}
