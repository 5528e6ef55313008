//! Everything that dashboards, rules and alerts ask, asked of a real Prometheus that has scraped a real rollout: a
//! canary with a bake and a gate, retries, failures, a leader that dies, a host that goes away, a worker that freezes, a
//! Redis and a control store that are away for a moment, a halt.
//!
//! That each query names only what the catalogue has is held in `tests/monitoring`. Here it is held that it finds
//! something: a label that is never exported, a state that is called otherwise, a matcher that matches nothing.

mod asked;
mod scene;
mod shown;

use std::collections::BTreeMap;

use sanderling_testkit::until;
use serde_json::Value;

use crate::fleet::DEADLINE;
use scene::Scene;
use shown::Dashboard;

/// Every panel, variable and annotation of every dashboard finds something, and every recording rule has recorded.
#[test]
fn every_panel_variable_annotation_and_rule_finds_something() {
    let scene = Scene::played();
    let mut empty = Vec::new();
    for dashboard in Dashboard::committed() {
        let values = dashboard.variables(&scene, &mut empty);
        for (what, expr) in dashboard.queries() {
            let expr = shown::substituted(&expr, &values, scene.seconds());
            if !scene.finds(&expr) {
                empty.push(format!("{what}: {expr}"));
            }
        }
    }
    let alerts = rules(&scene, &mut empty);
    assert!(
        empty.is_empty(),
        "{} of what is asked find nothing, or no number:\n{}\n\nwhat there is:\n{}",
        empty.len(),
        empty.join("\n"),
        scene.names().join("\n")
    );
    assert!(alerts > 20, "{alerts} alerts");
    // A leader that could not renew in time shows nothing for a moment, and so no halt.
    let states = until(DEADLINE, "the alert of the halt", || {
        let states = states(&scene);
        let state = states.get("SanderlingHaltedClean").map(String::as_str);
        match state {
            Some("pending" | "firing") => Ok(states),
            _ => Err(format!("{states:?}")),
        }
    });
    for quiet in [
        "SanderlingHaltedDirty",
        "SanderlingHaltedByGate",
        "SanderlingTwoLeaders",
    ] {
        let state = states.get(quiet).map(String::as_str);
        assert_eq!(state, Some("inactive"), "{quiet}: {states:?}");
    }
}

/// Looks at what Prometheus says of its rules: each healthy, each recorded series there, each series that an alert asks
/// for there. Gives the number of alerts.
fn rules(scene: &Scene, empty: &mut Vec<String>) -> usize {
    let answer = scene.api("/api/v1/rules", &[]);
    let groups = answer["data"]["groups"].as_array().unwrap().clone();
    let rules = groups
        .iter()
        .flat_map(|group| group["rules"].as_array().unwrap());
    let mut alerts = 0;
    for rule in rules {
        let name = rule["name"].as_str().unwrap();
        let expr = rule["query"].as_str().unwrap();
        if rule["health"] != "ok" {
            empty.push(format!(
                "rule {name} is {}: {}",
                rule["health"], rule["lastError"]
            ));
        }
        if rule["type"] == "recording" {
            for asked in [name, expr] {
                if !scene.finds(asked) {
                    empty.push(format!("rule {name}: {asked}"));
                }
            }
            continue;
        }
        alerts += 1;
        for series in asked::series(expr) {
            if !scene.finds(&series) {
                empty.push(format!("alert {name}: no series {series} in {expr}"));
            }
        }
        for alert in rule["alerts"].as_array().unwrap() {
            let said = alert["annotations"].to_string();
            let broken = said.contains("error expanding") || said.contains("<no value>");
            if broken {
                empty.push(format!("alert {name} says {said}"));
            }
        }
    }
    alerts
}

/// The state of each alert now.
fn states(scene: &Scene) -> BTreeMap<String, String> {
    let answer = scene.api("/api/v1/rules", &[]);
    let groups = answer["data"]["groups"].as_array().unwrap();
    let rules = groups
        .iter()
        .flat_map(|group| group["rules"].as_array().unwrap());
    let state = |rule: &Value| {
        let state = rule["state"].as_str()?;
        Some((rule["name"].as_str()?.to_owned(), state.to_owned()))
    };
    rules.filter_map(state).collect()
}

/// The number that a range query or an instant query has at the end of its first series.
fn numbers(answer: &Value) -> impl Iterator<Item = &str> {
    let result = answer["data"]["result"].as_array().into_iter().flatten();
    result.flat_map(|series| {
        let values = series["values"].as_array().into_iter().flatten();
        values
            .chain(Some(&series["value"]))
            .filter_map(|pair| pair[1].as_str())
    })
}
