//! What is left at a tenant's place after the work: locks, sessions, broken indexes.

use super::{Facts, ViolationKind};

/// One violation for each session or file that holds a tenant on which no claim is in flight.
pub(super) fn locks(facts: &Facts) -> Vec<(ViolationKind, String)> {
    let Some(inspection) = facts.inspection.as_ref().filter(|_| !facts.moving) else {
        return Vec::new();
    };
    let holders = inspection.holders.iter().map(|holder| {
        let detail = format!(
            "{}, though no claim on it is in flight: {}",
            holder.what, holder.remedy
        );
        (ViolationKind::Lock, detail)
    });
    holders.collect()
}

/// One violation for each broken index, unless a claim may be building it just now.
pub(super) fn indexes(facts: &Facts) -> Vec<(ViolationKind, String)> {
    let Some(inspection) = facts.inspection.as_ref().filter(|_| !facts.moving) else {
        return Vec::new();
    };
    let indexes = inspection.broken_indexes.iter().map(|index| {
        let detail = format!("index {} {}: {}", index.name, index.fault, index.remedy);
        (ViolationKind::InvalidIndex, detail)
    });
    indexes.collect()
}
