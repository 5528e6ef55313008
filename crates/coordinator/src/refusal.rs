//! Why nothing is planned at all: what was asked for does not fit the fleet or the files.

use sanderling_core::assess::{Assessment, MigrationMeta, list as versions_in_words};
use sanderling_core::planner::{Assessed, PlanError};
use sanderling_core::{BundleFile, Checksum, TenantId, Version};
use sanderling_store::{Store, StoreError};

use crate::fleet::Fleet;

/// Tenants named in an error.
const EXAMPLES: usize = 3;

/// Why nothing is planned.
#[derive(Debug, thiserror::Error)]
pub enum PlanningError {
    /// The selector takes nobody.
    #[error("--tenants {selector} matches none of the {tenants} tenants in the registry")]
    NothingSelected {
        /// The selector as typed.
        selector: String,
        /// Tenants in the registry.
        tenants: usize,
    },
    /// `--to` names a version that is not there.
    #[error("version {version} is not in the migrations directory; the newest there is {newest}")]
    UnknownVersion {
        /// What was asked for.
        version: Version,
        /// The newest there is.
        newest: Version,
    },
    /// The bundle is empty.
    #[error("there are no migrations to apply")]
    NoMigrations,
    /// A migration was changed after it had been applied.
    #[error(transparent)]
    Edited(Box<Edited>),
    /// A version below the newest applied one has not been applied.
    #[error(
        "{file} (version {version}) is older than version {newest}, which {tenants} have already applied (for example {examples}); \
         give it a newer version, or apply it all the same with --allow-out-of-order; nothing was changed"
    )]
    OutOfOrder {
        /// The file.
        file: String,
        /// Its version.
        version: Version,
        /// The newest version in effect.
        newest: Version,
        /// How many tenants.
        tenants: String,
        /// Some of them.
        examples: String,
    },
    /// Versions that are to be taken back are in effect, and the bundle does not have them.
    #[error(
        "{versions} cannot be taken back: the migrations directory does not have what {tenants} applied there (for example \
         {examples}); put the files back, or stop above with --to {newest}; nothing was changed"
    )]
    Foreign {
        /// The versions of the first such tenant, in words.
        versions: String,
        /// The newest of them.
        newest: Version,
        /// How many tenants.
        tenants: String,
        /// Some of them.
        examples: String,
    },
    /// Versions that are to be taken back have no way back: one line and a hint each.
    #[error("{0}\nnothing was changed")]
    NoWayBack(String),
    /// The waves or the tenants do not fit.
    #[error(transparent)]
    Plan(#[from] PlanError),
    /// The control store is there and could not be read.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// A migration was changed after it had been applied.
#[derive(Debug, thiserror::Error)]
#[error(
    "{file} was edited after {tenants} had applied it (for example {examples}): version {version} was applied with \
     checksum {was}, the file has {is}\n{difference}\nput the file back as it was and write a new migration for the \
     change; where a rollout stands still because the file failed, `sanderling rollout retry ID --amend {version} --reason \"…\"` \
     goes on with it as it is now; nothing was changed"
)]
pub struct Edited {
    /// The file as it is now.
    pub file: String,
    /// Its version.
    pub version: Version,
    /// How many tenants have the other text.
    pub tenants: String,
    /// Some of them.
    pub examples: String,
    /// The checksum in their ledgers.
    pub was: Checksum,
    /// The file's checksum.
    pub is: Checksum,
    /// Both texts compared, or why they cannot be.
    pub difference: String,
}

impl PlanningError {
    /// Whether it lies in what was typed or configured, not in files or tenants.
    pub fn is_usage(&self) -> bool {
        matches!(
            self,
            Self::NothingSelected { .. }
                | Self::UnknownVersion { .. }
                | Self::Plan(PlanError::Waves(_) | PlanError::NothingStarts(_))
        )
    }
}

/// Why a look at the fleet failed.
#[derive(Debug, thiserror::Error)]
pub enum LookingError {
    /// Nothing to look at, or nothing to compare with.
    #[error(transparent)]
    Request(#[from] PlanningError),
    /// The control store is there and could not be read.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl LookingError {
    /// Whether it lies in what was typed or configured.
    pub fn is_usage(&self) -> bool {
        matches!(self, Self::Request(request) if request.is_usage())
    }
}

/// Refuses the whole plan where a file was edited after it had been applied, or comes too late.
pub(crate) async fn check(
    fleet: &Fleet,
    metas: &[MigrationMeta],
    assessed: &[Assessed],
    store: Option<&dyn Store>,
) -> Result<(), PlanningError> {
    for tenant in assessed {
        match &tenant.assessment {
            Assessment::Edited {
                version,
                ledger_checksum,
                bundle_checksum,
            } => {
                let same: Vec<_> = alike(
                    assessed,
                    |a| matches!(a, Assessment::Edited { version: v, .. } if v == version),
                );
                return Err(PlanningError::Edited(Box::new(Edited {
                    file: file_of(metas, version),
                    version: version.clone(),
                    tenants: count(&same),
                    examples: examples(&same),
                    was: ledger_checksum.clone(),
                    is: bundle_checksum.clone(),
                    difference: difference(fleet, version, ledger_checksum, store).await,
                })));
            }
            Assessment::OutOfOrder { versions, newest } => {
                let Some(version) = versions.first() else {
                    continue;
                };
                let same = alike(
                    assessed,
                    |a| matches!(a, Assessment::OutOfOrder { versions: v, .. } if v.contains(version)),
                );
                return Err(PlanningError::OutOfOrder {
                    file: file_of(metas, version),
                    version: version.clone(),
                    newest: newest.clone(),
                    tenants: count(&same),
                    examples: examples(&same),
                });
            }
            Assessment::Foreign { versions } => {
                let Some(newest) = versions.last() else {
                    continue;
                };
                let same = alike(assessed, |a| matches!(a, Assessment::Foreign { .. }));
                return Err(PlanningError::Foreign {
                    versions: versions_in_words(versions),
                    newest: newest.clone(),
                    tenants: count(&same),
                    examples: examples(&same),
                });
            }
            Assessment::UpToDate
            | Assessment::Pending { .. }
            | Assessment::Ahead { .. }
            | Assessment::Dirty { .. }
            | Assessment::Held(_)
            | Assessment::Unreachable(_) => {}
        }
    }
    Ok(())
}

fn alike(assessed: &[Assessed], same: impl Fn(&Assessment) -> bool) -> Vec<&TenantId> {
    assessed
        .iter()
        .filter(|t| same(&t.assessment))
        .map(|t| &t.tenant.id)
        .collect()
}

pub(crate) fn count(tenants: &[&TenantId]) -> String {
    format!(
        "{} tenant{}",
        tenants.len(),
        if tenants.len() == 1 { "" } else { "s" }
    )
}

pub(crate) fn examples(tenants: &[&TenantId]) -> String {
    tenants
        .iter()
        .take(EXAMPLES)
        .map(|t| t.as_str())
        .collect::<Vec<_>>()
        .join(", ")
}

fn file_of(metas: &[MigrationMeta], version: &Version) -> String {
    metas
        .iter()
        .find(|meta| meta.version == *version)
        .map_or_else(|| version.to_string(), |meta| meta.file.clone())
}

/// The applied text against the file, where the control store still has that text.
async fn difference(
    fleet: &Fleet,
    version: &Version,
    was: &Checksum,
    store: Option<&dyn Store>,
) -> String {
    let now = fleet
        .migrations
        .files
        .iter()
        .find(|migration| migration.version == version.as_str());
    let (Some(now), Some(store)) = (now, store) else {
        return "the applied text cannot be shown, and nobody can tell whether it was amended: there is no control store".into();
    };
    match store.files_of_version(version).await {
        Ok(files) => match files.iter().find(|file| is_text_of(file, was)) {
            Some(applied) => {
                sanderling_sql::diff("as applied", &applied.text, "as it is now", now.text())
            }
            None => "the applied text cannot be shown: this control store never had it".into(),
        },
        Err(error) => format!("the applied text cannot be shown: {error}"),
    }
}

fn is_text_of(file: &BundleFile, checksum: &Checksum) -> bool {
    sanderling_sql::parse(&file.name, &file.text)
        .is_ok_and(|migration| migration.checksum == checksum.as_str())
}
