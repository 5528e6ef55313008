//! The control store against the ledger, in what a missing row does not say already.

use super::{Belief, Facts, Known, ViolationKind};
use crate::assess::{MigrationMeta, list};
use crate::ids::Version;
use crate::ledger::{LedgerRow, RowState, Standing};

/// At most one violation that says all of it.
pub(super) fn check(bundle: &[MigrationMeta], facts: &Facts) -> Option<(ViolationKind, String)> {
    let belief = facts.belief.as_ref()?;
    let known = belief.known();
    let problems = match &facts.standing {
        Standing::Unreachable(_) => return None,
        Standing::Missing => {
            let seen = known.reached.iter().chain(&known.applied).max()?;
            vec![format!(
                "its schema, database or file is gone, though the control store has seen it at {seen}: restore it, or take \
                 the tenant out of the registry"
            )]
        }
        Standing::Present { rows, .. } => {
            let mut problems = contradicted(bundle, &known, rows);
            if !facts.moving {
                problems.extend(unreported(bundle, belief, rows));
                problems.extend(newer(belief, rows));
            }
            problems
        }
    };
    (!problems.is_empty()).then(|| (ViolationKind::StoreMismatch, problems.join("; ")))
}

/// Versions that the store has as applied and the ledger as reverted or half done, and the other way round.
fn contradicted(bundle: &[MigrationMeta], known: &Known, rows: &[LedgerRow]) -> Vec<String> {
    let of_bundle = |version: &Version| bundle.iter().any(|m| m.version == *version);
    let is_due = |version: &Version| {
        known.is_due(version) && (known.applied.contains(version) || of_bundle(version))
    };
    rows.iter()
        .filter_map(|row| {
            let believed = match row.state {
                RowState::Applied => known.undone.contains(&row.version).then_some("reverted"),
                _ => is_due(&row.version).then_some("applied"),
            }?;
            Some(format!(
                "the control store has version {} as {believed}, the ledger as {}",
                row.version, row.state
            ))
        })
        .collect()
}

/// Versions that went the rollout's way and bear its id, and that nobody reported. Those that the bundle does not have are
/// violations of their own.
fn unreported(bundle: &[MigrationMeta], belief: &Belief, rows: &[LedgerRow]) -> Option<String> {
    let versions: Vec<Version> = rows
        .iter()
        .filter(|row| {
            row.state == belief.direction.done()
                && row.rollout.as_ref() == Some(&belief.rollout)
                && !belief.applied.contains(&row.version)
                && bundle.iter().any(|m| m.version == row.version)
        })
        .map(|row| row.version.clone())
        .collect();
    (!versions.is_empty()).then(|| {
        format!(
            "the ledger has {} from rollout {}, which the control store has as {} without them",
            list(&versions),
            belief.rollout,
            belief.outcome
        )
    })
}

/// A row of the rollout from a claim that the store never granted.
fn newer(belief: &Belief, rows: &[LedgerRow]) -> Option<String> {
    rows.iter()
        .find(|row| row.rollout.as_ref() == Some(&belief.rollout) && row.epoch > belief.epoch)
        .map(|row| {
            format!(
                "version {} was written at epoch {}, and the control store granted none above {}",
                row.version, row.epoch, belief.epoch
            )
        })
}
