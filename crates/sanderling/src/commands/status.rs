//! `sanderling status`

use std::time::Instant;

use sanderling_coordinator::StatusReport;

use super::selection;
use crate::cli::Status;
use crate::exit::Exit;
use crate::printer::Printer;
use crate::render;
use crate::wiring::Wiring;

/// Tenants named one by one in the text.
const NAMED: usize = 20;

/// Shows which versions tenants are at.
pub(crate) async fn run(wiring: &Wiring, args: &Status) -> anyhow::Result<Exit> {
    let begun = Instant::now();
    let fleet = wiring.fleet()?;
    let selector = selection::selector(args.tenants.as_deref())?;
    let store = wiring.store_if_any().await?;
    if store.is_none() {
        wiring.printer.talk(super::tenants::NO_STORE);
    }
    let report = sanderling_coordinator::status(&fleet, &selector, store.as_deref())
        .await
        .map_err(selection::sort)?;
    if let Some(file) = &wiring.metrics {
        file.seen(&fleet, &report, begun.elapsed());
    }
    show(wiring.printer, &report)?;
    Ok(Exit::Done)
}

/// Prints what was found.
pub(super) fn show(printer: Printer, report: &StatusReport) -> anyhow::Result<()> {
    printer.json(&report.summary)?;
    printer.result(&text(report));
    Ok(())
}

fn text(report: &StatusReport) -> String {
    let summary = &report.summary;
    let counts = [
        (summary.up_to_date, "up to date"),
        (summary.behind, "behind"),
        (summary.ahead, "ahead"),
        (summary.edited, "with an edited migration"),
        (summary.dirty, "dirty"),
        (summary.unreachable, "unreachable"),
        (summary.held.unwrap_or(0), "of them held"),
    ];
    let parts: Vec<_> = counts
        .iter()
        .filter(|(n, _)| *n > 0)
        .map(|(n, what)| format!("{} {what}", render::number(*n)))
        .collect();
    let mut out = format!(
        "{}: {}\n",
        render::tenants(summary.tenants),
        parts.join(", ")
    );
    for version in &summary.versions {
        let name = version
            .version
            .as_ref()
            .map_or_else(|| "no version".to_owned(), ToString::to_string);
        out.push_str(&format!(
            "  {name:<16} {}\n",
            render::tenants(version.tenants)
        ));
    }
    for (tenant, remark) in report.noteworthy.iter().take(NAMED) {
        out.push_str(&format!("  {tenant}: {remark}\n"));
    }
    if report.noteworthy.len() > NAMED {
        out.push_str(&format!("  and {} more\n", report.noteworthy.len() - NAMED));
    }
    for host in summary.hosts_away.iter().flatten() {
        out.push_str(&format!("{}\n", render::away(host)));
    }
    for rollout in summary.rollouts.iter().flatten() {
        out.push_str(&format!(
            "rollout {} is {} on the way {}to {}: {} of {} ended\n",
            rollout.rollout.as_ref().map_or("", |id| id.as_str()),
            rollout.state.as_str().replace('_', " "),
            if rollout.direction.is_up() {
                ""
            } else {
                "down "
            },
            rollout.target,
            render::number(
                rollout.tenants
                    - rollout.outcomes.pending
                    - rollout.outcomes.deferred
                    - rollout.outcomes.held
            ),
            render::tenants(rollout.tenants)
        ));
    }
    out
}
