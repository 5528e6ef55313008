//! A tenant's database: lock, fence, ledger, and the transaction that holds all three.

use sanderling_core::ErrorClass;

use crate::flaws::Flaw;
use crate::setup::Setup;
use crate::world::{At, Message, World};

/// How a body ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Verdict {
    Commit,
    /// It fails, and would fail again.
    Fail,
    /// It fails for a reason that may pass.
    Transient,
}

impl World {
    /// A message reaches its tenant: lock, fence and ledger are looked at, each in a statement of its own.
    pub(crate) fn arrive(&mut self, message: Message, setup: &Setup) {
        let place = &mut self.places[message.tenant];
        let bit = 1 << message.version;
        if place.running {
            return self.answer(message, |job| job.at = At::Ask(message.version));
        }
        if place.fence > message.number && !setup.lacks(Flaw::FenceAcceptsOlder) {
            return self.answer(message, |job| {
                (job.spent, job.at) = (true, At::Send(message.version));
            });
        }
        let (ours, strange) = (place.ledger & bit, place.strange & bit);
        if ours | strange != 0 && !setup.lacks(Flaw::NoLedgerReread) {
            return self.answer(message, |job| {
                (job.applied, job.found) = (job.applied | ours, job.found | strange);
                job.go_on(setup);
            });
        }
        place.running = true;
        if !self.control.runs() {
            let number = 1 << message.number;
            self.seen.body_after_halt |= message.granted_late || place.begun & number != 0;
            place.begun |= number;
        }
        self.messages.retain(|m| *m != message);
        self.messages.push(Message {
            running: true,
            ..message
        });
    }

    /// The transaction ends: change, fence and ledger row commit together, or nothing does.
    pub(crate) fn finish(&mut self, message: Message, verdict: Verdict, setup: &Setup) {
        let in_flight = self.control.targets[message.tenant].claim.is_some();
        let place = &mut self.places[message.tenant];
        place.running = false;
        let bit = 1 << message.version;
        let taken = (place.ledger | place.strange) & bit != 0;
        if verdict == Verdict::Commit && (!taken || setup.lacks(Flaw::UpsertWithoutWhere)) {
            place.fence = place.fence.max(message.number);
            place.ledger |= bit;
            place.effects[usize::from(message.version)] += 1;
            self.seen.late_effect |= !in_flight;
            return self.answer(message, |job| {
                job.settled = true;
                job.applied |= bit;
                job.go_on(setup);
            });
        }
        let class = match verdict {
            Verdict::Transient => ErrorClass::LockTimeout,
            Verdict::Commit | Verdict::Fail => ErrorClass::MigrationSql,
        };
        let policy = self.control.rollout.0.clone();
        self.answer(message, |job| {
            job.failed(message.version, class, &policy.policy, setup)
        });
    }

    /// Somebody applies a version by hand, with a ledger row, knowing of no lock and no fence.
    pub(crate) fn meddle(&mut self, tenant: usize, version: u8) {
        let place = &mut self.places[tenant];
        place.strange |= 1 << version;
        place.effects[usize::from(version)] += 1;
    }

    /// The message is over; its sender, if its connection still stands, learns what came of it.
    fn answer(&mut self, message: Message, heard: impl FnOnce(&mut crate::world::Job)) {
        self.messages.retain(|m| *m != message);
        if message.orphan {
            return;
        }
        let sender = self.jobs.iter_mut().find(|job| {
            (job.tenant, job.number, job.at)
                == (message.tenant, message.number, At::Waiting(message.version))
        });
        heard(sender.expect("a message that is no orphan has a sender"));
    }
}
