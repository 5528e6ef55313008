//! `rollout retry --amend`: a migration that failed somewhere is corrected in the directory at hand, and its rollout goes
//! on with the new text.

mod rehearsal;

use std::collections::BTreeMap;

use sanderling_core::amend::{Amendment, accepted, texts_before};
use sanderling_core::{
    Bundle, BundleFile, Checksum, LedgerRow, RolloutId, RowState, Standing, TenantId, Version,
};
use sanderling_sql::Migration;
use sanderling_store::{
    Amend, Command, RolloutRecord, Store, StoreError, TargetFilter, TargetRecord, refuses_amendment,
};

use self::rehearsal::{Scene, rehearse};
use crate::fleet::Fleet;
use crate::repair::Order;

/// Targets that are read at once.
const PAGE: u32 = 1_000;

/// What an amendment did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Amended {
    /// Whether anything changed; false when it had been done before.
    pub changed: bool,
    /// Targets that are pending again.
    pub targets: u64,
    /// Tenants that were found with the text before, which stays in effect there.
    pub with_text_before: u64,
    /// Both texts compared.
    pub difference: String,
    /// What could not be compared, one sentence each.
    pub notes: Vec<String>,
}

/// Why nothing was amended.
#[derive(Debug, thiserror::Error)]
pub enum AmendError {
    /// It is not allowed, or not without harm: why, and what to do instead.
    #[error("{0}")]
    Refused(String),
    /// The control store could not be read, or refused.
    #[error(transparent)]
    Store(#[from] StoreError),
}

fn refused<T>(why: String) -> Result<T, AmendError> {
    Err(AmendError::Refused(why))
}

/// Every amendment of the fleet; none where there is no store.
pub(crate) async fn amendments(store: Option<&dyn Store>) -> Result<Vec<Amendment>, StoreError> {
    match store {
        Some(store) => store.amendments().await,
        None => Ok(Vec::new()),
    }
}

/// Corrects a version of a rollout that stands still: the fleet's directory has the new text, and differs in nothing else
/// from the rollout's bundle.
///
/// # Errors
/// Whatever forbids it, before anything is changed.
pub async fn amend(
    fleet: &Fleet,
    store: &dyn Store,
    id: &RolloutId,
    version: &Version,
    order: Order<'_>,
) -> Result<Amended, AmendError> {
    let record = store.rollout(id).await?;
    let record = record.ok_or_else(|| StoreError::NoRollout(id.clone()))?;
    let bundle = &fleet.migrations.bundle;
    if record.rollout.bundle == *bundle.hash() && record.rollout.amended.contains_key(version) {
        return Ok(Amended {
            changed: false,
            targets: 0,
            with_text_before: 0,
            difference: String::new(),
            notes: Vec::new(),
        });
    }
    if let Some(why) = refuses_amendment(&record.rollout) {
        return refused(why);
    }
    let Some(before) = store.bundle(&record.rollout.bundle).await? else {
        return refused(format!(
            "bundle {} of rollout {id} is not in the control store",
            record.rollout.bundle
        ));
    };
    let change = Change::between(fleet, &before, &record, version)?;
    let known = store.amendments().await?;
    let texts = change.texts_before(&known);
    let standings = fleet.survey(&fleet.tenants).await;
    let targets = targets(store, id).await?;
    let found = Found::among(fleet, &standings, &targets, version, &texts);
    if found.lacking == 0 {
        return refused(format!(
            "every tenant of rollout {id} has version {version}, so nobody would take another text of it: write a new \
             migration for the change (`sanderling new NAME`)"
        ));
    }
    let notes = match (found.holders.is_empty(), found.unread.first()) {
        (true, None) => Vec::new(),
        (true, Some(unread)) => {
            return refused(format!(
                "{} had version {version} with the text before when last seen, and cannot be read now (for example {unread}): \
                 whether the others would look like them cannot be tried; `sanderling status` says why",
                match found.unread.len() {
                    1 => "1 tenant".to_owned(),
                    n => format!("{n} tenants"),
                }
            ));
        }
        (false, _) => {
            let scene = Scene {
                fleet,
                store: store.id(),
                rollout: id,
                policy: &record.rollout.policy,
                version,
                standings: &standings,
                targets: &targets,
                holders: &found.holders,
                actor: order.actor,
            };
            rehearse(&scene).await?
        }
    };
    let amendment = change.amendment(version);
    let mut all = known;
    all.push(amendment.clone());
    let command = Command::Amend(Amend {
        from: record.rollout.bundle.clone(),
        bundle: bundle.clone(),
        amendment,
        accepted: accepted(&fleet.metas(), &all),
        reason: order.reason.to_owned(),
    });
    let receipt = store.command(id, &command, order.actor).await?;
    Ok(Amended {
        changed: receipt.changed,
        targets: receipt.targets,
        with_text_before: found.holders.len() as u64,
        difference: change.difference(),
        notes,
    })
}

/// The one file that is another one than the rollout's.
struct Change<'a> {
    before: Migration,
    after: &'a Migration,
}

impl<'a> Change<'a> {
    /// What is different; refused where that is not exactly the text of one version of the rollout.
    fn between(
        fleet: &'a Fleet,
        before: &Bundle,
        record: &RolloutRecord,
        version: &Version,
    ) -> Result<Self, AmendError> {
        let id = &record.rollout.id;
        let after = fleet.migrations.files.iter();
        let after = after.clone().find(|file| file.version == version.as_str());
        let Some(after) = after else {
            return refused(format!(
                "version {version} is not in the migrations directory; `sanderling rollout show {id}` says what failed"
            ));
        };
        let mut paths = record.plan.paths.iter();
        if !paths.any(|path| path.versions.contains(version)) {
            return refused(format!(
                "rollout {id} does not apply version {version}; `sanderling rollout show {id}` says what failed"
            ));
        }
        let texts = |bundle: &Bundle| -> BTreeMap<String, String> {
            let text = |file: &BundleFile| (file.name.clone(), file.text.clone());
            bundle.files().iter().map(text).collect()
        };
        let (old, new) = (texts(before), texts(&fleet.migrations.bundle));
        let others: Vec<&String> = old
            .keys()
            .chain(new.keys().filter(|name| !old.contains_key(*name)))
            .filter(|name| old.get(*name) != new.get(*name) && **name != after.file)
            .collect();
        if let Some(first) = others.first() {
            let how = match (old.contains_key(*first), new.contains_key(*first)) {
                (true, false) => "is missing",
                (false, true) => "is new",
                _ => "was changed too",
            };
            return refused(format!(
                "an amendment is the change of one file, and {first} {how}{}: make the directory what it was when rollout {id} \
                 was planned, but for {}; what is new goes with the next `sanderling up`",
                match others.len() - 1 {
                    0 => String::new(),
                    n => format!(" (and {n} more)"),
                },
                after.file
            ));
        }
        let Some(text) = old.get(&after.file) else {
            return refused(format!(
                "rollout {id} has no file {}; an amendment keeps the file's name",
                after.file
            ));
        };
        if new.get(&after.file) == Some(text) {
            return refused(format!(
                "{} is the very text that rollout {id} applies: correct the file first, then type this again; to try the failed \
                 tenants again as it is: `sanderling rollout retry {id} --failed`",
                after.file
            ));
        }
        match sanderling_sql::parse(&after.file, text) {
            Ok(before) => Ok(Self { before, after }),
            Err(problems) => refused(format!(
                "the text of {} that rollout {id} has cannot be read by this release: {}",
                after.file,
                problems
                    .first()
                    .map(ToString::to_string)
                    .unwrap_or_default()
            )),
        }
    }

    fn amendment(&self, version: &Version) -> Amendment {
        Amendment {
            version: version.clone(),
            was: Checksum::new(&self.before.checksum),
            is: Checksum::new(&self.after.checksum),
        }
    }

    /// The text before, and every text that was amended into it.
    fn texts_before(&self, known: &[Amendment]) -> Vec<Checksum> {
        let was = Checksum::new(&self.before.checksum);
        let version = Version::new(&self.before.version);
        let mut texts: Vec<Checksum> = texts_before(&version, &was, known).into_iter().collect();
        texts.push(was);
        texts
    }

    fn difference(&self) -> String {
        sanderling_sql::diff(
            "as it failed",
            self.before.text(),
            "as it is now",
            self.after.text(),
        )
    }
}

/// Who has the version, and who has not.
struct Found<'a> {
    /// With a text before, as indices into the fleet's tenants.
    holders: Vec<usize>,
    /// Targets of the rollout that have it not, or of which nobody knows.
    lacking: usize,
    /// Targets that have it by what the store knows, and cannot be read.
    unread: Vec<&'a TenantId>,
}

impl<'a> Found<'a> {
    fn among(
        fleet: &'a Fleet,
        standings: &[Standing],
        targets: &BTreeMap<TenantId, TargetRecord>,
        version: &Version,
        texts: &[Checksum],
    ) -> Self {
        let mut found = Self {
            holders: Vec::new(),
            lacking: 0,
            unread: Vec::new(),
        };
        for (index, (tenant, standing)) in fleet.tenants.iter().zip(standings).enumerate() {
            let target = targets.get(&tenant.id);
            let applied = target.is_some_and(|target| target.applied.contains(version));
            match (standing, row_of(standing, version)) {
                (_, Some(row)) if texts.contains(&row.checksum) => found.holders.push(index),
                (_, Some(_)) => {}
                (Standing::Unreachable(_), None) if applied => found.unread.push(&tenant.id),
                (_, None) => {
                    found.lacking += usize::from(target.is_some_and(|t| t.wave.is_some()));
                }
            }
        }
        found
    }
}

/// The row of a version that is in effect.
fn row_of<'s>(standing: &'s Standing, version: &Version) -> Option<&'s LedgerRow> {
    let Standing::Present { rows, .. } = standing else {
        return None;
    };
    let applied = |row: &&LedgerRow| row.version == *version && row.state == RowState::Applied;
    rows.iter().find(applied)
}

async fn targets(
    store: &dyn Store,
    id: &RolloutId,
) -> Result<BTreeMap<TenantId, TargetRecord>, StoreError> {
    let mut all = BTreeMap::new();
    let mut after = None;
    loop {
        let page = store
            .targets(id, TargetFilter::All, after.as_ref(), PAGE)
            .await?;
        let Some(last) = page.last() else {
            return Ok(all);
        };
        after = Some(last.target.tenant.clone());
        all.extend(
            page.into_iter()
                .map(|target| (target.target.tenant.clone(), target)),
        );
    }
}
