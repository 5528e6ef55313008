//! Which series there are, with which labels: the catalogue of the program, what rules record, what Prometheus adds.

use std::collections::{BTreeMap, BTreeSet};

use crate::promql::{self, Names};
use crate::rules::Rules;

/// What kind of metric, as far as queries care.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Gauge,
    Counter,
    Histogram,
}

/// Labels that every series has: the fleet by the program, the others by the scrape.
const EVERYWHERE: &[&str] = &["fleet", "instance", "job"];

/// All series that a query may name.
pub(crate) struct Catalogue(BTreeMap<String, (Kind, BTreeSet<String>)>);

impl Catalogue {
    /// The program's own, and what these rules record.
    pub(crate) fn with(rules: &Rules) -> Self {
        let mut all = Self(BTreeMap::new());
        for (name, kind, labels) in OWN {
            all.add(name, *kind, EVERYWHERE.iter().chain(*labels).copied());
        }
        for name in rules.recorded() {
            // level:metric:operation; the level names the labels that are left.
            let level = name.split(':').next().unwrap_or_default();
            all.add(name, Kind::Gauge, level.split('_'));
        }
        all.add("up", Kind::Gauge, ["job", "instance"].into_iter());
        let alert = ["alertname", "alertstate", "severity", "process"];
        let carried = ["fleet", "rollout", "rule", "wave", "gate", "host", "job"];
        all.add("ALERTS", Kind::Gauge, alert.into_iter().chain(carried));
        all
    }

    fn add<'a>(&mut self, name: &str, kind: Kind, labels: impl Iterator<Item = &'a str>) {
        let labels = labels.map(str::to_owned).collect();
        self.0.insert(name.to_owned(), (kind, labels));
    }

    /// The kind and the labels of a series, `…_bucket` and `…_count` of histograms included.
    fn find(&self, series: &str) -> Option<(Kind, BTreeSet<String>)> {
        if let Some(found) = self.0.get(series) {
            return (found.0 != Kind::Histogram).then(|| found.clone());
        }
        let (base, part) = series.rsplit_once('_')?;
        let (kind, labels) = self.0.get(base)?;
        let mut labels = labels.clone();
        match part {
            "bucket" => drop(labels.insert("le".into())),
            "sum" | "count" => {}
            _ => return None,
        }
        (*kind == Kind::Histogram).then_some((Kind::Counter, labels))
    }

    /// Complaints about an expression: series that are not there, labels that they do not have, counters without a
    /// range. `legend` may have `{{label}}` in it.
    pub(crate) fn complaints(&self, expr: &str, legend: &str) -> Vec<String> {
        let Names {
            selectors,
            groupings,
        } = promql::names(expr);
        let mut complaints = Vec::new();
        let mut known = BTreeSet::new();
        if selectors.is_empty() {
            complaints.push(format!("names no series: {expr}"));
        }
        for selector in &selectors {
            let name = &selector.metric;
            let Some((kind, labels)) = self.find(name) else {
                complaints.push(format!("{name} is not in the catalogue: {expr}"));
                continue;
            };
            for label in &selector.labels {
                if !labels.contains(label) {
                    complaints.push(format!("{name} has no label {label}: {expr}"));
                }
            }
            // Whether a gauge changed may be asked of a range; the absence of a counter may be asked without one.
            let asked = expr.contains("changes(") || expr.contains("absent(");
            if (kind == Kind::Counter) != selector.range.is_some() && !asked {
                complaints.push(format!(
                    "{name} is a {kind:?}, range {:?}: {expr}",
                    selector.range
                ));
            }
            known.extend(labels);
        }
        for label in groupings.iter().chain(&placeholders(legend)) {
            if !known.contains(label) {
                complaints.push(format!("no series of it has label {label}: {expr}"));
            }
        }
        complaints
    }
}

/// The labels of `{{label}}` in a text.
pub(crate) fn placeholders(text: &str) -> Vec<String> {
    text.split("{{")
        .skip(1)
        .filter_map(|rest| rest.split_once("}}"))
        .map(|(label, _)| label.trim().to_owned())
        .collect()
}

use Kind::{Counter, Gauge, Histogram};

/// The program's own.
const OWN: &[(&str, Kind, &[&str])] = &[
    ("sanderling_build_info", Gauge, &["version", "process"]),
    (
        "sanderling_store_request_duration_seconds",
        Histogram,
        &["op"],
    ),
    ("sanderling_store_errors_total", Counter, &["op", "kind"]),
    (
        "sanderling_claims_request_duration_seconds",
        Histogram,
        &["backend", "op"],
    ),
    (
        "sanderling_claims_locks_total",
        Counter,
        &["backend", "op", "result"],
    ),
    ("sanderling_dropped_labels_total", Counter, &["label"]),
    ("sanderling_leader", Gauge, &[]),
    ("sanderling_workers", Gauge, &[]),
    ("sanderling_workers_away", Gauge, &["host"]),
    ("sanderling_survey_timestamp_seconds", Gauge, &[]),
    ("sanderling_survey_duration_seconds", Gauge, &[]),
    ("sanderling_tenants", Gauge, &["engine", "host"]),
    ("sanderling_tenants_by_state", Gauge, &["state"]),
    ("sanderling_tenants_held", Gauge, &[]),
    ("sanderling_tenants_by_version", Gauge, &["version"]),
    ("sanderling_rollout_state", Gauge, &["rollout", "state"]),
    (
        "sanderling_rollout_submitted_timestamp_seconds",
        Gauge,
        &["rollout"],
    ),
    (
        "sanderling_rollout_ended_timestamp_seconds",
        Gauge,
        &["rollout"],
    ),
    (
        "sanderling_rollout_eta_timestamp_seconds",
        Gauge,
        &["rollout", "quantile"],
    ),
    (
        "sanderling_rollout_targets",
        Gauge,
        &["rollout", "wave", "outcome"],
    ),
    ("sanderling_rollout_in_flight", Gauge, &["rollout", "wave"]),
    ("sanderling_rollout_max_in_flight", Gauge, &["rollout"]),
    ("sanderling_rollout_failed", Gauge, &["rollout", "class"]),
    ("sanderling_rollout_failures_tolerated", Gauge, &["rollout"]),
    (
        "sanderling_rollout_halted",
        Gauge,
        &["rollout", "rule", "harm"],
    ),
    (
        "sanderling_rollout_progress_timestamp_seconds",
        Gauge,
        &["rollout"],
    ),
    (
        "sanderling_rollout_oldest_start_timestamp_seconds",
        Gauge,
        &["rollout"],
    ),
    (
        "sanderling_rollout_target_estimate_seconds",
        Gauge,
        &["rollout", "quantile"],
    ),
    (
        "sanderling_wave_state",
        Gauge,
        &["rollout", "wave", "state"],
    ),
    ("sanderling_wave_targets", Gauge, &["rollout", "wave"]),
    (
        "sanderling_wave_failures_tolerated",
        Gauge,
        &["rollout", "wave"],
    ),
    ("sanderling_wave_max_in_flight", Gauge, &["rollout", "wave"]),
    (
        "sanderling_gate_state",
        Gauge,
        &["rollout", "wave", "gate", "state"],
    ),
    ("sanderling_halts_total", Counter, &["rule"]),
    (
        "sanderling_gate_evaluations_total",
        Counter,
        &["kind", "result"],
    ),
    ("sanderling_worker_slots", Gauge, &[]),
    ("sanderling_worker_slots_in_use", Gauge, &[]),
    ("sanderling_worker_heartbeat_timestamp_seconds", Gauge, &[]),
    ("sanderling_starts_total", Counter, &["engine"]),
    (
        "sanderling_target_duration_seconds",
        Histogram,
        &["engine", "outcome"],
    ),
    (
        "sanderling_message_duration_seconds",
        Histogram,
        &["engine", "kind"],
    ),
    ("sanderling_retries_total", Counter, &["class"]),
    ("sanderling_failures_total", Counter, &["class"]),
    ("sanderling_lock_wait_seconds", Histogram, &["engine"]),
    ("sanderling_renew_failures_total", Counter, &[]),
    ("sanderling_stale_claims_total", Counter, &[]),
    ("sanderling_fenced_total", Counter, &[]),
    ("sanderling_host_connections", Gauge, &["host", "state"]),
    ("sanderling_host_connections_limit", Gauge, &["host"]),
    ("sanderling_host_circuit_open", Gauge, &["host"]),
];

#[cfg(test)]
mod tests {
    use super::*;

    fn complaints(expr: &str, legend: &str) -> usize {
        Catalogue::with(&Rules::default())
            .complaints(expr, legend)
            .len()
    }

    #[test]
    fn what_the_catalogue_has_may_be_asked_and_nothing_else() {
        for (expr, legend) in [
            (
                "max by (host) (sanderling_host_circuit_open{fleet=\"f\"})",
                "{{host}}",
            ),
            (
                "sum by (le) (rate(sanderling_lock_wait_seconds_bucket{engine=\"sqlite\"}[5m]))",
                "{{le}}",
            ),
            ("max(up{job=\"x\"})", ""),
            ("absent(sanderling_leader)", ""),
        ] {
            assert_eq!(complaints(expr, legend), 0, "{expr}");
        }
        for (expr, legend) in [
            ("sanderling_nothing", ""),
            ("sanderling_leader{tenant=\"t\"}", ""),
            ("sanderling_leader", "{{tenant}}"),
            ("sum by (tenant) (sanderling_leader)", ""),
            ("sanderling_fenced_total", ""),
            ("rate(sanderling_leader[5m])", ""),
            ("sanderling_lock_wait_seconds", ""),
            ("rate(sanderling_lock_wait_seconds_quantile[5m])", ""),
            ("rate(sanderling_lock_wait_seconds_count{le=\"1\"}[5m])", ""),
            ("fleet:unknown:ratio", ""),
            ("vector(1)", ""),
        ] {
            assert_eq!(complaints(expr, legend), 1, "{expr}");
        }
    }
}
