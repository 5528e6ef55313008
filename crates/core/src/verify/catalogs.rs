//! Tenants of one engine at one version have one and the same catalog.

use std::collections::BTreeMap;

use super::{Facts, Violation, ViolationKind};
use crate::ids::Version;

/// Tenants of one group, each with its fingerprint.
type Members<'a> = Vec<(&'a Facts, &'a str)>;

/// Tenants whose fingerprint differs from that of most others. Where two are equally frequent, the one whose first
/// tenant comes first is taken as expected, so that a group of two that differ gives one violation.
/// Tenants without a version have nothing in common and are not compared.
pub(super) fn check(tenants: &[&Facts]) -> Vec<Violation> {
    let mut groups: BTreeMap<(&str, &Version), Members<'_>> = BTreeMap::new();
    for facts in tenants {
        if let (Some(version), Some(fingerprint)) = (facts.standing.newest(), &facts.fingerprint) {
            groups
                .entry((facts.engine.as_str(), version))
                .or_default()
                .push((facts, fingerprint));
        }
    }
    groups
        .into_iter()
        .flat_map(|((_, version), members)| differing(version, &members))
        .collect()
}

fn differing(version: &Version, members: &[(&Facts, &str)]) -> Vec<Violation> {
    let Some((expected, agree)) = most_frequent(members) else {
        return Vec::new();
    };
    members
        .iter()
        .filter(|(_, fingerprint)| *fingerprint != expected)
        .map(|(facts, actual)| Violation {
            tenant: facts.tenant.clone(),
            kind: ViolationKind::Catalog,
            detail: format!(
                "its catalog has fingerprint {actual}, expected {expected}, on which {agree} of {} tenants at version {version} agree",
                members.len()
            ),
        })
        .collect()
}

fn most_frequent<'a>(members: &[(&Facts, &'a str)]) -> Option<(&'a str, usize)> {
    let mut counts: BTreeMap<&'a str, (usize, usize)> = BTreeMap::new();
    for (index, (_, fingerprint)) in members.iter().enumerate() {
        counts.entry(fingerprint).or_insert((0, index)).0 += 1;
    }
    counts
        .into_iter()
        .max_by_key(|(_, (count, first))| (*count, std::cmp::Reverse(*first)))
        .map(|(fingerprint, (count, _))| (fingerprint, count))
}
