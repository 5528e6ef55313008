//! One claimed tenant: open, apply its versions in order, say what became of it.

use std::sync::Arc;
use std::time::{Duration, Instant};

use sanderling_core::amend::Accepted;
use sanderling_core::policy::Atomic;
use sanderling_core::{ErrorClass, Failure, LedgerRow, Nonce, Outcome, Version, WorkerId};
use sanderling_engine::{Evidence, HostFault, Hosts, Session, Step, StepOutcome};
use sanderling_failpoints::failpoint;
use sanderling_store::{
    ClaimMode, Grant, Held, RenewedClaim, Report, Store, StoreError, TargetResult,
};
use tokio_util::sync::CancellationToken;

use crate::away::When;
use crate::bundles::{Bundles, PreparedBundle};
use crate::circuit::{Circuits, CutOff, Probe};
use crate::found::{busy, edited, half_way, is_done, left_half_way, lost_too_many_workers};
use crate::held::HeldClaims;
use crate::meters::{LockMeter, StepMeter};
use crate::seats::{Seat, Seats};

/// What every job of a worker shares.
pub(crate) struct Context {
    pub(crate) store: Arc<dyn Store>,
    pub(crate) hosts: Arc<Hosts>,
    pub(crate) bundles: Bundles,
    pub(crate) held: Arc<HeldClaims>,
    pub(crate) circuits: Arc<Circuits>,
    pub(crate) seats: Arc<Seats>,
    pub(crate) worker: WorkerId,
    pub(crate) lease: Duration,
    pub(crate) drain: CancellationToken,
}

/// Why a job ends before its last version.
pub(crate) enum Stop {
    /// With this report.
    End(Box<TargetResult>),
    /// Without one: the claim is not ours any more, or nothing certain can be said before this process ends.
    /// The lease runs out and another worker takes the target over.
    Gone,
}

impl Stop {
    /// Ends with this report.
    pub(crate) fn end(result: TargetResult) -> Self {
        Self::End(Box::new(result))
    }
}

/// One claimed tenant at work.
pub(crate) struct Job<'a> {
    pub(crate) context: &'a Context,
    pub(crate) grant: Grant,
    pub(crate) held: Held,
    pub(crate) nonce: Nonce,
    pub(crate) session: Option<Box<dyn Session>>,
    /// The right to have one, where claims wait for connections.
    pub(crate) seat: Option<Seat>,
    /// Whether the claim's number has been used on a connection: the next connection needs a new one.
    pub(crate) spent: bool,
    /// Whether nothing of this claim, or of an older one, can still be on its way to the tenant.
    pub(crate) settled: bool,
    /// Versions that this rollout applied, or took back, by evidence.
    pub(crate) applied: Vec<Version>,
    /// Whether time has passed since the store last said that the rollout runs: it is asked before the next step.
    pub(crate) waited: bool,
    /// Since when the job has been waiting for something, for the log.
    pub(crate) waiting_since: Option<Instant>,
    /// The right to try a host whose circuit is open.
    pub(crate) probe: Option<Probe>,
    /// What the host lacked when a lost connection was to be replaced.
    pub(crate) missed: Option<HostFault>,
    /// Says that the claim cannot be settled while its host is away.
    pub(crate) cut_off: Option<CutOff>,
}

/// Works off a granted claim. `None` where no report may be made.
pub(crate) async fn run(context: &Context, grant: Grant, probe: Option<Probe>) -> Option<Report> {
    let mut job = Job::new(context, grant, probe);
    let result = match job.migrate().await {
        Ok(result) => Some(result),
        Err(Stop::End(result)) => Some(*result),
        Err(Stop::Gone) => None,
    };
    // Without a report nobody would count the connection: it goes with the session.
    let result = result?;
    if matches!(result, TargetResult::Ended { .. }) {
        context.circuits.forget(&job.held.target);
    }
    let kept = job.close().await;
    Some(Report {
        held: job.held,
        result,
        kept,
    })
}

impl<'a> Job<'a> {
    fn new(context: &'a Context, grant: Grant, probe: Option<Probe>) -> Self {
        Self {
            context,
            held: Held {
                target: grant.target.clone(),
                epoch: grant.epoch,
            },
            nonce: grant.nonce.clone(),
            session: None,
            seat: None,
            spent: false,
            settled: !grant.takeover,
            applied: grant.applied.clone(),
            waited: false,
            waiting_since: None,
            probe,
            missed: None,
            cut_off: None,
            grant,
        }
    }

    async fn migrate(&mut self) -> Result<TargetResult, Stop> {
        if self.grant.mode == ClaimMode::Resolve {
            let rows = self.settle().await?;
            return Ok(self.resolved(&rows));
        }
        if let Some(failure) = lost_too_many_workers(&self.grant) {
            return Err(self.failed_or_retry(failure).await);
        }
        let bundle = self.bundle().await?;
        loop {
            let todo: Vec<_> = self
                .grant
                .versions
                .iter()
                .filter(|v| !self.applied.contains(v))
                .cloned()
                .collect();
            let batch = match self.grant.policy.atomic {
                Atomic::Version => todo.get(..1),
                Atomic::Tenant => todo.get(..bundle.sharing(&todo)),
            };
            let Some(batch) = batch.filter(|batch| !batch.is_empty()) else {
                break;
            };
            self.apply(&bundle, batch).await?;
            self.waited = true;
        }
        Ok(self.ended(self.outcome_when_done(), None))
    }

    async fn bundle(&mut self) -> Result<Arc<PreparedBundle>, Stop> {
        let dialect = match self.context.hosts.dialect(&self.grant.place.host) {
            Ok(dialect) => dialect,
            Err(error) => return Err(self.failed_or_retry(error.0).await),
        };
        match self.context.bundles.get(&self.grant.bundle, dialect).await {
            Ok(bundle) => Ok(bundle),
            Err(failure) => Err(self.failed_or_retry(failure).await),
        }
    }

    /// The versions as the engine takes them.
    async fn steps<'b>(
        &mut self,
        bundle: &'b PreparedBundle,
        accepted: &'b Accepted,
        versions: &[Version],
    ) -> Result<Vec<Step<'b>>, Stop> {
        let has_ledger = self.grant.has_ledger || !self.applied.is_empty();
        let mut steps = Vec::with_capacity(versions.len());
        for version in versions {
            let Some(prepared) = bundle.get(version) else {
                let message = format!(
                    "version {version} of the plan is not in bundle {}",
                    self.grant.bundle
                );
                return Err(self
                    .failed_or_retry(Failure::new(ErrorClass::Internal, "plan", message))
                    .await);
            };
            match prepared.step(self.grant.direction, has_ledger, accepted) {
                Ok(step) => steps.push(step),
                Err(failure) => return Err(self.failed_or_retry(failure).await),
            }
        }
        Ok(steps)
    }

    /// Takes one version its way, or all that are left in one transaction, and returns when the ledger says so.
    async fn apply(&mut self, bundle: &PreparedBundle, versions: &[Version]) -> Result<(), Stop> {
        let accepted = self.grant.accepted.clone();
        let steps = self.steps(bundle, &accepted, versions).await?;
        let mut busy_since = None;
        let mut lock = LockMeter::new(&self.context.hosts, &self.grant.place.host);
        let meter = StepMeter::of(&self.context.hosts, &self.grant.place.host, &steps);
        loop {
            self.session().await?;
            if self.waited {
                self.may_begin().await?;
            }
            let session = self.session().await?;
            failpoint!("worker.before_message");
            let sent = Instant::now();
            let outcome = match steps.as_slice() {
                [step] => session.step(step).await,
                all => session.steps(all).await,
            };
            failpoint!("worker.after_answer");
            meter.answered(&outcome, sent);
            lock.answered(&outcome);
            let (failure, fault) = match outcome {
                StepOutcome::Applied(evidence) => {
                    self.note_settled();
                    let host = &self.grant.place.host;
                    self.context.circuits.applied(host, &self.held.target);
                    self.note_applied(&evidence, versions);
                    return Ok(());
                }
                StepOutcome::AlreadyApplied(evidence) if versions.len() == 1 => {
                    self.note_found(evidence.row());
                    return Ok(());
                }
                StepOutcome::AlreadyApplied(_) => {
                    let rows = self.settle().await?;
                    return self.note_rows(&rows, &steps);
                }
                StepOutcome::Busy => {
                    let since = *busy_since.get_or_insert_with(Instant::now);
                    if since.elapsed() < Duration::from_millis(self.grant.policy.lock_timeout_ms) {
                        self.pause("another session holds the tenant's lock")
                            .await?;
                        continue;
                    }
                    (busy(), None)
                }
                // Not a failure, however long it lasts: others of the database do what this one is about to.
                StepOutcome::Queued => {
                    self.pause("another tenant of the database builds an index CONCURRENTLY, one at a time")
                        .await?;
                    continue;
                }
                StepOutcome::Fenced(refusal) => {
                    self.refused(refusal).await?;
                    continue;
                }
                StepOutcome::Failed(failure) => {
                    let fault = self.fault_of(&failure).map(|f| (f, When::InAStep));
                    (failure, fault)
                }
                StepOutcome::Lost(failure) => {
                    self.session = None;
                    self.settled = false;
                    self.missed = None;
                    let rows = self.settle().await?;
                    if steps.iter().all(|step| is_done(&rows, step)) {
                        return self.note_rows(&rows, &steps);
                    }
                    // One connection that broke is not the host; one that could not be opened again is.
                    (failure, self.missed.take().map(|f| (f, When::Lost)))
                }
            };
            return self.after_failure(failure, fault, &steps).await;
        }
    }

    /// A transient failure goes back to the store for a later attempt, any other is reported. Before a failure, and
    /// before anything at all while an older claim's message may still be on its way, the fence is committed and the
    /// ledger read again: that message may have applied it meanwhile, or would when nobody looks any more. What is
    /// deferred is another attempt: who holds a SQLite file holds its fence too, and must not hold the rollout.
    async fn after_failure(
        &mut self,
        failure: Failure,
        fault: Option<(HostFault, When)>,
        steps: &[Step<'_>],
    ) -> Result<(), Stop> {
        if self.is_cancelled() {
            return self.after_cancel(steps).await;
        }
        let verdict = fault.map(|(fault, when)| self.blame(fault, &failure, when));
        let fails = matches!(
            self.end_as(failure.clone(), verdict),
            TargetResult::Ended {
                outcome: Outcome::Failed,
                ..
            }
        );
        let mut half = false;
        if fails || !self.settled {
            let rows = self.settle().await?;
            if steps.iter().all(|step| is_done(&rows, step)) {
                return self.note_rows(&rows, steps);
            }
            half = steps.iter().any(|step| half_way(&rows, step.version));
        }
        let mut end = self.end_as(failure, self.still(verdict));
        if let TargetResult::Ended { outcome, .. } = &mut end
            && *outcome == Outcome::Failed
            && half
        {
            *outcome = Outcome::Dirty;
        }
        Err(Stop::end(end))
    }

    /// What a failure is for the target: another attempt while its class's budget lasts; a wait for the wave's sweep
    /// where only a lock stood in the way; else the end.
    pub(crate) fn end_of(&self, failure: Failure) -> TargetResult {
        if let Some(retry) = self.retry(&failure) {
            return retry;
        }
        let outcome = match failure.cause.class {
            ErrorClass::LockTimeout if !self.grant.sweep => Outcome::Deferred,
            _ => Outcome::Failed,
        };
        self.ended(outcome, Some(failure))
    }

    /// For failures before any session: said as they are where nothing can be on its way, else after the fence, and
    /// then only of a tenant that the claims before this one have not finished.
    async fn failed_or_retry(&mut self, failure: Failure) -> Stop {
        if !self.settled {
            match self.settle().await {
                Ok(rows) => self.note_ledger(&rows),
                Err(stop) => return stop,
            }
            if self.is_done() {
                return Stop::end(self.ended(self.outcome_when_done(), None));
            }
        }
        Stop::end(self.end_of(failure))
    }

    /// A report that asks for another attempt, while the class's budget lasts.
    fn retry(&self, failure: &Failure) -> Option<TargetResult> {
        let class = failure.cause.class;
        let attempts = self.grant.attempts.get(&class).copied().unwrap_or(0);
        let millis = sanderling_core::retry::delay(
            &self.grant.policy.retry,
            class,
            attempts,
            rand::random(),
        )?;
        Some(TargetResult::Retry {
            failure: failure.clone(),
            after: Duration::from_millis(millis),
            applied: self.applied.clone(),
            fenced: self.settled,
        })
    }

    /// Asks the store before every version after the first, and after every wait: no body begins in a rollout that
    /// does not run any more.
    async fn may_begin(&mut self) -> Result<(), Stop> {
        loop {
            if self.context.drain.is_cancelled() {
                if self.settled {
                    return Err(Stop::end(self.released()));
                }
                // What a dead worker has done meanwhile is ours to say: nobody may read this ledger again.
                let rows = self.settle().await?;
                return Err(Stop::end(self.resolved(&rows)));
            }
            match self.context.store.may_continue(&self.held).await {
                Ok(RenewedClaim::Live) => {
                    self.waited = false;
                    self.waiting_since = None;
                    return Ok(());
                }
                Ok(RenewedClaim::Stop | RenewedClaim::Cancel) => {
                    let rows = self.settle().await?;
                    return Err(Stop::end(self.resolved(&rows)));
                }
                Ok(RenewedClaim::Stale) | Err(StoreError::Stale(_)) => return Err(self.gone()),
                Err(error) => {
                    tracing::warn!(tenant = %self.held.target.tenant, %error, "waiting for the control store before the next version");
                    self.pause("the control store does not answer").await?;
                }
            }
        }
    }

    fn note_applied(&mut self, evidence: &Evidence, versions: &[Version]) {
        tracing::debug!(tenant = %self.held.target.tenant, version = %evidence.row().version, epoch = %evidence.row().epoch, "{}", evidence.row().state);
        self.applied.extend(versions.iter().cloned());
    }

    /// A row that was there already: ours if this rollout wrote it (in a claim whose worker died), else only found.
    fn note_found(&mut self, row: &LedgerRow) {
        if row.rollout.as_ref() == Some(&self.held.target.rollout) {
            self.applied.push(row.version.clone());
        } else {
            self.grant.versions.retain(|v| *v != row.version);
        }
    }

    /// Takes over what a fresh read of the ledger shows, and goes on with the rest.
    pub(crate) fn note_rows(&mut self, rows: &[LedgerRow], steps: &[Step<'_>]) -> Result<(), Stop> {
        for step in steps {
            match rows
                .iter()
                .find(|row| row.version == *step.version && row.state == step.direction.done())
            {
                // The text of what is not in effect any more is nobody's business.
                Some(_) if !step.direction.is_up() => {}
                Some(row) if step.accepts(&row.checksum) => {}
                Some(row) => {
                    return Err(Stop::end(
                        self.ended(Outcome::Failed, Some(edited(step, row))),
                    ));
                }
                None => {}
            }
        }
        self.note_ledger(rows);
        Ok(())
    }

    /// Takes over every version of the plan that has gone its way: an older claim may have come further than this one.
    fn note_ledger(&mut self, rows: &[LedgerRow]) {
        let done = self.grant.direction.done();
        for row in rows.iter().filter(|row| row.state == done) {
            if self.grant.versions.contains(&row.version) && !self.applied.contains(&row.version) {
                self.note_found(row);
            }
        }
    }

    /// Whether nothing is left to do.
    fn is_done(&self) -> bool {
        self.grant.versions.iter().all(|v| self.applied.contains(v))
    }

    fn outcome_when_done(&self) -> Outcome {
        if self.applied.is_empty() {
            Outcome::UpToDate
        } else {
            Outcome::Succeeded
        }
    }

    /// What a resolving claim reports: it never applies, it only says what is in the ledger.
    pub(crate) fn resolved(&mut self, rows: &[LedgerRow]) -> TargetResult {
        self.note_ledger(rows);
        if self.is_done() {
            return self.ended(self.outcome_when_done(), None);
        }
        let mut versions = self.grant.versions.iter();
        match versions.find(|version| half_way(rows, version)) {
            Some(version) => self.ended(Outcome::Dirty, Some(left_half_way(version))),
            None => self.stopped(),
        }
    }

    /// The rollout was halted, paused or cancelled: a tenant that moved is partial, another is as it was.
    pub(crate) fn stopped(&self) -> TargetResult {
        if self.applied.is_empty() {
            self.released()
        } else {
            self.ended(Outcome::Partial, None)
        }
    }

    pub(crate) fn released(&self) -> TargetResult {
        TargetResult::Released {
            applied: self.applied.clone(),
            fenced: self.settled,
        }
    }

    pub(crate) fn ended(&self, outcome: Outcome, failure: Option<Failure>) -> TargetResult {
        TargetResult::Ended {
            outcome,
            applied: self.applied.clone(),
            failure,
        }
    }
}
