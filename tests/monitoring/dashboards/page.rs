//! A dashboard: its variables, its annotations, and its panels in rows.

use serde_json::{Value, json};

use super::panel::{Panel, source};

/// The width of a dashboard.
const WIDE: u64 = 24;

/// A dashboard in the making.
pub(crate) struct Page {
    json: Value,
    variables: Vec<Value>,
    annotations: Vec<Value>,
    panels: Vec<Value>,
    y: u64,
}

impl Page {
    /// A page with the variables that all have: the data source, and the fleet.
    pub(crate) fn new(uid: &str, title: &str, says: &str) -> Self {
        let json = json!({
            "id": null, "uid": uid, "title": title, "description": says, "tags": ["sanderling"], "schemaVersion": 39,
            "version": 1, "editable": false, "graphTooltip": 1, "refresh": "30s", "timezone": "browser",
            "fiscalYearStartMonth": 0, "time": {"from": "now-3h", "to": "now"}, "timepicker": {}, "preload": false,
            "links": [{
                "type": "dashboards", "title": "Sanderling", "tags": ["sanderling"], "asDropdown": false, "icon": "dashboard",
                "includeVars": true, "keepTime": true, "targetBlank": false, "tooltip": "", "url": "",
            }],
        });
        let page = Self {
            json,
            variables: vec![json!({
                "type": "datasource", "name": "datasource", "label": "Data source", "query": "prometheus", "refresh": 1,
                "regex": "", "hide": 0, "multi": false, "includeAll": false, "options": [], "skipUrlSync": false,
            })],
            annotations: Vec::new(),
            panels: Vec::new(),
            y: 0,
        };
        page.variable(
            "fleet",
            "Fleet",
            "label_values(sanderling_build_info, fleet)",
            1,
            false,
        )
    }

    /// A variable by query; `several` may be chosen, and are all of them at first. Sorted by 1 upwards, by 2 downwards.
    pub(crate) fn variable(
        mut self,
        name: &str,
        label: &str,
        query: &str,
        sort: u8,
        several: bool,
    ) -> Self {
        let mut variable = json!({
            "type": "query", "name": name, "label": label, "datasource": source(), "definition": query,
            "query": {"qryType": 1, "query": query, "refId": "PrometheusVariableQueryEditor-VariableQuery"},
            "refresh": 2, "regex": "", "sort": sort, "hide": 0, "multi": several, "includeAll": several, "options": [],
            "skipUrlSync": false,
        });
        if several {
            variable["allValue"] = json!(".+");
            variable["current"] = json!({"selected": true, "text": ["All"], "value": ["$__all"]});
        }
        self.variables.push(variable);
        self
    }

    /// Marks over every panel, where the expression is not 0.
    pub(crate) fn annotation(mut self, name: &str, color: &str, expr: &str, text: &str) -> Self {
        self.annotations.push(json!({
            "name": name, "datasource": source(), "enable": true, "hide": false, "iconColor": color, "expr": expr,
            "titleFormat": name, "textFormat": text, "step": "15s", "useValueForTime": false,
        }));
        self
    }

    /// A heading, and panels below it, from left to right.
    pub(crate) fn row(mut self, title: &str, panels: Vec<Panel>) -> Self {
        let place = json!({"x": 0, "y": self.y, "w": WIDE, "h": 1});
        self.place(
            json!({"type": "row", "title": title, "collapsed": false, "panels": []}),
            place,
        );
        self.y += 1;
        let (mut x, mut tallest) = (0, 0);
        for panel in panels {
            if x + panel.width > WIDE {
                self.y += tallest;
                (x, tallest) = (0, 0);
            }
            let place = json!({"x": x, "y": self.y, "w": panel.width, "h": panel.height});
            x += panel.width;
            tallest = tallest.max(panel.height);
            self.place(panel.json, place);
        }
        self.y += tallest;
        self
    }

    fn place(&mut self, mut panel: Value, place: Value) {
        panel["id"] = json!(self.panels.len() + 1);
        panel["gridPos"] = place;
        self.panels.push(panel);
    }

    /// The whole of it.
    pub(crate) fn json(mut self) -> Value {
        self.json["templating"] = json!({"list": self.variables});
        self.json["annotations"] = json!({"list": self.annotations});
        self.json["panels"] = json!(self.panels);
        self.json
    }
}
