//! YAML and JSON: a list of tenants, labels under `labels`. JSON is read as the YAML that it also is.

use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;

use serde::Deserialize;
use serde::de::{Deserializer, IgnoredAny, MapAccess, Visitor};
use serde_saphyr::{Location, Spanned};

use super::load::Sink;
use super::row::{KNOWN, Row, label_refused};
use crate::nearest::nearest;

/// One entry of the list, with what was wrong inside it.
#[derive(Default)]
struct Entry {
    row: Row,
    complaints: Vec<(Location, String)>,
}

/// Reads the whole file into the sink.
pub(super) fn read(path: &Path, sink: &mut Sink) {
    let text = match std::fs::read(path).map(String::from_utf8) {
        Ok(Ok(text)) => text,
        Ok(Err(_)) => return sink.file_problem("is not UTF-8 text: save the file as UTF-8"),
        Err(e) => return sink.file_problem(format!("cannot be read: {e}")),
    };
    let entries: Result<Option<Vec<Spanned<Entry>>>, _> =
        serde_saphyr::from_str_with_options(&text, options());
    match entries {
        Ok(entries) => {
            for entry in entries.into_iter().flatten() {
                take(entry, sink);
            }
        }
        Err(e) => {
            let (line, column) = e.location().map_or((0, 0), |l| (l.line(), l.column()));
            let at = sink.at(line, column);
            let text = e.to_string();
            let message = text.lines().next().unwrap_or_default();
            sink.problem(
                at,
                None,
                format!("{message} (a tenant file is a list: `- id: acme`, `  host: eu1`, `  schema: acme`)"),
            );
        }
    }
}

/// A registry may be large, and its author is trusted not to attack the parser: only depth stays narrow.
fn options() -> serde_saphyr::Options {
    let mut budget = serde_saphyr::Budget::default();
    budget.max_events = usize::MAX;
    budget.max_nodes = usize::MAX;
    budget.max_total_scalar_bytes = usize::MAX;
    budget.max_total_comment_bytes = usize::MAX;
    let mut options = serde_saphyr::Options::default();
    options.budget = Some(budget);
    options.with_snippet = false;
    options
}

fn take(entry: Spanned<Entry>, sink: &mut Sink) {
    let at = sink.at(entry.referenced.line(), entry.referenced.column());
    let Entry {
        mut row,
        complaints,
    } = entry.value;
    row.at = at;
    for (location, message) in &complaints {
        let at = sink.at(location.line(), location.column());
        sink.problem(at, row.id.as_deref(), message.as_str());
    }
    if complaints.is_empty() {
        sink.row(row);
    }
}

impl<'de> Deserialize<'de> for Entry {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(EntryVisitor)
    }
}

struct EntryVisitor;

impl<'de> Visitor<'de> for EntryVisitor {
    type Value = Entry;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a tenant with `id` and `host`")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Entry, A::Error> {
        let mut entry = Entry::default();
        while let Some(key) = map.next_key::<Spanned<String>>()? {
            if let Some(cell) = entry.row.cell(&key.value) {
                *cell = map
                    .next_value::<Option<String>>()?
                    .filter(|t| !t.is_empty());
            } else if key.value == "labels" {
                entry.labels(map.next_value()?);
            } else {
                map.next_value::<IgnoredAny>()?;
                entry.complaints.push((key.referenced, unknown(&key.value)));
            }
        }
        Ok(entry)
    }
}

impl Entry {
    fn labels(&mut self, labels: Option<BTreeMap<String, Spanned<Option<String>>>>) {
        for (name, value) in labels.into_iter().flatten() {
            if let Some(message) = label_refused(&name) {
                self.complaints.push((value.referenced, message));
            } else if let Some(text) = value.value.filter(|t| !t.is_empty()) {
                self.row.labels.insert(name, text);
            }
        }
    }
}

fn unknown(key: &str) -> String {
    match nearest(key, KNOWN.into_iter().chain(["labels"])) {
        Some(known) => {
            format!("unknown key {key:?}; did you mean `{known}`? (a label goes under `labels:`)")
        }
        None => format!("unknown key {key:?}; if it is a label, put it under `labels:`"),
    }
}
