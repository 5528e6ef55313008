//! `sanderling verify`

use super::selection;
use crate::cli::Verify;
use crate::exit::Exit;
use crate::render;
use crate::wiring::Wiring;

/// Checks the fleet.
pub(crate) async fn run(wiring: &Wiring, args: &Verify) -> anyhow::Result<Exit> {
    let fleet = wiring.fleet()?;
    let selector = selection::selector(args.tenants.as_deref())?;
    let store = wiring.store_if_any().await?;
    if store.is_none() {
        wiring.printer.talk(
            "there is no control store: ledgers are checked against the bundle and each other only; whose fences and locks \
             are nobody can tell",
        );
    }
    let verdict = sanderling_coordinator::verify(&fleet, &selector, store.as_deref())
        .await
        .map_err(selection::sort)?;
    wiring.printer.json(&verdict)?;
    for violation in &verdict.violations {
        wiring.printer.result(&format!(
            "{}: {}: {}",
            violation.tenant, violation.kind, violation.detail
        ));
    }
    for note in &verdict.notes {
        wiring.printer.warn(note);
    }
    let unread = verdict.tenants - verdict.checked;
    if unread > 0 {
        wiring.printer.warn(&format!(
            "{} could not be read and so were not checked",
            render::tenants(unread)
        ));
    }
    let found = match verdict.violations.len() {
        0 => "no violations".to_owned(),
        1 => "1 violation".to_owned(),
        n => format!("{} violations", render::number(n as u64)),
    };
    wiring.printer.result(&format!(
        "{} checked: {found}",
        render::tenants(verdict.checked)
    ));
    Ok(if verdict.violations.is_empty() {
        Exit::Done
    } else {
        Exit::Findings
    })
}
