//! The settings that a migration states about itself.

mod parse;
mod settings;

pub(crate) use parse::Settings;

/// What `-- sanderling: key=value …` lines before `-- +migrate Up` say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Header {
    /// Its part in an expand-and-contract change.
    pub phase: Option<Phase>,
    /// The change that several migrations belong to.
    pub change: Option<String>,
    /// How long a statement waits for a lock, in milliseconds; never 0. Absent: as configured.
    pub lock_timeout_ms: Option<u64>,
    /// How long a statement may run, in milliseconds; 0 is without limit. Absent: as configured.
    pub statement_timeout_ms: Option<u64>,
    /// Versions that have to be in effect before this one.
    pub requires: Vec<String>,
    /// Whether it changes structure or data.
    pub kind: Kind,
    /// Why it cannot be undone.
    pub irreversible: Option<String>,
    /// Rules it may break.
    pub allow: Vec<Allow>,
    /// Whether it runs in one transaction. Not with `transaction=off`: then its statements are sent one by one.
    pub transaction: bool,
}

impl Default for Header {
    fn default() -> Self {
        Self {
            phase: None,
            change: None,
            lock_timeout_ms: None,
            statement_timeout_ms: None,
            requires: Vec::new(),
            kind: Kind::Schema,
            irreversible: None,
            allow: Vec::new(),
            transaction: true,
        }
    }
}

/// The part of a migration in an expand-and-contract change.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Phase {
    /// Adds what the new version of the application needs; the old one goes on.
    Expand,
    /// Moves data from the old form to the new.
    Migrate,
    /// Removes what only the old version of the application needs.
    Contract,
}

/// What a migration changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// Structure.
    Schema,
    /// Rows.
    Data,
}

/// A rule that a migration may break, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Allow {
    /// The rule.
    pub rule: String,
    /// Why it is all right here.
    pub reason: String,
}
