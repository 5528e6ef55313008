//! What workers have in flight on hosts that they cannot work on.

use std::collections::{BTreeMap, BTreeSet};

use sanderling_core::decide::CutOff;
use sanderling_core::{HostName, WorkerId};
use sanderling_store::{HostAway, RolloutRecord, Store, StoreError, TargetFilter, WorkerRecord};

/// Targets read at once.
const PAGE: u32 = 1_000;

/// The claims of a rollout whose workers have lost their hosts for longer than it has patience. Asks the control store
/// for them only when there may be some.
pub(crate) async fn cut_off(
    store: &dyn Store,
    record: &RolloutRecord,
    workers: &[WorkerRecord],
) -> Result<Vec<CutOff>, StoreError> {
    let mut lost = lost_hosts(record, workers);
    let mut after = None;
    while !lost.is_empty() {
        let (id, flying) = (&record.rollout.id, TargetFilter::InFlight);
        let page = store.targets(id, flying, after.as_ref(), PAGE).await?;
        after = page.last().map(|target| target.target.tenant.clone());
        for target in &page {
            let at = target.owner.clone().map(|w| (w, target.place.host.clone()));
            if let Some(of) = at.and_then(|at| lost.get_mut(&at)) {
                of.tenants.insert(target.target.tenant.clone());
            }
        }
        if page.len() < PAGE as usize {
            break;
        }
    }
    Ok(lost.into_values().collect())
}

/// By worker and host; nobody in flight yet.
fn lost_hosts(
    record: &RolloutRecord,
    workers: &[WorkerRecord],
) -> BTreeMap<(WorkerId, HostName), CutOff> {
    let rollout = &record.rollout;
    let flies = |host: &HostName| rollout.in_flight.values().any(|claim| claim.host == *host);
    let of = |worker: &WorkerRecord, away: &HostAway| {
        let of = CutOff {
            host: away.host.clone(),
            since: away.since,
            reason: away.reason.clone(),
            tenants: BTreeSet::new(),
        };
        ((worker.worker.clone(), away.host.clone()), of)
    };
    let all = workers
        .iter()
        .flat_map(|w| w.away.iter().map(move |away| (w, away)));
    all.filter(|(_, away)| is_over(record, away) && flies(&away.host))
        .map(|(worker, away)| of(worker, away))
        .collect()
}

/// Whether a host has been away for longer than the rollout waits for one.
pub(crate) fn is_over(record: &RolloutRecord, away: &HostAway) -> bool {
    let patience = record.rollout.policy.host_patience_ms;
    away.since.plus_millis(patience) <= record.now
}
