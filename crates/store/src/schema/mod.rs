//! The store's own tables: numbered steps, applied in order, each once, in the transaction that opens the store.

use async_trait::async_trait;
use sanderling_core::StoreId;

use crate::link::{Fault, Tx, values};
use crate::perform::{Mode, Verb};
use crate::port::StoreError;

/// Every step, oldest first. A step that was released is never edited; the next one follows it.
const STEPS: [&str; 9] = [
    include_str!("0001_first.sql"),
    include_str!("0002_kept.sql"),
    include_str!("0003_away.sql"),
    include_str!("0004_holds.sql"),
    include_str!("0005_amendments.sql"),
    include_str!("0006_registry.sql"),
    include_str!("0007_direction.sql"),
    include_str!("0008_cancels.sql"),
    include_str!("0009_seats.sql"),
];

/// The version this program writes.
const NEWEST: i64 = STEPS.len() as i64;

/// How to ask a dialect whether the tables are there, and how to make room for them.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ground {
    /// Returns a row where the table `store` exists.
    pub(crate) exists: &'static str,
    /// Keeps other processes from creating or upgrading at the same time, until the transaction ends.
    pub(crate) lock: Option<&'static str>,
    /// Makes the place that the tables live in.
    pub(crate) make: Option<&'static str>,
}

/// PostgreSQL: a schema of our own, under an advisory lock.
pub(crate) const POSTGRES: Ground = Ground {
    exists: "SELECT 1::bigint WHERE to_regclass('sanderling_control.store') IS NOT NULL",
    // The first 8 bytes of SHA-256("sanderling control store"); any fixed number would do.
    lock: Some("SELECT pg_advisory_xact_lock(5812160992896632034)"),
    make: Some("CREATE SCHEMA IF NOT EXISTS sanderling_control"),
};

/// SQLite: the file is the place, and its write lock is the lock.
pub(crate) const SQLITE: Ground = Ground {
    exists: "SELECT 1 FROM sqlite_schema WHERE type = 'table' AND name = 'store'",
    lock: None,
    make: None,
};

/// Reads identity and version; answers `None` where there is no store, or where it must be upgraded first.
pub(crate) struct Look(pub(crate) Ground);

#[async_trait]
impl Verb for Look {
    type Out = Found;
    const NAME: &str = "look";
    const MODE: Mode = Mode::Snapshot;

    async fn run(&self, tx: &mut Tx<'_>) -> Result<Found, Fault> {
        let found = found(tx, self.0).await?;
        if let Some((_, version)) = &found {
            refuse_newer(*version)?;
        }
        Ok(match found {
            None => Found::Nothing,
            Some((_, version)) if version < NEWEST => Found::Older(version),
            Some((id, _)) => Found::Store(id),
        })
    }
}

/// What a look found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Found {
    /// No store.
    Nothing,
    /// A store that an older program wrote, at this version.
    Older(i64),
    /// A store that this program reads and writes.
    Store(StoreId),
}

/// Creates the store, or takes it to the newest version. Harmless when there is nothing to do.
pub(crate) struct Create(pub(crate) Ground);

#[async_trait]
impl Verb for Create {
    type Out = StoreId;
    const NAME: &str = "create";
    const MODE: Mode = Mode::Write;

    async fn run(&self, tx: &mut Tx<'_>) -> Result<StoreId, Fault> {
        if let Some(lock) = self.0.lock {
            tx.batch(lock).await?;
        }
        let found = found(tx, self.0).await?;
        let before = found.as_ref().map_or(0, |(_, version)| *version);
        refuse_newer(before)?;
        if found.is_none()
            && let Some(make) = self.0.make
        {
            tx.batch(make).await?;
        }
        for step in STEPS.iter().skip(usize::try_from(before).unwrap_or(0)) {
            tx.batch(step).await?;
        }
        let Some((id, _)) = found else {
            let id = uuid::Uuid::now_v7().to_string();
            let args = values![id.as_str(), NEWEST];
            let sql = "INSERT INTO store (one, id, version, created_at) VALUES (1, $2, $3, {now})";
            tx.exec(sql, args).await?;
            return Ok(StoreId::new(id));
        };
        if before < NEWEST {
            tx.exec("UPDATE store SET version = $2", values![NEWEST])
                .await?;
        }
        Ok(id)
    }
}

async fn found(tx: &mut Tx<'_>, ground: Ground) -> Result<Option<(StoreId, i64)>, Fault> {
    if tx.row(ground.exists, Vec::new()).await?.is_none() {
        return Ok(None);
    }
    let row = tx.row("SELECT id, version FROM store", Vec::new()).await?;
    row.map(|row| Ok((StoreId::new(row.text(0)?), row.int(1)?)))
        .transpose()
}

fn refuse_newer(version: i64) -> Result<(), Fault> {
    if version <= NEWEST {
        return Ok(());
    }
    Err(Fault::Verb(StoreError::Refused(format!(
        "the control store has version {version} and this program knows versions up to {NEWEST}: \
         a newer sanderling has written it; use that one, or a newer one"
    ))))
}
