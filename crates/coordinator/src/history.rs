//! What earlier rollouts say about the next one: who failed before, and how long a version takes.

use std::collections::BTreeSet;

use sanderling_core::{BundleHash, Direction, Event, EventKind, Outcome, Rollout, TenantId};
use sanderling_store::{Store, StoreError, TargetFilter};
use sanderling_telemetry::Pace;

/// Rollouts that are looked through for failures, newest first.
const FAILURES_OF: u32 = 50;
/// Rollouts whose last events say how long a version takes.
const PACE_OF: u32 = 5;
/// Of each of those, so many of its last events.
const PACE_EVENTS: u32 = 1_000;
/// Targets that the store is asked for at once.
const PAGE: u32 = 1_000;

/// Tenants that failed in an ended rollout of this very bundle and direction, and were not retried since: retrying takes the failure
/// from the target. One that succeeded later has nothing left to apply, so it does not matter that it is named here.
pub(crate) async fn known_failures(
    store: &dyn Store,
    bundle: &BundleHash,
    direction: Direction,
) -> Result<BTreeSet<TenantId>, StoreError> {
    let mut known = BTreeSet::new();
    for record in store.rollouts(false, FAILURES_OF).await? {
        let rollout = &record.rollout;
        let alike = rollout.bundle == *bundle && rollout.direction == direction;
        if rollout.state.is_active() || !alike {
            continue;
        }
        for outcome in [Outcome::Failed, Outcome::Dirty] {
            let in_waves: u64 = rollout.waves.iter().map(|w| w.counts.get(outcome)).sum();
            if in_waves == 0 {
                continue;
            }
            let mut after = None;
            loop {
                let filter = TargetFilter::Outcome(outcome);
                let page = store
                    .targets(&rollout.id, filter, after.as_ref(), PAGE)
                    .await?;
                let Some(last) = page.last() else { break };
                after = Some(last.target.tenant.clone());
                let tried = page.into_iter().filter(|target| target.wave.is_some());
                known.extend(tried.map(|target| target.target.tenant));
            }
        }
    }
    Ok(known)
}

/// The median time that one version took on one tenant in the last rollouts, in milliseconds.
pub(crate) async fn version_ms(store: &dyn Store) -> Result<Option<u64>, StoreError> {
    let mut times = Vec::new();
    for record in store.rollouts(false, PACE_OF).await? {
        let events = last_events(store, &record.rollout).await?;
        times.extend(events.into_iter().filter_map(|event| match event.kind {
            EventKind::Ended {
                outcome: Outcome::Succeeded,
                applied,
                duration_ms,
                ..
            } => duration_ms.checked_div(applied.len() as u64),
            _ => None,
        }));
    }
    times.sort_unstable();
    // A version that took less than a millisecond takes one: nothing takes no time.
    Ok(times.get(times.len() / 2).map(|ms| (*ms).max(1)))
}

/// What the targets of a rollout take that ended last, one claim each.
pub(crate) async fn pace(store: &dyn Store, rollout: &Rollout) -> Result<Option<Pace>, StoreError> {
    let events = last_events(store, rollout).await?;
    let times = events.into_iter().filter_map(|event| match event.kind {
        EventKind::Ended { duration_ms, .. } => Some(duration_ms.max(1)),
        _ => None,
    });
    Ok(Pace::of(times.collect()))
}

async fn last_events(store: &dyn Store, rollout: &Rollout) -> Result<Vec<Event>, StoreError> {
    let after = rollout.last_seq.saturating_sub(i64::from(PACE_EVENTS));
    store.events(&rollout.id, after.max(0), PACE_EVENTS).await
}
