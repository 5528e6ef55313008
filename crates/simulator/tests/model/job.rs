//! A worker with a claim: `migrate.rs` and `settle.rs` of `crates/worker`, step by step.

use sanderling_core::policy::Policy;
use sanderling_core::{ErrorClass, Outcome, retry};

use crate::flaws::Flaw;
use crate::setup::Setup;
use crate::world::{
    At, Claim, Control, Ending, Job, Message, Report, TenantNo, Then, Versions, World,
};

impl Job {
    /// A claim as granted.
    pub(crate) fn new(tenant: TenantNo, claim: Claim, control: &Control, setup: &Setup) -> Self {
        let (rollout, target) = (control.rollout(), &control.targets[tenant]);
        let policy = &rollout.policy;
        let late = claim.resolves;
        let mut job = Self {
            tenant,
            number: claim.number,
            resolves: claim.resolves && !setup.lacks(Flaw::TakeoverAppliesAfterHalt),
            attempts: target.attempts.clone(),
            granted_late: late,
            sweep: rollout.waves[target.wave].swept_at.is_some(),
            settled: !claim.takeover || setup.lacks(Flaw::TakeoverFlagDropped),
            spent: false,
            applied: target.applied,
            found: 0,
            at: At::Reported,
        };
        let lost = job.attempts.get(&ErrorClass::WorkerLost).copied();
        let most = policy
            .retry
            .get(&ErrorClass::WorkerLost)
            .map(|b| b.attempts);
        job.at = match job.todo(setup) {
            _ if job.resolves => At::Settle(Then::Resolve, None),
            _ if lost.zip(most).is_some_and(|(lost, most)| lost >= most) => {
                if job.settled {
                    given_up()
                } else {
                    At::Settle(Then::GiveUp, None)
                }
            }
            Some(first) => At::Send(first),
            None => job.done(),
        };
        job
    }

    fn todo(&self, setup: &Setup) -> Option<u8> {
        (0..setup.versions).find(|v| (self.applied | self.found) & (1 << v) == 0)
    }

    fn done(&self) -> At {
        let outcome = if self.applied == 0 {
            Outcome::UpToDate
        } else {
            Outcome::Succeeded
        };
        At::Report(Ending::Ended(outcome, None))
    }

    /// A version is dealt with: the next one, or the end.
    pub(crate) fn go_on(&mut self, setup: &Setup) {
        self.at = match self.todo(setup) {
            Some(next) if setup.lacks(Flaw::NextVersionUnasked) => At::Send(next),
            Some(next) => At::Ask(next),
            None => self.done(),
        };
    }

    /// The body failed. Before a failure, and before anything while an older message may be on its way, the fence.
    pub(crate) fn failed(
        &mut self,
        version: u8,
        class: ErrorClass,
        policy: &Policy,
        setup: &Setup,
    ) {
        let settles = if matches!(
            self.end_of(class, policy),
            Ending::Ended(Outcome::Failed, _)
        ) {
            !setup.lacks(Flaw::NoFenceBeforeFailure)
        } else {
            !self.settled && !setup.lacks(Flaw::UnfencedTakeoverRetry)
        };
        self.at = if settles {
            At::Settle(Then::Fail(version, class), None)
        } else {
            At::Report(self.end_of(class, policy))
        };
    }

    /// Another attempt while the budget lasts; then locks are left for the sweep, and all else has failed.
    fn end_of(&self, class: ErrorClass, policy: &Policy) -> Ending {
        let attempts = self.attempts.get(&class).copied().unwrap_or(0);
        if retry::delay(&policy.retry, class, attempts, 0.5).is_some() {
            Ending::Retry(class, self.settled)
        } else if class == ErrorClass::LockTimeout && !self.sweep {
            Ending::Ended(Outcome::Deferred, Some(class))
        } else {
            Ending::Ended(Outcome::Failed, Some(class))
        }
    }

    /// The fence is committed and the ledger was read.
    fn settled(
        &mut self,
        then: Then,
        (ours, strange): (Versions, Versions),
        policy: &Policy,
        setup: &Setup,
    ) {
        self.settled = true;
        match then {
            Then::Release if setup.lacks(Flaw::DrainsUnread) => {
                self.at = At::Report(Ending::Released(true));
            }
            Then::Resolve | Then::Release => {
                (self.applied, self.found) = (self.applied | ours, self.found | strange);
                self.at = match self.todo(setup) {
                    None => self.done(),
                    Some(_) if self.applied == 0 => At::Report(Ending::Released(true)),
                    Some(_) => At::Report(Ending::Ended(Outcome::Partial, None)),
                };
            }
            Then::Fail(version, _) | Then::Lost(version)
                if (ours | strange) & (1 << version) != 0 =>
            {
                let noted = if setup.lacks(Flaw::NotesOneVersion) {
                    1 << version
                } else {
                    setup.all_versions()
                };
                self.applied |= ours & noted;
                self.found |= strange & noted;
                self.go_on(setup);
            }
            Then::Fail(_, class) => self.at = At::Report(self.end_of(class, policy)),
            Then::Lost(version) => self.failed(version, ErrorClass::Connection, policy, setup),
            Then::GiveUp => {
                if !setup.lacks(Flaw::GivesUpUnread) {
                    (self.applied, self.found) = (self.applied | ours, self.found | strange);
                }
                self.at = match self.todo(setup) {
                    None => self.done(),
                    Some(_) => given_up(),
                };
            }
        }
    }
}

fn given_up() -> At {
    At::Report(Ending::Ended(Outcome::Failed, Some(ErrorClass::WorkerLost)))
}

impl World {
    /// Whether the job can do its next step by itself.
    pub(crate) fn can_step(&self, job: &Job) -> bool {
        match job.at {
            At::Waiting(_) | At::Reported | At::Report(_) => false,
            // The fence's row is locked by a transaction that raised it.
            At::Settle(..) => job.spent || !self.places[job.tenant].running,
            At::Ask(_) | At::Send(_) => true,
        }
    }

    /// The job's next step.
    pub(crate) fn step(&mut self, index: usize, setup: &Setup) {
        let mut job = self.jobs.remove(index);
        if self.stepped(&mut job, setup) {
            self.jobs.push(job);
        }
    }

    /// False where the claim is gone and the job ends without a word.
    fn stepped(&mut self, job: &mut Job, setup: &Setup) -> bool {
        let connects = matches!(job.at, At::Send(_) | At::Settle(..));
        if connects && std::mem::take(&mut job.spent) && !setup.lacks(Flaw::EpochKeptOnReissue) {
            let number = self.control.reissue(job.tenant, job.number);
            job.number = number.unwrap_or(job.number);
            return number.is_some();
        }
        match job.at {
            At::Ask(_) if !self.control.is_current(job.tenant, job.number) => return false,
            At::Ask(version) if self.control.runs() => job.at = At::Send(version),
            At::Ask(_) => job.at = At::Settle(Then::Resolve, None),
            At::Settle(then, read) => self.fence(job, then, read, setup),
            At::Send(_) | At::Report(_) | At::Waiting(_) | At::Reported => {}
        }
        true
    }

    /// What jobs have to say leaves at once: a worker that dies before it spoke is one whose message never arrives.
    pub(crate) fn speak(&mut self) {
        for job in &mut self.jobs {
            match job.at {
                At::Send(version) if !job.spent => {
                    job.at = At::Waiting(version);
                    self.messages.push(Message {
                        tenant: job.tenant,
                        number: job.number,
                        version,
                        orphan: false,
                        running: false,
                        granted_late: job.granted_late,
                    });
                }
                At::Report(ending) => {
                    job.at = At::Reported;
                    self.reports.push(Report {
                        tenant: job.tenant,
                        number: job.number,
                        applied: job.applied,
                        ending,
                    });
                }
                _ => {}
            }
        }
    }

    /// Commits the claim's number by itself, then reads the ledger.
    fn fence(&mut self, job: &mut Job, then: Then, read: Option<Versions>, setup: &Setup) {
        let place = &mut self.places[job.tenant];
        if setup.lacks(Flaw::LedgerReadBeforeFence) && read.is_none() {
            job.at = At::Settle(then, Some(place.ledger));
        } else if place.fence > job.number {
            job.spent = true;
        } else {
            place.fence = job.number;
            let rows = (read.unwrap_or(place.ledger), place.strange);
            let rollout = self.control.rollout.0.clone();
            job.settled(then, rows, &rollout.policy, setup);
        }
    }
}
