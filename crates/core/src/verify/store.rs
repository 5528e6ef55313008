//! The control store against the ledger, in what a missing row does not say already.

use std::collections::BTreeSet;

use super::{Belief, Facts, ViolationKind};
use crate::assess::{MigrationMeta, list};
use crate::ids::Version;
use crate::ledger::{LedgerRow, RowState, Standing};
use crate::outcome::Outcome;

/// The version that the store has seen the tenant at: that of the newest target, or of the last one that got there.
pub(super) fn reached(belief: &Belief) -> Option<&Version> {
    let newest = matches!(belief.outcome, Outcome::Succeeded | Outcome::UpToDate);
    let newest = newest.then_some(&belief.version);
    newest.max(belief.reached.as_ref())
}

/// Versions that were applied by evidence, by the newest rollout and by those since the last that got there.
pub(super) fn proved(belief: &Belief) -> impl Iterator<Item = &Version> {
    belief.applied.iter().chain(&belief.earlier)
}

/// At most one violation that says all of it.
pub(super) fn check(bundle: &[MigrationMeta], facts: &Facts) -> Option<(ViolationKind, String)> {
    let belief = facts.belief.as_ref()?;
    let problems = match &facts.standing {
        Standing::Unreachable(_) => return None,
        Standing::Missing if reached(belief).is_some() || proved(belief).next().is_some() => {
            let seen = reached(belief).into_iter().chain(proved(belief)).max();
            vec![format!(
                "its schema, database or file is gone, though the control store has seen it at {}: restore it, or take the \
                 tenant out of the registry",
                seen.unwrap_or(&belief.version)
            )]
        }
        Standing::Missing => return None,
        Standing::Present { rows, .. } => {
            let mut problems = undone(bundle, belief, rows);
            if !facts.moving {
                problems.extend(unreported(bundle, belief, rows));
                problems.extend(newer(belief, rows));
            }
            problems
        }
    };
    (!problems.is_empty()).then(|| (ViolationKind::StoreMismatch, problems.join("; ")))
}

/// Versions that the store has as applied and the ledger as reverted or half done.
fn undone(bundle: &[MigrationMeta], belief: &Belief, rows: &[LedgerRow]) -> Vec<String> {
    let due: BTreeSet<&Version> = bundle
        .iter()
        .map(|m| &m.version)
        .filter(|v| Some(*v) <= reached(belief))
        .chain(proved(belief))
        .collect();
    rows.iter()
        .filter(|row| row.state != RowState::Applied && due.contains(&row.version))
        .map(|row| {
            format!(
                "the control store has version {} as applied, the ledger as {}",
                row.version, row.state
            )
        })
        .collect()
}

/// Versions in effect that bear the rollout's id and that nobody reported. Those that the bundle does not have are
/// violations of their own.
fn unreported(bundle: &[MigrationMeta], belief: &Belief, rows: &[LedgerRow]) -> Option<String> {
    let versions: Vec<Version> = rows
        .iter()
        .filter(|row| {
            row.state == RowState::Applied
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
