//! `verify --json`.

use serde::{Deserialize, Serialize};

use crate::verify::{Facts, Violation};

/// The document that `verify --json` prints.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct VerifySummary {
    /// Selected tenants.
    pub tenants: u64,
    /// Those that could be read, and so were checked.
    pub checked: u64,
    /// What does not hold, in the order of tenants.
    pub violations: Vec<Violation>,
    /// What is no violation and ought to be known: what could not be seen or judged, and copies.
    #[serde(default)]
    pub notes: Vec<String>,
}

impl VerifySummary {
    /// The document of a check of these tenants.
    pub fn new(tenants: &[Facts], violations: Vec<Violation>, notes: Vec<String>) -> Self {
        Self {
            tenants: tenants.len() as u64,
            checked: tenants.iter().filter(|t| t.is_readable()).count() as u64,
            violations,
            notes,
        }
    }
}
