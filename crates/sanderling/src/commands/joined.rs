//! What became of the registry since a rollout began that `up` has joined: its plan stays as it is.

use std::collections::BTreeMap;

use sanderling_coordinator::Fleet;
use sanderling_core::{Direction, Outcome, Place, RolloutId, TenantId};
use sanderling_store::{Store, StoreError, Submitted, TargetFilter};

use crate::render;

/// Tenants that are named; the others are counted.
const NAMED: usize = 10;
/// Targets of the rollout that are compared with the registry.
const MOST_TARGETS: u32 = 1_000_000;

/// A sentence for each way in which tenants are not, or not where, the rollout has them: those that came later, those
/// that have gone, and those that have moved. Whoever has got where the rollout leads is no news.
pub(super) async fn news(
    store: &dyn Store,
    fleet: &Fleet,
    submitted: &Submitted,
    direction: Direction,
) -> Result<Vec<String>, StoreError> {
    let mut sentences = Vec::new();
    let added: Vec<_> = submitted.left_for_next.iter().collect();
    if !added.is_empty() {
        sentences.push(format!(
            "{} not in this rollout, because they came after it began: {}; run `sanderling {direction}` again when it has ended",
            render::tenants(added.len() as u64),
            named(&added)
        ));
    }
    if !submitted.joined {
        return Ok(sentences);
    }
    let id = &submitted.rollout;
    let registry: BTreeMap<_, _> = fleet.tenants.iter().map(|t| (&t.id, &t.place)).collect();
    let unfinished = unfinished(store, id).await?;
    let of = |wanted: fn(Option<&Place>, &Place) -> bool| -> Vec<&TenantId> {
        let is =
            |(tenant, place): &&(TenantId, Place)| wanted(registry.get(tenant).copied(), place);
        unfinished
            .iter()
            .filter(is)
            .map(|(tenant, _)| tenant)
            .collect()
    };
    let gone = of(|now, _| now.is_none());
    let moved = of(|now, then| now.is_some_and(|now| now != then));
    for (tenants, what) in [
        (gone, "no longer in the registry, and still in this rollout"),
        (
            moved,
            "elsewhere by now, and still taken where they were when this rollout began",
        ),
    ] {
        if let Some(first) = tenants.first() {
            sentences.push(format!(
                "{} {what}: {}; leave one out with `sanderling rollout skip {id} --tenant {first} --reason \"…\"`",
                render::tenants(tenants.len() as u64),
                named(&tenants)
            ));
        }
    }
    Ok(sentences)
}

async fn unfinished(
    store: &dyn Store,
    id: &RolloutId,
) -> Result<Vec<(TenantId, Place)>, StoreError> {
    let mut all = Vec::new();
    for outcome in [Outcome::Pending, Outcome::Deferred, Outcome::Held] {
        let filter = TargetFilter::Outcome(outcome);
        let targets = store.targets(id, filter, None, MOST_TARGETS).await?;
        let planned = targets.into_iter().filter(|t| t.wave.is_some());
        all.extend(planned.map(|t| (t.target.tenant, t.place)));
    }
    Ok(all)
}

fn named(tenants: &[&TenantId]) -> String {
    let mut names: Vec<_> = tenants
        .iter()
        .take(NAMED)
        .map(ToString::to_string)
        .collect();
    if let Some(more) = tenants.len().checked_sub(NAMED).filter(|n| *n > 0) {
        names.push(format!("and {more} more"));
    }
    names.join(", ")
}
