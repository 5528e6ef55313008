//! Extends the leases and locks of everything held, three times within a lease.

use std::sync::Arc;
use std::time::Duration;

use sanderling_claims::Claims;
use sanderling_core::{Serves, WorkerId};
use sanderling_engine::Hosts;
use sanderling_failpoints::failpoint;
use sanderling_store::{RenewedClaim, Store};
use sanderling_telemetry::Pulse;
use sanderling_telemetry::catalogue::RENEW_FAILURES;
use tokio_util::sync::CancellationToken;

use crate::circuit::Circuits;
use crate::claim::idle;
use crate::held::HeldClaims;
use crate::meters;

/// How long a change waits for others to be noted with it.
const TOGETHER: Duration = Duration::from_millis(100);

/// Renews until it is told to stop. Runs as a task of its own, so that a long migration cannot hold it up.
pub(crate) struct Renewal {
    pub(crate) store: Arc<dyn Store>,
    pub(crate) claims: Arc<dyn Claims>,
    pub(crate) held: Arc<HeldClaims>,
    pub(crate) circuits: Arc<Circuits>,
    pub(crate) worker: WorkerId,
    pub(crate) hosts: Arc<Hosts>,
    pub(crate) serves: Serves,
    pub(crate) lease: Duration,
    pub(crate) ttl: Duration,
    pub(crate) pulse: Arc<Pulse>,
}

impl Renewal {
    /// Beats and renews at a third of the shorter of lease and lock lifetime.
    pub(crate) async fn run(self, stop: CancellationToken) {
        let mut ticks = tokio::time::interval(self.lease.min(self.ttl) / 3);
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                _ = ticks.tick() => {
                    self.once().await;
                    self.say_away().await;
                }
                () = self.circuits.changed() => {
                    // What an outage changes, it changes many times within a moment.
                    tokio::time::sleep(TOGETHER).await;
                    self.say_away().await;
                }
                () = stop.cancelled() => return,
            }
        }
    }

    /// Says that this worker lives, and what it keeps idle.
    pub(crate) async fn beat(&self) {
        let idle = idle(&self.hosts);
        let beat = self
            .store
            .beat(&self.worker, &idle, &self.serves, self.lease);
        match beat.await {
            Ok(()) => {
                self.pulse.beat();
                meters::heartbeat();
            }
            Err(error) => {
                self.pulse.missed(&error);
                tracing::warn!(%error, "heartbeat not recorded; claims end with their leases unless the store answers");
            }
        }
    }

    /// Says which hosts this worker cannot work on, for `status` and everybody who waits.
    async fn say_away(&self) {
        let away = self.circuits.away();
        if let Err(error) = self.store.away(&self.worker, &away).await {
            tracing::debug!(%error, "hosts that are away not noted; noted again with the next heartbeat");
        }
    }

    async fn once(&self) {
        failpoint!("worker.renew");
        self.beat().await;
        let (held, locks) = self.held.all();
        if held.is_empty() {
            return;
        }
        match self.store.renew(&self.worker, &held, self.lease).await {
            Ok(answers) => {
                for (claim, said) in held.iter().zip(answers) {
                    if said == RenewedClaim::Stale && self.held.contains(&claim.target) {
                        tracing::warn!(tenant = %claim.target.tenant, epoch = %claim.epoch, "claim is no longer ours; beginning nothing more on it");
                    }
                    self.held.heard(claim, said);
                }
            }
            Err(error) => {
                RENEW_FAILURES.one([]);
                tracing::warn!(%error, claims = held.len(), "leases not renewed; trying again")
            }
        }
        // A lost lock costs another worker one refused start; the lease above is what counts.
        if let Err(error) = self.claims.renew(&locks, self.ttl).await {
            tracing::debug!(%error, "locks not renewed");
        }
    }
}
