//! `sanderling tenants list`

use sanderling_coordinator::TenantReport;
use sanderling_core::Outcome;
use sanderling_core::selector::Selector;

use super::entry::entry;
use crate::commands::selection;
use crate::exit::{Exit, UsageError};
use crate::render;
use crate::wiring::Wiring;

/// Lists the selected tenants with what is known of each.
pub(super) async fn run(wiring: &Wiring, selector: Option<&str>) -> anyhow::Result<Exit> {
    let selector = selector
        .map_or_else(|| Ok(Selector::everyone()), Selector::parse)
        .map_err(|error| UsageError(format!("tenants list: {error}")))?;
    let fleet = wiring.fleet()?;
    let store = wiring.store_if_any().await?;
    if store.is_none() {
        wiring.printer.talk(super::NO_STORE);
    }
    let reports = sanderling_coordinator::tenants(&fleet, &selector, store.as_deref())
        .await
        .map_err(selection::sort)?;
    let list: Vec<_> = reports
        .iter()
        .map(|report| entry(report, store.is_some()))
        .collect();
    wiring.printer.json(&list)?;
    let width = reports.iter().map(|r| r.tenant.id.as_str().len()).max();
    let width = width.unwrap_or_default().min(40);
    for report in &reports {
        wiring.printer.result(&line(report, width));
    }
    wiring.printer.talk(&render::tenants(reports.len() as u64));
    Ok(Exit::Done)
}

/// `t0003  0041  behind, 1 to apply; held by anna: moves house; failed in rollout …: …`
fn line(report: &TenantReport, width: usize) -> String {
    let version = report.version.as_ref().map_or("-", |v| v.as_str());
    let mut line = format!(
        "{:<width$}  {version:<16}  {}",
        report.tenant.id.as_str(),
        super::stands(report)
    );
    if let Some(hold) = &report.hold {
        line.push_str(&format!("; {}", super::held(hold)));
    }
    if let Some(ended) = last(report) {
        line.push_str(&format!("; {ended}"));
    }
    line
}

/// What became of it last, where that is not what its version says anyway.
fn last(report: &TenantReport) -> Option<String> {
    let newest = report.newest.as_ref()?;
    let rollout = &newest.record.target.rollout;
    let outcome = newest.record.outcome;
    match outcome {
        Outcome::Succeeded | Outcome::UpToDate => None,
        Outcome::Held if report.hold.is_some() => None,
        Outcome::Pending if newest.in_flight => Some(format!("in flight in rollout {rollout}")),
        _ => {
            let what = format!("{outcome} in rollout {rollout}").replace('_', " ");
            let failure = newest.record.failure.as_ref().map(render::failure);
            Some(render::because(what, failure.as_deref()))
        }
    }
}
