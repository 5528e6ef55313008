//! Claims of a rollout that are cut off from their tenants, as their workers say.

use sanderling_core::decide::CutOff;
use sanderling_core::{RolloutId, TenantId};
use sanderling_store::WorkerRecord;

/// The claims of one rollout that live workers cannot settle, because they cannot work on the hosts.
pub fn cut_off(rollout: &RolloutId, workers: &[WorkerRecord]) -> Vec<CutOff> {
    let away = workers.iter().flat_map(|worker| &worker.away);
    let claims = away.flat_map(|host| host.cut_off.iter().map(move |claim| (host, claim)));
    claims
        .filter(|(_, claim)| claim.rollout == *rollout)
        .map(|(host, claim)| CutOff {
            tenant: TenantId::clone(&claim.tenant),
            host: host.host.clone(),
            since: claim.since,
            reason: host.reason.clone(),
        })
        .collect()
}
