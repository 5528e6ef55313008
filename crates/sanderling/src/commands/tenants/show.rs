//! `sanderling tenants show`

use anyhow::bail;
use sanderling_coordinator::TenantReport;
use sanderling_core::summary::TenantState;
use sanderling_core::{RolloutState, TenantId};
use sanderling_store::NewestTarget;

use super::entry::entry;
use crate::commands::selection;
use crate::exit::{Exit, UsageError};
use crate::render;
use crate::wiring::Wiring;

/// Shows one tenant: where it is, where it stands, who pinned it, what became of it last.
pub(super) async fn run(wiring: &Wiring, id: &str) -> anyhow::Result<Exit> {
    let fleet = wiring.fleet()?;
    let store = wiring.store_if_any().await?;
    let tenant = TenantId::new(id);
    let report = sanderling_coordinator::tenant(&fleet, &tenant, store.as_deref())
        .await
        .map_err(selection::sort)?;
    let Some(report) = report else {
        bail!(UsageError(format!(
            "there is no tenant {id} among the {} of the registry; `sanderling tenants list` names them, \
             `sanderling tenants list 'id=PATTERN'` those of a pattern",
            render::tenants(fleet.tenants.len() as u64)
        )));
    };
    if store.is_none() {
        wiring.printer.talk(super::NO_STORE);
    }
    wiring.printer.json(&entry(&report, store.is_some()))?;
    wiring
        .printer
        .result(text(&report, store.is_some()).trim_end());
    Ok(Exit::Done)
}

fn text(report: &TenantReport, store: bool) -> String {
    let tenant = &report.tenant;
    let mut out = format!("tenant {}: {}\n", tenant.id, super::stands(report));
    if report.state != TenantState::Unreachable {
        let version = report.version.as_ref().map_or("none", |v| v.as_str());
        out.push_str(&format!("version: {version}\n"));
    }
    if !report.to_apply.is_empty() {
        let versions: Vec<_> = report.to_apply.iter().map(|v| v.as_str()).collect();
        out.push_str(&format!("to apply: {}\n", versions.join(", ")));
    }
    out.push_str(&format!("place: {}\n", tenant.place));
    if !tenant.labels.is_empty() {
        let labels: Vec<_> = tenant
            .labels
            .iter()
            .map(|(name, value)| format!("{name}={value}"))
            .collect();
        out.push_str(&format!("labels: {}\n", labels.join(", ")));
    }
    if let Some(size) = tenant.size {
        out.push_str(&format!("size: {} bytes\n", render::number(size)));
    }
    if let Some(hold) = &report.hold {
        out.push_str(&format!(
            "{}, since {}\n  let it go   sanderling tenants release --tenants {}\n",
            super::held(hold),
            render::time(hold.at),
            tenant.id
        ));
    }
    match &report.newest {
        Some(newest) => out.push_str(&last(newest)),
        None if store => out.push_str("no rollout has had it yet\n"),
        None => {}
    }
    out
}

fn last(newest: &NewestTarget) -> String {
    let record = &newest.record;
    let rollout = &record.target.rollout;
    let outcome = match newest.in_flight {
        true => "in flight".to_owned(),
        false => record.outcome.as_str().replace('_', " "),
    };
    let mut out = format!(
        "newest rollout: {rollout} to version {}, {}: {outcome} there\n",
        record.version,
        newest.state.as_str().replace('_', " ")
    );
    if let Some(failure) = &record.failure {
        out.push_str(&format!("  {}\n", render::failure(failure)));
    }
    if newest.state != RolloutState::Succeeded {
        out.push_str(&format!(
            "  see it      sanderling rollout show {rollout}\n"
        ));
    }
    out
}
