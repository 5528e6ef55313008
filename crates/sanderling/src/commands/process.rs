//! `sanderling coordinator`, `sanderling worker`: the processes of a cluster, and the same two inside `up --embedded`.

use std::sync::Arc;

use sanderling_api::{Listening, Server};
use sanderling_claims::Claims;
use sanderling_coordinator::{Coordinator, CoordinatorOptions, FleetWatch, Providers};
use sanderling_core::Serves;
use sanderling_store::Store;
use sanderling_telemetry::Metrics;
use sanderling_worker::{Worker, WorkerOptions};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;

use crate::cli;
use crate::exit::{Exit, UsageError};
use crate::signals::Signals;
use crate::wiring::{Wiring, process_name};

/// Runs a coordinator until a signal.
pub(crate) async fn coordinator(wiring: &Arc<Wiring>, args: &cli::Process) -> anyhow::Result<Exit> {
    refuse_memory(wiring, "coordinator")?;
    let asked = Asked::begin(wiring, args, "coordinator").await?;
    let signals = Signals::listen(wiring.printer, "stopping: giving leadership up")?;
    let (store, claims) = (wiring.store().await?, wiring.claims()?);
    let coordinator = new_coordinator(wiring, store.clone(), claims);
    let lease = wiring.settings.control.lease;
    let pulse = coordinator.pulse();
    let answering = asked.map(|asked| asked.answer(move || pulse.fit(lease)));
    let every = wiring.settings.survey;
    if answering.is_some() && !every.is_zero() {
        let watched = wiring.clone();
        let load = move || {
            watched
                .read_fleet()
                .map(|(fleet, _)| fleet)
                .map_err(|e| format!("{e:#}"))
        };
        let watch = FleetWatch::new(Arc::new(load), store, every);
        tokio::spawn(watch.run(coordinator.leads(), signals.drain().clone()));
    }
    tracing::info!(fleet = wiring.settings.fleet_name, "coordinator started");
    coordinator.run(signals.drain().clone()).await;
    end(answering).await;
    Ok(signals.exit().unwrap_or(Exit::Done))
}

/// Runs a worker until a signal.
pub(crate) async fn worker(wiring: &Wiring, args: &cli::Worker) -> anyhow::Result<Exit> {
    refuse_memory(wiring, "worker")?;
    let serves = match &args.serves {
        None => wiring.settings.worker_serves.clone(),
        Some(text) => {
            Serves::parse(text).map_err(|error| UsageError(format!("--serves: {error}")))?
        }
    };
    let asked = Asked::begin(wiring, &args.process, "worker").await?;
    let signals = Signals::listen(
        wiring.printer,
        "draining: finishing the migrations at hand; once more ends at once",
    )?;
    let (store, claims) = (wiring.store().await?, wiring.claims()?);
    let worker = new_worker(wiring, serves.clone(), store, claims)?;
    let (lease, pulse) = (wiring.settings.control.lease, worker.pulse());
    let answering = asked.map(|asked| asked.answer(move || pulse.fit(lease)));
    tracing::info!(
        fleet = wiring.settings.fleet_name,
        slots = wiring.settings.worker_slots,
        serves = %serves,
        "worker started"
    );
    worker.run(signals.drain().clone()).await;
    end(answering).await;
    Ok(signals.exit().unwrap_or(Exit::Done))
}

/// An address that was given for metrics and probes, listened on before the process begins its work.
struct Asked {
    listening: Listening,
    metrics: Metrics,
}

/// Metrics and probes that are answered.
struct Answering {
    stop: CancellationToken,
    server: JoinHandle<()>,
    _upkeep: AbortOnDropHandle<()>,
}

impl Asked {
    async fn begin(
        wiring: &Wiring,
        args: &cli::Process,
        process: &str,
    ) -> anyhow::Result<Option<Self>> {
        let Some(address) = args.listen.as_ref().or(wiring.settings.listen.as_ref()) else {
            return Ok(None);
        };
        let listening = Listening::on(address).await?;
        tracing::info!(address = %listening.address()?, "answering /metrics, /livez and /readyz");
        let metrics = Metrics::install(
            &wiring.settings.fleet_name,
            process,
            env!("CARGO_PKG_VERSION"),
        )?;
        Ok(Some(Self { listening, metrics }))
    }

    fn answer(self, ready: impl Fn() -> Result<(), String> + Send + Sync + 'static) -> Answering {
        let stop = CancellationToken::new();
        let server = Server {
            metrics: self.metrics.clone(),
            ready: Arc::new(ready),
        };
        Answering {
            server: tokio::spawn(server.run(self.listening, stop.clone())),
            _upkeep: AbortOnDropHandle::new(tokio::spawn(sanderling_api::upkeep(self.metrics))),
            stop,
        }
    }
}

/// Answers until the very end: whoever asks while a process drains hears that it does.
async fn end(answering: Option<Answering>) {
    if let Some(answering) = answering {
        answering.stop.cancel();
        if let Err(error) = answering.server.await {
            tracing::error!(%error, "the server of metrics and probes broke down");
        }
    }
}

/// A coordinator as the settings want it.
pub(crate) fn new_coordinator(
    wiring: &Wiring,
    store: Arc<dyn Store>,
    claims: Arc<dyn Claims>,
) -> Coordinator {
    let options = CoordinatorOptions {
        id: process_name("coordinator"),
        lease: wiring.settings.control.lease,
        poll: wiring.settings.control.poll,
    };
    let providers = Providers::new(wiring.settings.providers.clone());
    Coordinator::new(options, store, claims, providers)
}

/// A worker as the settings want it.
pub(crate) fn new_worker(
    wiring: &Wiring,
    serves: Serves,
    store: Arc<dyn Store>,
    claims: Arc<dyn Claims>,
) -> anyhow::Result<Worker> {
    let options = WorkerOptions {
        id: process_name("worker"),
        fleet: wiring.settings.fleet_name.clone(),
        serves,
        base_dir: wiring.settings.base_dir.clone(),
        slots: usize::try_from(wiring.settings.worker_slots)?,
        poll: wiring.settings.control.poll,
        lease: wiring.settings.control.lease,
        ttl: wiring.settings.claims.ttl,
    };
    Ok(Worker::new(options, store, claims, wiring.hosts()?))
}

/// Locks in the memory of one process would lock nobody else out.
fn refuse_memory(wiring: &Wiring, process: &str) -> anyhow::Result<()> {
    if wiring.claims_in_memory() {
        let text = format!(
            "a {process} shares its claims with other processes, and [claims] url = \"memory://\" cannot be shared; \
             set it to rediss://HOST:6379 (redis:// on this machine), or run `sanderling up`, which works by itself"
        );
        return Err(UsageError(text).into());
    }
    Ok(())
}
