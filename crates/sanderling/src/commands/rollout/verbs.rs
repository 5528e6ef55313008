//! `sanderling rollout pause | resume | retry | skip | cancel`

use std::sync::Arc;

use anyhow::bail;
use sanderling_core::{ErrorClass, Rollout, RolloutState, TenantId};
use sanderling_store::{Command, Store};
use serde_json::json;

use super::find;
use crate::commands::up::actor;
use crate::exit::{Exit, UsageError};
use crate::render;
use crate::wiring::Wiring;

/// Stops starts.
pub(crate) async fn pause(wiring: &Wiring, id: &str, reason: Option<&str>) -> anyhow::Result<Exit> {
    let command = Command::Pause {
        reason: reason.map(Into::into),
    };
    let receipt = perform(wiring, id, "pause", &command).await?;
    say(
        wiring,
        &receipt,
        &format!("rollout {id} is paused; what is in flight finishes the version at hand"),
        &format!("rollout {id} was paused already"),
    );
    Ok(Exit::Done)
}

/// Goes on with what has not begun, and leaves what failed.
pub(crate) async fn retry_not_started(
    wiring: &Wiring,
    id: &str,
    reason: Option<&str>,
) -> anyhow::Result<Exit> {
    let reason = said_if_any(reason)?;
    let receipt = perform(wiring, id, "retry", &Command::RetryNotStarted { reason }).await?;
    let done = format!(
        "{} of rollout {id} that had not begun will be migrated; what failed stays failed",
        render::tenants(receipt.targets)
    );
    say(
        wiring,
        &receipt,
        &done,
        &format!("rollout {id} keeps no tenant from beginning"),
    );
    Ok(Exit::Done)
}

/// Leaves a tenant out.
pub(crate) async fn skip(
    wiring: &Wiring,
    id: &str,
    tenant: &str,
    reason: &str,
) -> anyhow::Result<Exit> {
    said(reason)?;
    let command = Command::Skip {
        tenant: TenantId::new(tenant),
        reason: reason.into(),
    };
    let receipt = perform(wiring, id, "skip", &command).await?;
    say(
        wiring,
        &receipt,
        &format!("tenant {tenant} is left out of rollout {id}"),
        &format!("tenant {tenant} was left out of rollout {id} already"),
    );
    Ok(Exit::Done)
}

/// Lets a halted, paused or waiting rollout go on.
pub(crate) async fn resume(
    wiring: &Wiring,
    id: &str,
    acknowledge: bool,
    reason: Option<&str>,
) -> anyhow::Result<Exit> {
    let command = Command::Resume {
        acknowledge,
        reason: said_if_any(reason)?,
    };
    let receipt = perform(wiring, id, "resume", &command).await?;
    say(
        wiring,
        &receipt,
        &format!("rollout {id} runs again"),
        &format!("rollout {id} was running already"),
    );
    Ok(Exit::Done)
}

/// Tries failed targets again.
pub(crate) async fn retry(
    wiring: &Wiring,
    id: &str,
    class: Option<&str>,
    reason: Option<&str>,
) -> anyhow::Result<Exit> {
    let class = class.map(parse_class).transpose()?;
    let reason = said_if_any(reason)?;
    let receipt = perform(wiring, id, "retry", &Command::Retry { class, reason }).await?;
    let done = format!(
        "{} of rollout {id} will be tried again",
        render::tenants(receipt.targets)
    );
    say(
        wiring,
        &receipt,
        &done,
        &format!("rollout {id} has no such failed tenants"),
    );
    Ok(Exit::Done)
}

/// Goes past a gate.
pub(crate) async fn skip_gate(
    wiring: &Wiring,
    id: &str,
    gate: &str,
    reason: &str,
) -> anyhow::Result<Exit> {
    said(reason)?;
    let command = Command::SkipGate {
        gate: gate.into(),
        reason: reason.into(),
    };
    let receipt = perform(wiring, id, "skip", &command).await?;
    say(
        wiring,
        &receipt,
        &format!("rollout {id} goes past gate {gate}"),
        &format!("gate {gate} of rollout {id} keeps nothing shut"),
    );
    Ok(Exit::Done)
}

/// Ends a rollout.
pub(crate) async fn cancel(wiring: &Wiring, id: &str, reason: &str) -> anyhow::Result<Exit> {
    said(reason)?;
    let receipt = perform(
        wiring,
        id,
        "cancel",
        &Command::Cancel {
            reason: reason.into(),
        },
    )
    .await?;
    let done = format!(
        "rollout {id} is cancelled; {} had not begun; migrated ones stay as they are",
        render::tenants(receipt.targets)
    );
    say(
        wiring,
        &receipt,
        &done,
        &format!("rollout {id} was cancelled already"),
    );
    Ok(Exit::Done)
}

/// A reason that the audit log keeps must say something.
pub(crate) fn said(reason: &str) -> Result<(), UsageError> {
    if reason.trim().is_empty() {
        return Err(UsageError(
            "--reason must say why; the audit log keeps it".into(),
        ));
    }
    Ok(())
}

/// The same for a reason that need not be given.
fn said_if_any(reason: Option<&str>) -> Result<Option<String>, UsageError> {
    reason.map(said).transpose()?;
    Ok(reason.map(Into::into))
}

async fn perform(
    wiring: &Wiring,
    id: &str,
    verb: &str,
    command: &Command,
) -> anyhow::Result<Answer> {
    let store = store(wiring, id).await?;
    let record = find(&*store, id).await?;
    let receipt = store.command(&record.rollout.id, command, &actor()).await?;
    wiring.wake().await;
    wiring.printer.json(&json!({ "rollout": id, "verb": verb, "changed": receipt.changed, "targets": receipt.targets }))?;
    Ok(Answer {
        changed: receipt.changed,
        targets: receipt.targets,
        rollout: find(&*store, id).await?.rollout,
    })
}

/// The control store, where there is one that may know the rollout.
pub(super) async fn store(wiring: &Wiring, id: &str) -> anyhow::Result<Arc<dyn Store>> {
    if wiring.store_if_any().await?.is_none() {
        bail!("there is no control store, so there is no rollout {id}");
    }
    // One that was opened for looking may refuse to write.
    wiring.store().await
}

/// What a verb did, and what the rollout is after it.
pub(super) struct Answer {
    pub(super) changed: bool,
    pub(super) targets: u64,
    pub(super) rollout: Rollout,
}

/// Says what was done, or that it had been done before; and what to type next.
pub(super) fn say(wiring: &Wiring, answer: &Answer, done: &str, before: &str) {
    wiring
        .printer
        .result(if answer.changed { done } else { before });
    let id = &answer.rollout.id;
    match answer.rollout.state {
        RolloutState::Running => wiring
            .printer
            .talk(&format!("{} follows it", render::again(&answer.rollout))),
        RolloutState::Halted => wiring.printer.talk(&format!(
            "it is halted still; `sanderling rollout resume {id} --acknowledge` lets it go on"
        )),
        RolloutState::Paused => wiring.printer.talk(&format!(
            "it is paused: `sanderling rollout resume {id}` lets it go on"
        )),
        _ => {}
    }
}

fn parse_class(name: &str) -> Result<ErrorClass, UsageError> {
    ErrorClass::ALL
        .into_iter()
        .find(|class| class.as_str() == name)
        .ok_or_else(|| {
            let known: Vec<_> = ErrorClass::ALL.iter().map(|class| class.as_str()).collect();
            UsageError(format!(
                "--class {name}: there is no such class of errors; there are {}",
                known.join(", ")
            ))
        })
}
