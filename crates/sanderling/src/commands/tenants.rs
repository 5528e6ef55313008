//! `sanderling tenants list | show | hold | release | cancel`

mod entry;
mod list;
mod show;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use anyhow::bail;
use sanderling_coordinator::{TenantReport, select_any};
use sanderling_core::{Micros, RolloutId, RolloutState, TenantId};
use sanderling_store::{Hold, HoldRecord, Store, TenantsReceipt};
use serde_json::json;

use super::rollout::said;
use super::selection;
use super::up::actor;
use crate::cli::Tenants;
use crate::exit::{Exit, UsageError};
use crate::render;
use crate::settings::duration;
use crate::wiring::Wiring;

/// Tenants named in the text of an answer.
const NAMED: usize = 10;

/// Said where only tenants can be looked at.
pub(super) const NO_STORE: &str =
    "there is no control store yet: rollouts, holds and amendments of migrations are not known";

/// Runs one of them.
pub(crate) async fn run(wiring: &Wiring, args: &Tenants) -> anyhow::Result<Exit> {
    match args {
        Tenants::List { selector } => list::run(wiring, selector.as_deref()).await,
        Tenants::Show { id } => show::run(wiring, id).await,
        Tenants::Hold {
            tenants,
            reason,
            until,
        } => hold(wiring, tenants, reason, until.as_deref()).await,
        Tenants::Release { tenants } => release(wiring, tenants).await,
        Tenants::Cancel { tenants, reason } => cancel(wiring, tenants, reason).await,
    }
}

async fn hold(
    wiring: &Wiring,
    selectors: &[String],
    reason: &str,
    until: Option<&str>,
) -> anyhow::Result<Exit> {
    said(reason)?;
    let tenants = selected(wiring, selectors, &[])?;
    // A fleet may pin tenants before its first rollout.
    let store = wiring.store().await?;
    let until = match until {
        Some(text) => Some(end(text, store.now().await?)?),
        None => None,
    };
    let hold = Hold {
        tenants,
        reason: reason.into(),
        until,
    };
    let receipt = store.hold(&hold, &actor()).await?;
    let done = format!(
        "{} held{}: {reason}",
        render::tenants(receipt.changed.len() as u64),
        until.map_or_else(String::new, |at| format!(" until {}", render::time(at)))
    );
    answer(wiring, "hold", &receipt, &done, "held so already")?;
    if !receipt.in_flight.is_empty() {
        wiring.printer.warn(&format!(
            "in flight, and not stopped by a hold: {}",
            named(&receipt.in_flight)
        ));
    }
    Ok(Exit::Done)
}

async fn release(wiring: &Wiring, selectors: &[String]) -> anyhow::Result<Exit> {
    let store = existing(wiring).await?;
    let tenants = selected(wiring, selectors, &store.holds().await?)?;
    let receipt = store.release(&tenants, &actor()).await?;
    let done = format!("{} let go", render::tenants(receipt.changed.len() as u64));
    answer(wiring, "release", &receipt, &done, "none of them was held")?;
    wiring.wake().await;
    if receipt.targets > 0 {
        wiring
            .printer
            .talk(&follows(&*store, &receipt.changed).await?);
    }
    Ok(Exit::Done)
}

/// What is next for tenants that were let go: a rollout that a person or policy stopped does not go on by itself.
async fn follows(store: &dyn Store, tenants: &[TenantId]) -> anyhow::Result<String> {
    let newest = store.newest_targets(tenants).await?;
    let stopped: BTreeMap<_, _> = newest
        .into_iter()
        .filter(|newest| matches!(newest.state, RolloutState::Paused | RolloutState::Halted))
        .map(|newest| (newest.record.target.rollout, newest.state))
        .collect();
    if stopped.is_empty() {
        return Ok("`sanderling up` follows their rollout".to_owned());
    }
    let still = |(id, state): (&RolloutId, &RolloutState)| {
        format!("rollout {id} is {state} still; `sanderling rollout show {id}` says what to type")
    };
    Ok(stopped.iter().map(still).collect::<Vec<_>>().join("\n"))
}

async fn cancel(wiring: &Wiring, selectors: &[String], reason: &str) -> anyhow::Result<Exit> {
    said(reason)?;
    let store = existing(wiring).await?;
    let tenants = selected(wiring, selectors, &[])?;
    let receipt = store.cancel_tenants(&tenants, reason, &actor()).await?;
    let stopping = &receipt.stopping;
    let begun = receipt
        .changed
        .iter()
        .filter(|tenant| stopping.contains(tenant));
    let done = format!(
        "{} cancelled that had not begun; what was migrated stays as it is",
        render::tenants((receipt.changed.len() - begun.count()) as u64)
    );
    let before = "no active rollout has anything left to begin there";
    answer(wiring, "cancel", &receipt, &done, before)?;
    wiring.wake().await;
    if !stopping.is_empty() {
        wiring.printer.result(&format!(
            "in flight, and told to end: {}; each is cancelled once its change is taken back, unless that was committed before; a \
             transaction=off migration ends the version at hand",
            named(&receipt.stopping)
        ));
    }
    if receipt.in_flight.is_empty() {
        return Ok(Exit::Done);
    }
    wiring.printer.error(&format!(
        "not settled, so not cancelled: {}; a claim on it ended without a proof that nothing of it is on its way: let the rollout \
         run until a worker has settled that, then type this again",
        named(&receipt.in_flight)
    ));
    Ok(Exit::Error)
}

/// `behind, 2 to apply`, or what is the matter there.
fn stands(report: &TenantReport) -> String {
    let state = report.state.as_str();
    let what = match report.to_apply.len() {
        0 => state.to_owned(),
        n => format!("{state}, {n} to apply"),
    };
    render::because(what, report.remark.as_deref())
}

/// `held by anna until 2026-12-01T06:00:00Z: moves house`
fn held(hold: &HoldRecord) -> String {
    let until = hold
        .until
        .map_or_else(String::new, |at| format!(" until {}", render::time(at)));
    format!("held by {}{until}: {}", hold.actor, hold.reason)
}

/// The tenants that were typed.
fn selected(
    wiring: &Wiring,
    selectors: &[String],
    holds: &[HoldRecord],
) -> anyhow::Result<Vec<TenantId>> {
    let selectors = selectors
        .iter()
        .map(|text| Ok((text.clone(), selection::selector(Some(text))?)))
        .collect::<Result<Vec<_>, UsageError>>()?;
    let fleet = wiring.fleet()?;
    select_any(&fleet, &selectors, holds).map_err(|error| {
        if error.is_usage() {
            UsageError(error.to_string()).into()
        } else {
            error.into()
        }
    })
}

/// When a hold ends: a moment, or that long from the store's now.
fn end(text: &str, now: Micros) -> Result<Micros, UsageError> {
    if let Ok(at) = text.parse::<jiff::Timestamp>() {
        return Ok(Micros(at.as_microsecond()));
    }
    let from_now = duration::parse(text).and_then(|lasts: Duration| {
        let lasts = i64::try_from(lasts.as_micros()).ok()?;
        now.0.checked_add(lasts)
    });
    from_now.map(Micros).ok_or_else(|| {
        UsageError(format!(
            "--until {text}: give a time as 2026-12-01T06:00:00Z, or how long from now, as 90m or 36h"
        ))
    })
}

/// The control store, where there is one.
async fn existing(wiring: &Wiring) -> anyhow::Result<Arc<dyn Store>> {
    if wiring.store_if_any().await?.is_none() {
        bail!(
            "there is no control store yet, so nobody is held and there are no rollouts; `sanderling up` makes it"
        );
    }
    // One that was opened for looking may refuse to write.
    wiring.store().await
}

fn answer(
    wiring: &Wiring,
    verb: &str,
    receipt: &TenantsReceipt,
    done: &str,
    before: &str,
) -> anyhow::Result<()> {
    let changed = !receipt.changed.is_empty();
    wiring.printer.json(&json!({
        "verb": verb,
        "changed": changed,
        "tenants": receipt.changed,
        "targets": receipt.targets,
        "in_flight": receipt.in_flight,
        "stopping": receipt.stopping,
    }))?;
    wiring.printer.result(if changed { done } else { before });
    Ok(())
}

fn named(tenants: &[TenantId]) -> String {
    let names: Vec<_> = tenants.iter().take(NAMED).map(TenantId::as_str).collect();
    match tenants.len() - names.len() {
        0 => names.join(", "),
        more => format!("{} and {more} more", names.join(", ")),
    }
}
