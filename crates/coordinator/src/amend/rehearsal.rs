//! Whether tenants with the text before and tenants with the new one would look alike: tried on one that is to get the new
//! one, in a transaction that is rolled back, and compared with those that have the other.

use std::collections::{BTreeMap, BTreeSet};

use sanderling_core::policy::Policy;
use sanderling_core::{
    Checksum, Direction, Epoch, Nonce, Outcome, Place, RolloutId, RowState, Standing, StoreId,
    Tenant, TenantId, Version, WorkerId,
};
use sanderling_engine::{Catalog, Claim, Limits, Step};
use sanderling_sql::{Dialect, Migration, Statement};
use sanderling_store::TargetRecord;

use super::{AmendError, refused};
use crate::fleet::Fleet;

/// Tenants with the text before whose catalogs are read.
const MOST_READ: usize = 100;
/// Tenants that are tried where others are at work on the first ones.
const MOST_TRIED: usize = 5;
/// Lines of a difference that are shown.
const MOST_SHOWN: usize = 40;

/// What is known when an amendment is asked for.
pub(super) struct Scene<'a> {
    pub(super) fleet: &'a Fleet,
    pub(super) store: &'a StoreId,
    pub(super) rollout: &'a RolloutId,
    pub(super) policy: &'a Policy,
    pub(super) version: &'a Version,
    pub(super) standings: &'a [Standing],
    pub(super) targets: &'a BTreeMap<TenantId, TargetRecord>,
    /// Tenants with the text before, as indices into the fleet's.
    pub(super) holders: &'a [usize],
    pub(super) actor: &'a str,
}

/// Tenants of one engine whose newest version is the same, and which hold the text before.
struct Group<'a> {
    newest: Version,
    holders: Vec<&'a Tenant>,
    /// What is in effect at the first of them.
    applied: BTreeSet<&'a Version>,
}

/// Refuses where they would differ, or where nobody can tell. Returns what could not be compared.
pub(super) async fn rehearse(scene: &Scene<'_>) -> Result<Vec<String>, AmendError> {
    let mut notes = Vec::new();
    let mut compared = false;
    for (dialect, group) in scene.groups() {
        let candidates = scene.candidates(dialect, &group);
        if candidates.is_empty() {
            notes.push(format!(
                "{} of {} at version {} has the text before, and no tenant of the rollout can be brought there to compare",
                group.holders.len(),
                name(dialect),
                group.newest
            ));
            continue;
        }
        scene.compare(dialect, &group, &candidates).await?;
        compared = true;
    }
    if compared {
        return Ok(notes);
    }
    refused(format!(
        "some tenants have version {} with the text before, and whether the others would look like them cannot be tried: {}; \
         put the file back as it was and write a new migration for the change (`sanderling new NAME`)",
        scene.version,
        notes.join("; ")
    ))
}

impl<'a> Scene<'a> {
    fn dialect(&self, tenant: &Tenant) -> Option<Dialect> {
        self.fleet.hosts.dialect(&tenant.place.host).ok()
    }

    fn applied(&self, index: usize) -> BTreeSet<&'a Version> {
        let rows = match self.standings.get(index) {
            Some(Standing::Present { rows, .. }) => rows.as_slice(),
            _ => &[],
        };
        let applied = rows.iter().filter(|row| row.state == RowState::Applied);
        applied.map(|row| &row.version).collect()
    }

    /// PostgreSQL first; within an engine by version.
    fn groups(&self) -> Vec<(Dialect, Group<'a>)> {
        let mut groups: BTreeMap<(bool, &Version), Group<'a>> = BTreeMap::new();
        for &index in self.holders {
            let Some(tenant) = self.fleet.tenants.get(index) else {
                continue;
            };
            let applied = self.applied(index);
            let (Some(dialect), Some(newest)) = (self.dialect(tenant), applied.last().copied())
            else {
                continue;
            };
            let group = groups
                .entry((dialect == Dialect::Sqlite, newest))
                .or_insert_with(|| Group {
                    newest: newest.clone(),
                    holders: Vec::new(),
                    applied,
                });
            group.holders.push(tenant);
        }
        let dialect = |sqlite| match sqlite {
            true => Dialect::Sqlite,
            false => Dialect::Postgres,
        };
        let all = groups.into_iter();
        all.map(|((sqlite, _), group)| (dialect(sqlite), group))
            .collect()
    }

    /// Targets that have nothing but what the group has, and not the version: failed ones first.
    fn candidates(&self, dialect: Dialect, group: &Group<'_>) -> Vec<usize> {
        let comes_there = |index: usize| {
            let standing = self.standings.get(index);
            let applied = self.applied(index);
            let whole = matches!(standing, Some(Standing::Present { rows, .. })
                if rows.iter().all(|row| matches!(row.state, RowState::Applied | RowState::Reverted)));
            whole && !applied.contains(self.version) && applied.is_subset(&group.applied)
        };
        let mut found: Vec<(bool, usize)> = self
            .fleet
            .tenants
            .iter()
            .enumerate()
            .filter_map(|(index, tenant)| {
                let target = self.targets.get(&tenant.id)?;
                let fits = target.wave.is_some()
                    && self.dialect(tenant) == Some(dialect)
                    && comes_there(index);
                fits.then_some((target.outcome != Outcome::Failed, index))
            })
            .collect();
        found.sort_unstable();
        found.into_iter().map(|(_, index)| index).collect()
    }

    async fn compare(
        &self,
        dialect: Dialect,
        group: &Group<'_>,
        candidates: &[usize],
    ) -> Result<(), AmendError> {
        let (tenant, after) = self.tried(dialect, group, candidates).await?;
        let places: Vec<Place> = group
            .holders
            .iter()
            .take(MOST_READ)
            .map(|holder| holder.place.clone())
            .collect();
        let catalogs = self.fleet.hosts.catalogs(&places).await;
        let read: Vec<(&Tenant, Catalog)> = group
            .holders
            .iter()
            .copied()
            .zip(catalogs)
            .filter_map(|(holder, catalog)| Some((holder, catalog.ok()?)))
            .collect();
        let Some((holder, before)) = commonest(&read) else {
            return refused(format!(
                "{} tenants have version {} with the text before, and the catalog of none of them can be read (for example {}); \
                 `sanderling status` says why",
                group.holders.len(),
                self.version,
                group
                    .holders
                    .first()
                    .map_or("", |holder| holder.id.as_str())
            ));
        };
        if before.fingerprint == after.fingerprint {
            return Ok(());
        }
        refused(self.would_differ(group, (holder, before), (tenant, &after)))
    }

    /// One candidate with the catalog that it would have.
    async fn tried(
        &self,
        dialect: Dialect,
        group: &Group<'_>,
        candidates: &[usize],
    ) -> Result<(&'a Tenant, Catalog), AmendError> {
        let mut busy = Vec::new();
        for &index in candidates.iter().take(MOST_TRIED) {
            let Some(tenant) = self.fleet.tenants.get(index) else {
                continue;
            };
            let has = self.applied(index);
            let missing =
                |version: &Version| group.applied.contains(version) && !has.contains(version);
            let prepared = prepare(self.fleet, dialect, missing)?;
            match self.rehearsed(tenant, &prepared).await? {
                Some(catalog) => return Ok((tenant, catalog)),
                None => busy.push(tenant.id.as_str()),
            }
        }
        refused(format!(
            "the new text of version {} was to be tried on a tenant that has not the version, and other sessions are at work on \
             {}; type it again when they have ended",
            self.version,
            busy.join(", ")
        ))
    }

    async fn rehearsed(
        &self,
        tenant: &Tenant,
        prepared: &[Prepared<'_>],
    ) -> Result<Option<Catalog>, AmendError> {
        let claim = Claim {
            store: self.store.clone(),
            rollout: self.rollout.clone(),
            tenant: tenant.id.clone(),
            epoch: Epoch(0),
            nonce: Nonce::new("rehearsal"),
            worker: WorkerId::new(self.actor),
        };
        let limits = Limits {
            lock_timeout_ms: self.policy.lock_timeout_ms,
            statement_timeout_ms: self.policy.statement_timeout_ms,
            create_missing: false,
            room: u32::MAX,
        };
        let steps: Vec<Step<'_>> = prepared.iter().map(Prepared::step).collect();
        let rehearsed = match self.fleet.hosts.driver(&tenant.place.host) {
            Ok(driver) => {
                driver
                    .rehearse(&tenant.place, &claim, &limits, &steps)
                    .await
            }
            Err(error) => Err(error),
        };
        rehearsed.or_else(|error| {
            let failure = error.0;
            let at = failure.location().map(|at| format!("{at}: "));
            refused(format!(
                "tried on tenant {} and rolled back, the new text of version {} does not get there: {}{} ({} {})",
                tenant.id,
                self.version,
                at.unwrap_or_default(),
                failure.message,
                failure.cause.class,
                failure.cause.code
            ))
        })
    }

    fn would_differ(
        &self,
        group: &Group<'_>,
        (holder, before): (&Tenant, &Catalog),
        (tenant, after): (&Tenant, &Catalog),
    ) -> String {
        let (id, version) = (self.rollout, self.version);
        let difference = sanderling_sql::diff(
            &format!("{} with the text before", holder.id),
            &format!("{}\n", before.lines.join("\n")),
            &format!("{} with the new text, tried and rolled back", tenant.id),
            &format!("{}\n", after.lines.join("\n")),
        );
        let mut shown: Vec<&str> = difference.lines().take(MOST_SHOWN).collect();
        if difference.lines().count() > MOST_SHOWN {
            shown.push("…");
        }
        let names: Vec<_> = group
            .holders
            .iter()
            .take(3)
            .map(|t| t.id.as_str())
            .collect();
        format!(
            "{n} with version {version} from the text before would differ from those that get the new one, at version {newest}:\n\
             {shown}\ntwo ways out:\n  \
             roll back those that have it ({names}): `sanderling rollout cancel {id} --reason \"…\"`, put the file back, \
             `sanderling down` them below {version}, correct the file, `sanderling up`\n  \
             or put the file back and add a follow-up migration that makes all alike: `sanderling new NAME`",
            n = match group.holders.len() {
                1 => "1 tenant".to_owned(),
                n => format!("{n} tenants"),
            },
            newest = group.newest,
            shown = shown.join("\n"),
            names = names.join(", "),
        )
    }
}

/// The catalog that most have, with one who has it.
fn commonest<'r>(read: &'r [(&'r Tenant, Catalog)]) -> Option<(&'r Tenant, &'r Catalog)> {
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    for (_, catalog) in read {
        *counts.entry(&catalog.fingerprint).or_default() += 1;
    }
    let (most, _) = counts.into_iter().max_by_key(|(_, count)| *count)?;
    let found = read.iter().find(|(_, catalog)| catalog.fingerprint == most);
    found.map(|(tenant, catalog)| (*tenant, catalog))
}

fn name(dialect: Dialect) -> &'static str {
    match dialect {
        Dialect::Postgres => "PostgreSQL",
        Dialect::Sqlite => "SQLite",
    }
}

/// One migration, split for an engine.
struct Prepared<'a> {
    migration: &'a Migration,
    version: Version,
    checksum: Checksum,
    statements: Vec<Statement>,
}

impl Prepared<'_> {
    fn step(&self) -> Step<'_> {
        Step {
            version: &self.version,
            name: &self.migration.name,
            checksum: &self.checksum,
            accepted: None,
            file: &self.migration.file,
            direction: Direction::Up,
            statements: &self.statements,
            lock_timeout_ms: self.migration.header.lock_timeout_ms,
            statement_timeout_ms: self.migration.header.statement_timeout_ms,
            has_ledger: true,
            stepwise: !self.migration.header.transaction,
        }
    }
}

/// The bundle's migrations that are wanted, in order.
fn prepare<'a>(
    fleet: &'a Fleet,
    dialect: Dialect,
    wanted: impl Fn(&Version) -> bool,
) -> Result<Vec<Prepared<'a>>, AmendError> {
    let mut prepared = Vec::new();
    for migration in &fleet.migrations.files {
        let version = Version::new(&migration.version);
        if !wanted(&version) {
            continue;
        }
        if !migration.header.transaction {
            return refused(format!(
                "some tenants have the text before, and {} has transaction=off: whether the others would look like them cannot \
                 be tried; put the file back as it was and write a new migration for the change (`sanderling new NAME`)",
                migration.file
            ));
        }
        let statements = migration.statements(dialect).or_else(|problems| {
            let first = problems.first().map(ToString::to_string);
            refused(first.unwrap_or_else(|| format!("{} cannot be split", migration.file)))
        })?;
        prepared.push(Prepared {
            migration,
            version,
            checksum: Checksum::new(&migration.checksum),
            statements,
        });
    }
    Ok(prepared)
}
