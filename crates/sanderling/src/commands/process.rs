//! `sanderling coordinator`, `sanderling worker`: the processes of a cluster, and the same two inside `up --embedded`.

use std::sync::Arc;

use sanderling_claims::Claims;
use sanderling_coordinator::{Coordinator, CoordinatorOptions, Providers};
use sanderling_core::Serves;
use sanderling_store::Store;
use sanderling_worker::{Worker, WorkerOptions};

use crate::exit::{Exit, UsageError};
use crate::signals::Signals;
use crate::wiring::{Wiring, process_name};

/// Runs a coordinator until a signal.
pub(crate) async fn coordinator(wiring: &Wiring) -> anyhow::Result<Exit> {
    refuse_memory(wiring, "coordinator")?;
    let signals = Signals::listen(wiring.printer, "stopping: giving leadership up")?;
    let (store, claims) = (wiring.store().await?, wiring.claims()?);
    let coordinator = new_coordinator(wiring, store, claims);
    tracing::info!(fleet = wiring.settings.fleet_name, "coordinator started");
    coordinator.run(signals.drain().clone()).await;
    Ok(signals.exit().unwrap_or(Exit::Done))
}

/// Runs a worker until a signal.
pub(crate) async fn worker(wiring: &Wiring, serves: Option<&str>) -> anyhow::Result<Exit> {
    refuse_memory(wiring, "worker")?;
    let serves = match serves {
        None => wiring.settings.worker_serves.clone(),
        Some(text) => {
            Serves::parse(text).map_err(|error| UsageError(format!("--serves: {error}")))?
        }
    };
    let signals = Signals::listen(
        wiring.printer,
        "draining: finishing the migrations at hand; once more ends at once",
    )?;
    let (store, claims) = (wiring.store().await?, wiring.claims()?);
    let worker = new_worker(wiring, serves.clone(), store, claims)?;
    tracing::info!(
        fleet = wiring.settings.fleet_name,
        slots = wiring.settings.worker_slots,
        serves = %serves,
        "worker started"
    );
    worker.run(signals.drain().clone()).await;
    Ok(signals.exit().unwrap_or(Exit::Done))
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
             set it to redis://HOST:6379, or run `sanderling up`, which works by itself"
        );
        return Err(UsageError(text).into());
    }
    Ok(())
}
