//! The page of the reference that lists every metric, made from the catalogue.

use std::fmt::Write as _;

use crate::catalogue::ALL;
use crate::metric::Kind;

/// The table of `docs/reference/metrics.md`, as Markdown.
pub fn reference() -> String {
    let mut page = String::from("| name | kind | labels | what it says |\n|---|---|---|---|\n");
    for about in ALL {
        let kind = match about.kind {
            Kind::Counter => "counter",
            Kind::Gauge => "gauge",
            Kind::Histogram => "histogram",
        };
        let labels = about.labels.join("`, `");
        let labels = if labels.is_empty() {
            String::new()
        } else {
            format!("`{labels}`")
        };
        // Writing to a text cannot fail.
        let _ = writeln!(
            page,
            "| `{}` | {kind} | {labels} | {} |",
            about.name, about.help
        );
    }
    page
}
