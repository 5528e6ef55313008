//! A job and its host's circuit: whose fault a failure is, and whose turn it is to try.

use std::time::Duration;

use sanderling_core::{Failure, Outcome};
use sanderling_engine::HostFault;
use sanderling_store::TargetResult;

use crate::circuit::{Admission, Probe, Seen, Verdict, given_up};
use crate::migrate::{Job, Stop};

/// When a job met its host's fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum When {
    /// Before anything of a migration was sent.
    AtTheDoor,
    /// In the answer to a step or a fence.
    InAStep,
    /// Between a lost connection and the one that settled it: it is over.
    Lost,
}

impl Job<'_> {
    /// Waits until this job may try its host. A claim that has nothing on its way need not wait for that: it is given
    /// back while the host is away.
    pub(crate) async fn turn(&mut self) -> Result<(), Stop> {
        // A right from before: its circuit may have closed, and another may have opened.
        self.probe.take_if(|probe| !probe.holds());
        while self.probe.is_none() {
            let host = &self.grant.place.host;
            match self.context.circuits.admit(host) {
                Admission::Free => return Ok(()),
                Admission::Probe(probe) => self.probe = Some(probe),
                Admission::Wait => match self.context.circuits.why(host) {
                    Some((failure, after)) if self.settled => {
                        return Err(Stop::end(self.given_back(failure, after)));
                    }
                    Some(_) => {
                        self.note_cut_off();
                        self.pause("its host is away").await?;
                    }
                    None => {}
                },
            }
        }
        Ok(())
    }

    /// Nobody can say what became of this claim before its host is back.
    pub(crate) fn note_cut_off(&mut self) {
        if !self.settled && self.cut_off.is_none() {
            let (circuits, host) = (&self.context.circuits, &self.grant.place.host);
            self.cut_off = Some(circuits.cut_off(host, &self.held.target, self.grant.at));
        }
    }

    /// What the host's circuit says of a failure that is the host's.
    pub(crate) fn blame(&self, fault: HostFault, failure: &Failure, when: When) -> Verdict {
        self.context.circuits.blame(&Seen {
            host: &self.grant.place.host,
            target: &self.held.target,
            fault,
            failure,
            at_the_door: when == When::AtTheDoor,
            over: when == When::Lost,
            probe: self.probe.as_ref().is_some_and(Probe::holds),
            patience: Duration::from_millis(self.grant.policy.host_patience_ms),
        })
    }

    /// The verdict after a fence that could be written in spite of it: its host has come back.
    pub(crate) fn still(&self, verdict: Option<Verdict>) -> Option<Verdict> {
        match verdict {
            Some(Verdict::GiveUp(_))
                if self.context.circuits.why(&self.grant.place.host).is_none() =>
            {
                Some(Verdict::GiveBack(Duration::ZERO))
            }
            verdict => verdict,
        }
    }

    /// What a failure is for the target, the circuit's verdict first.
    pub(crate) fn end_as(&self, failure: Failure, verdict: Option<Verdict>) -> TargetResult {
        match verdict {
            Some(Verdict::GiveBack(after)) => self.given_back(failure, after),
            Some(Verdict::GiveUp(waited)) => {
                let failure = given_up(&failure, &self.grant.place.host, waited);
                self.ended(Outcome::Failed, Some(failure))
            }
            Some(Verdict::Own) | None => self.end_of(failure),
        }
    }

    /// A host that could not be reached, or did not take the fence: the next try is a probe's. Whatever the verdict, a
    /// claim that has to settle goes on trying.
    pub(crate) fn host_missed(&mut self, failure: &Failure, when: When) {
        if let Some(fault) = self.fault_of(failure) {
            self.blame(fault, failure, when);
            self.missed = Some(fault);
            self.note_cut_off();
            self.probe = None;
        }
    }

    /// The host's fault behind a failure, if it is the host's.
    pub(crate) fn fault_of(&self, failure: &Failure) -> Option<HostFault> {
        let dialect = self.context.hosts.dialect(&self.grant.place.host).ok()?;
        HostFault::of(dialect, failure)
    }

    fn given_back(&self, failure: Failure, after: Duration) -> TargetResult {
        TargetResult::HostAway {
            failure,
            after,
            applied: self.applied.clone(),
            fenced: self.settled,
        }
    }
}
