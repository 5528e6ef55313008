//! What a dashboard asks, as Grafana would ask it.

use std::collections::BTreeMap;
use std::path::Path;

use serde_json::Value;

use super::scene::Scene;

/// A committed dashboard.
pub(super) struct Dashboard {
    name: String,
    json: Value,
}

impl Dashboard {
    /// All of them.
    pub(super) fn committed() -> Vec<Self> {
        let directory =
            Path::new(env!("CARGO_MANIFEST_DIR")).join("../../deploy/grafana/dashboards");
        let read = |entry: std::fs::DirEntry| Self {
            name: entry.file_name().into_string().unwrap(),
            json: serde_json::from_str(&std::fs::read_to_string(entry.path()).unwrap()).unwrap(),
        };
        let all: Vec<_> = directory
            .read_dir()
            .unwrap()
            .map(|entry| read(entry.unwrap()))
            .collect();
        assert_eq!(all.len(), 3);
        all
    }

    /// The values that Grafana would begin with: of one that may be several all, else the first. A variable that finds
    /// nothing is noted.
    pub(super) fn variables(
        &self,
        scene: &Scene,
        empty: &mut Vec<String>,
    ) -> BTreeMap<String, String> {
        let mut values = BTreeMap::new();
        for variable in self.json["templating"]["list"].as_array().unwrap() {
            if variable["type"] == "datasource" {
                continue;
            }
            let name = variable["name"].as_str().unwrap().to_owned();
            let query = variable["query"]["query"].as_str().unwrap();
            let query = substituted(query, &values, scene.seconds());
            let inside = query
                .strip_prefix("label_values(")
                .and_then(|rest| rest.strip_suffix(')'));
            let (series, label) = inside.and_then(|inside| inside.rsplit_once(',')).unwrap();
            let mut found = scene.label_values(series.trim(), label.trim());
            if variable["sort"] == 2 {
                found.reverse();
            }
            match (found.first(), variable["allValue"].as_str()) {
                (None, _) => empty.push(format!("{}: variable {name}: {query}", self.name)),
                (Some(_), Some(all)) => drop(values.insert(name, all.to_owned())),
                (Some(first), None) => drop(values.insert(name, first.clone())),
            }
        }
        values
    }

    /// Every query of panels and annotations, with where it stands.
    pub(super) fn queries(&self) -> Vec<(String, String)> {
        let mut all = Vec::new();
        for panel in self.json["panels"].as_array().unwrap() {
            for target in panel["targets"].as_array().into_iter().flatten() {
                let what = format!("{}: {} {}", self.name, panel["title"], target["refId"]);
                all.push((what, target["expr"].as_str().unwrap().to_owned()));
            }
        }
        for note in self.json["annotations"]["list"].as_array().unwrap() {
            let what = format!("{}: annotation {}", self.name, note["name"]);
            all.push((what, note["expr"].as_str().unwrap().to_owned()));
        }
        assert!(all.len() > 10, "{}", self.name);
        all
    }
}

/// The text with Grafana's variables put in; the data source is asked once a second.
pub(super) fn substituted(text: &str, values: &BTreeMap<String, String>, seconds: u64) -> String {
    let mut text = text
        .replace("$__rate_interval", "4s")
        .replace("$__interval", "1s")
        .replace("$__range", &format!("{seconds}s"));
    for (name, value) in values {
        text = text.replace(&format!("${name}"), value);
    }
    assert!(
        !text.contains('$'),
        "a variable that the dashboard does not have: {text}"
    );
    text
}
