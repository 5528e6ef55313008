//! `sanderling rollout show`

use std::time::Duration;

use anyhow::bail;
use sanderling_core::summary::{AwayHost, InFlightSummary, RolloutSummary};
use sanderling_core::{Outcome, TenantId};
use sanderling_store::{RolloutRecord, Store, StoreError, TargetFilter};

use super::find;
use crate::commands::plan;
use crate::exit::Exit;
use crate::render;
use crate::render_gate;
use crate::wiring::Wiring;

/// Held targets looked at, those that the plan left out included.
const MOST_HELD: u32 = 1_000;

/// Shows one rollout; the newest where none is named.
pub(crate) async fn run(wiring: &Wiring, id: Option<&str>) -> anyhow::Result<Exit> {
    let Some(store) = wiring.store_if_any().await? else {
        bail!(
            "there is no control store yet, so there are no rollouts; `sanderling up` makes both"
        );
    };
    let record = match id {
        Some(id) => find(&*store, id).await?,
        None => match store.rollouts(false, 1).await?.pop() {
            Some(record) => record,
            None => bail!("there are no rollouts yet"),
        },
    };
    plan::summary(wiring, &record)?;
    let away = if record.rollout.state.is_active() {
        sanderling_coordinator::hosts_away(&*store).await?
    } else {
        Vec::new()
    };
    let held = held(&*store, &record).await?;
    wiring.printer.result(&text(&record, &away, &held));
    Ok(Exit::Done)
}

/// Some of the tenants that it waits for, or would at its end.
async fn held(store: &dyn Store, record: &RolloutRecord) -> Result<Vec<TenantId>, StoreError> {
    if record.rollout.held() == 0 {
        return Ok(Vec::new());
    }
    let held = TargetFilter::Outcome(Outcome::Held);
    let targets = store
        .targets(&record.rollout.id, held, None, MOST_HELD)
        .await?;
    Ok(targets
        .into_iter()
        .filter(|target| target.wave.is_some())
        .map(|target| target.target.tenant)
        .collect())
}

fn text(record: &RolloutRecord, away: &[AwayHost], held: &[TenantId]) -> String {
    let rollout = &record.rollout;
    let mut out = render::ending(rollout);
    out.push_str(&format!("submitted by {}", record.actor));
    if let Some(at) = rollout.submitted_at {
        out.push_str(&format!(" at {}", render::time(at)));
    }
    out.push_str(&format!(
        "; plan {}, bundle {}\nwaves:\n",
        short(&rollout.plan_hash),
        short(rollout.bundle.as_str())
    ));
    for wave in &rollout.waves {
        let ended = wave.planned - wave.pending() - wave.deferred() - wave.held();
        let deferred = match wave.deferred() {
            0 => String::new(),
            n => format!(", {} deferred", render::number(n)),
        };
        let held = match wave.held() {
            0 => String::new(),
            n => format!(", {} held", render::number(n)),
        };
        out.push_str(&format!(
            "  {:<12} {} of {} ended, {} failed{deferred}{held}, {} in flight{}\n",
            wave.name,
            render::number(ended),
            render::tenants(wave.planned),
            wave.counts.get(Outcome::Failed),
            wave.in_flight,
            if wave.opened_at.is_none() {
                " (not open)"
            } else {
                ""
            }
        ));
    }
    out.push_str(&render_gate::evidence(rollout));
    if !rollout.in_flight.is_empty() {
        out.push_str(&in_flight(&RolloutSummary::new(rollout, record.now)));
    }
    if !held.is_empty() {
        out.push_str(&format!("held: {}\n", names(held)));
    }
    for host in away {
        out.push_str(&format!("{}\n", render::away(host)));
    }
    out
}

/// Those in flight, the slowest first, so that one which hangs is seen.
fn in_flight(summary: &RolloutSummary) -> String {
    let one = |flying: &InFlightSummary| {
        let for_so_long = render::duration(Duration::from_millis(flying.ms));
        format!("{} ({for_so_long})", flying.tenant)
    };
    let named: Vec<_> = summary.longest_in_flight.iter().map(one).collect();
    format!("in flight: {}\n", named.join(", "))
}

/// The first of them.
fn names<'t>(tenants: impl IntoIterator<Item = &'t TenantId>) -> String {
    let names: Vec<_> = tenants.into_iter().take(10).map(TenantId::as_str).collect();
    names.join(", ")
}

fn short(hash: &str) -> &str {
    hash.get(..12).unwrap_or(hash)
}
