//! Which versions tenants are at. Reads only.

use std::collections::BTreeMap;

use sanderling_core::amend::with_accepted;
use sanderling_core::assess::{Assessment, assess};
use sanderling_core::selector::Selector;
use sanderling_core::summary::{AwayHost, RolloutSummary, StatusSummary};
use sanderling_core::{HostName, Standing, TenantId};
use sanderling_store::{Store, StoreError, WorkerRecord};

use crate::amend::amendments;
use crate::fleet::Fleet;
use crate::holds::{holds, pinned};
use crate::refusal::{LookingError, PlanningError};

/// What `status` shows.
#[derive(Clone, Debug)]
pub struct StatusReport {
    /// The counts.
    pub summary: StatusSummary,
    /// Tenants that need somebody's eye, with the reason.
    pub noteworthy: Vec<(TenantId, String)>,
}

/// The hosts that live workers cannot work on, by name.
///
/// # Errors
/// The control store does not answer.
pub async fn hosts_away(store: &dyn Store) -> Result<Vec<AwayHost>, StoreError> {
    Ok(hosts_away_of(&store.workers().await?))
}

/// The hosts that these workers cannot work on, by name.
pub fn hosts_away_of(workers: &[WorkerRecord]) -> Vec<AwayHost> {
    let mut hosts: BTreeMap<&HostName, AwayHost> = BTreeMap::new();
    for away in workers.iter().flat_map(|worker| &worker.away) {
        let host = hosts.entry(&away.host).or_insert_with(|| AwayHost {
            host: away.host.clone(),
            since: away.since,
            reason: away.reason.clone(),
            workers: 0,
        });
        host.since = host.since.min(away.since);
        host.workers += 1;
    }
    hosts.into_values().collect()
}

/// Looks at the selected tenants and, where there is a store, at the active rollouts.
pub async fn status(
    fleet: &Fleet,
    selector: &Selector,
    store: Option<&dyn Store>,
) -> Result<StatusReport, LookingError> {
    let newest = fleet.newest().ok_or(PlanningError::NoMigrations)?;
    let tenants = fleet.select(selector)?;
    let metas = with_accepted(fleet.metas(), &amendments(store).await?);
    let standings = fleet.survey(&tenants).await;
    // Whether a tenant is behind does not depend on what a rollout would be allowed to do about it.
    let assessments: Vec<Assessment> = standings
        .iter()
        .map(|standing| assess(&metas, &newest, standing, true, fleet.create_missing))
        .collect();
    let hosts_away = match store {
        Some(store) => Some(hosts_away(store).await?),
        None => None,
    };
    let rollouts = match store {
        Some(store) => {
            let active = store.rollouts(true, 1_000).await?;
            Some(
                active
                    .iter()
                    .map(|record| RolloutSummary::new(&record.rollout, record.now))
                    .collect(),
            )
        }
        None => None,
    };
    let holds = match store {
        Some(store) => Some(holds(store).await?),
        None => None,
    };
    let hold_on = |tenant: &TenantId| holds.as_ref().and_then(|holds| holds.get(tenant));
    let held = tenants.iter().filter(|t| hold_on(&t.id).is_some()).count() as u64;
    let noteworthy = tenants
        .iter()
        .zip(&standings)
        .zip(&assessments)
        .filter_map(|((tenant, standing), assessment)| {
            let hold = hold_on(&tenant.id).map(pinned);
            let remarks: Vec<_> = remark(standing, assessment)
                .into_iter()
                .chain(hold)
                .collect();
            (!remarks.is_empty()).then(|| (tenant.id.clone(), remarks.join("; ")))
        })
        .collect();
    Ok(StatusReport {
        summary: StatusSummary {
            hosts_away,
            held: holds.is_some().then_some(held),
            ..StatusSummary::new(standings.iter().zip(&assessments), rollouts)
        },
        noteworthy,
    })
}

pub(crate) fn remark(standing: &Standing, assessment: &Assessment) -> Option<String> {
    if let (Some(version), Assessment::Pending { .. }) = (standing.half_way(), assessment) {
        return Some(format!(
            "version {version} (transaction=off) is under way, or stopped half way; the next rollout goes on where it stands"
        ));
    }
    match (standing, assessment) {
        (_, Assessment::UpToDate | Assessment::Pending { .. } | Assessment::OutOfOrder { .. }) => {
            None
        }
        (Standing::Unreachable(failure), _) => Some(failure.message.clone()),
        (_, Assessment::Edited { version, .. }) => Some(format!(
            "version {version} was applied from another text than the bundle has"
        )),
        // Only the way down asks for it.
        (_, Assessment::Foreign { .. }) => None,
        (_, other) => other
            .left_out()
            .and_then(|(_, failure)| failure)
            .map(|failure| failure.message),
    }
}
