//! What must be certain before a claim may end: sessions, new numbers, the fence.

use std::time::{Duration, Instant};

use sanderling_core::{Cause, Epoch, ErrorClass, Failure, LedgerRow, Nonce, Outcome, StoreId};
use sanderling_engine::{Claim, FenceRefusal, Limits, Session};
use sanderling_failpoints::failpoint;
use sanderling_store::{RenewedClaim, StoreError};

use crate::away::When;
use crate::migrate::{Job, Stop};

/// An opening that took longer is a wait: the rollout may have been halted meanwhile.
const SLOW_OPEN: Duration = Duration::from_millis(500);
/// A wait that lasts this long is said, once.
const LONG_WAIT: Duration = Duration::from_secs(5);
/// The longest pause between two tries at a tenant that is busy or away.
const LONGEST_PAUSE: Duration = Duration::from_secs(1);

impl Job<'_> {
    /// The session, opened if there is none. A connection gets a number of its own: one that was used on an
    /// earlier connection is replaced first, so that what the earlier one still sends is refused by the fence.
    pub(crate) async fn session(&mut self) -> Result<&mut dyn Session, Stop> {
        if self.session.is_none() {
            if self.spent {
                self.reissue(Epoch(self.held.epoch.0 + 1)).await?;
            }
            let opened = self.open().await?;
            self.spent = true;
            self.session = Some(opened);
        }
        match self.session.as_mut() {
            Some(session) => Ok(&mut **session),
            None => Err(Stop::Gone),
        }
    }

    /// Closes the session. Where its connection is kept, how many this process has kept on the host by then.
    pub(crate) async fn close(&mut self) -> Option<u64> {
        let kept = self.session.take()?.close().await;
        self.seat = None;
        if !kept {
            return None;
        }
        let counts = self.context.hosts.idle();
        counts.get(&self.grant.place.host).map(|(kept, _)| *kept)
    }

    async fn open(&mut self) -> Result<Box<dyn Session>, Stop> {
        let begun = Instant::now();
        self.sit().await?;
        loop {
            self.turn().await?;
            let opened = match self.context.hosts.driver(&self.grant.place.host) {
                Ok(driver) => {
                    driver
                        .open(&self.grant.place, &self.claim(), &self.limits())
                        .await
                }
                Err(error) => Err(error),
            };
            match opened {
                Ok(mut session) => {
                    if let Some(cancelled) = self.context.held.cancelled(&self.held.target) {
                        session.end_when(cancelled);
                    }
                    self.context.circuits.reached(&self.grant.place.host);
                    self.waited |= begun.elapsed() > SLOW_OPEN;
                    return Ok(session);
                }
                // Where there is no place, no message can arrive.
                Err(error) if self.settled || error.0.cause.code == "missing" => {
                    self.note_settled();
                    // Nothing was sent and nothing older is on its way: this may be said without the fence.
                    let fault = self.fault_of(&error.0);
                    let verdict = fault.map(|fault| self.blame(fault, &error.0, When::AtTheDoor));
                    return Err(Stop::end(self.end_as(error.0, verdict)));
                }
                Err(error) => {
                    self.host_missed(&error.0, When::AtTheDoor);
                    tracing::warn!(tenant = %self.held.target.tenant, %error, "cannot reach the tenant to settle its claim; it stays in flight");
                    self.pause("the tenant cannot be reached").await?;
                }
            }
        }
    }

    /// Waits for one of the worker's connections to the host, where claims do. What is not begun yet is given back in a drain,
    /// and where its rollout was stopped.
    async fn sit(&mut self) -> Result<(), Stop> {
        if self.grant.seats.is_none() || self.seat.is_some() {
            return Ok(());
        }
        let (context, host) = (self.context, self.grant.place.host.clone());
        let mut coming = std::pin::pin!(context.seats.take(&host));
        loop {
            match context.held.said(&self.held) {
                RenewedClaim::Stale => return Err(self.gone()),
                RenewedClaim::Stop | RenewedClaim::Cancel if self.settled => {
                    return Err(Stop::end(self.stopped()));
                }
                RenewedClaim::Stop | RenewedClaim::Cancel | RenewedClaim::Live => {}
            }
            if self.settled && context.drain.is_cancelled() {
                return Err(Stop::end(self.released()));
            }
            if context.circuits.why(&host).is_some() {
                self.note_cut_off();
            }
            tokio::select! {
                seat = &mut coming => {
                    self.seat = Some(seat);
                    return Ok(());
                }
                () = context.drain.cancelled(), if self.settled => {}
                () = tokio::time::sleep(LONGEST_PAUSE) => {}
            }
        }
    }

    /// The claim as the tenant's guard sees it.
    fn claim(&self) -> Claim {
        Claim {
            store: StoreId::clone(self.context.store.id()),
            rollout: self.held.target.rollout.clone(),
            tenant: self.held.target.tenant.clone(),
            epoch: Epoch(self.held.epoch.0),
            nonce: self.nonce.clone(),
            worker: self.context.worker.clone(),
        }
    }

    fn limits(&self) -> Limits {
        // What was granted together opens together: none closes what another is about to use.
        let claims = self.context.held.by_host();
        let claims = claims.get(&self.grant.place.host).copied().unwrap_or(1);
        let claims = u32::try_from(claims).unwrap_or(u32::MAX);
        Limits {
            lock_timeout_ms: self.grant.policy.lock_timeout_ms,
            statement_timeout_ms: self.grant.policy.statement_timeout_ms,
            create_missing: self.grant.policy.create_missing && self.grant.direction.is_up(),
            room: self.grant.spare.saturating_add(claims),
        }
    }

    /// Commits the claim's number to the fence, then reads the ledger: from here on nothing older can take effect.
    pub(crate) async fn settle(&mut self) -> Result<Vec<LedgerRow>, Stop> {
        loop {
            failpoint!("worker.before_fence");
            match self.session().await?.fence().await {
                Ok(rows) => {
                    failpoint!("worker.after_fence");
                    self.note_settled();
                    self.context.circuits.wrote_fence(&self.grant.place.host);
                    return Ok(rows);
                }
                Err(refusal) => self.refused(refusal).await?,
            }
        }
    }

    /// Nothing older can take effect any more.
    pub(crate) fn note_settled(&mut self) {
        self.settled = true;
        self.cut_off = None;
    }

    /// Acts on a fence that did not let the claim pass.
    pub(crate) async fn refused(&mut self, refusal: FenceRefusal) -> Result<(), Stop> {
        if !matches!(refusal, FenceRefusal::Unavailable(_)) {
            // The host has answered.
            self.cut_off = None;
        }
        let tenant = &self.held.target.tenant;
        match refusal {
            // Either a newer claim of ours exists, and the store says so, or the store was restored from a backup.
            FenceRefusal::Ahead { epoch } => {
                tracing::warn!(%tenant, fence = %epoch, claim = %self.held.epoch, "the tenant's fence is ahead of this claim");
                // Whoever raised it may have a message on its way, and the store knows nothing of it.
                self.settled = false;
                self.reissue(Epoch(epoch.0 + 1)).await
            }
            FenceRefusal::OtherStore { store } => {
                let message = format!(
                    "the fence of tenant {tenant} belongs to control store {store}; if that store is gone, run \
                     `sanderling doctor --take-fence --tenant {tenant} --reason \"…\"`"
                );
                let cause = Cause {
                    class: ErrorClass::Precondition,
                    code: "fence".into(),
                    version: None,
                    statement: None,
                };
                let failure = Failure {
                    cause,
                    message,
                    file: None,
                    line: None,
                    column: None,
                };
                Err(Stop::end(self.ended(Outcome::Failed, Some(failure))))
            }
            // Its session ends with its statement, or with the server's look at its client.
            FenceRefusal::Busy => {
                self.pause("a statement of an earlier claim may still be running there")
                    .await
            }
            FenceRefusal::Unavailable(failure) => {
                tracing::warn!(%tenant, error = %failure.message, "the tenant's fence cannot be written; it stays in flight");
                self.session = None;
                self.host_missed(&failure, When::InAStep);
                self.pause("the fence cannot be written").await
            }
        }
    }

    /// Takes a new number for the claim; the session that used the old one is closed.
    async fn reissue(&mut self, at_least: Epoch) -> Result<(), Stop> {
        self.session = None;
        let nonce = Nonce::new(format!("{:032x}", rand::random::<u128>()));
        loop {
            match self
                .context
                .store
                .reissue(&self.held, at_least, &nonce, self.context.lease)
                .await
            {
                Ok(epoch) => {
                    self.context.held.reissued(&self.held.target, epoch);
                    self.held.epoch = epoch;
                    self.nonce = nonce;
                    self.spent = false;
                    return Ok(());
                }
                Err(StoreError::Stale(reason)) => {
                    tracing::debug!(tenant = %self.held.target.tenant, reason, "no new epoch");
                    return Err(self.gone());
                }
                Err(error) => {
                    tracing::warn!(tenant = %self.held.target.tenant, %error, "no new epoch from the control store yet");
                    self.pause("the control store does not answer").await?;
                }
            }
        }
    }

    /// Waits a moment with jitter before the next try. Ends the job when the claim is gone, when this process
    /// drains, or when the rollout stopped and nothing can be on its way.
    pub(crate) async fn pause(&mut self, why: &str) -> Result<(), Stop> {
        match self.context.held.said(&self.held) {
            RenewedClaim::Stale => return Err(self.gone()),
            RenewedClaim::Stop | RenewedClaim::Cancel if self.settled => {
                return Err(Stop::end(self.stopped()));
            }
            RenewedClaim::Stop | RenewedClaim::Cancel | RenewedClaim::Live => {}
        }
        if self.context.drain.is_cancelled() {
            return Err(if self.settled {
                Stop::end(self.released())
            } else {
                self.abandoned().await
            });
        }
        self.say_if_long(why);
        self.waited = true;
        let pause = LONGEST_PAUSE.mul_f64(rand::random_range(0.1..1.0));
        tokio::select! {
            () = tokio::time::sleep(pause) => {}
            () = self.context.drain.cancelled() => {}
        }
        Ok(())
    }

    /// Somebody else has the claim now: nothing more is begun on it, and nothing is reported.
    pub(crate) fn gone(&self) -> Stop {
        let (tenant, epoch) = (&self.held.target.tenant, &self.held.epoch);
        tracing::info!(%tenant, %epoch, "claim is no longer ours: it was taken over, or ended without us");
        Stop::Gone
    }

    /// This process ends before anything certain can be said: whoever takes over need not wait for the lease.
    async fn abandoned(&mut self) -> Stop {
        let tenant = &self.held.target.tenant;
        match self.context.store.abandon(&self.held).await {
            Ok(()) => {
                tracing::info!(%tenant, "let go of a claim that could not be settled; the next worker takes it over")
            }
            Err(error) => {
                tracing::warn!(%tenant, %error, "a claim that could not be settled ends with its lease")
            }
        }
        Stop::Gone
    }

    fn say_if_long(&mut self, why: &str) {
        let waited = self
            .waiting_since
            .get_or_insert_with(Instant::now)
            .elapsed();
        if waited < LONG_WAIT {
            tracing::debug!(tenant = %self.held.target.tenant, why, "waiting");
            return;
        }
        tracing::warn!(tenant = %self.held.target.tenant, why, seconds = waited.as_secs(), "still waiting; the target stays in flight and keeps its permits");
        self.waiting_since = Some(Instant::now());
    }
}
