//! What a dashboard must be, whoever wrote it: read from the committed files.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::catalogue::Catalogue;
use crate::dashboards;
use crate::none;
use crate::rules::Rules;
use crate::{shipped, text};

const DIRECTORY: &str = "deploy/grafana/dashboards";

/// Units that Grafana knows and that are used here; `ops` is an event a second.
const UNITS: &[&str] = &[
    "short",
    "s",
    "percentunit",
    "ops",
    "dateTimeFromNow",
    "bool_yes_no",
    "none",
];

/// Kinds of panels that come with Grafana.
const KINDS: &[&str] = &[
    "row",
    "stat",
    "timeseries",
    "bargauge",
    "table",
    "state-timeline",
    "heatmap",
];

fn committed() -> Vec<(String, Value)> {
    let entries = std::fs::read_dir(shipped(DIRECTORY)).unwrap();
    let mut names: Vec<_> = entries
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    let read = |name: String| {
        let json = serde_json::from_str(&text(&format!("{DIRECTORY}/{name}")));
        let json = json.unwrap_or_else(|error| panic!("{name}: {error}"));
        (name, json)
    };
    names.into_iter().map(read).collect()
}

fn list<'a>(json: &'a Value, key: &str) -> impl Iterator<Item = &'a Value> {
    json[key].as_array().into_iter().flatten()
}

fn word<'a>(json: &'a Value, key: &str) -> &'a str {
    json[key].as_str().unwrap_or_default()
}

/// Complaints about the dashboard as a whole: its own marks, its variables, its annotations.
fn whole(json: &Value, catalogue: &Catalogue) -> Vec<String> {
    let mut complaints = Vec::new();
    let mut must = |holds: bool, says: &str| {
        if !holds {
            complaints.push(says.to_owned());
        }
    };
    must(json["id"].is_null(), "id: only Grafana gives one");
    must(word(json, "uid").starts_with("sanderling-"), "uid");
    must(
        json["editable"] == false,
        "editable: what is provisioned is not changed by hand",
    );
    must(json["schemaVersion"].as_u64() >= Some(39), "schemaVersion");
    must(
        json["__inputs"].is_null(),
        "__inputs: provisioned files have none",
    );
    let variables: Vec<_> = list(&json["templating"], "list").collect();
    must(
        variables
            .first()
            .is_some_and(|first| first["type"] == "datasource" && first["name"] == "datasource"),
        "the first variable is the data source",
    );
    complaints.extend(
        variables
            .iter()
            .skip(1)
            .flat_map(|one| variable(one, catalogue)),
    );
    for note in list(&json["annotations"], "list") {
        let said = format!("{} {}", word(note, "titleFormat"), word(note, "textFormat"));
        complaints.extend(catalogue.complaints(word(note, "expr"), &said));
    }
    complaints
}

/// Complaints about a variable by query.
fn variable(variable: &Value, catalogue: &Catalogue) -> Vec<String> {
    let query = variable["query"]["query"].as_str().unwrap_or_default();
    let (series, label) = label_values(query).unwrap_or_default();
    let mut complaints = catalogue.complaints(&series, &format!("{{{{{label}}}}}"));
    if variable["refresh"] != 2 || variable["datasource"]["uid"] != "${datasource}" {
        complaints.push(format!(
            "variable {}: refresh or data source",
            word(variable, "name")
        ));
    }
    complaints
}

/// The series and the label of `label_values(series, label)`.
fn label_values(query: &str) -> Option<(String, String)> {
    let inside = query.strip_prefix("label_values(")?.strip_suffix(')')?;
    let (series, label) = inside.rsplit_once(',')?;
    Some((series.trim().to_owned(), label.trim().to_owned()))
}

/// Complaints about one panel.
fn panel(panel: &Value, catalogue: &Catalogue) -> Vec<String> {
    let title = word(panel, "title");
    let kind = word(panel, "type");
    let mut complaints = Vec::new();
    if title.is_empty() || !KINDS.contains(&kind) {
        complaints.push(format!(
            "panel {} of kind {kind} with title {title:?}",
            panel["id"]
        ));
    }
    if kind == "row" {
        return complaints;
    }
    let defaults = &panel["fieldConfig"]["defaults"];
    for (holds, says) in [
        (!word(panel, "description").is_empty(), "no description"),
        (
            UNITS.contains(&word(defaults, "unit")),
            "no unit that is known",
        ),
        (
            !word(defaults, "noValue").is_empty(),
            "does not say what nothing looks like",
        ),
        (
            panel["datasource"]["uid"] == "${datasource}",
            "another data source",
        ),
        (list(panel, "targets").count() > 0, "no queries"),
    ] {
        if !holds {
            complaints.push(format!("{title}: {says}"));
        }
    }
    let mut ids = BTreeSet::new();
    for target in list(panel, "targets") {
        let expr = word(target, "expr");
        if !ids.insert(word(target, "refId")) || target["datasource"]["uid"] != "${datasource}" {
            complaints.push(format!("{title}: refId or data source of {expr}"));
        }
        // A range that is written down shows nothing, or the wrong thing, at another resolution.
        for range in expr
            .split('[')
            .skip(1)
            .filter_map(|rest| rest.split_once(']'))
        {
            if !matches!(range.0, "$__rate_interval" | "$__range") {
                complaints.push(format!("{title}: range [{}] in {expr}", range.0));
            }
        }
        let legend = word(target, "legendFormat");
        if legend.is_empty() {
            complaints.push(format!("{title}: no legend for {expr}"));
        }
        let all = catalogue.complaints(expr, legend);
        complaints.extend(all.into_iter().map(|says| format!("{title}: {says}")));
    }
    complaints
}

/// Complaints about numbers that are used twice and panels that lie on each other.
fn grid(json: &Value) -> Vec<String> {
    let mut complaints = Vec::new();
    let mut ids = BTreeSet::new();
    let mut taken = BTreeSet::new();
    for panel in list(json, "panels") {
        let title = word(panel, "title");
        if !ids.insert(panel["id"].as_u64()) {
            complaints.push(format!(
                "{title}: id {} is another panel's too",
                panel["id"]
            ));
        }
        let place = |key: &str| panel["gridPos"][key].as_u64().unwrap_or(99);
        let (x, y, w, h) = (place("x"), place("y"), place("w"), place("h"));
        let squares = (x..x + w).flat_map(|x| (y..y + h).map(move |y| (x, y)));
        let free = squares
            .map(|square| taken.insert(square))
            .filter(|free| !free)
            .count();
        if x + w > 24 || free > 0 {
            complaints.push(format!(
                "{title}: it lies on another panel, or beyond the edge"
            ));
        }
    }
    complaints
}

fn complaints(json: &Value, catalogue: &Catalogue) -> Vec<String> {
    let mut all = whole(json, catalogue);
    all.extend(grid(json));
    all.extend(list(json, "panels").flat_map(|one| panel(one, catalogue)));
    all
}

#[test]
fn dashboards_are_as_they_are_made() {
    for (name, json) in dashboards::all() {
        let file = format!("{DIRECTORY}/{name}");
        let made = format!("{}\n", serde_json::to_string_pretty(&json).unwrap());
        if std::env::var_os("UPDATE").is_some() {
            std::fs::write(shipped(&file), &made).unwrap();
        }
        let there = std::fs::read_to_string(shipped(&file)).unwrap_or_default();
        assert!(
            there == made,
            "{file} is not what tests/monitoring/dashboards makes; UPDATE=1 scripts/test -E 'binary(monitoring)' writes it"
        );
    }
}

#[test]
fn dashboards_ask_for_what_there_is_and_say_what_it_means() {
    let catalogue = Catalogue::with(&Rules::shipped());
    let all = committed();
    let mut found = Vec::new();
    for (name, json) in &all {
        found.extend(
            complaints(json, &catalogue)
                .into_iter()
                .map(|says| format!("{name}: {says}")),
        );
    }
    none(found);
    let uids: BTreeSet<_> = all.iter().map(|(_, json)| word(json, "uid")).collect();
    assert_eq!(uids.len(), all.len(), "a uid is there twice");
    assert_eq!(
        all.len(),
        dashboards::all().len(),
        "a file that nobody makes"
    );
}

/// Each fault, planted into a dashboard that has none, is found.
#[test]
fn planted_faults_are_found() {
    let catalogue = Catalogue::with(&Rules::shipped());
    let [(_, sound), ..] = dashboards::all();
    assert_eq!(complaints(&sound, &catalogue), Vec::<String>::new());
    for (at, value) in [
        ("/id", 7.into()),
        ("/editable", true.into()),
        ("/panels/1/id", 1.into()),
        ("/panels/2/gridPos/x", 0.into()),
        ("/panels/1/title", "".into()),
        ("/panels/1/type", "graph".into()),
        ("/panels/1/description", "".into()),
        ("/panels/1/fieldConfig/defaults/unit", "parsecs".into()),
        ("/panels/1/fieldConfig/defaults/noValue", Value::Null),
        ("/panels/1/datasource/uid", "prometheus".into()),
        ("/panels/1/targets", Value::Array(Vec::new())),
        ("/panels/1/targets/0/expr", "max(sanderling_renamed)".into()),
        (
            "/panels/1/targets/0/expr",
            "rate(sanderling_fenced_total[5m])".into(),
        ),
        ("/panels/1/targets/0/legendFormat", "{{tenant}}".into()),
        (
            "/templating/list/1/query/query",
            "label_values(sanderling_renamed, fleet)".into(),
        ),
        ("/annotations/list/0/expr", "sanderling_renamed".into()),
    ] {
        let mut broken = sound.clone();
        *broken.pointer_mut(at).unwrap() = value;
        assert!(!complaints(&broken, &catalogue).is_empty(), "{at}");
    }
}
