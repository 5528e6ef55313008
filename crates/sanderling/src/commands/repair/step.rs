//! `sanderling repair step`

use anyhow::bail;
use sanderling_core::Version;
use sanderling_engine::EngineError;
use serde_json::json;

use crate::cli::RepairStep;
use crate::commands::up::actor;
use crate::exit::{Exit, UsageError};
use crate::wiring::Wiring;

/// Says whether a statement took effect whose end nobody heard.
pub(crate) async fn run(wiring: &Wiring, args: &RepairStep) -> anyhow::Result<Exit> {
    if args.reason.trim().is_empty() {
        return Err(UsageError("--reason must say why; the audit log keeps it".into()).into());
    }
    let fleet = wiring.fleet()?;
    let Some(tenant) = fleet.tenants.iter().find(|t| t.id.as_str() == args.tenant) else {
        bail!(
            "tenant {} is not in the registry; `--tenant` takes an id as it stands in the tenant files",
            args.tenant
        );
    };
    let version = Version::new(&args.version);
    let store = wiring.store().await?;
    let driver = fleet.hosts.driver(&tenant.place.host)?;
    let decision = driver
        .decide_step(&tenant.place, store.id(), &version, args.done)
        .await
        .map_err(|EngineError(failure)| {
            anyhow::anyhow!("tenant {}: {}", tenant.id, failure.message)
        })?;
    let word = if args.done { "done" } else { "again" };
    let statement = format!("{} of {}", decision.statement, decision.statements);
    store
        .note(
            &actor(),
            "repair_step",
            &format!(
                "tenant {}, version {version}, statement {statement}, {word}: {}",
                tenant.id, args.reason
            ),
        )
        .await?;
    wiring.printer.json(&json!({
        "tenant": tenant.id, "version": version, "statement": decision.statement,
        "statements": decision.statements, "decided": word,
    }))?;
    let what = if args.done {
        "counts as in effect"
    } else {
        "will be sent again"
    };
    wiring.printer.result(&format!(
        "statement {statement} of version {version} {what} for tenant {}",
        tenant.id
    ));
    wiring
        .printer
        .talk("`sanderling rollout retry ID --failed`, or the next `sanderling up`, goes on there");
    Ok(Exit::Done)
}
