//! The ledger against the bundle, and against what the store says was applied.

use std::collections::{BTreeMap, BTreeSet};

use super::{Belief, Facts, ViolationKind};
use crate::amend::Accepted;
use crate::assess::{MigrationMeta, list};
use crate::ids::{Checksum, Version};
use crate::ledger::{LedgerRow, RowState, Standing};

/// Missing rows (one violation that names them all), unknown versions and wrong checksums (one each).
pub(super) fn check(
    bundle: &[MigrationMeta],
    accepted: &Accepted,
    facts: &Facts,
) -> Vec<(ViolationKind, String)> {
    let Standing::Present { rows, .. } = &facts.standing else {
        return Vec::new();
    };
    let known: BTreeMap<&Version, &Checksum> =
        bundle.iter().map(|m| (&m.version, &m.checksum)).collect();
    let mut found: Vec<_> = missing(&known, rows, facts).into_iter().collect();
    for row in rows.iter().filter(|row| row.state == RowState::Applied) {
        match known.get(&row.version) {
            None => found.push((
                ViolationKind::UnknownVersion,
                format!(
                    "version {} is in effect, and the bundle does not have it",
                    row.version
                ),
            )),
            Some(checksum) if !is_right(row, checksum, accepted) => found.push((
                ViolationKind::Checksum,
                format!(
                    "version {}: the ledger says {}, the bundle {checksum}",
                    row.version, row.checksum
                ),
            )),
            Some(_) => {}
        }
    }
    found
}

fn is_right(row: &LedgerRow, checksum: &Checksum, accepted: &Accepted) -> bool {
    row.checksum == *checksum
        || accepted
            .get(&row.version)
            .is_some_and(|others| others.contains(&row.checksum))
}

/// Versions of the bundle up to the newest one in effect or believed to be, and those that the store says were
/// applied, which have no row at all (a reverted one keeps its row).
fn missing(
    known: &BTreeMap<&Version, &Checksum>,
    rows: &[LedgerRow],
    facts: &Facts,
) -> Option<(ViolationKind, String)> {
    let there: BTreeSet<&Version> = rows.iter().map(|row| &row.version).collect();
    let newest = rows
        .iter()
        .filter(|row| row.state == RowState::Applied && known.contains_key(&row.version))
        .map(|row| &row.version)
        .max();
    let belief = facts.belief.as_ref().map(Belief::known).unwrap_or_default();
    let believed = known.keys().copied().filter(|v| belief.is_due(v)).max();
    let upto = newest.max(believed);
    let due = known.keys().copied().filter(|v| Some(*v) <= upto);
    let lacking: BTreeSet<&Version> = due
        .chain(&belief.applied)
        .filter(|v| !there.contains(v))
        .collect();
    let lowest = *lacking.first()?;
    let is_older = rows.iter().all(|row| row.version < *lowest);
    let lacking: Vec<Version> = lacking.into_iter().cloned().collect();
    let why = match (newest, believed) {
        (newest, Some(believed)) if newest < Some(believed) => {
            format!("the control store has seen it at {believed}")
        }
        (Some(newest), _) if !is_older => format!("its ledger says it is at {newest}"),
        _ => "the control store says it was applied".into(),
    };
    let remedy = if is_older {
        format!(
            "if it was restored from an older backup, `sanderling up --tenants id={}` brings it forward again; if only \
             the rows are gone, put them back",
            facts.tenant
        )
    } else {
        "a row was deleted, or never written; look whether the version is in effect there, and put the row back".into()
    };
    let detail = format!("no row for {}, though {why}: {remedy}", list(&lacking));
    Some((ViolationKind::MissingRow, detail))
}
