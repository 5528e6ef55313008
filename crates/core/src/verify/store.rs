//! The control store against the ledger, in what a missing row does not say already.

use std::collections::BTreeSet;

use super::{Belief, Facts, ViolationKind};
use crate::assess::{MigrationMeta, list};
use crate::ids::Version;
use crate::ledger::{LedgerRow, RowState, Standing};
use crate::outcome::Outcome;

/// Whether the store believes the tenant to be at the target.
pub(super) fn is_done(belief: &Belief) -> bool {
    matches!(belief.outcome, Outcome::Succeeded | Outcome::UpToDate)
}

/// At most one violation that says all of it.
pub(super) fn check(bundle: &[MigrationMeta], facts: &Facts) -> Option<(ViolationKind, String)> {
    let belief = facts.belief.as_ref()?;
    let problems = match &facts.standing {
        Standing::Unreachable(_) => return None,
        Standing::Missing if is_done(belief) || !belief.applied.is_empty() => vec![format!(
            "its schema, database or file is gone, though the control store has it as {} at {}",
            belief.outcome, belief.version
        )],
        Standing::Missing => return None,
        Standing::Present { rows, .. } => {
            let mut problems = undone(bundle, belief, rows);
            if !belief.in_flight {
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
        .filter(|v| is_done(belief) && **v <= belief.version)
        .chain(&belief.applied)
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
