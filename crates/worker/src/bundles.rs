//! Migrations by bundle hash, fetched from the store once and parsed once.

use std::collections::BTreeMap;
use std::sync::Arc;

use sanderling_core::amend::Accepted;
use sanderling_core::{BundleHash, Checksum, Direction, ErrorClass, Failure, Version};
use sanderling_engine::Step;
use sanderling_sql::{Diagnostic, Dialect, Migration, Statement, parse_set};
use sanderling_store::Store;
use tokio::sync::Mutex;

/// One migration, split for one dialect.
#[derive(Clone, Debug)]
pub(crate) struct Prepared {
    version: Version,
    name: String,
    file: String,
    checksum: Checksum,
    lock_timeout_ms: Option<u64>,
    statement_timeout_ms: Option<u64>,
    statements: Vec<Statement>,
    /// What takes it back, or why nothing does.
    undo: Result<Vec<Statement>, Failure>,
    /// Whether it is sent statement by statement, and so cannot share a transaction with other versions.
    stepwise: bool,
}

impl Prepared {
    /// The step that applies it, or takes it back; `accepted` are texts that are right besides the bundle's.
    ///
    /// # Errors
    /// Its text knows no way back. The plan has looked, so this is a fault of ours.
    pub(crate) fn step<'a>(
        &'a self,
        direction: Direction,
        has_ledger: bool,
        accepted: &'a Accepted,
    ) -> Result<Step<'a>, Failure> {
        let statements = match direction {
            Direction::Up => &self.statements,
            Direction::Down => self.undo.as_ref().map_err(Clone::clone)?,
        };
        Ok(Step {
            version: &self.version,
            name: &self.name,
            checksum: &self.checksum,
            accepted: accepted.get(&self.version),
            file: &self.file,
            direction,
            statements,
            lock_timeout_ms: self.lock_timeout_ms,
            statement_timeout_ms: self.statement_timeout_ms,
            has_ledger,
            stepwise: self.stepwise,
        })
    }
}

/// A bundle's migrations by version, split for one dialect.
pub(crate) struct PreparedBundle(BTreeMap<Version, Prepared>);

impl PreparedBundle {
    /// The migration of that version.
    pub(crate) fn get(&self, version: &Version) -> Option<&Prepared> {
        self.0.get(version)
    }

    /// How many of these versions, from the first on, can be one transaction. One that is sent statement by statement
    /// goes by itself.
    pub(crate) fn sharing(&self, versions: &[Version]) -> usize {
        let apart = |version: &Version| self.get(version).is_some_and(|one| one.stepwise);
        match versions.iter().position(apart) {
            Some(0) => 1,
            Some(before) => before,
            None => versions.len(),
        }
    }
}

/// Fetched bundles. A worker meets few in its life, so none is dropped.
pub(crate) struct Bundles {
    store: Arc<dyn Store>,
    prepared: Mutex<BTreeMap<(BundleHash, bool), Arc<PreparedBundle>>>,
}

impl Bundles {
    pub(crate) fn new(store: Arc<dyn Store>) -> Self {
        Self {
            store,
            prepared: Mutex::default(),
        }
    }

    /// The bundle's migrations for a dialect. The store has compared content and hash.
    pub(crate) async fn get(
        &self,
        hash: &BundleHash,
        dialect: Dialect,
    ) -> Result<Arc<PreparedBundle>, Failure> {
        let key = (hash.clone(), dialect == Dialect::Postgres);
        let mut prepared = self.prepared.lock().await;
        if let Some(bundle) = prepared.get(&key) {
            return Ok(bundle.clone());
        }
        let bundle = Arc::new(self.fetch(hash, dialect).await?);
        prepared.insert(key, bundle.clone());
        Ok(bundle)
    }

    async fn fetch(&self, hash: &BundleHash, dialect: Dialect) -> Result<PreparedBundle, Failure> {
        let internal = |message: String| Failure::new(ErrorClass::Internal, "bundle", message);
        let bundle = match self.store.bundle(hash).await {
            Ok(Some(bundle)) => bundle,
            Ok(None) => {
                return Err(internal(format!(
                    "bundle {hash} is not in the control store"
                )));
            }
            Err(error) => {
                return Err(Failure::new(
                    ErrorClass::Connection,
                    "bundle",
                    error.to_string(),
                ));
            }
        };
        let files: Vec<_> = bundle
            .files()
            .iter()
            .map(|f| (f.name.clone(), f.text.clone()))
            .collect();
        let migrations =
            parse_set(&files, &[dialect]).map_err(|problems| internal(first(&problems)))?;
        migrations
            .iter()
            .map(|m| prepare(m, dialect).map(|p| (p.version.clone(), p)))
            .collect::<Result<_, _>>()
            .map(PreparedBundle)
            .map_err(internal)
    }
}

fn prepare(migration: &Migration, dialect: Dialect) -> Result<Prepared, String> {
    Ok(Prepared {
        version: Version::new(&migration.version),
        name: migration.name.clone(),
        file: migration.file.clone(),
        checksum: Checksum::new(&migration.checksum),
        lock_timeout_ms: migration.header.lock_timeout_ms,
        statement_timeout_ms: migration.header.statement_timeout_ms,
        stepwise: !migration.header.transaction,
        statements: migration
            .statements(dialect)
            .map_err(|problems| first(&problems))?,
        undo: migration.undo(dialect).map_err(no_way_back),
    })
}

fn no_way_back(why: Diagnostic) -> Failure {
    let mut failure = Failure::new(ErrorClass::Precondition, "irreversible", why.message);
    (failure.file, failure.line, failure.column) =
        (Some(why.file), Some(why.line), Some(why.column));
    failure
}

fn first(problems: &[sanderling_sql::Diagnostic]) -> String {
    problems
        .first()
        .map_or_else(|| "unreadable migration".into(), ToString::to_string)
}
