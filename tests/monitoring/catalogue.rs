//! Which series there are, with which labels: the catalogue of the program, what rules record, what Prometheus adds.

use std::collections::{BTreeMap, BTreeSet};

use sanderling_telemetry::{Kind, catalogue};

use crate::promql::{self, Names};
use crate::rules::Rules;

/// Labels that every series has: the fleet by the program, the others by the scrape.
const EVERYWHERE: &[&str] = &["fleet", "instance", "job"];

/// All series that a query may name.
pub(crate) struct Catalogue(BTreeMap<String, (Kind, BTreeSet<String>)>);

impl Catalogue {
    /// The program's own, and what these rules record.
    pub(crate) fn with(rules: &Rules) -> Self {
        let mut all = Self(BTreeMap::new());
        for about in catalogue::ALL {
            let labels = EVERYWHERE.iter().chain(about.labels).copied();
            all.add(about.name, about.kind, labels);
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
