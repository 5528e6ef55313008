//! How many series there are, whatever the fleet: labels have a number of values that no operator can move.

#![expect(
    clippy::unwrap_used,
    reason = "a test that cannot go on panics with what it saw"
)]

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use sanderling_core::summary::StatusSummary;
use sanderling_core::{Micros, Plan, Rollout, RolloutId, RolloutState};
use sanderling_telemetry::catalogue::{ALL, STARTS, TARGETS_ENDED};
use sanderling_telemetry::{
    ACTIVE_ROLLOUTS, Board, ENDED_ROLLOUTS, Look, Metrics, Pace, Samples, fleet, host_label,
    rollout,
};
use serde_json::{Value, json};

const WAVES: usize = 10;

/// A plan of ten waves over so many tenants, each wave with a gate.
fn plan(tenants: usize) -> Plan {
    let gate = json!({"name": "bake", "kind": {"bake": {"duration_ms": 60_000, "samples": null}}});
    let limits = json!({"max_failures": 3, "max_failure_percent": null, "max_consecutive": null, "same_cause": null});
    let wave = |index: usize| {
        json!({"name": format!("wave{index}"), "tenants": tenants / WAVES, "concurrency": null, "strict": false,
            "limits": limits, "max_in_flight": 16, "gates": [gate]})
    };
    let target = |n: usize| {
        json!({"tenant": format!("tenant-{n:06}"), "place": {"host": format!("h{}", n % 300)}, "wave": n % WAVES,
            "position": n / WAVES, "path": 0, "has_ledger": true, "missing": false})
    };
    serde_json::from_value(json!({
        "fleet": "prod", "bundle": "b", "target": "42",
        "policy": {"concurrency": 16, "atomic": "version", "lock_timeout_ms": 1000, "statement_timeout_ms": 0,
            "create_missing": false, "limits": limits, "retry": {}},
        "waves": (0..WAVES).map(wave).collect::<Vec<_>>(),
        "paths": [{"from": null, "versions": ["42"]}],
        "targets": (0..tenants).map(target).collect::<Vec<_>>(),
        "left_out": [],
    }))
    .unwrap()
}

/// Everything that a leader shows of a fleet of so many tenants, with more rollouts, hosts and versions than are told
/// apart.
fn shown(tenants: usize) -> Samples {
    let plan = plan(tenants);
    let mut samples = Samples::default();
    let planned = Rollout::new(&RolloutId::new("r"), &plan);
    for number in 0..ACTIVE_ROLLOUTS + ENDED_ROLLOUTS {
        let mut one = planned.clone();
        (one.id, one.submitted_at) = (RolloutId::new(format!("r{number}")), Some(Micros(1)));
        if number >= ACTIVE_ROLLOUTS {
            (one.state, one.ended_at) = (RolloutState::Succeeded, Some(Micros(2)));
        }
        samples.append(rollout(&one, Micros(3), Pace::of(vec![100, 200])));
    }
    let versions: Vec<Value> = (0..40)
        .map(|n| json!({"version": format!("{n:04}"), "tenants": 1}))
        .collect();
    let status: StatusSummary = serde_json::from_value(json!({
        "tenants": tenants, "up_to_date": tenants, "behind": 0, "ahead": 0, "edited": 0, "dirty": 0, "held": 0,
        "unreachable": 0, "versions": versions, "rollouts": null,
    }))
    .unwrap();
    let mut hosts = BTreeMap::new();
    for target in &plan.targets {
        let key = ("postgres".to_owned(), target.place.host.to_string());
        *hosts.entry(key).or_insert(0) += 1;
    }
    samples.append(fleet(&Look {
        status: &status,
        hosts,
        at: Micros(4),
        took: Duration::from_secs(1),
    }));
    samples
}

/// Every series of a text, as name and labels; the buckets of a histogram are one.
fn series(text: &str) -> BTreeSet<(String, BTreeMap<String, String>)> {
    text.lines()
        .filter(|line| !line.starts_with('#') && !line.is_empty())
        .map(|line| {
            let (name, rest) = line.split_once('{').unwrap();
            let (labels, _) = rest.split_once('}').unwrap();
            let mut labels: BTreeMap<_, _> = labels.split("\",").map(label).collect();
            assert_eq!(labels.remove("fleet").as_deref(), Some("prod"), "{line}");
            labels.remove("le");
            (base(name).to_owned(), labels)
        })
        .collect()
}

fn label(pair: &str) -> (String, String) {
    let (label, value) = pair.split_once("=\"").unwrap();
    (label.to_owned(), value.trim_end_matches('"').to_owned())
}

/// The metric that a sample belongs to.
fn base(name: &str) -> &str {
    let known = |name: &str| ALL.iter().any(|about| about.name == name);
    ["_bucket", "_sum", "_count"]
        .iter()
        .find_map(|suffix| name.strip_suffix(suffix).filter(|name| known(name)))
        .unwrap_or(name)
}

/// Each series is of the catalogue and has the labels that it says, no more and no fewer.
fn assert_known(series: &BTreeSet<(String, BTreeMap<String, String>)>) {
    for (name, labels) in series {
        let about = ALL.iter().find(|about| about.name == *name);
        let about = about.unwrap_or_else(|| panic!("{name} is not in the catalogue"));
        let own: BTreeSet<_> = labels.keys().map(String::as_str).collect();
        assert_eq!(own, about.labels.iter().copied().collect(), "{name}");
    }
}

#[test]
fn ten_thousand_tenants_make_no_fewer_series_than_twenty_thousand() {
    let metrics = Metrics::install("prod", "coordinator", "1.0").unwrap();
    assert!(Metrics::install("prod", "coordinator", "1.0").is_err());
    for n in 0..300 {
        host_label(&format!("h{n}"));
    }
    STARTS.one(["postgres"]);
    TARGETS_ENDED.took(["postgres", "succeeded"], Duration::from_millis(70));
    let board = Board::new();
    let mut counts = BTreeSet::new();
    for tenants in [10_000, 20_000] {
        board.show(shown(tenants));
        let text = metrics.render().unwrap();
        assert!(!text.contains("tenant-0"), "a tenant is a label");
        let series = series(&text);
        assert_known(&series);
        let of = |name: &str| series.iter().filter(|(found, _)| found == name).count();
        assert_eq!(of("sanderling_tenants"), 201, "200 hosts and `other`");
        let versions = of("sanderling_tenants_by_version");
        assert_eq!(versions, 12, "ten versions, `older` and `none`");
        counts.insert(series.len());
    }
    // The most that a leader can show: 15 rollouts of ten waves with a gate each, 200 hosts.
    assert_eq!(counts, BTreeSet::from([4_676]));
    board.clear();
    let left = series(&metrics.render().unwrap());
    let gone = left.iter().all(|(name, _)| !name.contains("rollout"));
    assert!(gone, "{left:?}");
}
