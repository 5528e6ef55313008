//! Ledgers, catalogs and control store against each other. Reads only.

use std::collections::BTreeMap;

use sanderling_core::selector::Selector;
use sanderling_core::summary::VerifySummary;
use sanderling_core::verify::{Accepted, Belief, Facts, check};
use sanderling_core::{Place, Standing, Tenant, TenantId};
use sanderling_sql::Dialect;
use sanderling_store::{Store, StoreError, TargetRecord};

use crate::fleet::Fleet;
use crate::refusal::LookingError;

/// Targets read from the store at once.
const PAGE: u32 = 1_000;

/// Checks the selected tenants.
pub async fn verify(
    fleet: &Fleet,
    selector: &Selector,
    store: Option<&dyn Store>,
) -> Result<VerifySummary, LookingError> {
    let tenants = fleet.select(selector)?;
    let mut beliefs = match store {
        Some(store) => beliefs(store).await?,
        None => BTreeMap::new(),
    };
    let standings = fleet.survey(&tenants).await;
    let fingerprints = fingerprints(fleet, &tenants, &standings).await;
    let facts: Vec<Facts> = tenants
        .iter()
        .zip(standings)
        .zip(fingerprints)
        .map(|((tenant, standing), fingerprint)| Facts {
            tenant: tenant.id.clone(),
            engine: engine(fleet, tenant),
            standing,
            fingerprint,
            belief: beliefs.remove(&tenant.id),
        })
        .collect();
    let violations = check(&fleet.metas(), &Accepted::new(), &facts);
    Ok(VerifySummary::new(&facts, violations))
}

async fn beliefs(store: &dyn Store) -> Result<BTreeMap<TenantId, Belief>, StoreError> {
    let mut beliefs = BTreeMap::new();
    let mut after = None;
    loop {
        let page = store.believed(after.as_ref(), PAGE).await?;
        let Some(last) = page.last() else {
            return Ok(beliefs);
        };
        after = Some(last.target.tenant.clone());
        beliefs.extend(
            page.into_iter()
                .map(|record| (record.target.tenant.clone(), belief(record))),
        );
    }
}

fn belief(record: TargetRecord) -> Belief {
    Belief {
        in_flight: record.owner.is_some(),
        rollout: record.target.rollout,
        outcome: record.outcome,
        version: record.version,
        applied: record.applied,
        epoch: record.epoch,
    }
}

/// Fingerprints of the tenants that are there. One that cannot be read is left out: its standing says why.
async fn fingerprints(
    fleet: &Fleet,
    tenants: &[Tenant],
    standings: &[Standing],
) -> Vec<Option<String>> {
    let present = |standing: &Standing| matches!(standing, Standing::Present { .. });
    let places: Vec<Place> = tenants
        .iter()
        .zip(standings)
        .filter(|(_, standing)| present(standing))
        .map(|(tenant, _)| tenant.place.clone())
        .collect();
    let mut catalogs = fleet.hosts.catalogs(&places).await.into_iter();
    standings
        .iter()
        .map(|standing| {
            let catalog = if present(standing) {
                catalogs.next()
            } else {
                None
            };
            catalog.and_then(|read| match read {
                Ok(catalog) => Some(catalog.fingerprint),
                Err(failure) => {
                    tracing::warn!(error = failure.message, "a catalog could not be read");
                    None
                }
            })
        })
        .collect()
}

/// Catalogs are compared within an engine only. The server's major version is part of the fingerprint itself.
fn engine(fleet: &Fleet, tenant: &Tenant) -> String {
    match fleet.hosts.dialect(&tenant.place.host) {
        Ok(Dialect::Postgres) => "postgres".into(),
        Ok(Dialect::Sqlite) => "sqlite".into(),
        Err(_) => "unknown".into(),
    }
}
