//! Names of hosts as labels: their number has a limit.

use std::collections::BTreeSet;
use std::sync::{Mutex, PoisonError};

use crate::catalogue::DROPPED_LABELS;

/// Hosts that a process tells apart in its metrics.
const MOST: usize = 200;
/// All the others.
const OTHER: &str = "other";

static KNOWN: Mutex<BTreeSet<String>> = Mutex::new(BTreeSet::new());

/// The label of a host: its name, or `other` for those that came after the first 200.
pub fn host_label(name: &str) -> &str {
    let mut known = KNOWN.lock().unwrap_or_else(PoisonError::into_inner);
    if admit(&mut known, name) {
        return name;
    }
    DROPPED_LABELS.one(["host"]);
    OTHER
}

fn admit(known: &mut BTreeSet<String>, name: &str) -> bool {
    if known.contains(name) {
        return true;
    }
    let room = known.len() < MOST;
    if room {
        known.insert(name.to_owned());
    }
    room
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn those_that_came_first_keep_their_names() {
        let mut known = BTreeSet::new();
        let name = |n: usize| format!("h{n}");
        assert!((0..MOST).all(|n| admit(&mut known, &name(n))));
        assert!(!admit(&mut known, &name(MOST)));
        assert!(admit(&mut known, &name(0)));
        assert_eq!(known.len(), MOST);
    }
}
