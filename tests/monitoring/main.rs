//! What operators watch with: the rules and dashboards of `deploy/`, and the stack that shows them.
//!
//! Files are read as they are committed. That every query finds something in a real Prometheus is shown by the system
//! tests (`tests/system/monitoring`); here it is held that each names only what the program exports.

#![expect(
    clippy::unwrap_used,
    reason = "a test that cannot go on panics with what it saw"
)]

mod catalogue;
mod dashboards;
mod lint;
mod promql;
mod rules;
mod stack;

use std::path::{Path, PathBuf};

use serde_json::Value;

/// A file of the repository.
fn shipped(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../..")
        .join(path)
}

/// Its text.
#[track_caller]
fn text(path: &str) -> String {
    std::fs::read_to_string(shipped(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// Its text as YAML.
#[track_caller]
fn yaml(path: &str) -> Value {
    serde_saphyr::from_str(&text(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// Fails with every complaint, one a line.
#[track_caller]
fn none(complaints: Vec<String>) {
    assert!(
        complaints.is_empty(),
        "{} complaint(s):\n{}",
        complaints.len(),
        complaints.join("\n")
    );
}
