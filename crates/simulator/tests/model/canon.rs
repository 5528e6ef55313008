//! Equal situations made equal states: what nothing can tell apart is counted once.
//!
//! - Numbers of a tenant's claims are only compared, so they are replaced by their ranks.
//! - What is on its way and can do nothing any more is taken away: a message below the fence or of a version that the
//!   ledger has, when nobody waits for its answer; a report of a claim that is over, when its worker is dead.
//! - Tenants of one wave are alike: they are put in order.
//! - Workers have no names: jobs, messages and reports are sorted.

use std::collections::BTreeMap;
use std::sync::Arc;

use sanderling_core::{Epoch, ErrorClass};

use crate::flaws::Flaw;
use crate::setup::{Setup, tenant_id};
use crate::world::{At, Job, Message, Number, Place, Report, Target, TenantNo, World};

/// Everything about one tenant.
type Whole<'a> = (&'a Target, &'a Place, Vec<Job>, Vec<Message>, Vec<Report>);

impl World {
    /// The state that stands for all that are like it.
    pub(crate) fn canonical(mut self, setup: &Setup) -> Self {
        if self.control.runs() {
            self.places.iter_mut().for_each(|place| place.begun = 0);
        }
        self.forget_idle(setup);
        let lasting = 2;
        for target in &mut self.control.targets {
            if let Some(lost) = target.attempts.get_mut(&ErrorClass::WorkerLost) {
                *lost = lasting.min(*lost);
            }
        }
        for tenant in 0..self.places.len() {
            self.rank(tenant);
        }
        self.rank_leaders();
        self.order(setup);
        self.jobs.sort_unstable();
        self.messages.sort_unstable();
        self.reports.sort_unstable();
        self
    }

    fn forget_idle(&mut self, setup: &Setup) {
        let (places, control, jobs) = (&self.places, &self.control, &self.jobs);
        self.messages.retain(|message| {
            let place = &places[message.tenant];
            let there = (place.ledger | place.strange) & (1 << message.version) != 0;
            let refused = place.fence > message.number && !setup.lacks(Flaw::FenceAcceptsOlder)
                || there && !setup.lacks(Flaw::NoLedgerReread);
            message.running || !message.orphan || !refused
        });
        let compared = !setup.lacks(Flaw::ReportWithoutCompare);
        self.reports.retain(|report| {
            let waits = jobs.iter().any(|job| waits_for(job, report));
            waits || !compared || control.is_current(report.tenant, report.number)
        });
    }

    fn rank(&mut self, tenant: TenantNo) {
        let mut numbers = Vec::new();
        self.each_number(tenant, |number| numbers.push(*number));
        numbers.sort_unstable();
        numbers.dedup();
        let rank = |number: Number| {
            let found = numbers.binary_search(&number).unwrap_or(0);
            Number::try_from(found).unwrap_or(Number::MAX)
        };
        let begun = self.places[tenant].begun;
        self.places[tenant].begun = (0..16)
            .filter(|bit| begun & (1 << bit) != 0)
            .filter(|bit| numbers.contains(bit))
            .fold(0, |begun, bit| begun | 1 << rank(bit));
        if numbers
            .last()
            .is_none_or(|last| usize::from(*last) + 1 == numbers.len())
        {
            return;
        }
        self.each_number(tenant, |number| *number = rank(*number));
        let rollout = Arc::make_mut(&mut self.control.rollout.0);
        if let Some(claim) = rollout.in_flight.get_mut(&tenant_id(tenant)) {
            claim.epoch = Epoch(i64::from(rank(
                Number::try_from(claim.epoch.0).unwrap_or(0),
            )));
        }
    }

    /// Every place where a number of the tenant's claims stands. The rollout's is the target's claim's.
    fn each_number(&mut self, tenant: TenantNo, mut change: impl FnMut(&mut Number)) {
        let target = &mut self.control.targets[tenant];
        change(&mut target.number);
        if let Some(claim) = &mut target.claim {
            change(&mut claim.number);
        }
        change(&mut self.places[tenant].fence);
        for job in self.jobs.iter_mut().filter(|j| j.tenant == tenant) {
            change(&mut job.number);
        }
        for message in self.messages.iter_mut().filter(|m| m.tenant == tenant) {
            change(&mut message.number);
        }
        for report in self.reports.iter_mut().filter(|r| r.tenant == tenant) {
            change(&mut report.number);
        }
    }

    fn rank_leaders(&mut self) {
        for (rank, coordinator) in (1..).zip(&mut self.control.coordinators) {
            coordinator.number = rank;
            self.control.leader = rank;
        }
    }

    /// Tenants of one wave in order of all there is about them.
    fn order(&mut self, setup: &Setup) {
        let mut order: Vec<TenantNo> = (0..self.places.len()).collect();
        order.sort_by(|a, b| {
            let (a, b) = (self.whole(*a), self.whole(*b));
            (a.0.wave, a).cmp(&(b.0.wave, b))
        });
        if order.iter().enumerate().all(|(new, old)| new == *old) {
            return;
        }
        debug_assert_eq!(order.len(), setup.places().count());
        let new: BTreeMap<TenantNo, TenantNo> =
            order.iter().enumerate().map(|(n, o)| (*o, n)).collect();
        self.control.targets = order
            .iter()
            .map(|o| self.control.targets[*o].clone())
            .collect();
        self.places = order.iter().map(|o| self.places[*o].clone()).collect();
        self.jobs.iter_mut().for_each(|j| j.tenant = new[&j.tenant]);
        self.messages
            .iter_mut()
            .for_each(|m| m.tenant = new[&m.tenant]);
        self.reports
            .iter_mut()
            .for_each(|r| r.tenant = new[&r.tenant]);
        let rollout = Arc::make_mut(&mut self.control.rollout.0);
        let held = std::mem::take(&mut rollout.in_flight);
        for (old, new) in new {
            if let Some(claim) = held.get(&tenant_id(old)) {
                rollout.in_flight.insert(tenant_id(new), claim.clone());
            }
        }
    }

    fn whole(&self, tenant: TenantNo) -> Whole<'_> {
        let mut jobs: Vec<_> = self
            .jobs
            .iter()
            .filter(|j| j.tenant == tenant)
            .cloned()
            .collect();
        let mut messages: Vec<_> = self
            .messages
            .iter()
            .filter(|m| m.tenant == tenant)
            .copied()
            .collect();
        let mut reports: Vec<_> = self
            .reports
            .iter()
            .filter(|r| r.tenant == tenant)
            .copied()
            .collect();
        jobs.iter_mut().for_each(|j| j.tenant = 0);
        messages.iter_mut().for_each(|m| m.tenant = 0);
        reports.iter_mut().for_each(|r| r.tenant = 0);
        jobs.sort_unstable();
        messages.sort_unstable();
        reports.sort_unstable();
        (
            &self.control.targets[tenant],
            &self.places[tenant],
            jobs,
            messages,
            reports,
        )
    }
}

/// Whether the job waits for the answer to this report.
pub(crate) fn waits_for(job: &Job, report: &Report) -> bool {
    (job.tenant, job.number, job.at) == (report.tenant, report.number, At::Reported)
}
