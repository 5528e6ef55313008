//! `sanderling repair epochs`: for a control store that was restored from an older copy.

use anyhow::bail;
use sanderling_coordinator::Order;
use sanderling_core::summary::EpochRepair;

use super::super::{selection, up::actor};
use crate::exit::Exit;
use crate::render;
use crate::wiring::Wiring;

/// Tenants named one by one in the text.
const NAMED: usize = 20;

/// Raises the store's numbers to the fences'.
pub(super) async fn run(
    wiring: &Wiring,
    tenants: Option<&str>,
    reason: Option<&str>,
    dry_run: bool,
) -> anyhow::Result<Exit> {
    let fleet = wiring.fleet()?;
    let selector = selection::selector(tenants)?;
    let Some(mut store) = wiring.store_if_any().await? else {
        bail!("there is no control store: fences can only be compared with one that is restored");
    };
    let actor = actor();
    let order = reason.filter(|_| !dry_run).map(|reason| Order {
        actor: &actor,
        reason,
    });
    if order.is_some() {
        store = wiring.store().await?;
    }
    let repair = sanderling_coordinator::repair_epochs(&fleet, &selector, store.as_ref(), order)
        .await
        .map_err(selection::sort)?;
    wiring.printer.json(&repair)?;
    say(wiring, &repair);
    Ok(if repair.unread.is_empty() {
        Exit::Done
    } else {
        Exit::Failures
    })
}

fn say(wiring: &Wiring, repair: &EpochRepair) {
    for raise in repair.raised.iter().take(NAMED) {
        wiring.printer.result(&format!(
            "{}: epoch {} to {}",
            raise.tenant, raise.from, raise.to
        ));
    }
    if repair.raised.len() > NAMED {
        let more = repair.raised.len() - NAMED;
        wiring.printer.result(&format!("and {more} more"));
    }
    for foreign in repair.other_stores.iter().take(NAMED) {
        wiring.printer.warn(&format!(
            "the fence of tenant {tenant} belongs to control store {}; it is left alone (`sanderling doctor --take-fence \
             --tenant {tenant} --reason \"…\"`, when that store is gone for good)",
            foreign.store,
            tenant = foreign.tenant
        ));
    }
    for unread in repair.unread.iter().take(NAMED) {
        let (tenant, message) = (&unread.tenant, &unread.message);
        wiring.printer.warn(&format!(
            "the fence of tenant {tenant} was not read: {message}"
        ));
    }
    let verb = if repair.dry_run {
        "would be raised"
    } else {
        "raised"
    };
    wiring.printer.result(&format!(
        "{}: {} {verb}, {} not ahead of the store, {} of other stores, {} not read",
        render::tenants(repair.tenants),
        render::number(repair.raised.len() as u64),
        render::number(repair.sound),
        render::number(repair.other_stores.len() as u64),
        render::number(repair.unread.len() as u64)
    ));
}
