//! `sanderling rollout watch`

use anyhow::bail;

use super::find;
use crate::commands::plan;
use crate::exit::Exit;
use crate::follow::Follower;
use crate::render;
use crate::signals::Signals;
use crate::wiring::Wiring;

/// Follows a rollout as `up` does, without working on it.
pub(crate) async fn run(wiring: &Wiring, id: &str, from_start: bool) -> anyhow::Result<Exit> {
    let Some(store) = wiring.store_if_any().await? else {
        bail!("there is no control store, so there is no rollout {id}");
    };
    let record = find(&*store, id).await?;
    let signals = Signals::listen(
        wiring.printer,
        "interrupted: no longer watching; the rollout goes on",
    )?;
    let follower = Follower {
        store,
        printer: wiring.printer,
        rollout: record.rollout.id.clone(),
        pause: wiring.follow_pause(),
        after_seq: if from_start {
            0
        } else {
            record.rollout.last_seq
        },
    };
    let last = follower.follow(signals.drain()).await?;
    wiring.printer.result(&render::ending(&last.rollout));
    plan::summary(wiring, &last)?;
    Ok(signals
        .exit()
        .unwrap_or_else(|| Exit::of(last.rollout.state)))
}
