//! Everything that is wrong with the settings.

use std::fmt;

/// Settings that cannot be used. Prints one problem a line. A usage error: exit code 2.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) struct SettingsError {
    /// One sentence each, with its place in front; never empty.
    pub(crate) problems: Vec<String>,
}

impl SettingsError {
    /// An error of one problem.
    pub(crate) fn one(problem: impl Into<String>) -> Self {
        Self {
            problems: vec![problem.into()],
        }
    }
}

impl fmt::Display for SettingsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.problems.join("\n"))
    }
}
