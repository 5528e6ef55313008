//! A plan in a file: written by `plan --out FILE`, carried out by `up --plan FILE` or refused.

use std::path::Path;

use anyhow::{Context, bail};
use sanderling_coordinator::Planned;
use sanderling_core::summary::PlanSummary;
use sanderling_store::Store;
use serde::{Deserialize, Serialize};

use crate::cli::Selection;
use crate::exit::UsageError;
use crate::render;

/// Rollouts that are looked through for one of this very plan.
const ROLLOUTS: u32 = 100;

/// What `plan --json` prints, and what the file holds: the plan, and what was asked for.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Document {
    /// The flags that the plan was made with. Settings are not among them: a changed one changes the plan.
    pub(crate) request: Selection,
    #[serde(flatten)]
    pub(crate) plan: PlanSummary,
}

impl Document {
    pub(crate) fn new(request: &Selection, planned: &Planned) -> Self {
        Self {
            request: request.clone(),
            plan: planned.summary(),
        }
    }
}

/// Writes the file anew.
pub(crate) fn write(path: &Path, request: &Selection, planned: &Planned) -> anyhow::Result<()> {
    let text = serde_json::to_string_pretty(&Document::new(request, planned))?;
    std::fs::write(path, format!("{text}\n"))
        .with_context(|| format!("{} cannot be written", path.display()))
}

/// Reads the file.
pub(crate) fn read(path: &Path) -> anyhow::Result<Document> {
    let text = std::fs::read_to_string(path).map_err(|error| {
        let path = path.display();
        UsageError(format!(
            "--plan {path}: {error}; write one with `sanderling plan --out FILE`"
        ))
    })?;
    Ok(serde_json::from_str(&text).map_err(|error| {
        UsageError(format!(
            "--plan {}: not a plan ({error}); write one with `sanderling plan --out FILE`",
            path.display()
        ))
    })?)
}

/// Refuses where what would be planned now is not what the file says. A rollout of this very plan that is under way is
/// joined: it is what moved the tenants.
pub(crate) async fn compare(
    file: &Document,
    planned: &Planned,
    store: Option<&dyn Store>,
) -> anyhow::Result<()> {
    let (was, now) = (&file.plan, planned.summary());
    if was.plan_hash == now.plan_hash {
        return Ok(());
    }
    if let Some(store) = store {
        let rollouts = store.rollouts(false, ROLLOUTS).await?;
        let mut its = rollouts.iter().map(|record| &record.rollout);
        if let Some(rollout) = its.find(|rollout| rollout.plan_hash == was.plan_hash) {
            if rollout.state.is_active() {
                return Ok(());
            }
            bail!(
                "this plan was carried out by rollout {} ({}); for what is left make a new plan with \
                 `sanderling plan --out FILE`",
                rollout.id,
                rollout.state.as_str().replace('_', " ")
            );
        }
    }
    bail!(
        "the plan in the file is not what would be done now:\n{}make a new plan with `sanderling plan --out FILE`, and \
         look at it; nothing was started",
        moved(was, &now)
    )
}

/// What differs, a line each.
fn moved(was: &PlanSummary, now: &PlanSummary) -> String {
    let mut out = String::new();
    let mut differs = |what: &str, was: String, now: String| {
        if was != now {
            out.push_str(&format!("  {what}: {was} in the file, {now} now\n"));
        }
    };
    let short = |hash: &str| hash.get(..12).unwrap_or(hash).to_owned();
    differs(
        "migrations (bundle)",
        short(was.bundle.as_str()),
        short(now.bundle.as_str()),
    );
    differs("target", was.target.to_string(), now.target.to_string());
    for (what, was, now) in [
        ("selected tenants", was.tenants, now.tenants),
        ("to migrate", was.pending, now.pending),
        ("up to date", was.up_to_date, now.up_to_date),
        ("ahead", was.ahead, now.ahead),
        ("held", was.held.unwrap_or(0), now.held.unwrap_or(0)),
        ("dirty", was.dirty, now.dirty),
        ("unreachable", was.unreachable, now.unreachable),
        ("failed before", was.known_failures, now.known_failures),
    ] {
        differs(what, render::number(was), render::number(now));
    }
    let paths = |plan: &PlanSummary| {
        let path = |p: &sanderling_core::summary::PathSummary| {
            let from = p.from.as_ref().map_or("nothing", |from| from.as_str());
            format!("{from} → {} ({})", p.to, render::number(p.tenants))
        };
        plan.paths.iter().map(path).collect::<Vec<_>>().join(", ")
    };
    differs("paths", paths(was), paths(now));
    let waves = |plan: &PlanSummary| {
        let wave = |w: &sanderling_core::summary::WaveSummary| format!("{} {}", w.name, w.tenants);
        plan.waves.iter().map(wave).collect::<Vec<_>>().join(", ")
    };
    differs("waves", waves(was), waves(now));
    if was.limits != now.limits || was.concurrency != now.concurrency {
        out.push_str("  limits or concurrency of the whole rollout\n");
    }
    let limits = |plan: &PlanSummary| {
        let of = |w: &sanderling_core::summary::WaveSummary| (w.limits.clone(), w.max_in_flight);
        plan.waves.iter().map(of).collect::<Vec<_>>()
    };
    if was.waves.len() == now.waves.len() && limits(was) != limits(now) {
        out.push_str("  limits of waves\n");
    }
    let gates = |plan: &PlanSummary| {
        let of = |w: &sanderling_core::summary::WaveSummary| w.gates.clone();
        plan.waves.iter().map(of).collect::<Vec<_>>()
    };
    if was.waves.len() == now.waves.len() && gates(was) != gates(now) {
        out.push_str("  bakes or gates of waves\n");
    }
    let members = |plan: &PlanSummary| plan.canary.as_ref().map(|c| c.members.clone());
    if members(was) != members(now) {
        out.push_str("  who is in the canary\n");
    }
    if out.is_empty() {
        out.push_str(
            "  which tenants go in which wave, or a setting of [rollout] or [retry] (lock_timeout, atomic, retries)\n",
        );
    }
    out
}
