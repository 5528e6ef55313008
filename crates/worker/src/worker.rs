//! The worker's loop.

use std::collections::{BTreeMap, HashMap};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use sanderling_claims::Claims;
use sanderling_core::{Serves, WorkerId};
use sanderling_engine::Hosts;
use sanderling_failpoints::failpoint;
use sanderling_store::{Held, Receipt, Report, Store, TargetRef};
use sanderling_telemetry::Pulse;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::bundles::Bundles;
use crate::circuit::Circuits;
use crate::claim::{Claimed, Claimer};
use crate::held::HeldClaims;
use crate::meters::{self, JobMeter};
use crate::migrate::{self, Context};
use crate::release::Releaser;
use crate::renew::Renewal;
use crate::report::Reporter;
use crate::seats::Seats;
use crate::written::WrittenHosts;

/// How long slots that become free wait for others: claims are asked for together, because each question costs the
/// control store a transaction.
const COMPANY: Duration = Duration::from_millis(2);

/// How a worker works.
#[derive(Clone, Debug)]
pub struct WorkerOptions {
    /// Its name in the store, unique per process.
    pub id: WorkerId,
    /// The fleet's name: part of every lock's key.
    pub fleet: String,
    /// Which tenants it works on.
    pub serves: Serves,
    /// What relative paths of hosts are relative to that come from the control store.
    pub base_dir: PathBuf,
    /// Targets it works on at once.
    pub slots: usize,
    /// Pause between two looks for work, when no wake-up arrives; with jitter.
    pub poll: Duration,
    /// How long a claim holds without renewal.
    pub lease: Duration,
    /// How long a lock holds without renewal.
    pub ttl: Duration,
}

/// A worker: any number of them share a fleet.
pub struct Worker {
    options: WorkerOptions,
    store: Arc<dyn Store>,
    claims: Arc<dyn Claims>,
    hosts: Arc<Hosts>,
    pulse: Arc<Pulse>,
}

impl Worker {
    /// A worker over a store, claims and hosts.
    pub fn new(
        options: WorkerOptions,
        store: Arc<dyn Store>,
        claims: Arc<dyn Claims>,
        hosts: Arc<Hosts>,
    ) -> Self {
        Self {
            options,
            store,
            claims,
            hosts,
            pulse: Arc::default(),
        }
    }

    /// What says whether it can work.
    pub fn pulse(&self) -> Arc<Pulse> {
        Arc::clone(&self.pulse)
    }

    /// Works until `drain` is cancelled, then finishes what it holds (each tenant to the end of its current
    /// version) and returns. Errors are logged and waited out: a worker outlives its store's restart.
    pub async fn run(self, drain: CancellationToken) {
        let held = Arc::new(HeldClaims::default());
        let stop_renewal = CancellationToken::new();
        let circuits = Arc::new(Circuits::default());
        let seats = Arc::new(Seats::default());
        let shown = (&circuits, &seats);
        let _shown = meters::shown(self.options.slots, &held, shown, &self.hosts);
        let renewal = self.renewal(&held, &circuits);
        // Before the first claim: what a worker keeps idle counts only while it is known to live.
        renewal.beat().await;
        let renewal = tokio::spawn(renewal.run(stop_renewal.clone()));
        let (reporter, reporting) = Reporter::start(
            self.store.clone(),
            held.clone(),
            drain.clone(),
            self.options.lease,
        );
        let (releaser, releasing) = Releaser::start(self.claims.clone());
        let context = Arc::new(Context {
            store: self.store.clone(),
            hosts: self.hosts.clone(),
            bundles: Bundles::new(self.store.clone()),
            held,
            circuits,
            seats,
            worker: self.options.id.clone(),
            lease: self.options.lease,
            drain: drain.clone(),
        });
        let mut jobs = JoinSet::new();
        self.work(&context, (&reporter, &releaser), &mut jobs, &drain)
            .await;
        self.pulse.stops();
        if !jobs.is_empty() {
            tracing::info!(
                in_flight = jobs.len(),
                "draining: finishing the migrations at hand, beginning no other"
            );
        }
        while jobs.join_next().await.is_some() {}
        drop((reporter, releaser));
        stop_renewal.cancel();
        for task in [renewal, reporting, releasing] {
            if let Err(error) = task.await {
                tracing::error!(%error, "a background task of the worker failed");
            }
        }
        // A note that has run out at once: nobody should wait for a worker that is gone. What it kept is closed first.
        self.hosts.close().await;
        let nothing = BTreeMap::new();
        if let Err(error) = self
            .store
            .beat(
                &self.options.id,
                &nothing,
                &self.options.serves,
                Duration::ZERO,
            )
            .await
        {
            tracing::debug!(%error, "farewell not recorded; the heartbeat runs out by itself");
        }
    }

    async fn work(
        &self,
        context: &Arc<Context>,
        ends: (&Reporter, &Releaser),
        jobs: &mut JoinSet<()>,
        drain: &CancellationToken,
    ) {
        let mut claimer = self.claimer(context);
        while !drain.is_cancelled() {
            while jobs.try_join_next().is_some() {}
            let free = self.options.slots.saturating_sub(jobs.len());
            let claimed = if free == 0 {
                Ok(Vec::new())
            } else {
                claimer
                    .claim(free, |target| context.held.contains(target))
                    .await
            };
            let found = match claimed {
                Ok(claimed) => {
                    let found = !claimed.is_empty();
                    // All of them before the first is worked on.
                    claimed.iter().for_each(|claimed| note(context, claimed));
                    for claimed in claimed {
                        self.spawn(jobs, context, ends, claimed);
                    }
                    found
                }
                Err(error) => {
                    tracing::warn!(%error, "no claims from the control store; asking again");
                    false
                }
            };
            if !found {
                self.rest(jobs, drain).await;
            }
        }
    }

    /// Waits for a finished job, a wake-up, the poll interval or the drain. When the last job ends, the leader is
    /// woken: a wave may just have ended.
    async fn rest(&self, jobs: &mut JoinSet<()>, drain: &CancellationToken) {
        let pause = self.options.poll.mul_f64(rand::random_range(0.75..1.25));
        tokio::select! {
            Some(_) = jobs.join_next() => {
                gather(jobs).await;
                if jobs.is_empty() && let Err(error) = self.claims.wake().await {
                    tracing::debug!(%error, "wake-up not sent; the leader polls");
                }
            }
            () = self.claims.wait(pause) => {}
            () = drain.cancelled() => {}
        }
    }

    fn spawn(
        &self,
        jobs: &mut JoinSet<()>,
        context: &Arc<Context>,
        (reporter, releaser): (&Reporter, &Releaser),
        claimed: Claimed,
    ) {
        let host = claimed.grant.place.host.clone();
        let meter = JobMeter::started(&context.hosts, &host);
        let (context, reporter, releaser) = (context.clone(), reporter.clone(), releaser.clone());
        jobs.spawn(async move {
            let target = claimed.grant.target.clone();
            // A task of its own: a panic in it costs this claim its lease, not the worker its life.
            let job = tokio::spawn({
                let context = context.clone();
                async move { migrate::run(&context, claimed.grant, claimed.probe).await }
            });
            match job.await {
                Ok(Some(report)) => {
                    let kept = report.kept.is_some();
                    let meter = meter.reports(&report.result);
                    let receipt = hand_in(&target, &reporter, report).await;
                    meter.recorded(receipt);
                    if kept && receipt == Receipt::Stale {
                        // Its place went to whoever has the claim now.
                        context.hosts.close_idle(&host).await;
                    }
                }
                Ok(None) => {}
                Err(error) => tracing::error!(tenant = %target.tenant, %error, "migrating this tenant broke down; its claim ends with its lease"),
            }
            if let Some(lock) = context.held.remove(&target) {
                releaser.release(lock);
            }
        });
    }

    fn claimer(&self, context: &Context) -> Claimer {
        let circuits = context.circuits.clone();
        Claimer {
            store: self.store.clone(),
            claims: self.claims.clone(),
            worker: self.options.id.clone(),
            fleet: self.options.fleet.clone(),
            written: WrittenHosts::new(
                self.hosts.clone(),
                circuits.clone(),
                self.options.base_dir.clone(),
            ),
            hosts: self.hosts.clone(),
            serves: self.options.serves.clone(),
            circuits,
            seats: context.seats.clone(),
            lease: self.options.lease,
            ttl: self.options.ttl,
            refused: HashMap::new(),
            left: None,
        }
    }

    fn renewal(&self, held: &Arc<HeldClaims>, circuits: &Arc<Circuits>) -> Renewal {
        Renewal {
            store: self.store.clone(),
            claims: self.claims.clone(),
            held: held.clone(),
            circuits: circuits.clone(),
            worker: self.options.id.clone(),
            hosts: self.hosts.clone(),
            serves: self.options.serves.clone(),
            lease: self.options.lease,
            ttl: self.options.ttl,
            pulse: self.pulse.clone(),
        }
    }
}

/// Notes a claim among those that this process holds.
fn note(context: &Context, claimed: &Claimed) {
    let grant = &claimed.grant;
    let held = Held {
        target: grant.target.clone(),
        epoch: grant.epoch,
    };
    let host = grant.place.host.clone();
    context.held.insert(held, host, claimed.lock.clone());
}

/// Waits a moment for other jobs to end, until half of them have: what was reported together ends together.
async fn gather(jobs: &mut JoinSet<()>) {
    let (until, half) = (tokio::time::Instant::now() + COMPANY, jobs.len() / 2);
    while jobs.len() > half {
        let Ok(Some(_)) = tokio::time::timeout_at(until, jobs.join_next()).await else {
            return;
        };
    }
}

/// Reports, and waits until the store has taken it: the claim ends there, its lock after this.
async fn hand_in(target: &TargetRef, reporter: &Reporter, report: Report) -> Receipt {
    failpoint!("worker.before_report");
    let receipt = reporter.report(report).await;
    log_receipt(target, receipt);
    failpoint!("worker.after_report");
    if receipt == Receipt::Halted {
        failpoint!("worker.after_halt");
    }
    receipt
}

fn log_receipt(target: &TargetRef, receipt: Receipt) {
    match receipt {
        Receipt::Recorded => {}
        Receipt::Halted => {
            tracing::warn!(tenant = %target.tenant, rollout = %target.rollout, "this failure crossed a limit: the rollout is halted")
        }
        Receipt::Stale => {
            tracing::info!(tenant = %target.tenant, "report came too late: the claim had been taken over")
        }
    }
}
