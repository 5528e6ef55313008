//! Panels of Grafana's classic model, as few kinds as the dashboards need.

use serde_json::{Value, json};

/// Whole things.
pub(crate) const COUNT: &str = "short";
/// Seconds.
pub(crate) const SECONDS: &str = "s";
/// 0 to 1.
pub(crate) const SHARE: &str = "percentunit";
/// A second's worth of events.
pub(crate) const PER_SECOND: &str = "ops";
/// A unix timestamp in milliseconds, shown as the time from now.
pub(crate) const FROM_NOW: &str = "dateTimeFromNow";
/// 0 or 1.
pub(crate) const FLAG: &str = "bool_yes_no";
/// A name from a label, or a state that is mapped to one.
pub(crate) const NAME: &str = "none";

/// The data source that the viewer chose.
pub(crate) fn source() -> Value {
    json!({"type": "prometheus", "uid": "${datasource}"})
}

/// One panel; the dashboard gives it a number and a place.
pub(crate) struct Panel {
    /// All but `id` and the place.
    pub(crate) json: Value,
    /// Of 24.
    pub(crate) width: u64,
    /// In units of about 30 pixels.
    pub(crate) height: u64,
    instant: bool,
}

impl Panel {
    /// One number, or one name, large.
    pub(crate) fn stat(title: &str, says: &str, unit: &str) -> Self {
        let mut panel = Self::new("stat", title, says, unit).instant();
        panel.json["options"] = json!({
            "colorMode": "value", "graphMode": "none", "justifyMode": "auto", "orientation": "auto", "textMode": "auto",
            "wideLayout": true, "reduceOptions": last(),
        });
        panel.sized(4, 4)
    }

    /// Lines over time.
    pub(crate) fn lines(title: &str, says: &str, unit: &str) -> Self {
        Self::over_time(title, says, unit, 10, "none")
    }

    /// Areas on top of each other: the sum means something.
    pub(crate) fn stacked(title: &str, says: &str, unit: &str) -> Self {
        Self::over_time(title, says, unit, 60, "normal")
    }

    fn over_time(title: &str, says: &str, unit: &str, fill: u8, stacking: &str) -> Self {
        let mut panel = Self::new("timeseries", title, says, unit);
        panel.json["fieldConfig"]["defaults"]["custom"] = json!({
            "drawStyle": "line", "lineInterpolation": "stepAfter", "lineWidth": 1, "fillOpacity": fill, "showPoints": "never",
            "spanNulls": false, "stacking": {"mode": stacking, "group": "A"},
        });
        panel.json["fieldConfig"]["defaults"]["min"] = json!(0);
        panel.json["options"] = json!({
            "legend": {"displayMode": "table", "placement": "bottom", "showLegend": true, "calcs": ["lastNotNull", "max"]},
            "tooltip": {"mode": "multi", "sort": "desc"},
        });
        panel.sized(12, 8)
    }

    /// One bar for each series, its newest value.
    pub(crate) fn bars(title: &str, says: &str, unit: &str) -> Self {
        let mut panel = Self::new("bargauge", title, says, unit).instant();
        panel.json["fieldConfig"]["defaults"]["min"] = json!(0);
        panel.json["options"] = json!({
            "displayMode": "basic", "orientation": "horizontal", "showUnfilled": true, "valueMode": "color",
            "reduceOptions": last(),
        });
        panel.sized(12, 8)
    }

    /// One row for each series; several queries are put side by side by the labels that they share.
    pub(crate) fn table(title: &str, says: &str, unit: &str) -> Self {
        let mut panel = Self::new("table", title, says, unit).instant();
        panel.json["options"] =
            json!({"showHeader": true, "cellHeight": "sm", "footer": {"show": false}});
        panel.sized(12, 8)
    }

    /// Which state each series was in; the states are mapped by [`Panel::mapped`].
    pub(crate) fn timeline(title: &str, says: &str) -> Self {
        let mut panel = Self::new("state-timeline", title, says, NAME);
        panel.json["fieldConfig"]["defaults"]["custom"] =
            json!({"fillOpacity": 70, "lineWidth": 0, "spanNulls": false});
        panel.json["options"] = json!({
            "mergeValues": true, "showValue": "auto", "alignValue": "left", "rowHeight": 0.9,
            "legend": {"displayMode": "list", "placement": "bottom", "showLegend": true},
            "tooltip": {"mode": "single", "sort": "none"},
        });
        panel.sized(12, 8)
    }

    /// How the values of a histogram lie, over time.
    pub(crate) fn heat(title: &str, says: &str, unit: &str) -> Self {
        let mut panel = Self::new("heatmap", title, says, unit);
        panel.json["options"] = json!({
            "calculate": false, "cellGap": 1, "cellValues": {"unit": COUNT}, "yAxis": {"unit": unit, "axisPlacement": "left"},
            "color": {"mode": "scheme", "scheme": "Oranges", "steps": 64, "exponent": 0.5, "reverse": false},
            "legend": {"show": true}, "tooltip": {"mode": "single", "yHistogram": false}, "rowsFrame": {"layout": "auto"},
        });
        panel.sized(12, 8)
    }

    fn new(kind: &str, title: &str, says: &str, unit: &str) -> Self {
        let json = json!({
            "type": kind, "title": title, "description": says, "datasource": source(), "targets": [], "options": {},
            "fieldConfig": {
                "defaults": {
                    "unit": unit, "noValue": "–", "mappings": [], "color": {"mode": "palette-classic"},
                    "thresholds": {"mode": "absolute", "steps": [{"color": "text", "value": null}]},
                },
                "overrides": [],
            },
        });
        Self {
            json,
            width: 12,
            height: 8,
            instant: false,
        }
    }

    fn instant(mut self) -> Self {
        self.instant = true;
        self.json["fieldConfig"]["defaults"]["color"] = json!({"mode": "thresholds"});
        self
    }

    /// Width of 24, and height.
    pub(crate) fn sized(mut self, width: u64, height: u64) -> Self {
        self.width = width;
        self.height = height;
        self
    }

    /// Asks this, and calls the series that. In a table the legend is the name of the column.
    pub(crate) fn query(mut self, expr: &str, legend: &str) -> Self {
        let kind = self.json["type"].as_str().unwrap_or_default().to_owned();
        let format = match kind.as_str() {
            "table" => "table",
            "heatmap" => "heatmap",
            _ => "time_series",
        };
        let targets = self.json["targets"]
            .as_array_mut()
            .expect("targets is a list");
        let id = char::from(b'A' + u8::try_from(targets.len()).expect("few targets"));
        targets.push(json!({
            "refId": id.to_string(), "expr": expr, "legendFormat": legend, "datasource": source(), "format": format,
            "editorMode": "code", "instant": self.instant, "range": !self.instant,
        }));
        if kind == "table" {
            self.columns();
        }
        self
    }

    /// Puts the answers side by side, under the names of their queries, without time and what is the same in all rows.
    fn columns(&mut self) {
        let names: serde_json::Map<_, _> = self.json["targets"]
            .as_array()
            .into_iter()
            .flatten()
            .map(|target| {
                let id = target["refId"].as_str().unwrap_or_default();
                (format!("Value #{id}"), target["legendFormat"].clone())
            })
            .collect();
        let names = match names.len() {
            1 => json!({"Value": self.json["targets"][0]["legendFormat"]}),
            _ => Value::Object(names),
        };
        self.json["transformations"] = json!([
            {"id": "merge", "options": {}},
            {"id": "organize", "options": {"excludeByName": {"Time": true, "__name__": true}, "renameByName": names}},
        ]);
    }

    /// Shows the name of the series instead of its value.
    pub(crate) fn named(mut self) -> Self {
        self.json["options"]["textMode"] = json!("name");
        self
    }

    /// Says this where there is no series.
    pub(crate) fn none(mut self, text: &str) -> Self {
        self.json["fieldConfig"]["defaults"]["noValue"] = json!(text);
        self
    }

    /// 1 is full.
    pub(crate) fn whole(mut self) -> Self {
        self.json["fieldConfig"]["defaults"]["max"] = json!(1);
        self
    }

    /// Coloured from these values up; below the first of them it is green.
    pub(crate) fn coloured(mut self, from: &[(f64, &str)]) -> Self {
        let mut steps = vec![json!({"color": "green", "value": null})];
        steps.extend(
            from.iter()
                .map(|(value, color)| json!({"color": color, "value": value})),
        );
        self.json["fieldConfig"]["defaults"]["thresholds"]["steps"] = Value::Array(steps);
        self
    }

    /// Values are states: 0, 1, … in this order, each with its colour.
    pub(crate) fn mapped(mut self, states: &[(&str, &str)]) -> Self {
        let options: serde_json::Map<_, _> = states
            .iter()
            .enumerate()
            .map(|(index, (text, color))| {
                let shown = json!({"text": text, "color": color, "index": index});
                (index.to_string(), shown)
            })
            .collect();
        self.json["fieldConfig"]["defaults"]["mappings"] =
            json!([{"type": "value", "options": options}]);
        self
    }
}

fn last() -> Value {
    json!({"calcs": ["lastNotNull"], "fields": "", "values": false})
}
