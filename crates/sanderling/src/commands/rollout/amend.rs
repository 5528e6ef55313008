//! `sanderling rollout retry --amend`

use sanderling_coordinator::{AmendError, Order, amend};
use sanderling_core::{RolloutId, Version};
use serde_json::json;

use super::find;
use super::verbs::{Answer, said, say, store};
use crate::commands::up::actor;
use crate::exit::Exit;
use crate::render;
use crate::wiring::Wiring;

/// Goes on with the corrected text of a migration.
pub(crate) async fn run(
    wiring: &Wiring,
    id: &str,
    version: &str,
    reason: &str,
) -> anyhow::Result<Exit> {
    said(reason)?;
    let store = store(wiring, id).await?;
    // Before the directory is read: who mistypes the id should not read about migrations.
    find(&*store, id).await?;
    let fleet = wiring.fleet()?;
    let (rollout, version) = (RolloutId::new(id), Version::new(version));
    let order = Order {
        actor: &actor(),
        reason,
    };
    let amended = amend(&fleet, &*store, &rollout, &version, order).await;
    let amended = amended.map_err(|error: AmendError| {
        anyhow::Error::from(error).context(format!("rollout {id} was not amended"))
    })?;
    wiring.wake().await;
    wiring.printer.json(&json!({
        "rollout": id,
        "verb": "amend",
        "changed": amended.changed,
        "targets": amended.targets,
        "version": version,
        "with_text_before": amended.with_text_before,
    }))?;
    for note in &amended.notes {
        wiring.printer.warn(note);
    }
    if amended.changed {
        wiring.printer.talk(amended.difference.trim_end());
    }
    let answer = Answer {
        changed: amended.changed,
        targets: amended.targets,
        rollout: find(&*store, id).await?.rollout,
    };
    let done = format!(
        "rollout {id} applies version {version} as it is now; {} will be tried again{}",
        render::tenants(answer.targets),
        match amended.with_text_before {
            0 => String::new(),
            n => format!(
                ", and {} applied the text before, which stays there",
                render::tenants(n)
            ),
        }
    );
    let before = format!(
        "rollout {id} applies version {version} as it is now already; `sanderling rollout retry {id} --failed` tries failed \
         tenants again"
    );
    say(wiring, &answer, &done, &before);
    Ok(Exit::Done)
}
