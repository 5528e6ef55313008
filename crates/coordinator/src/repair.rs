//! `repair epochs`: a control store restored from an older copy learns from the fences which numbers it had given out.

use sanderling_core::selector::Selector;
use sanderling_core::summary::{EpochRepair, ForeignFence, RaisedEpoch, UnreadFence};
use sanderling_core::{Epoch, FenceSight, Place, TenantId};
use sanderling_store::Store;

use crate::fleet::Fleet;
use crate::look::beliefs;
use crate::refusal::LookingError;

/// Tenants whose numbers one transaction raises.
const BATCH: usize = 500;

/// Who repairs, and why: for the audit log.
#[derive(Clone, Copy, Debug)]
pub struct Order<'a> {
    /// Who.
    pub actor: &'a str,
    /// Why.
    pub reason: &'a str,
}

/// Raises the store's number of each selected tenant whose fence bears this store and is ahead of it, to the fence's.
/// Without an order it only says what it would raise.
///
/// Tenants are only read, and no number is ever lowered: a claim that workers take meanwhile has a greater one, which
/// stays; a claim in flight keeps its own until the fence refuses it, and then takes one beyond. So nothing needs to be
/// stopped for it.
pub async fn repair_epochs(
    fleet: &Fleet,
    selector: &Selector,
    store: &dyn Store,
    order: Option<Order<'_>>,
) -> Result<EpochRepair, LookingError> {
    let tenants = fleet.select(selector)?;
    let places: Vec<Place> = tenants.iter().map(|tenant| tenant.place.clone()).collect();
    let inspections = fleet.hosts.inspect(&places).await;
    // After the fences: what workers took meanwhile is known then.
    let believed = beliefs(store).await?;
    let mut repair = EpochRepair {
        tenants: tenants.len() as u64,
        dry_run: order.is_none(),
        ..EpochRepair::default()
    };
    for (tenant, inspection) in tenants.into_iter().zip(inspections) {
        let tenant = tenant.id;
        let from = believed.get(&tenant).map_or(Epoch(0), |known| known.issued);
        let unread = |message: String| UnreadFence {
            tenant: tenant.clone(),
            message,
        };
        match inspection.map(|found| (found.fence, found.unseen)) {
            Err(failure) => repair.unread.push(unread(failure.message)),
            Ok((FenceSight::Unseen, unseen)) => repair.unread.push(unread(unseen.join("; "))),
            Ok((FenceSight::Held { store: other, .. }, _)) if other != *store.id() => {
                repair.other_stores.push(ForeignFence {
                    tenant,
                    store: other,
                });
            }
            Ok((FenceSight::Held { epoch: to, .. }, _)) if to > from => {
                repair.raised.push(RaisedEpoch { tenant, from, to });
            }
            Ok(_) => repair.sound += 1,
        }
    }
    if let Some(order) = order {
        raise(store, &mut repair, order).await?;
    }
    Ok(repair)
}

async fn raise(
    store: &dyn Store,
    repair: &mut EpochRepair,
    order: Order<'_>,
) -> Result<(), LookingError> {
    let mut raised = Vec::new();
    for batch in repair.raised.chunks(BATCH) {
        let epochs: Vec<(TenantId, Epoch)> = batch
            .iter()
            .map(|raise| (raise.tenant.clone(), raise.to))
            .collect();
        raised.extend(
            store
                .raise_epochs(&epochs, order.actor, order.reason)
                .await?,
        );
    }
    let before = repair.raised.len();
    repair.raised.retain(|raise| raised.contains(&raise.tenant));
    // A worker was faster, and went beyond.
    repair.sound += (before - repair.raised.len()) as u64;
    Ok(())
}
