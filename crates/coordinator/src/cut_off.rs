//! Claims of a rollout that are cut off from their tenants, as their workers say.

use std::collections::BTreeMap;

use sanderling_core::RolloutId;
use sanderling_core::decide::CutOff;
use sanderling_store::WorkerRecord;

/// The claims of one rollout that live workers cannot settle, because they cannot work on the hosts. One for each
/// tenant, though a worker may have two things to say of a host.
pub fn cut_off(rollout: &RolloutId, workers: &[WorkerRecord]) -> Vec<CutOff> {
    let away = workers.iter().flat_map(|worker| &worker.away);
    let claims = away.flat_map(|host| host.cut_off.iter().map(move |claim| (host, claim)));
    let ours = claims.filter(|(_, claim)| claim.rollout == *rollout);
    let of = ours.map(|(host, claim)| {
        let of = CutOff {
            tenant: claim.tenant.clone(),
            host: host.host.clone(),
            granted: claim.granted,
            since: claim.since,
            reason: host.reason.clone(),
        };
        ((&claim.tenant, claim.granted), of)
    });
    of.collect::<BTreeMap<_, _>>().into_values().collect()
}
