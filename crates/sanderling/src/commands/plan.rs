//! `sanderling plan`, and the shapes that plans and rollouts are shown in.

use sanderling_coordinator::Planned;
use sanderling_core::plan::PlannedWave;
use sanderling_core::summary::{PlanSummary, RolloutSummary};
use sanderling_core::{Outcome, Rollout, RolloutId};
use sanderling_store::RolloutRecord;

use super::selection;
use crate::cli::Selection;
use crate::exit::Exit;
use crate::render;
use crate::render_gate;
use crate::wiring::Wiring;

/// Shows what `up` would do.
pub(crate) async fn run(wiring: &Wiring, args: &Selection) -> anyhow::Result<Exit> {
    let fleet = wiring.fleet()?;
    let request = selection::request(wiring, args)?;
    let store = wiring.store_if_any().await?;
    let planned = selection::plan(&fleet, &request, store.as_deref()).await?;
    for sentence in &planned.left_behind {
        wiring.printer.warn(sentence);
    }
    show(wiring, &planned)?;
    Ok(Exit::Done)
}

/// Shows a plan.
pub(crate) fn show(wiring: &Wiring, planned: &Planned) -> anyhow::Result<()> {
    wiring.printer.json(&planned.summary())?;
    wiring.printer.result(&text(planned));
    Ok(())
}

/// A plan as text.
pub(crate) fn text(planned: &Planned) -> String {
    let plan = &planned.plan;
    let summary = PlanSummary::new(plan, None);
    let mut out = format!(
        "{} to version {}: {} to migrate, {} up to date",
        render::tenants(summary.tenants),
        plan.target,
        render::number(summary.pending),
        render::number(summary.up_to_date)
    );
    for (n, what) in [
        (summary.ahead, "ahead"),
        (summary.dirty, "dirty"),
        (summary.held.unwrap_or(0), "held"),
        (summary.unreachable, "unreachable"),
    ] {
        if n > 0 {
            out.push_str(&format!(", {} {what}", render::number(n)));
        }
    }
    out.push('\n');
    for path in &summary.paths {
        let from = path
            .from
            .as_ref()
            .map_or_else(|| "nothing".to_owned(), ToString::to_string);
        out.push_str(&format!(
            "  {}: {from} → {}\n",
            render::tenants(path.tenants),
            path.to
        ));
    }
    for wave in &plan.waves {
        out.push_str(&wave_line(wave));
        out.extend(wave.gates.iter().map(render_gate::planned));
    }
    if let Some(tolerated) = plan.policy.limits.tolerated() {
        out.push_str(&format!(
            "the whole rollout halts on failed tenant {}\n",
            tolerated + 1
        ));
    }
    out.push_str(&format!(
        "plan {}\n",
        summary.plan_hash.get(..12).unwrap_or(&summary.plan_hash)
    ));
    out
}

fn wave_line(wave: &PlannedWave) -> String {
    let halts = wave.limits.tolerated().map_or_else(
        || "has no limit of its own".to_owned(),
        |n| format!("halts on failed tenant {}", n + 1),
    );
    format!(
        "  wave {:<12} {:>16}  {halts}, at most {} others in flight then\n",
        wave.name,
        render::tenants(u64::from(wave.tenants)),
        wave.max_in_flight.saturating_sub(1)
    )
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
    wiring.printer.result(&format!(
        "nothing to do: {} at version {}",
        render::tenants(up_to_date),
        planned.plan.target
    ));
    if exit != Exit::Done {
        wiring
            .printer
            .result(&format!("not there: {}", render::outcomes(&rollout)));
    }
    Ok(exit)
}
