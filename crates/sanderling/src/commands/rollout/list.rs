//! `sanderling rollout list`

use sanderling_store::RolloutRecord;
use serde_json::json;

use super::no_store;
use crate::exit::Exit;
use crate::render;
use crate::wiring::Wiring;

/// Lists rollouts, the newest first.
pub(crate) async fn run(wiring: &Wiring, all: bool) -> anyhow::Result<Exit> {
    let records = match wiring.store_if_any().await? {
        Some(store) => store.rollouts(!all, 1_000).await?,
        None => {
            no_store(wiring);
            Vec::new()
        }
    };
    let list: Vec<_> = records.iter().map(entry).collect();
    wiring.printer.json(&list)?;
    for record in &records {
        let rollout = &record.rollout;
        let submitted = rollout.submitted_at.map(render::time).unwrap_or_default();
        wiring.printer.result(&format!(
            "{}  {:<23}  {} to {}  {}  {}",
            rollout.id,
            rollout.state.as_str().replace('_', " "),
            rollout.direction,
            rollout.target,
            submitted,
            render::outcomes(rollout)
        ));
    }
    if records.is_empty() {
        wiring.printer.talk(if all {
            "no rollouts"
        } else {
            "no active rollouts; --all lists ended ones"
        });
    }
    Ok(Exit::Done)
}

fn entry(record: &RolloutRecord) -> serde_json::Value {
    let rollout = &record.rollout;
    json!({
        "rollout": rollout.id,
        "state": rollout.state,
        "target": rollout.target,
        "direction": rollout.direction,
        "bundle": rollout.bundle,
        "tenants": rollout.outcomes().total(),
        "actor": record.actor,
        "submitted_at": rollout.submitted_at.map(render::time),
        "ended_at": rollout.ended_at.map(render::time),
    })
}
