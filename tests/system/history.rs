//! Whether what happened in a rollout could happen: its events, held against the limits that the plan printed and
//! against what is in the tenants.
//!
//! A pure function, and a second opinion: it shares no line with the code that made the events.

pub(crate) mod claims;
mod effects;
mod read;
mod waves;

#[cfg(test)]
mod planted;

use std::collections::BTreeMap;

use sanderling_core::Event;

/// One rollout, and what it left in its tenants.
#[derive(Clone, Debug, Default)]
pub(crate) struct History {
    pub(crate) rollout: String,
    /// By `seq`.
    pub(crate) events: Vec<Event>,
    /// The most in flight at once that the plan printed: in all, and by wave.
    pub(crate) most: u64,
    pub(crate) most_in_wave: Vec<u64>,
    /// All ledgers, rows of other rollouts included.
    pub(crate) ledger: Vec<Row>,
    /// How often each version took effect, by tenant and version. Counted where nothing hinders a second time.
    pub(crate) effects: BTreeMap<(String, String), u64>,
}

/// A row of a tenant's ledger that is in effect.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Row {
    pub(crate) tenant: String,
    pub(crate) version: String,
    pub(crate) epoch: i64,
    pub(crate) rollout: String,
    /// Microseconds since 1970.
    pub(crate) at: i64,
}

/// Everything about it that must not be, in words.
pub(crate) fn violations(history: &History) -> Vec<String> {
    let mut found = gaps(&history.events);
    found.extend(claims::violations(history));
    found.extend(waves::violations(&history.events));
    found.extend(effects::violations(history));
    found
}

/// Fails with every violation, one a line.
#[track_caller]
pub(crate) fn assert_possible(history: &History) {
    let found = violations(history);
    assert!(
        found.is_empty(),
        "{} violation(s) in rollout {}:\n{}",
        found.len(),
        history.rollout,
        found.join("\n")
    );
}

/// Numbers run from 1 without gaps, and the store's time does not go back.
fn gaps(events: &[Event]) -> Vec<String> {
    let numbers = events
        .iter()
        .zip(1..)
        .filter(|(event, seq)| event.seq != *seq)
        .map(|(event, seq)| format!("event {} stands where {seq} belongs", event.seq));
    let times = events
        .windows(2)
        .filter(|pair| pair[1].at < pair[0].at)
        .map(|pair| format!("event {} is older than the one before it", pair[1].seq));
    numbers.chain(times).collect()
}
