//! What goes to workers with a rollout, and whether there are workers for it.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::bail;
use sanderling_coordinator::{Fleet, Planned};
use sanderling_core::{HostName, Plan, Serves, Tenant, TenantId, WrittenHost, WrittenLabels};
use sanderling_store::Store;

use crate::render;
use crate::wiring::Wiring;

/// Tenants that are named where nobody serves them.
const NAMED: usize = 10;

/// The hosts of the plan's targets that stand in no configuration.
pub(crate) fn written(fleet: &Fleet, plan: &Plan) -> BTreeMap<HostName, WrittenHost> {
    let hosts: BTreeSet<_> = plan.targets.iter().map(|t| &t.place.host).collect();
    let of_plan = fleet
        .written
        .iter()
        .filter(|(name, _)| hosts.contains(name));
    of_plan
        .map(|(name, host)| (name.clone(), host.clone()))
        .collect()
}

/// The labels of the plan's targets.
pub(crate) fn labels(fleet: &Fleet, plan: &Plan) -> BTreeMap<TenantId, WrittenLabels> {
    let label = |tenant: &Tenant| (tenant.id.clone(), WrittenLabels::of(&tenant.labels));
    targets(fleet, plan).map(label).collect()
}

fn targets<'f>(fleet: &'f Fleet, plan: &Plan) -> impl Iterator<Item = &'f Tenant> {
    let planned: BTreeSet<_> = plan.targets.iter().map(|t| t.tenant.clone()).collect();
    let of_plan = move |tenant: &&Tenant| planned.contains(&tenant.id);
    fleet.tenants.iter().filter(of_plan)
}

/// Refuses a plan with tenants that no live worker serves: they would wait for ever. Where no worker lives nobody can say.
pub(crate) async fn refuse_unserved(
    wiring: &Wiring,
    fleet: &Fleet,
    planned: &Planned,
    store: Option<&dyn Store>,
) -> anyhow::Result<()> {
    let Some(store) = store.filter(|_| !wiring.claims_in_memory()) else {
        return Ok(());
    };
    let workers = store.workers().await?;
    let serves: Vec<Serves> = workers.into_iter().map(|worker| worker.serves).collect();
    if serves.is_empty() || serves.iter().any(Serves::is_everyone) {
        return Ok(());
    }
    let served = |tenant: &&Tenant| {
        let labels = WrittenLabels::of(&tenant.labels);
        serves.iter().any(|s| s.takes(&tenant.place.host, &labels))
    };
    let unserved: Vec<_> = targets(fleet, &planned.plan)
        .filter(|t| !served(t))
        .collect();
    if unserved.is_empty() {
        return Ok(());
    }
    bail!(
        "no live worker serves {}: {}; live workers serve {}. Start a worker that does, with `sanderling worker --serves …`, \
         or leave these tenants out with --tenants; nothing was started",
        render::tenants(unserved.len() as u64),
        listed(&unserved, &serves),
        alternatives(&serves),
    )
}

/// Tenants with what decides about them: host, and the labels that workers ask for.
fn listed(unserved: &[&Tenant], serves: &[Serves]) -> String {
    let keys: BTreeSet<&str> = serves.iter().flat_map(Serves::keys).collect();
    let one = |tenant: &&Tenant| {
        let mut facts: Vec<_> = keys
            .iter()
            .map(|key| match tenant.labels.get(*key) {
                Some(value) => format!("{key}={value}"),
                None => format!("no {key}"),
            })
            .collect();
        facts.push(format!("host={}", tenant.place.host));
        format!("{} ({})", tenant.id, facts.join(", "))
    };
    let mut all: Vec<_> = unserved.iter().take(NAMED).map(one).collect();
    if let Some(more) = unserved.len().checked_sub(NAMED).filter(|n| *n > 0) {
        all.push(format!("and {more} more"));
    }
    all.join(", ")
}

fn alternatives(serves: &[Serves]) -> String {
    let texts: BTreeSet<_> = serves.iter().map(|s| format!("`{s}`")).collect();
    texts.into_iter().collect::<Vec<_>>().join(" or ")
}
