//! One rollout: how far it is, what failed, what it waits for, when it will be done.

use serde_json::Value;

use super::page::Page;
use super::panel::{COUNT, FROM_NOW, NAME, PER_SECOND, Panel, SECONDS, SHARE};

/// What every query here begins with.
const OF: &str = "{fleet=\"$fleet\", rollout=\"$rollout\"";

pub(super) fn dashboard() -> Value {
    let rollouts = "label_values(sanderling_rollout_state{fleet=\"$fleet\"}, rollout)";
    let running = format!("max by (wave) (sanderling_wave_state{OF}, state=\"open\"}}) == 1");
    let halted = format!("max by (rule, harm) (sanderling_rollout_halted{OF}}})");
    let gated = format!("max by (wave) (sanderling_wave_state{OF}, state=\"gated\"}}) == 1");
    Page::new(
        "sanderling-rollout",
        "Sanderling / Rollout",
        "One rollout, wave by wave: outcomes, failures by class beside what is tolerated, gates, and when it will be done.",
    )
    .variable("rollout", "Rollout", rollouts, 2, false)
    .annotation("Halted", "red", &halted, "halted by {{rule}}, {{harm}}")
    .annotation("Wave open", "green", &running, "wave {{wave}} is open")
    .annotation("Gates", "blue", &gated, "gates after wave {{wave}}")
    .row("Now", now())
    .row("Waves and gates", waves())
    .row("Over time", over_time())
    .row("Failures and time", failures())
    .json()
}

fn one(metric: &str) -> String {
    format!("max({metric}{OF}}})")
}

fn outcome(outcomes: &str) -> String {
    format!(
        "sum(max by (wave, outcome) (sanderling_rollout_targets{OF}, outcome=~\"{outcomes}\"}}))"
    )
}

fn now() -> Vec<Panel> {
    let state = format!("max by (state) (sanderling_rollout_state{OF}}}) == 1");
    let halted = format!("max by (rule, harm) (sanderling_rollout_halted{OF}}})");
    let flight = format!("sum(max by (wave) (sanderling_rollout_in_flight{OF}}}))");
    let eta = format!("1000 * max by (estimate) (sanderling_rollout_eta_timestamp_seconds{OF}}})");
    let submitted = format!(
        "1000 * {}",
        one("sanderling_rollout_submitted_timestamp_seconds")
    );
    let done = "max(fleet_rollout:targets_done:ratio{fleet=\"$fleet\", rollout=\"$rollout\"})";
    vec![
        Panel::stat("State", "Where the rollout is.", NAME).query(&state, "{{state}}").named(),
        Panel::stat("Halted by", "The rule that stopped it, and whether a tenant is half way. `sanderling rollout show` says what to type.", NAME)
            .query(&halted, "{{rule}} ({{harm}})")
            .named()
            .coloured(&[(1.0, "red")])
            .none("not halted"),
        Panel::stat("Done", "The share of its tenants that nothing more will be done for.", SHARE).query(done, "done"),
        Panel::stat("Failed", "Tenants that failed, or stand half way.", COUNT)
            .query(&outcome("failed|dirty"), "failed")
            .coloured(&[(1.0, "red")]),
        Panel::stat("In flight", "Tenants that a worker has in hand.", COUNT).query(&flight, "in flight"),
        Panel::stat("Left", "Tenants that wait for their turn, deferred ones included.", COUNT)
            .query(&outcome("pending|deferred"), "left"),
        Panel::stat("Submitted", "When it began.", FROM_NOW).query(&submitted, "submitted").sized(6, 4),
        Panel::stat("Done by", "When it will be done if nothing goes wrong: as likely as not, and nine times in ten.", FROM_NOW)
            .query(&eta, "{{estimate}}")
            .none("no estimate")
            .sized(12, 4),
        Panel::stat("Tenants", "Tenants of the rollout, those that its plan left out included.", COUNT)
            .query("max(fleet_rollout:targets:sum{fleet=\"$fleet\", rollout=\"$rollout\"})", "tenants")
            .sized(6, 4),
    ]
}

fn waves() -> Vec<Panel> {
    let by_wave = |metric: &str| format!("max by (wave) ({metric}{OF}}})");
    let pending = format!("max by (wave) (sanderling_rollout_targets{OF}, outcome=\"pending\"}})");
    let failed = format!(
        "sum by (wave) (max by (wave, outcome) (sanderling_rollout_targets{OF}, outcome=~\"failed|dirty\"}}))"
    );
    let at =
        |state: &str| format!("max by (wave) (sanderling_wave_state{OF}, state=\"{state}\"}})");
    let state = format!("{} + 2 * {} + 3 * {}", at("open"), at("gated"), at("ended"));
    let gates = format!("max by (wave, gate, state) (sanderling_gate_state{OF}}}) == 1");
    vec![
        Panel::table("Waves", "Size, what is left, what failed and what is tolerated; an empty cell is without limit.", COUNT)
            .query(&by_wave("sanderling_wave_targets"), "targets")
            .query(&pending, "pending")
            .query(&by_wave("sanderling_rollout_in_flight"), "in flight")
            .query(&by_wave("sanderling_wave_max_in_flight"), "at most in flight")
            .query(&failed, "failed")
            .query(&by_wave("sanderling_wave_failures_tolerated"), "tolerated"),
        Panel::timeline("Waves over time", "Closed, open, at its gates, ended.")
            .query(&state, "{{wave}}")
            .mapped(&[("closed", "text"), ("open", "green"), ("gated", "blue"), ("ended", "super-light-green")]),
        Panel::table("Gates", "What each gate says. `inconclusive` and `error` wait for a person.", COUNT)
            .query(&gates, "is")
            .none("no gates")
            .sized(24, 6),
    ]
}

fn over_time() -> Vec<Panel> {
    let outcomes = format!(
        "sum by (outcome) (max by (wave, outcome) (sanderling_rollout_targets{OF}}}) or max by (outcome) (sanderling_rollout_left_out{OF}}}))"
    );
    let pending = format!("max by (wave) (sanderling_rollout_targets{OF}, outcome=\"pending\"}})");
    let flight = format!("max by (wave) (sanderling_rollout_in_flight{OF}}})");
    vec![
        Panel::stacked("Outcomes", "Where its tenants stand. The sum is the size of the rollout, always.", COUNT)
            .query(&outcomes, "{{outcome}}"),
        Panel::lines("Pending by wave", "How each wave empties.", COUNT).query(&pending, "{{wave}}"),
        Panel::stacked("In flight", "By wave, beside what is the most at once.", COUNT)
            .query(&flight, "{{wave}}")
            .query(&one("sanderling_rollout_max_in_flight"), "at most"),
        Panel::lines("Tenants a second", "What the fleet's workers end, by outcome; other rollouts of the fleet are in it.", PER_SECOND)
            .query(
                "sum by (outcome) (rate(sanderling_target_duration_seconds_count{fleet=\"$fleet\"}[$__rate_interval]))",
                "{{outcome}}",
            ),
    ]
}

fn failures() -> Vec<Panel> {
    let classes = format!("max by (class) (sanderling_rollout_failed{OF}}})");
    let estimate = format!("max by (estimate) (sanderling_rollout_target_estimate_seconds{OF}}})");
    let oldest = format!("time() - min(sanderling_rollout_oldest_start_timestamp_seconds{OF}}})");
    let progress = format!(
        "time() - {}",
        one("sanderling_rollout_progress_timestamp_seconds")
    );
    vec![
        Panel::stacked("Failures by class", "Failed tenants by the class of their cause, beside what the whole rollout tolerates.", COUNT)
            .query(&classes, "{{class}}")
            .query(&one("sanderling_rollout_failures_tolerated"), "tolerated"),
        Panel::lines("Longest in flight", "The tenant that has been in flight longest, beside what one takes: half of them, nine in ten.", SECONDS)
            .query(&oldest, "longest")
            .query(&estimate, "takes ({{estimate}})"),
        Panel::lines("Since the last one ended", "How long ago a tenant ended, or a wave opened.", SECONDS)
            .query(&progress, "seconds"),
        Panel::stacked("Retries by class", "Attempts that will be repeated, over the whole fleet.", PER_SECOND)
            .query("sum by (class) (rate(sanderling_retries_total{fleet=\"$fleet\"}[$__rate_interval]))", "{{class}}"),
    ]
}
