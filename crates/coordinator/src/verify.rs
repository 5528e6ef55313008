//! Ledgers, catalogs, fences, locks and the control store against each other. Reads only.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use sanderling_core::amend::{Amendment, accepted};
use sanderling_core::selector::Selector;
use sanderling_core::summary::VerifySummary;
use sanderling_core::verify::{Facts, Violation, check, notes};
use sanderling_core::{Tenant, TenantId};
use sanderling_store::Store;

use crate::amend::amendments;
use crate::fleet::Fleet;
use crate::look::{Beliefs, beliefs, look};
use crate::refusal::LookingError;

/// Between two looks at what seems wrong: long enough for a server to notice that a session has gone.
const SECOND_LOOK: Duration = Duration::from_secs(1);

/// Checks the selected tenants. What seems wrong is looked at again, and is only wrong if it still is: a session takes
/// a moment to go, and who uses another store moves unseen.
pub async fn verify(
    fleet: &Fleet,
    selector: &Selector,
    store: Option<&dyn Store>,
) -> Result<VerifySummary, LookingError> {
    let tenants = fleet.select(selector)?;
    let before = match store {
        Some(store) => beliefs(store).await?,
        None => Beliefs::new(),
    };
    let (mut facts, between) = look(fleet, &tenants, store, &before).await?;
    let amendments = amendments(store).await?;
    let seems = judge(fleet, store, &amendments, &facts);
    let mut violations = Vec::new();
    if !seems.is_empty() {
        tokio::time::sleep(SECOND_LOOK).await;
        let suspects = suspects(&tenants, &seems);
        let (again, _) = look(fleet, &suspects, store, &between).await?;
        replace(&mut facts, again);
        violations = judge(fleet, store, &amendments, &facts);
        violations.retain(|violation| seems.contains(violation));
    }
    let notes = notes(store.map(Store::id), &facts);
    Ok(VerifySummary::new(&facts, violations, notes))
}

fn judge(
    fleet: &Fleet,
    store: Option<&dyn Store>,
    amendments: &[Amendment],
    facts: &[Facts],
) -> Vec<Violation> {
    let (metas, store) = (fleet.metas(), store.map(Store::id));
    check(&metas, &accepted(&metas, amendments), store, facts)
}

fn suspects(tenants: &[Tenant], seems: &[Violation]) -> Vec<Tenant> {
    let ids: BTreeSet<&TenantId> = seems.iter().map(|violation| &violation.tenant).collect();
    let suspect = |tenant: &&Tenant| ids.contains(&tenant.id);
    tenants.iter().filter(suspect).cloned().collect()
}

/// Puts the newer facts in the place of the older ones.
fn replace(facts: &mut [Facts], again: Vec<Facts>) {
    let mut again: BTreeMap<TenantId, Facts> = again
        .into_iter()
        .map(|facts| (facts.tenant.clone(), facts))
        .collect();
    for facts in facts {
        if let Some(newer) = again.remove(&facts.tenant) {
            *facts = newer;
        }
    }
}
