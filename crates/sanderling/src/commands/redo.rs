//! `sanderling redo`: the newest version of some tenants down, then up again. Two rollouts, one after the other.

use std::collections::BTreeSet;

use anyhow::Context;
use sanderling_coordinator::{PlanRequest, Planned};
use sanderling_core::{Direction, TenantId, Version};

use super::{selection, up};
use crate::cli::{How, Redo, Selection};
use crate::exit::{Exit, UsageError};
use crate::render;
use crate::wiring::Wiring;

/// Takes the newest version back and applies it again.
pub(crate) async fn run(wiring: &Wiring, args: &Redo) -> anyhow::Result<Exit> {
    let mut down = PlanRequest {
        direction: Direction::Down,
        ..request(wiring, args, None)?
    };
    let fleet = wiring.fleet()?;
    let existing = wiring.store_if_any().await?;
    let planned = selection::plan(&fleet, &down, existing.as_deref()).await?;
    let Some((version, tenants)) = redone(&planned) else {
        return up::ride(wiring, &down, args.how, None).await;
    };
    // Whatever moves meanwhile: no other version than this one.
    down.to = Some(planned.plan.target.clone());
    let exit = up::ride(wiring, &down, args.how, None).await?;
    let again = format!(
        "sanderling up --tenants '{}' --to {version}",
        args.tenants.replace('\'', "'\\''")
    );
    if args.how.dry_run {
        wiring.printer.talk(&format!(
            "then version {version} would be applied again to {}",
            render::tenants(tenants.len() as u64)
        ));
        return Ok(exit);
    }
    if exit != Exit::Done {
        wiring.printer.warn(&format!(
            "version {version} is not applied again, because it was not taken back everywhere; when that rollout has ended: \
             `{again}`"
        ));
        return Ok(exit);
    }
    let up = PlanRequest {
        only: Some(tenants),
        ..request(wiring, args, Some(&version))?
    };
    let how = How {
        yes: true,
        ..args.how
    };
    up::ride(wiring, &up, how, None).await.with_context(|| {
        format!("version {version} was taken back and is not applied again; mend what follows, then `{again}`")
    })
}

fn request(wiring: &Wiring, args: &Redo, to: Option<&Version>) -> Result<PlanRequest, UsageError> {
    let selection = Selection {
        to: to.map(ToString::to_string),
        tenants: Some(args.tenants.clone()),
        waves: args.waves.clone(),
        max_failures: args.max_failures,
        concurrency: args.concurrency,
        allow_out_of_order: false,
    };
    selection::request(wiring, &selection)
}

/// The version that goes down and up, and who has it; `None` where nobody has any.
fn redone(planned: &Planned) -> Option<(Version, BTreeSet<TenantId>)> {
    let plan = &planned.plan;
    let newest = plan
        .paths
        .iter()
        .filter_map(|path| path.from.clone())
        .max()?;
    let tenants = plan.targets.iter().map(|target| target.tenant.clone());
    Some((newest, tenants.collect()))
}
