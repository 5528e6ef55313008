//! Tenants that operators have pinned, as the control store knows them.

use std::collections::BTreeMap;

use sanderling_core::selector::Selector;
use sanderling_core::{Tenant, TenantId};
use sanderling_store::{HoldRecord, Store, StoreError};

use crate::fleet::Fleet;
use crate::refusal::PlanningError;

/// Holds that have not ended, by tenant.
pub(crate) type Holds = BTreeMap<TenantId, HoldRecord>;

/// Reads them.
pub(crate) async fn holds(store: &dyn Store) -> Result<Holds, StoreError> {
    let holds = store.holds().await?;
    Ok(holds
        .into_iter()
        .map(|hold| (hold.tenant.clone(), hold))
        .collect())
}

/// Who pinned a tenant, and why.
pub(crate) fn pinned(hold: &HoldRecord) -> String {
    format!("it is held by {}: {}", hold.actor, hold.reason)
}

/// The tenants that at least one of these selectors takes, by id.
///
/// # Errors
/// A selector that takes nobody. Where `holds` are given, it is enough that one of them is on a tenant of exactly that
/// text: one that has left the registry can still be let go.
pub fn select_any(
    fleet: &Fleet,
    selectors: &[(String, Selector)],
    holds: &[HoldRecord],
) -> Result<Vec<TenantId>, PlanningError> {
    let mut taken = std::collections::BTreeSet::new();
    for (text, selector) in selectors {
        let pinned = holds.iter().find(|hold| hold.tenant.as_str() == text);
        if let Some(hold) = pinned {
            taken.insert(hold.tenant.clone());
            continue;
        }
        let tenants = fleet.select(selector)?;
        taken.extend(tenants.into_iter().map(|tenant: Tenant| tenant.id));
    }
    Ok(taken.into_iter().collect())
}
