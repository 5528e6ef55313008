//! The dashboards, as they are written to `deploy/grafana/dashboards`: `UPDATE=1 scripts/test -E 'binary(monitoring)'`.

mod fleet;
mod page;
mod panel;
mod rollout;
mod workers;

use serde_json::Value;

/// File names and dashboards.
pub(crate) fn all() -> [(&'static str, Value); 3] {
    [
        ("fleet.json", fleet::dashboard()),
        ("rollout.json", rollout::dashboard()),
        ("workers.json", workers::dashboard()),
    ]
}
