//! One look at tenants from all sides: ledger, catalog, what lies beside them, and what the store believes.

use std::collections::BTreeMap;

use sanderling_core::verify::{Belief, Facts, Known, Word};
use sanderling_core::{Epoch, Failure, Inspection, Place, Standing, Tenant, TenantId};
use sanderling_sql::Dialect;
use sanderling_store::{Believed, Store, StoreError, TargetRecord};

use crate::fleet::Fleet;

/// Tenants that the store is asked about at once.
const PAGE: u32 = 1_000;

/// What the store believes about tenants, at one time.
pub(crate) type Beliefs = BTreeMap<TenantId, Believed>;

/// Everything that the store believes.
pub(crate) async fn beliefs(store: &dyn Store) -> Result<Beliefs, StoreError> {
    let mut beliefs = BTreeMap::new();
    let mut after = None;
    loop {
        let page = store.believed(after.as_ref(), PAGE).await?;
        let Some(last) = page.last() else {
            return Ok(beliefs);
        };
        after = Some(last.tenant.clone());
        beliefs.extend(
            page.into_iter()
                .map(|believed| (believed.tenant.clone(), believed)),
        );
    }
}

/// Looks at tenants. The store is asked after everything else, and compared with what it said `before`: what changed in
/// between, or was in flight, is moving. Returns what it said, for the next look.
pub(crate) async fn look(
    fleet: &Fleet,
    tenants: &[Tenant],
    store: Option<&dyn Store>,
    before: &Beliefs,
) -> Result<(Vec<Facts>, Beliefs), StoreError> {
    let standings = fleet.survey(tenants).await;
    let fingerprints = fingerprints(fleet, tenants, &standings).await;
    // After the ledgers: a fence that is behind its ledger is then behind in truth.
    let inspections = inspections(fleet, tenants, &standings).await;
    let after = match store {
        Some(store) => beliefs(store).await?,
        None => Beliefs::new(),
    };
    let facts = tenants
        .iter()
        .zip(standings)
        .zip(fingerprints)
        .zip(inspections)
        .map(|(((tenant, standing), fingerprint), inspection)| {
            let (was, is) = (before.get(&tenant.id), after.get(&tenant.id));
            let moving = was != is || is.is_some_and(in_flight);
            let falls = moving && is.is_some_and(falls);
            Facts {
                tenant: tenant.id.clone(),
                place: tenant.place.clone(),
                engine: engine(fleet, tenant),
                standing,
                fingerprint,
                inspection,
                // The older word: what was reached then has been reached now, too, but for who goes down.
                belief: was.filter(|_| !falls).and_then(belief),
                issued: is.map_or(Epoch(0), |believed| believed.issued),
                moving,
            }
        })
        .collect();
    Ok((facts, after))
}

fn in_flight(believed: &Believed) -> bool {
    let targets = &believed.targets;
    targets.iter().any(|target| target.lease_until.is_some())
}

/// Whether the tenant may be on its way down, or has been while it was looked at: then what was known before does not hold
/// any more.
fn falls(believed: &Believed) -> bool {
    let targets = &believed.targets;
    targets.iter().any(|target| !target.direction.is_up())
}

fn belief(believed: &Believed) -> Option<Belief> {
    let (newest, earlier) = believed.targets.split_first()?;
    let oldest_first = earlier.iter().rev();
    Some(Belief {
        rollout: newest.target.rollout.clone(),
        place: newest.place.clone(),
        outcome: newest.outcome,
        version: newest.version.clone(),
        direction: newest.direction,
        applied: newest.applied.clone(),
        epoch: newest.epoch,
        earlier: oldest_first.fold(Known::default(), |known, target| known.then(word(target))),
    })
}

fn word(target: &TargetRecord) -> Word<'_> {
    Word {
        direction: target.direction,
        version: &target.version,
        outcome: target.outcome,
        applied: &target.applied,
    }
}

/// Fingerprints of the tenants that are there. One that cannot be read is left out: its standing says why.
pub(crate) async fn fingerprints(
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

/// What lies beside the ledgers. Where the ledger was read and this was not, that is said as what is unseen.
async fn inspections(
    fleet: &Fleet,
    tenants: &[Tenant],
    standings: &[Standing],
) -> Vec<Option<Inspection>> {
    let places: Vec<Place> = tenants.iter().map(|tenant| tenant.place.clone()).collect();
    let unseen = |failure: Failure| Inspection {
        unseen: vec![format!(
            "fence, locks and indexes could not be looked at: {}",
            failure.message
        )],
        ..Inspection::default()
    };
    let read = fleet.hosts.inspect(&places).await;
    read.into_iter()
        .zip(standings)
        .map(|(read, standing)| match (read, standing) {
            (Ok(inspection), _) => Some(inspection),
            (Err(failure), Standing::Present { .. }) => Some(unseen(failure)),
            (Err(_), Standing::Missing | Standing::Unreachable(_)) => None,
        })
        .collect()
}

/// Catalogs are compared within an engine only. The server's major version is part of the fingerprint itself.
pub(crate) fn engine(fleet: &Fleet, tenant: &Tenant) -> String {
    let dialect = fleet.hosts.dialect(&tenant.place.host);
    dialect.map_or("unknown", Dialect::as_str).into()
}
