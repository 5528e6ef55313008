//! Tenants one by one: where each stands, who pinned it, and what became of it last. Reads only.

use std::collections::BTreeMap;

use sanderling_core::assess::{Assessment, assess};
use sanderling_core::selector::Selector;
use sanderling_core::summary::TenantState;
use sanderling_core::{Tenant, TenantId, Version};
use sanderling_store::{HoldRecord, NewestTarget, Store, StoreError};

use crate::fleet::Fleet;
use crate::holds::holds;
use crate::refusal::{LookingError, PlanningError};
use crate::status::remark;

/// Tenants that the store is asked about at once.
const PAGE: usize = 20_000;

/// One tenant.
#[derive(Clone, Debug)]
pub struct TenantReport {
    /// As the registry describes it.
    pub tenant: Tenant,
    /// Where it stands.
    pub state: TenantState,
    /// The newest version in effect; absent where there is none or it could not be read.
    pub version: Option<Version>,
    /// Versions that are to be applied, ascending.
    pub to_apply: Vec<Version>,
    /// What needs somebody's eye there.
    pub remark: Option<String>,
    /// Who pinned it, and why.
    pub hold: Option<HoldRecord>,
    /// What became of it in the newest rollout that has it.
    pub newest: Option<NewestTarget>,
}

/// Looks at the selected tenants, in the registry's order. Without a store there are no holds and no targets.
///
/// # Errors
/// Nothing to look at or to compare with, or a store that does not answer.
pub async fn tenants(
    fleet: &Fleet,
    selector: &Selector,
    store: Option<&dyn Store>,
) -> Result<Vec<TenantReport>, LookingError> {
    look_at(fleet, fleet.select(selector)?, store).await
}

/// Looks at the tenant of exactly this id; `None` where the registry has none.
///
/// # Errors
/// As [`tenants`].
pub async fn tenant(
    fleet: &Fleet,
    id: &TenantId,
    store: Option<&dyn Store>,
) -> Result<Option<TenantReport>, LookingError> {
    let Some(tenant) = fleet.tenants.iter().find(|tenant| tenant.id == *id) else {
        return Ok(None);
    };
    let reports = look_at(fleet, vec![tenant.clone()], store).await?;
    Ok(reports.into_iter().next())
}

async fn look_at(
    fleet: &Fleet,
    tenants: Vec<Tenant>,
    store: Option<&dyn Store>,
) -> Result<Vec<TenantReport>, LookingError> {
    let to = fleet.newest().ok_or(PlanningError::NoMigrations)?;
    let metas = fleet.metas();
    let standings = fleet.survey(&tenants).await;
    let (mut pinned, mut newest) = match store {
        Some(store) => (holds(store).await?, newest(store, &tenants).await?),
        None => Default::default(),
    };
    let reports = tenants
        .into_iter()
        .zip(standings)
        .map(|(tenant, standing)| {
            let assessment = assess(&metas, &to, &standing, true, fleet.create_missing);
            TenantReport {
                state: TenantState::of(&standing, &assessment),
                version: standing.newest().cloned(),
                remark: remark(&standing, &assessment),
                to_apply: match assessment {
                    Assessment::Pending { versions, .. } => versions,
                    _ => Vec::new(),
                },
                hold: pinned.remove(&tenant.id),
                newest: newest.remove(&tenant.id),
                tenant,
            }
        });
    Ok(reports.collect())
}

/// What became of them last, by tenant.
async fn newest(
    store: &dyn Store,
    tenants: &[Tenant],
) -> Result<BTreeMap<TenantId, NewestTarget>, StoreError> {
    let mut newest = BTreeMap::new();
    for page in tenants.chunks(PAGE) {
        let ids: Vec<TenantId> = page.iter().map(|tenant| tenant.id.clone()).collect();
        let targets = store.newest_targets(&ids).await?;
        newest.extend(
            targets
                .into_iter()
                .map(|found| (found.record.target.tenant.clone(), found)),
        );
    }
    Ok(newest)
}
