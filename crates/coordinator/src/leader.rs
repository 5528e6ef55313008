//! The leader's loop: what `decide` asks for is done, once, by whoever holds the lease.

use std::sync::Arc;
use std::time::Duration;

use sanderling_claims::Claims;
use sanderling_core::decide::{Outside, decide_seeing};
use sanderling_core::rollout::Action;
use sanderling_core::{RolloutId, WorkerId};
use sanderling_failpoints::failpoint;
use sanderling_store::{Leadership, RolloutRecord, Store, StoreError, WorkerRecord};
use sanderling_telemetry::Pulse;
use sanderling_telemetry::catalogue::GATE_EVALUATIONS;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::cut_off::cut_off;
use crate::figures::Figures;
use crate::gates::{Asked, Providers};
use crate::watch::Watch;

/// How many active rollouts a leader looks after. Far above what a fleet can have: their tenants are disjoint.
const MOST_ROLLOUTS: u32 = 1_000;
/// How often one rollout is decided again within a turn when somebody else changed it meanwhile.
const MOST_TRIES: u32 = 16;

/// How a coordinator coordinates.
#[derive(Clone, Debug)]
pub struct CoordinatorOptions {
    /// Its name in the store, unique per process.
    pub id: WorkerId,
    /// How long leadership holds without renewal.
    pub lease: Duration,
    /// Pause between two turns, when no wake-up arrives.
    pub poll: Duration,
}

/// A coordinator: any number of them run, one leads.
pub struct Coordinator {
    options: CoordinatorOptions,
    store: Arc<dyn Store>,
    claims: Arc<dyn Claims>,
    providers: Arc<Providers>,
    asked: Asked,
    figures: Figures,
    leads: watch::Sender<bool>,
    pulse: Arc<Pulse>,
}

impl Coordinator {
    /// A coordinator over a store and claims, with the providers that gates may ask.
    pub fn new(
        options: CoordinatorOptions,
        store: Arc<dyn Store>,
        claims: Arc<dyn Claims>,
        providers: Providers,
    ) -> Self {
        Self {
            options,
            store,
            claims,
            providers: Arc::new(providers),
            asked: Asked::default(),
            figures: Figures::new(),
            leads: watch::Sender::new(false),
            pulse: Arc::default(),
        }
    }

    /// What says whether it can work.
    pub fn pulse(&self) -> Arc<Pulse> {
        Arc::clone(&self.pulse)
    }

    /// What says whether it leads.
    pub fn leads(&self) -> watch::Receiver<bool> {
        self.leads.subscribe()
    }

    /// Leads whenever it can, until `drain` is cancelled; then gives leadership up. Errors are logged and waited out.
    pub async fn run(mut self, drain: CancellationToken) {
        let mut leading: Option<Leadership> = None;
        let mut watch = Watch::default();
        let answered = self.asked.answered();
        while !drain.is_cancelled() {
            let mut pause = self.options.poll.min(self.options.lease / 3);
            match self.store.lead(&self.options.id, self.options.lease).await {
                Ok(Some(leadership)) => {
                    self.pulse.beat();
                    self.leads.send_replace(true);
                    if leading.is_none() {
                        tracing::info!(epoch = leadership.epoch, "leading");
                    }
                    match self.turn(&leadership, &mut watch).await {
                        Ok(wake_in) => pause = pause.min(wake_in),
                        Err(StoreError::Stale(reason)) => {
                            tracing::info!(reason, "another coordinator leads now")
                        }
                        Err(error) => {
                            tracing::warn!(%error, "could not look after the rollouts; trying again")
                        }
                    }
                    leading = Some(leadership);
                }
                Ok(None) => {
                    self.pulse.beat();
                    self.follows();
                    watch = Watch::default();
                    self.asked.forget();
                    if leading.take().is_some() {
                        tracing::info!("another coordinator leads now");
                    }
                }
                Err(error) => {
                    self.pulse.missed(&error);
                    self.follows();
                    tracing::warn!(%error, "leadership not renewed; trying again");
                }
            }
            tokio::select! {
                () = self.claims.wait(pause) => {}
                () = answered.notified() => {}
                () = drain.cancelled() => {}
            }
        }
        self.pulse.stops();
        self.follows();
        if let Some(leadership) = leading
            && let Err(error) = self.store.resign(&leadership).await
        {
            tracing::debug!(%error, "leadership not given up; it ends with its lease");
        }
    }

    /// What only a leader knows is not shown by anybody else.
    fn follows(&mut self) {
        self.leads.send_replace(false);
        self.figures.clear();
    }

    /// Looks after every active rollout once. Returns how soon it wants to look again.
    async fn turn(
        &mut self,
        leadership: &Leadership,
        watch: &mut Watch,
    ) -> Result<Duration, StoreError> {
        let mut wake_in = Duration::MAX;
        let mut acted = false;
        let active = self.store.rollouts(true, MOST_ROLLOUTS).await?;
        self.asked
            .only(|id| active.iter().any(|record| record.rollout.id == *id));
        let workers = self.workers(&active).await;
        watch.look(&active, workers.as_deref());
        self.figures.show(&*self.store, &active).await;
        for record in active {
            let id = record.rollout.id.clone();
            let outside = Outside {
                watched: watch.since(&id),
                cut_off: cut_off(&id, workers.as_deref().unwrap_or_default()),
            };
            match self.look_after(leadership, record, &outside).await {
                Ok((did, soon)) => {
                    acted |= did;
                    wake_in = wake_in.min(soon);
                }
                Err(error @ StoreError::Stale(_)) => return Err(error),
                // One that errs must not keep the others from being looked after.
                Err(error) => {
                    tracing::warn!(rollout = %id, %error, "could not look after this rollout; trying again")
                }
            }
        }
        if acted && let Err(error) = self.claims.wake().await {
            tracing::debug!(%error, "wake-up not sent; workers poll");
        }
        Ok(wake_in)
    }

    /// The live workers, for what they say of hosts. Leading goes on without it.
    async fn workers(&self, active: &[RolloutRecord]) -> Option<Vec<WorkerRecord>> {
        if active.is_empty() {
            return None;
        }
        let seen = self.store.workers().await.inspect_err(
            |error| tracing::warn!(%error, "not seen which hosts are away; looking again"),
        );
        seen.ok()
    }

    async fn look_after(
        &mut self,
        leadership: &Leadership,
        record: RolloutRecord,
        outside: &Outside,
    ) -> Result<(bool, Duration), StoreError> {
        let id = record.rollout.id.clone();
        let (mut record, mut acted) = (record, false);
        for _ in 0..MOST_TRIES {
            let decision = decide_seeing(&record.rollout, record.now, outside);
            for reason in &decision.reasons {
                tracing::debug!(rollout = %id, reason, "decided");
            }
            let answer = match &decision.ask {
                Some(question) => {
                    let (rollout, providers) = (&record.rollout, &self.providers);
                    let answer = self.asked.answer(providers, rollout, question);
                    answer.map(|measurement| Action::MeasuredGate {
                        wave: question.wave,
                        gate: question.gate,
                        evaluation: question.evaluation,
                        measurement,
                    })
                }
                None => None,
            };
            let Some(action) = answer.as_ref().or(decision.actions.first()) else {
                let wake_in = decision.wake_at.map_or(Duration::MAX, |at| {
                    Duration::from_millis(at.millis_since(record.now))
                });
                return Ok((acted, wake_in));
            };
            failpoint!("coordinator.before_act");
            match self
                .store
                .act(leadership, &id, record.rollout.last_seq, action)
                .await
            {
                Ok(()) => {
                    failpoint!("coordinator.after_act");
                    log(&id, action);
                    count(&record, action);
                    acted = true;
                }
                Err(StoreError::Conflict(_)) => {}
                Err(error) => return Err(error),
            }
            record = match self.again(&id).await? {
                Some(record) => record,
                None => break,
            };
        }
        Ok((acted, Duration::ZERO))
    }

    async fn again(&self, id: &RolloutId) -> Result<Option<RolloutRecord>, StoreError> {
        Ok(self
            .store
            .rollout(id)
            .await?
            .filter(|record| record.rollout.state.is_active()))
    }
}

/// Says what was done. A measurement's query and answer are in the events; a log has no room for them.
fn log(id: &RolloutId, action: &Action) {
    match action {
        Action::MeasuredGate {
            wave,
            gate,
            evaluation,
            measurement,
        } => {
            let (number, result) = (measurement.number, measurement.result);
            tracing::info!(rollout = %id, wave, gate, evaluation, number, %result, "gate measured");
        }
        action => tracing::info!(rollout = %id, ?action, "done"),
    }
}

/// Counts what a gate measured.
fn count(record: &RolloutRecord, action: &Action) {
    let Action::MeasuredGate {
        wave,
        gate,
        measurement,
        ..
    } = action
    else {
        return;
    };
    let wave = record.rollout.waves.get(*wave);
    if let Some(gate) = wave.and_then(|wave| wave.gates.get(*gate)) {
        GATE_EVALUATIONS.one([gate.gate.kind.as_str(), measurement.result.as_str()]);
    }
}
