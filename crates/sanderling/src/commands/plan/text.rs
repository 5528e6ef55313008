//! A plan as text. Every number in it is one of the document that `--json` prints, or that number and one.

use std::collections::BTreeSet;
use std::time::Duration;

use sanderling_core::Direction;
use sanderling_core::halt::Limits;
use sanderling_core::summary::{CanarySummary, CoverageSummary, PlanSummary, WaveSummary};

use crate::render::{self, number, ordinal, tenants};
use crate::render_gate;

/// Members of the canary that are named.
const MEMBERS: usize = 10;
/// Uncovered values that are named.
const UNCOVERED: usize = 10;

/// The plan.
pub(crate) fn text(plan: &PlanSummary) -> String {
    let mut out = head(plan);
    for path in &plan.paths {
        let from = path.from.as_ref().map_or("nothing", |from| from.as_str());
        out.push_str(&format!(
            "  {:>16}  {from} → {}\n",
            tenants(path.tenants),
            path.to
        ));
    }
    for wave in &plan.waves {
        out.push_str(&format!("{}\n", wave_line(wave)));
        if let Some(canary) = plan.canary.as_ref().filter(|c| c.wave == wave.name) {
            out.push_str(&members(canary));
        }
        out.push_str(&coverage(wave, &plan.coverage));
        if let Some(canary) = plan.canary.as_ref().filter(|c| c.wave == wave.name) {
            out.push_str(&misses(canary));
        }
        out.extend(wave.gates.iter().map(render_gate::planned));
    }
    if let Some(exclude) = &plan.canary_exclude {
        out.push_str(&format!(
            "never in the canary ({}): {}\n",
            exclude.selector,
            tenants(exclude.tenants)
        ));
        if plan.canary.is_none() && exclude.tenants > 0 {
            out.push_str("  nobody is left for a canary: the first wave is not one\n");
        }
    }
    let whole = limits(&plan.limits, plan.limits.tolerated().map(|n| n + 1));
    if !whole.is_empty() {
        out.push_str(&format!(
            "the whole rollout halts {}\n",
            whole.join(", or ")
        ));
    }
    for host in &plan.hosts {
        out.push_str(&format!(
            "host {}: {}, at most {} in flight, {} connections\n",
            host.host,
            tenants(host.tenants),
            host.max_in_flight,
            host.connections
        ));
    }
    if plan.pending > 0 {
        out.push_str(&match plan.estimate_seconds {
            Some(seconds) => format!(
                "estimate: {}, by how long migrations took before{}\n",
                render::duration(Duration::from_secs(seconds)),
                if plan.waves.iter().any(|wave| !wave.gates.is_empty()) {
                    ", with bakes and gates"
                } else {
                    ""
                }
            ),
            None => "estimate: none, for no rollout has been seen yet\n".to_owned(),
        });
    }
    let short = plan.plan_hash.get(..12).unwrap_or(&plan.plan_hash);
    out.push_str(&format!("plan {short}\n"));
    out
}

fn head(plan: &PlanSummary) -> String {
    let (all, pending, up_to_date) = (
        tenants(plan.tenants),
        number(plan.pending),
        number(plan.up_to_date),
    );
    let mut out = match plan.direction {
        Direction::Up => format!(
            "{all} to version {}: {pending} to migrate, {up_to_date} up to date",
            plan.target
        ),
        Direction::Down => format!(
            "{all} down to {}: {pending} to take back, {up_to_date} not above it",
            render::stays(&plan.target)
        ),
    };
    for (n, what) in [
        (plan.ahead, "ahead"),
        (plan.held.unwrap_or(0), "held"),
        (plan.dirty, "dirty"),
        (plan.unreachable, "unreachable"),
    ] {
        if n > 0 {
            out.push_str(&format!(", {} {what}", number(n)));
        }
    }
    out.push('\n');
    out
}

fn wave_line(wave: &WaveSummary) -> String {
    let others = match wave.others_in_flight {
        0 => "no others in flight".to_owned(),
        1 => "at most 1 other in flight".to_owned(),
        n => format!("at most {n} others in flight"),
    };
    let halts = limits(&wave.limits, wave.halts_on);
    let halts = if halts.is_empty() {
        "has no limit of its own".to_owned()
    } else {
        format!("halts {}", halts.join(", or "))
    };
    format!(
        "wave {}: {}, {halts}; {others}",
        wave.name,
        tenants(u64::from(wave.tenants))
    )
}

/// What halts a scope. What could never be the first to halt it is left out.
fn limits(limits: &Limits, halts_on: Option<u32>) -> Vec<String> {
    let mut out = Vec::new();
    out.extend(halts_on.map(|n| format!("on the {} failure", ordinal(n))));
    let sooner = |tolerated: &u32| halts_on.is_none_or(|on| tolerated.saturating_add(1) < on);
    if let Some(n) = limits.max_consecutive.filter(sooner) {
        out.push(format!("on the {} failure in a row", ordinal(n + 1)));
    }
    if let Some(n) = limits.same_cause.filter(sooner) {
        out.push(format!("on the {} with one cause", ordinal(n + 1)));
    }
    for (class, n) in limits.class_limits.iter().filter(|(_, n)| sooner(n)) {
        out.push(format!("on the {} {class}", ordinal(n + 1)));
    }
    let duration = |ms: u64| render::duration(Duration::from_millis(ms));
    if let Some(ms) = limits.stall_after_ms {
        out.push(format!("when nothing moves for {}", duration(ms)));
    }
    if let Some(ms) = limits.max_duration_ms {
        out.push(format!("after {}", duration(ms)));
    }
    out
}

fn members(canary: &CanarySummary) -> String {
    let named = canary.members.iter().take(MEMBERS);
    let mut out: String = named
        .clone()
        .map(|member| format!("    {}: {}\n", member.tenant, member.why))
        .collect();
    let more = canary.tenants - named.count() as u64;
    if more > 0 {
        out.push_str(&format!("    and {} more\n", number(more)));
    }
    out
}

fn misses(canary: &CanarySummary) -> String {
    let Some((first, rest)) = canary.misses.split_first() else {
        return String::new();
    };
    let rest: Vec<String> = rest
        .iter()
        .map(|miss| format!("{} %: {}", miss.rate_percent, miss.missed_percent))
        .collect();
    format!(
        "    would miss a fault that hits {} % of tenants {} times in 100 ({})\n",
        first.rate_percent,
        first.missed_percent,
        rest.join(", ")
    )
}

fn coverage(wave: &WaveSummary, coverage: &[CoverageSummary]) -> String {
    let of: Vec<&CoverageSummary> = coverage.iter().filter(|c| c.wave == wave.name).collect();
    if of.is_empty() {
        return String::new();
    }
    let keys: BTreeSet<&str> = of.iter().map(|c| c.key.as_str()).collect();
    let open: Vec<&&CoverageSummary> = of.iter().filter(|c| c.covered_by.is_none()).collect();
    let mut out = format!(
        "    covers {} of {} values of {}\n",
        of.len() - open.len(),
        of.len(),
        keys.into_iter().collect::<Vec<_>>().join(", ")
    );
    for covered in open.iter().take(UNCOVERED) {
        let because = if covered.excluded == covered.tenants {
            ", by canary_exclude"
        } else {
            ""
        };
        out.push_str(&format!(
            "    not covered: {}={} ({}{because})\n",
            covered.key,
            covered.value,
            tenants(covered.tenants)
        ));
    }
    if open.len() > UNCOVERED {
        let more = (open.len() - UNCOVERED) as u64;
        out.push_str(&format!("    and {} more not covered\n", number(more)));
    }
    out
}
