//! `sanderling plan`, and the shapes that plans and rollouts are shown in.

pub(crate) mod file;
#[cfg(test)]
mod snapshot;
mod sql;
mod text;

use sanderling_coordinator::Planned;
use sanderling_core::summary::RolloutSummary;
use sanderling_core::{Direction, Outcome, OutcomeCounts, Rollout, RolloutId, Version};
use sanderling_store::RolloutRecord;

pub(crate) use text::text;

use super::{selection, serving};
use crate::cli::Plan;
use crate::exit::Exit;
use crate::render;
use crate::wiring::Wiring;

/// Shows what `up` would do.
pub(crate) async fn run(wiring: &Wiring, args: &Plan) -> anyhow::Result<Exit> {
    let fleet = wiring.fleet()?;
    let request = selection::request(wiring, &args.selection)?;
    let store = wiring.store_if_any().await?;
    if store.is_none() {
        wiring.printer.talk(
            "there is no control store yet: holds, who failed before and how long migrations took are not known",
        );
    }
    let planned = selection::plan(&fleet, &request, store.as_deref()).await?;
    for sentence in &planned.left_behind {
        wiring.printer.warn(sentence);
    }
    if args.sql {
        sql::show(wiring, &fleet, &planned)?;
        return Ok(Exit::Done);
    }
    serving::refuse_unserved(wiring, &fleet, &planned, store.as_deref()).await?;
    if let Some(path) = &args.out {
        file::write(path, &args.selection, &planned)?;
        let path = path.display();
        wiring.printer.talk(&format!(
            "written to {path}; carry it out with `sanderling up --plan {path}`"
        ));
    }
    let document = file::Document::new(&args.selection, &planned);
    wiring.printer.json(&document)?;
    wiring.printer.result(&text(&document.plan));
    Ok(Exit::Done)
}

/// Shows a plan.
pub(crate) fn show(wiring: &Wiring, planned: &Planned) -> anyhow::Result<()> {
    let summary = planned.summary();
    wiring.printer.json(&summary)?;
    wiring.printer.result(&text(&summary));
    Ok(())
}

/// The summary of a rollout, for scripts.
pub(crate) fn summary(wiring: &Wiring, record: &RolloutRecord) -> anyhow::Result<()> {
    wiring
        .printer
        .json(&RolloutSummary::new(&record.rollout, record.now))
}

/// What `up` says when no tenant has anything to apply. Tenants that could not be read, or are not as they should
/// be, still count.
pub(crate) fn nothing_to_do(wiring: &Wiring, planned: &Planned) -> anyhow::Result<Exit> {
    let mut rollout = Rollout::new(&RolloutId::new(""), &planned.plan);
    rollout.state = rollout.final_state();
    let exit = Exit::of(rollout.state);
    let summary = RolloutSummary::new(&rollout, sanderling_core::Micros::default());
    wiring.printer.json(&RolloutSummary {
        rollout: None,
        ..summary
    })?;
    let up_to_date = planned.left_out(Outcome::UpToDate);
    let tenants = render::tenants(up_to_date);
    wiring.printer.result(&match planned.plan.direction {
        Direction::Up => format!(
            "nothing to do: {tenants} at version {}",
            planned.plan.target
        ),
        Direction::Down if planned.plan.target == Version::nothing() => {
            format!("nothing to take back: {tenants} without a migration")
        }
        Direction::Down => format!(
            "nothing to take back: {tenants} not above {}",
            render::stays(&planned.plan.target)
        ),
    });
    if exit != Exit::Done {
        let mut others = OutcomeCounts::default();
        for outcome in Outcome::ALL.into_iter().filter(|o| *o != Outcome::UpToDate) {
            others.add(outcome, planned.left_out(outcome));
        }
        wiring
            .printer
            .result(&format!("left out: {}", render::counts(&others)));
    }
    Ok(exit)
}
