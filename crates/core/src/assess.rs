//! One tenant's ledger against a bundle: what is to be done there, or why nothing can be.

mod down;

pub use down::assess_down;

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::cause::{ErrorClass, Failure};
use crate::ids::{Checksum, Version};
use crate::ledger::{LedgerRow, RowState, Standing};
use crate::outcome::Outcome;

/// What planning needs to know of one migration of the bundle.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MigrationMeta {
    /// Its version.
    pub version: Version,
    /// Its name, without version and suffix.
    pub name: String,
    /// The hash of its canonical text.
    pub checksum: Checksum,
    /// Its file's name, for messages.
    pub file: String,
    /// Texts that are right besides its own: those that it was amended from.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub accepted: BTreeSet<Checksum>,
}

impl MigrationMeta {
    /// Whether this text is right where it is in effect.
    pub fn accepts(&self, text: &Checksum) -> bool {
        self.checksum == *text || self.accepted.contains(text)
    }
}

/// What a tenant's standing means for a rollout.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Assessment {
    /// Every version up to the target is in effect, and none above; on the way down only that none is above.
    UpToDate,
    /// There is something to apply, or to take back.
    Pending {
        /// The newest version in effect.
        from: Option<Version>,
        /// What to apply, ascending, or what to take back, descending; never empty.
        versions: Vec<Version>,
        /// Whether the ledger table is there.
        has_ledger: bool,
        /// Whether the place itself is missing and is to be created.
        missing: bool,
    },
    /// Versions are in effect that the rollout does not lead to: above the target, or not in the bundle.
    Ahead {
        /// Those versions, ascending.
        versions: Vec<Version>,
        /// Whether everything up to the target is in effect nevertheless.
        complete: bool,
    },
    /// A version in effect was applied from another text. Refuses the whole plan: somebody edited the file.
    Edited {
        /// The lowest such version.
        version: Version,
        /// What was applied.
        ledger_checksum: Checksum,
        /// What the bundle has.
        bundle_checksum: Checksum,
    },
    /// On the way down: versions are in effect above the target that the bundle does not have, so that nobody knows what
    /// takes them back. Refuses the whole plan.
    Foreign {
        /// Those versions, ascending.
        versions: Vec<Version>,
    },
    /// Versions below the newest one in effect are not. Refuses the whole plan unless it is allowed.
    OutOfOrder {
        /// Those versions, ascending.
        versions: Vec<Version>,
        /// The newest version in effect.
        newest: Version,
    },
    /// A stepwise migration stopped half way, and does not go on with this bundle and target: another text began it,
    /// or it leads elsewhere.
    Dirty {
        /// Its version.
        version: Version,
    },
    /// There is something to apply, and an operator has pinned the tenant: who, why, and what lets it go. `assess` does
    /// not know of holds; who has read them says so.
    Held(Failure),
    /// It could not be read, or is missing and may not be created.
    Unreachable(Failure),
}

impl Assessment {
    /// How the plan leaves the tenant out, with the reason; `None` for those with something to do and for those that
    /// refuse the whole plan (`Edited`, `Foreign`, `OutOfOrder`).
    pub fn left_out(&self) -> Option<(Outcome, Option<Failure>)> {
        let precondition = |code: &str, message: String, version: Option<&Version>| {
            let mut failure = Failure::new(ErrorClass::Precondition, code, message);
            failure.cause.version = version.cloned();
            Some(failure)
        };
        match self {
            Self::UpToDate => Some((Outcome::UpToDate, None)),
            Self::Ahead { versions, complete } => {
                let list = list(versions);
                Some(if *complete {
                    let message = format!("it is ahead of the target: {list} in effect there");
                    (Outcome::Skipped, precondition("ahead", message, None))
                } else {
                    let message = format!(
                        "its ledger has {list}, which the bundle lacks, while older versions are still to be applied; \
                         use the bundle that has them"
                    );
                    (Outcome::Failed, precondition("ahead", message, None))
                })
            }
            Self::Dirty { version } => {
                let message = format!(
                    "migration {version} stopped half way there; a person must look and repair it"
                );
                Some((
                    Outcome::Dirty,
                    precondition("dirty", message, Some(version)),
                ))
            }
            Self::Held(failure) => Some((Outcome::Held, Some(failure.clone()))),
            Self::Unreachable(failure) => Some((Outcome::Unreachable, Some(failure.clone()))),
            Self::Pending { .. }
            | Self::Edited { .. }
            | Self::Foreign { .. }
            | Self::OutOfOrder { .. } => None,
        }
    }
}

/// Assesses one tenant.
///
/// `bundle` is ascending by version and may reach beyond `target`. Reverted rows count as not applied. What forbids
/// more is said first: dirty, then edited, then ahead of the bundle, then out of order.
pub fn assess(
    bundle: &[MigrationMeta],
    target: &Version,
    standing: &Standing,
    allow_out_of_order: bool,
    create_missing: bool,
) -> Assessment {
    match standing {
        Standing::Unreachable(failure) => Assessment::Unreachable(failure.clone()),
        Standing::Missing if !create_missing => missing(),
        Standing::Missing => {
            let none = BTreeMap::new();
            pending(bundle, target, (&none, &BTreeSet::new()), true, false, true)
        }
        Standing::Present { has_ledger, rows } => {
            if let Some(verdict) = forbidden(bundle, target, rows) {
                return verdict;
            }
            let applied: BTreeMap<&Version, &LedgerRow> = in_effect(rows).collect();
            let begun = rows.iter().filter(|row| row.state == RowState::Applying);
            let begun: BTreeSet<&Version> = begun.map(|row| &row.version).collect();
            pending(
                bundle,
                target,
                (&applied, &begun),
                allow_out_of_order,
                *has_ledger,
                false,
            )
        }
    }
}

/// The place is not there, and nobody may make it.
fn missing() -> Assessment {
    Assessment::Unreachable(Failure::new(
        ErrorClass::Precondition,
        "missing",
        "its schema, database or file is not there; create it, or set create_missing = true in [fleet]",
    ))
}

/// Rows of versions that are in effect.
fn in_effect(rows: &[LedgerRow]) -> impl Iterator<Item = (&Version, &LedgerRow)> {
    rows.iter()
        .filter(|row| row.state == RowState::Applied)
        .map(|row| (&row.version, row))
}

/// Whether a stepwise version stands half way up, from the very text that the bundle has: it goes on where it stands. A
/// text that it was amended from says nothing about where the next one would go on.
fn goes_on(bundle: &[MigrationMeta], target: &Version, row: &LedgerRow) -> bool {
    row.state == RowState::Applying
        && row.version <= *target
        && bundle
            .iter()
            .any(|m| m.version == row.version && m.checksum == row.checksum)
}

/// What no target and no flag makes right: rows that stand half way and cannot go on, and edited files.
fn forbidden(bundle: &[MigrationMeta], target: &Version, rows: &[LedgerRow]) -> Option<Assessment> {
    if let Some(row) = rows.iter().find(|row| {
        matches!(row.state, RowState::Applying | RowState::Reverting)
            && !goes_on(bundle, target, row)
    }) {
        return Some(Assessment::Dirty {
            version: row.version.clone(),
        });
    }
    let applied: BTreeMap<&Version, &LedgerRow> = in_effect(rows).collect();
    bundle.iter().find_map(|migration| {
        let row = applied.get(&migration.version)?;
        (!migration.accepts(&row.checksum)).then(|| Assessment::Edited {
            version: migration.version.clone(),
            ledger_checksum: row.checksum.clone(),
            bundle_checksum: migration.checksum.clone(),
        })
    })
}

fn pending(
    bundle: &[MigrationMeta],
    target: &Version,
    (applied, begun): (&BTreeMap<&Version, &LedgerRow>, &BTreeSet<&Version>),
    allow_out_of_order: bool,
    has_ledger: bool,
    missing: bool,
) -> Assessment {
    let known: BTreeSet<&Version> = bundle.iter().map(|m| &m.version).collect();
    let versions: Vec<Version> = known
        .iter()
        .filter(|v| **v <= target && !applied.contains_key(**v))
        .map(|v| (*v).clone())
        .collect();
    let newest = applied.keys().next_back().map(|v| (*v).clone());
    let unknown: Vec<Version> = pick(applied, |v| !known.contains(v));
    if !unknown.is_empty() {
        return Assessment::Ahead {
            versions: unknown,
            complete: versions.is_empty(),
        };
    }
    if versions.is_empty() {
        let above = pick(applied, |v| v > target);
        if above.is_empty() {
            return Assessment::UpToDate;
        }
        return Assessment::Ahead {
            versions: above,
            complete: true,
        };
    }
    if let Some(newest) = newest.as_ref().filter(|_| !allow_out_of_order) {
        // What has begun is not late: it goes on.
        let late = |v: &&Version| *v < newest && !begun.contains(v);
        let below: Vec<Version> = versions.iter().filter(late).cloned().collect();
        if !below.is_empty() {
            return Assessment::OutOfOrder {
                versions: below,
                newest: newest.clone(),
            };
        }
    }
    Assessment::Pending {
        from: newest,
        versions,
        has_ledger,
        missing,
    }
}

fn pick(
    applied: &BTreeMap<&Version, &LedgerRow>,
    wanted: impl Fn(&Version) -> bool,
) -> Vec<Version> {
    applied
        .keys()
        .copied()
        .filter(|v| wanted(v))
        .cloned()
        .collect()
}

/// `version 3` or `versions 3, 4, 5 and 2 more`.
pub fn list(versions: &[Version]) -> String {
    let shown: Vec<&str> = versions.iter().take(3).map(Version::as_str).collect();
    let plural = if versions.len() == 1 { "" } else { "s" };
    let more = match versions.len().saturating_sub(3) {
        0 => String::new(),
        n => format!(" and {n} more"),
    };
    format!("version{plural} {}{more}", shown.join(", "))
}

#[cfg(test)]
mod tests;
