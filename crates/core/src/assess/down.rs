//! One tenant's ledger against a bundle, for a rollout that takes versions back.

use std::collections::BTreeMap;

use super::{Assessment, MigrationMeta, in_effect, missing};
use crate::ids::Version;
use crate::ledger::{LedgerRow, RowState, Standing};

/// Assesses one tenant for the way down to `target`: every version above it that is in effect there is to be taken back,
/// the newest first. What lies at or below the target is not looked at, except that nothing is taken back over a
/// migration that stands half way.
///
/// What forbids more is said first: dirty, then a version that the bundle does not have, then an edited one. Whether the
/// bundle's text knows a way back is for whoever has read it.
pub fn assess_down(
    bundle: &[MigrationMeta],
    target: &Version,
    standing: &Standing,
    create_missing: bool,
) -> Assessment {
    let (has_ledger, rows) = match standing {
        Standing::Unreachable(failure) => return Assessment::Unreachable(failure.clone()),
        Standing::Missing if !create_missing => return missing(),
        // It will be made one day: nothing is in effect there.
        Standing::Missing => return Assessment::UpToDate,
        Standing::Present { has_ledger, rows } => (*has_ledger, rows),
    };
    let half_way = |row: &&LedgerRow| matches!(row.state, RowState::Applying | RowState::Reverting);
    if let Some(row) = rows.iter().find(half_way) {
        return Assessment::Dirty {
            version: row.version.clone(),
        };
    }
    let known: BTreeMap<&Version, &MigrationMeta> =
        bundle.iter().map(|m| (&m.version, m)).collect();
    let above: BTreeMap<&Version, &LedgerRow> =
        in_effect(rows).filter(|(v, _)| *v > target).collect();
    let foreign: Vec<Version> = above
        .keys()
        .filter(|v| !known.contains_key(**v))
        .map(|v| (*v).clone())
        .collect();
    if !foreign.is_empty() {
        return Assessment::Foreign { versions: foreign };
    }
    let edited = above.iter().find_map(|(version, row)| {
        let migration = known.get(version)?;
        (!migration.accepts(&row.checksum)).then(|| Assessment::Edited {
            version: (*version).clone(),
            ledger_checksum: row.checksum.clone(),
            bundle_checksum: migration.checksum.clone(),
        })
    });
    if let Some(edited) = edited {
        return edited;
    }
    let versions: Vec<Version> = above.keys().rev().map(|v| (*v).clone()).collect();
    match versions.first().cloned() {
        None => Assessment::UpToDate,
        from => Assessment::Pending {
            from,
            versions,
            has_ledger,
            missing: false,
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cause::ErrorClass;
    use crate::ids::Checksum;
    use crate::outcome::Outcome;
    use crate::testing::{broken, bundle, row, version};

    fn present(rows: &[LedgerRow]) -> Standing {
        Standing::Present {
            has_ledger: true,
            rows: rows.to_vec(),
        }
    }

    fn down(target: u32, rows: &[LedgerRow]) -> Assessment {
        assess_down(&bundle(4), &version(target), &present(rows), false)
    }

    fn back(assessment: Assessment) -> Vec<u32> {
        match assessment {
            Assessment::Pending {
                versions,
                from,
                missing: false,
                has_ledger: true,
            } => {
                assert_eq!(from.as_ref(), versions.first());
                versions
                    .iter()
                    .map(|v| v.as_str().parse().unwrap())
                    .collect()
            }
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn the_newest_is_taken_back_first_and_the_target_stays() {
        let all = [row(1), row(2), row(3), row(4)];
        assert_eq!(back(down(3, &all)), [4]);
        assert_eq!(back(down(1, &all)), [4, 3, 2]);
        let to_nothing = assess_down(&bundle(4), &Version::nothing(), &present(&all), false);
        assert_eq!(back(to_nothing), [4, 3, 2, 1]);
        // Versions that are not there need not be taken back.
        let mut undone = row(4);
        undone.state = RowState::Reverted;
        assert_eq!(back(down(1, &[row(1), row(3), undone])), [3]);
    }

    #[test]
    fn tenants_at_or_below_the_target_have_nothing_to_do() {
        for rows in [vec![], vec![row(1)], vec![row(1), row(2)]] {
            assert_eq!(down(2, &rows), Assessment::UpToDate);
        }
        let missing = assess_down(&bundle(4), &version(2), &Standing::Missing, true);
        assert_eq!(missing, Assessment::UpToDate);
    }

    #[test]
    fn what_cannot_be_read_is_left_out() {
        let away = Standing::Unreachable(broken());
        let away = assess_down(&bundle(4), &version(2), &away, false);
        assert_eq!(away, Assessment::Unreachable(broken()));
        let missing = assess_down(&bundle(4), &version(2), &Standing::Missing, false);
        let (outcome, failure) = missing.left_out().unwrap();
        assert_eq!(outcome, Outcome::Unreachable);
        let cause = failure.unwrap().cause;
        assert_eq!(
            (cause.class, cause.code.as_str()),
            (ErrorClass::Precondition, "missing")
        );
    }

    #[test]
    fn what_the_bundle_cannot_take_back_refuses() {
        let mut other = row(3);
        other.checksum = Checksum::new("other");
        let edited = |target| down(target, &[row(1), row(2), other.clone(), row(4)]);
        assert!(matches!(edited(2), Assessment::Edited { version: v, .. } if v == version(3)));
        // What stays may come from any text.
        assert_eq!(back(edited(3)), [4]);
        let foreign = down(2, &[row(1), row(2), row(5), row(6)]);
        let versions = vec![version(5), version(6)];
        assert_eq!(foreign, Assessment::Foreign { versions });
        assert_eq!(foreign.left_out(), None);
    }

    #[test]
    fn nothing_is_taken_back_over_a_migration_that_stands_half_way() {
        for state in [RowState::Applying, RowState::Reverting] {
            for n in [1, 4] {
                let mut rows = [row(1), row(2), row(3), row(4)];
                rows[n - 1].state = state;
                let version = rows[n - 1].version.clone();
                assert_eq!(down(2, &rows), Assessment::Dirty { version });
            }
        }
    }
}
