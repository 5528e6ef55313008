//! The rules for Prometheus: `promtool` reads them and runs their tests, and every alert has a test both ways.

use std::collections::BTreeSet;
use std::process::Command;

use serde_json::Value;

use crate::catalogue::Catalogue;
use crate::{none, shipped, text, yaml};

const RULES: &str = "deploy/prometheus/rules/sanderling.rules.yml";
const TESTS: &str = "deploy/prometheus/tests";

/// The groups of a file of rules.
#[derive(Default)]
pub(crate) struct Rules(Vec<Value>);

impl Rules {
    /// The shipped ones.
    pub(crate) fn shipped() -> Self {
        Self::of(&yaml(RULES))
    }

    fn of(file: &Value) -> Self {
        let groups = file["groups"].as_array().into_iter().flatten();
        Self(
            groups
                .flat_map(|group| group["rules"].as_array().cloned().unwrap_or_default())
                .collect(),
        )
    }

    /// The names that are recorded.
    pub(crate) fn recorded(&self) -> impl Iterator<Item = &str> {
        self.0.iter().filter_map(|rule| rule["record"].as_str())
    }

    fn alerts(&self) -> impl Iterator<Item = (&str, &Value)> {
        self.0
            .iter()
            .filter_map(|rule| Some((rule["alert"].as_str()?, rule)))
    }
}

/// Complaints about alerts without a test in which they fire, or without one in which they do not.
fn untested(rules: &Rules, files: &[Value]) -> Vec<String> {
    let tests = || {
        let groups = files
            .iter()
            .flat_map(|file| file["tests"].as_array().into_iter().flatten());
        groups.flat_map(|group| group["promql_expr_test"].as_array().into_iter().flatten())
    };
    let names: BTreeSet<_> = rules.alerts().map(|(name, _)| name).collect();
    let mut complaints = Vec::new();
    for name in names {
        let asked = format!("alertname=\"{name}\"");
        let of = |fires: bool| {
            tests().any(|test| {
                let expr = test["expr"].as_str().unwrap_or_default();
                let samples = test["exp_samples"].as_array().map_or(0, Vec::len);
                // What fires is asked for as firing: pending would not wake anybody.
                let firing = !fires || expr.contains("alertstate=\"firing\"");
                expr.starts_with("ALERTS{")
                    && expr.contains(&asked)
                    && firing
                    && (samples > 0) == fires
            })
        };
        for (fires, words) in [
            (true, "in which it fires"),
            (false, "in which it does not fire"),
        ] {
            if !of(fires) {
                complaints.push(format!("{name} has no test {words}"));
            }
        }
    }
    complaints
}

/// Complaints about what an alert owes to whoever it wakes.
fn manners(rules: &Rules) -> Vec<String> {
    let mut complaints = Vec::new();
    for (name, rule) in rules.alerts() {
        let severity = rule["labels"]["severity"].as_str();
        if !matches!(severity, Some("warning" | "critical")) {
            complaints.push(format!("{name}: severity {severity:?}"));
        }
        if rule["for"].as_str().is_none() {
            complaints.push(format!("{name}: no `for`"));
        }
        for key in ["summary", "description", "runbook_url"] {
            if rule["annotations"][key].as_str().is_none_or(str::is_empty) {
                complaints.push(format!("{name}: no {key}"));
            }
        }
        let description = rule["annotations"]["description"]
            .as_str()
            .unwrap_or_default();
        let says = ["ype `", "Look ", "ompare ", "Start ", "raise `"];
        if !says.iter().any(|word| description.contains(word)) {
            complaints.push(format!("{name}: the description does not say what to do"));
        }
    }
    complaints
}

/// The anchors of a page: its headings, as they are linked to.
fn anchors(page: &str) -> BTreeSet<String> {
    let headings = page.lines().filter(|line| line.starts_with('#'));
    let anchor = |line: &str| {
        let text = line.trim_start_matches('#').trim().to_lowercase();
        let kept = text
            .chars()
            .filter(|c| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_'));
        kept.map(|c| if c == ' ' { '-' } else { c }).collect()
    };
    headings.map(anchor).collect()
}

/// Runs promtool in the root of the repository.
fn promtool(args: &[&str]) {
    let output = Command::new("promtool")
        .args(args)
        .current_dir(shipped(""))
        .output();
    let output =
        output.expect("promtool is installed; scripts/test installs Prometheus, which brings it");
    assert!(
        output.status.success(),
        "promtool {args:?}\n{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
}

fn test_files() -> Vec<String> {
    let entries = std::fs::read_dir(shipped(TESTS)).unwrap();
    let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let mut files: Vec<_> = names.map(|name| format!("{TESTS}/{name}")).collect();
    files.sort();
    assert!(!files.is_empty(), "no tests in {TESTS}");
    files
}

#[test]
fn promtool_accepts_the_rules_and_the_configuration() {
    promtool(&["check", "rules", "--lint=all", "--lint-fatal", RULES]);
    promtool(&["check", "config", "deploy/prometheus/prometheus.yml"]);
}

#[test]
fn promtool_runs_the_tests_of_the_rules() {
    let files = test_files();
    let mut args = vec!["test", "rules"];
    args.extend(files.iter().map(String::as_str));
    promtool(&args);
}

#[test]
fn every_alert_is_tested_both_ways() {
    let files: Vec<_> = test_files().iter().map(|file| yaml(file)).collect();
    none(untested(&Rules::shipped(), &files));
}

#[test]
fn every_alert_says_how_bad_it_is_what_to_type_and_where_to_read_on() {
    let rules = Rules::shipped();
    let mut complaints = manners(&rules);
    for (name, rule) in rules.alerts() {
        let url = rule["annotations"]["runbook_url"]
            .as_str()
            .unwrap_or_default();
        let (page, anchor) = url.split_once('#').unwrap_or((url, ""));
        if !shipped(page).is_file() {
            complaints.push(format!("{name}: there is no page {page}"));
        } else if !anchors(&text(page)).contains(anchor) {
            complaints.push(format!("{name}: {page} has no heading for #{anchor}"));
        }
    }
    none(complaints);
}

#[test]
fn rules_name_only_what_the_catalogue_has() {
    let rules = Rules::shipped();
    let catalogue = Catalogue::with(&rules);
    let mut complaints = Vec::new();
    for rule in &rules.0 {
        complaints.extend(catalogue.complaints(rule["expr"].as_str().unwrap(), ""));
    }
    none(complaints);
}

#[test]
fn an_alert_that_is_tested_one_way_is_found() {
    let file = serde_json::json!({"groups": [{"rules": [
        {"alert": "A", "expr": "up", "labels": {"severity": "page"}},
        {"record": "a:b:c", "expr": "up"},
    ]}]});
    let rules = Rules::of(&file);
    let fires = serde_json::json!({"expr": "ALERTS{alertname=\"A\",alertstate=\"firing\"}", "exp_samples": [{}]});
    let pends = serde_json::json!({"expr": "ALERTS{alertname=\"A\"}", "exp_samples": [{}]});
    let silent = serde_json::json!({"expr": "ALERTS{alertname=\"A\"}", "exp_samples": []});
    for (tests, complaints) in [
        (vec![&fires, &silent], 0),
        (vec![&fires], 1),
        (vec![&silent], 1),
        (vec![&pends, &silent], 1),
        (vec![], 2),
    ] {
        let files = [serde_json::json!({"tests": [{"promql_expr_test": tests}]})];
        assert_eq!(untested(&rules, &files).len(), complaints, "{files:?}");
    }
    assert_eq!(
        manners(&rules).len(),
        6,
        "severity, for, three annotations, what to do"
    );
    assert_eq!(rules.recorded().collect::<Vec<_>>(), ["a:b:c"]);
    assert!(anchors("# A b\n## C-d: e!\n").contains("c-d-e"));
}
