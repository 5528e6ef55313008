//! `sanderling rollout show`

use anyhow::bail;
use sanderling_core::Outcome;
use sanderling_core::summary::AwayHost;
use sanderling_store::RolloutRecord;

use super::find;
use crate::commands::plan;
use crate::exit::Exit;
use crate::render;
use crate::render_gate;
use crate::wiring::Wiring;

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
    wiring.printer.result(&text(&record, &away));
    Ok(Exit::Done)
}

fn text(record: &RolloutRecord, away: &[AwayHost]) -> String {
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
        let names: Vec<_> = rollout
            .in_flight
            .keys()
            .take(10)
            .map(|t| t.as_str())
            .collect();
        out.push_str(&format!("in flight: {}\n", names.join(", ")));
    }
    for host in away {
        out.push_str(&format!("{}\n", render::away(host)));
    }
    out
}

fn short(hash: &str) -> &str {
    hash.get(..12).unwrap_or(hash)
}
