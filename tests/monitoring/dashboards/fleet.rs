//! The fleet: at which versions its tenants are, what rolls, who works.

use serde_json::Value;

use super::page::Page;
use super::panel::{COUNT, FLAG, NAME, Panel, SECONDS, SHARE};

/// Of all tenants of the registry.
const BY_STATE: &str = "sanderling_tenants_by_state{fleet=\"$fleet\"";

pub(super) fn dashboard() -> Value {
    Page::new(
        "sanderling-fleet",
        "Sanderling / Fleet",
        "Where the tenants of a fleet stand, what is being rolled out, and who works.",
    )
    .annotation(
        "Halted",
        "red",
        "max by (rollout, rule, harm) (sanderling_rollout_halted{fleet=\"$fleet\"})",
        "rollout {{rollout}} halted by {{rule}}, {{harm}}",
    )
    .annotation(
        "The lead moved",
        "purple",
        "sum by (fleet) (changes(sanderling_leader{fleet=\"$fleet\"}[1m])) > 0",
        "another coordinator leads {{fleet}}",
    )
    .row("Where the tenants stand", standing())
    .row("Rollouts", rollouts())
    .row("Who works", processes())
    .json()
}

fn of_state(title: &str, says: &str, state: &str) -> Panel {
    let expr = format!("max({BY_STATE},state=\"{state}\"}})");
    Panel::stat(title, says, COUNT).query(&expr, title)
}

fn standing() -> Vec<Panel> {
    let share =
        format!("max({BY_STATE},state=\"up_to_date\"}}) / sum(max by (state) ({BY_STATE}}}))");
    vec![
        Panel::stat("Tenants", "Tenants in the registry.", COUNT)
            .query("sum(max by (engine, host) (sanderling_tenants{fleet=\"$fleet\"}))", "tenants"),
        Panel::stat("Up to date", "The share of tenants with nothing to apply, by the last survey.", SHARE)
            .query(&share, "up to date"),
        of_state("Behind", "Tenants with something to apply. `sanderling plan` says what.", "behind"),
        of_state("Dirty", "Tenants half way through a migration that cannot be undone. `sanderling tenants list` names them.", "dirty")
            .coloured(&[(1.0, "red")]),
        of_state("Unreachable", "Tenants that could not be read. `sanderling status` says why.", "unreachable")
            .coloured(&[(1.0, "orange")]),
        Panel::stat("Held", "Tenants that somebody has pinned. They count in one of the states too.", COUNT)
            .query("max(sanderling_tenants_held{fleet=\"$fleet\"})", "held"),
        Panel::stacked("Tenants by state", "What the last survey said of each tenant. The sum is the registry.", COUNT)
            .query(&format!("max by (state) ({BY_STATE}}})"), "{{state}}"),
        Panel::stacked("Tenants by version", "The newest version in effect. Ten versions have a name; those before them are `older`.", COUNT)
            .query("max by (version) (sanderling_tenants_by_version{fleet=\"$fleet\"})", "{{version}}"),
        Panel::bars("Tenants by host", "How many tenants each database server has.", COUNT)
            .query("max by (host, engine) (sanderling_tenants{fleet=\"$fleet\"})", "{{host}} ({{engine}})"),
        Panel::stat("Age of the survey", "How long ago the leader last looked at the whole fleet. What is above is that old.", SECONDS)
            .query("time() - max(sanderling_survey_timestamp_seconds{fleet=\"$fleet\"})", "age")
            .coloured(&[(900.0, "orange"), (1800.0, "red")])
            .sized(6, 8),
        Panel::stat("Duration of the survey", "How long that look took.", SECONDS)
            .query("max(sanderling_survey_duration_seconds{fleet=\"$fleet\"})", "duration")
            .sized(6, 8),
    ]
}

fn rollouts() -> Vec<Panel> {
    vec![
        Panel::table("Active rollouts, and the last that ended", "Their states. `sanderling rollout show ID` tells the rest.", COUNT)
            .query("max by (rollout, state) (sanderling_rollout_state{fleet=\"$fleet\"}) == 1", "is"),
        Panel::bars("Done", "The share of each rollout's tenants that nothing more will be done for.", SHARE)
            .query("fleet_rollout:targets_done:ratio{fleet=\"$fleet\"}", "{{rollout}}")
            .whole(),
        Panel::table("Alerts", "Alerts of this fleet that are pending or firing; those of no fleet are about processes that nobody sees.", COUNT)
            .query("max by (alertname, alertstate, severity, rollout, host) (ALERTS{alertname=~\"Sanderling.+\", fleet=~\"$fleet|\"})", "is")
            .none("no alerts"),
        Panel::stacked("Halts", "Rollouts that policy stopped, by the rule that did.", COUNT)
            .query("sum by (rule) (increase(sanderling_halts_total{fleet=\"$fleet\"}[$__rate_interval]))", "{{rule}}"),
        Panel::stacked("Gates", "Measurements between waves, by what they said.", COUNT)
            .query(
                "sum by (kind, result) (increase(sanderling_gate_evaluations_total{fleet=\"$fleet\"}[$__rate_interval]))",
                "{{kind}} {{result}}",
            ),
    ]
}

fn processes() -> Vec<Panel> {
    vec![
        Panel::stat("Leader", "The coordinator that leads.", NAME)
            .query(
                "max by (instance) (sanderling_leader{fleet=\"$fleet\"}) == 1",
                "{{instance}}",
            )
            .named()
            .none("nobody leads")
            .sized(6, 4),
        Panel::stat(
            "Live workers",
            "Workers with a heartbeat in the control store.",
            COUNT,
        )
        .query("max(sanderling_workers{fleet=\"$fleet\"})", "workers")
        .sized(6, 4),
        Panel::timeline("Who led", "Each coordinator, leading or not.")
            .query(
                "max by (instance) (sanderling_leader{fleet=\"$fleet\"})",
                "{{instance}}",
            )
            .mapped(&[("follows", "text"), ("leads", "green")])
            .sized(12, 8),
        Panel::table(
            "Processes",
            "How many of each version. Workers may be one release behind.",
            COUNT,
        )
        .query(
            "count by (process, version) (sanderling_build_info{fleet=\"$fleet\"})",
            "processes",
        )
        .sized(12, 6),
        Panel::table("Answering", "Which processes Prometheus reaches.", FLAG)
            .query(
                "max by (job, instance) (up{job=~\"sanderling-.+\"})",
                "answers",
            )
            .sized(12, 6),
    ]
}
