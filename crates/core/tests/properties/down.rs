//! The way down, from random ledgers.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;
use sanderling_core::assess::{Assessment, MigrationMeta, assess, assess_down};
use sanderling_core::plan::audit;
use sanderling_core::planner::{Assessed, PlanInput, plan};
use sanderling_core::policy::{Atomic, Policy};
use sanderling_core::verify::{Known, Word};
use sanderling_core::waves::parse;
use sanderling_core::{
    BundleHash, Checksum, Direction, Epoch, HostName, LedgerRow, Outcome, Place, RowState,
    Standing, Tenant, TenantId, Version,
};

use crate::driver::Dice;

const VERSIONS: usize = 8;

fn version(n: usize) -> Version {
    Version::new(n.to_string())
}

fn bundle() -> Vec<MigrationMeta> {
    let meta = |n| MigrationMeta {
        version: version(n),
        name: "m".into(),
        checksum: Checksum::new(format!("c{n}")),
        file: format!("{n}_m.sql"),
        accepted: BTreeSet::new(),
    };
    (1..=VERSIONS).map(meta).collect()
}

/// Any of the versions in effect, any others reverted.
fn ledger(dice: &mut Dice) -> Vec<LedgerRow> {
    let mut rows = Vec::new();
    for n in 1..=VERSIONS {
        let state = match dice.roll(4) {
            0 => continue,
            1 => RowState::Reverted,
            _ => RowState::Applied,
        };
        rows.push(LedgerRow {
            version: version(n),
            checksum: Checksum::new(format!("c{n}")),
            state,
            epoch: Epoch(1),
            rollout: None,
            applied_at: None,
        });
    }
    rows
}

fn in_effect(rows: &[LedgerRow]) -> BTreeSet<Version> {
    rows.iter()
        .filter(|row| row.state == RowState::Applied)
        .map(|row| row.version.clone())
        .collect()
}

fn assessed(target: &Version, rows: &[LedgerRow]) -> Assessment {
    let standing = Standing::Present {
        has_ledger: true,
        rows: rows.to_vec(),
    };
    assess_down(&bundle(), target, &standing, false)
}

fn tenant(n: usize) -> Tenant {
    Tenant {
        id: TenantId::new(format!("t{n}")),
        place: Place {
            host: HostName::new("h"),
            database: None,
            schema: Some(format!("t{n}")),
            file: None,
        },
        labels: BTreeMap::new(),
        size: None,
    }
}

proptest! {
    /// Whoever follows the path, one version at a time, never takes one back under a newer one, keeps what is at or
    /// below the target, has nothing to do then, and finds the same versions to apply on the way up.
    #[test]
    fn the_way_down_leads_there_and_the_way_up_back(seed: u64) {
        let mut dice = Dice(seed);
        let mut rows = ledger(&mut dice);
        let target = version(dice.roll(VERSIONS + 1));
        let before = in_effect(&rows);
        let stays: BTreeSet<_> = before.iter().filter(|v| **v <= target).cloned().collect();
        if let Assessment::Pending { from, versions, .. } = assessed(&target, &rows) {
            prop_assert_eq!(from.as_ref(), before.last());
            for version in &versions {
                prop_assert_eq!(in_effect(&rows).last().cloned(), Some(version.clone()));
                let row = rows.iter_mut().find(|row| row.version == *version).unwrap();
                row.state = RowState::Reverted;
            }
        }
        prop_assert_eq!(in_effect(&rows), stays);
        prop_assert_eq!(assessed(&target, &rows), Assessment::UpToDate);
        let standing = Standing::Present { has_ledger: true, rows };
        let up = assess(&bundle(), &version(VERSIONS), &standing, true, false);
        let back: BTreeSet<_> = match up {
            Assessment::Pending { versions, .. } => versions.into_iter().collect(),
            _ => BTreeSet::new(),
        };
        prop_assert!(before.iter().filter(|v| **v > target).all(|v| back.contains(v)));
    }

    /// A plan of the way down passes the audit, and nobody is forgotten.
    #[test]
    fn plans_of_the_way_down_are_sound(seed: u64, n in 1usize..40) {
        let mut dice = Dice(seed);
        let target = version(dice.roll(VERSIONS + 1));
        let tenants: Vec<Assessed> = (0..n)
            .map(|n| Assessed {
                tenant: tenant(n),
                assessment: assessed(&target, &ledger(&mut dice)),
                traits: BTreeMap::new(),
            })
            .collect();
        let policy = Policy {
            concurrency: 4,
            atomic: Atomic::Version,
            lock_timeout_ms: 1000,
            statement_timeout_ms: 0,
            host_patience_ms: 0,
            create_missing: false,
            limits: Default::default(),
            retry: BTreeMap::new(),
        };
        let versions: Vec<_> = (1..=VERSIONS).map(version).collect();
        let plan = plan(&PlanInput {
            fleet: "f",
            bundle: &BundleHash::new("b"),
            target: &target,
            direction: Direction::Down,
            versions: &versions,
            waves: &parse("canary=2,rest").unwrap(),
            policy: &policy,
            hosts: &[(HostName::new("h"), 8)].into(),
            tenants: &tenants,
            previous: None,
            canary_exclude: None,
            known_failures: None,
        })
        .unwrap();
        prop_assert_eq!(audit(&plan), Vec::<String>::new());
        prop_assert_eq!(plan.targets.len() + plan.left_out.len(), n);
        let mut ascending = plan.clone();
        if let Some(path) = ascending.paths.iter_mut().find(|path| path.versions.len() > 1) {
            path.versions.reverse();
            prop_assert!(!audit(&ascending).is_empty());
        }
    }

    /// What is known after any rollouts, up and down, is what a ledger that went through them has.
    #[test]
    fn what_is_known_is_what_is_there(seed: u64, rollouts in 0usize..12) {
        let mut dice = Dice(seed);
        let mut there: BTreeSet<usize> = BTreeSet::new();
        let mut known = Known::default();
        for _ in 0..rollouts {
            let target = dice.roll(VERSIONS + 1);
            let (direction, mut todo): (_, Vec<usize>) = match dice.roll(2) {
                0 => (Direction::Down, there.iter().rev().copied().filter(|v| *v > target).collect()),
                _ => (Direction::Up, (1..=target).filter(|v| !there.contains(v)).collect()),
            };
            let all = todo.len();
            todo.truncate(dice.roll(all + 1));
            let outcome = match todo.len() {
                0 if all == 0 => Outcome::UpToDate,
                done if done == all => Outcome::Succeeded,
                0 => Outcome::Failed,
                _ => Outcome::Partial,
            };
            for version in &todo {
                match direction {
                    Direction::Up => there.insert(*version),
                    Direction::Down => there.remove(version),
                };
            }
            let applied: Vec<_> = todo.into_iter().map(version).collect();
            known = known.then(Word {
                direction,
                version: &version(target),
                outcome,
                applied: &applied,
            });
        }
        let applied: BTreeSet<_> = there.iter().map(|n| version(*n)).collect();
        prop_assert!(known.applied.is_subset(&applied), "{:?} {:?}", known, applied);
        prop_assert!(known.undone.is_disjoint(&applied), "{:?} {:?}", known, applied);
        let reached = (1..=VERSIONS).map(version).filter(|v| Some(v) <= known.reached.as_ref());
        for version in reached.filter(|v| !known.undone.contains(v)) {
            prop_assert!(applied.contains(&version), "{:?} {:?}", known, applied);
        }
    }
}
