//! The driver of one directory of SQLite files.

use std::path::{Path, PathBuf};

use async_trait::async_trait;
use futures::StreamExt;
use sanderling_core::{
    ErrorClass, Failure, HostName, Inspection, Place, Standing, StoreId, Version,
};
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{Connection, SqliteConnection};

use super::errors::failure_of;
use super::session::{Opened, SqliteSession};
use super::tables::{CREATE_FENCE, has_table, read_fence};
use super::watch::busy_timeout;
use super::{catalog, files, inspect, reader};
use crate::fingerprint;
use crate::port::{Catalog, Claim, Decision, Driver, EngineError, Lack, Limits, Session, Step};
use crate::progress::{not_rehearsed, nothing_open};

/// Files that are read side by side; each is a thread of its own while it is open.
const FILES_AT_ONCE: usize = 16;

/// How long a person who moves a fence waits for a file, in milliseconds.
const BY_HAND_MS: u64 = 5_000;

/// The driver of one directory of SQLite files.
pub(crate) struct SqliteDriver {
    directory: PathBuf,
}

impl SqliteDriver {
    /// Reads the URL; opens nothing yet.
    pub(crate) fn new(host: &HostName, url: &str, base: &Path) -> Result<Self, Failure> {
        Ok(Self {
            directory: files::directory(host, url, base)?,
        })
    }

    /// Opens a place's file to write, and creates it where that is allowed.
    async fn open_file(
        &self,
        place: &Place,
        wait_ms: u64,
        create: bool,
    ) -> Result<Opened, Failure> {
        let path = files::file(&self.directory, place)?;
        let exists = files::exists(&path).map_err(|failure| at_place(place, failure))?;
        if !exists && !create {
            return Err(missing(place));
        }
        let options = SqliteConnectOptions::new()
            .filename(&path)
            .busy_timeout(busy_timeout(wait_ms))
            // See `keys`.
            .foreign_keys(false);
        let mut opening = options.clone();
        if !exists {
            if let Some(parent) = path.parent() {
                std::fs::create_dir_all(parent).map_err(|error| {
                    Failure::new(ErrorClass::Resource, "io", format!("{place}: {error}"))
                })?;
            }
            opening = opening.create_if_missing(true);
        }
        let at = |error: &sqlx::Error| at_place(place, failure_of(error));
        let connection = SqliteConnection::connect_with(&opening)
            .await
            .map_err(|error| match files::exists(&path) {
                // It went away while it was being opened.
                Ok(false) if !create => missing(place),
                _ => at(&error),
            })?;
        Ok(Opened {
            options,
            connection,
            new: !exists,
        })
    }
}

fn missing(place: &Place) -> Failure {
    Failure::new(
        ErrorClass::Precondition,
        "missing",
        format!("{place}: there is no such file; create it, or set fleet.create_missing"),
    )
}

fn at_place(place: &Place, mut failure: Failure) -> Failure {
    failure.message = format!("{place}: {}", failure.message);
    failure
}

#[async_trait]
impl Driver for SqliteDriver {
    async fn survey(&self, places: &[Place]) -> Vec<Standing> {
        futures::stream::iter(places.to_vec())
            .map(|place| async move {
                match files::file(&self.directory, &place) {
                    Ok(path) => reader::standing(&path)
                        .await
                        .unwrap_or_else(|failure| Standing::Unreachable(at_place(&place, failure))),
                    Err(failure) => Standing::Unreachable(failure),
                }
            })
            .buffered(FILES_AT_ONCE)
            .collect()
            .await
    }

    async fn catalogs(&self, places: &[Place]) -> Vec<Result<Catalog, Failure>> {
        futures::stream::iter(places.to_vec())
            .map(|place| async move {
                let path = files::file(&self.directory, &place)?;
                catalog::of_file(&path)
                    .await
                    .map_err(|failure| at_place(&place, failure))
            })
            .buffered(FILES_AT_ONCE)
            .collect()
            .await
    }

    async fn inspect(&self, places: &[Place]) -> Vec<Result<Inspection, Failure>> {
        futures::stream::iter(places.to_vec())
            .map(|place| async move {
                let path = files::file(&self.directory, &place)?;
                inspect::file(&path)
                    .await
                    .map_err(|failure| at_place(&place, failure))
            })
            .buffered(FILES_AT_ONCE)
            .collect()
            .await
    }

    async fn open(
        &self,
        place: &Place,
        claim: &Claim,
        limits: &Limits,
    ) -> Result<Box<dyn Session>, EngineError> {
        let mut opened = self
            .open_file(place, limits.lock_timeout_ms, limits.create_missing)
            .await
            .map_err(EngineError)?;
        if !opened.new {
            ensure_fence(&mut opened.connection)
                .await
                .map_err(|error| EngineError(at_place(place, failure_of(&error))))?;
        }
        let session = SqliteSession::new(opened, claim.clone(), *limits)
            .await
            .map_err(|error| EngineError(at_place(place, failure_of(&error))))?;
        Ok(Box::new(session))
    }

    fn major(&self) -> Option<String> {
        // The format of the files is the same since 2004, and the library is in this program.
        Some("sqlite 3".into())
    }

    async fn greet(&self) -> Result<String, EngineError> {
        let directory = self.directory.display();
        Ok(if self.directory.is_dir() {
            format!("directory {directory}")
        } else {
            format!("directory {directory}, which is not there yet")
        })
    }

    async fn lacks(&self, _connections: u32, _create: bool) -> Result<Vec<Lack>, EngineError> {
        Ok(Vec::new())
    }

    async fn schemas(&self, _like: &str) -> Result<Vec<String>, EngineError> {
        Err(EngineError(Failure::new(
            ErrorClass::Precondition,
            "schemas",
            format!(
                "{} is a directory of files, which have no schemas; name its files in a tenant file",
                self.directory.display()
            ),
        )))
    }

    async fn rehearse(
        &self,
        place: &Place,
        claim: &Claim,
        limits: &Limits,
        steps: &[Step<'_>],
    ) -> Result<Option<Catalog>, EngineError> {
        if let Some(failure) = not_rehearsed(steps) {
            return Err(EngineError(failure));
        }
        let at = |failure| EngineError(at_place(place, failure));
        let opened = self.open_file(place, limits.lock_timeout_ms, false).await;
        let session = SqliteSession::new(opened.map_err(EngineError)?, claim.clone(), *limits)
            .await
            .map_err(|error| at(failure_of(&error)))?;
        let lines = session.rehearse(steps).await.map_err(EngineError)?;
        Ok(lines.map(|lines| fingerprint::catalog("sqlite", lines)))
    }

    async fn take_fence(
        &self,
        place: &Place,
        store: &StoreId,
    ) -> Result<Option<StoreId>, EngineError> {
        let mut opened = self
            .open_file(place, BY_HAND_MS, false)
            .await
            .map_err(EngineError)?;
        let held = move_fence(&mut opened.connection, store)
            .await
            .map_err(|error| EngineError(at_place(place, failure_of(&error))))?;
        let _ = opened.connection.close().await;
        Ok(held)
    }

    /// The one statement that SQLite runs by itself may be sent again.
    async fn decide_step(
        &self,
        _place: &Place,
        _store: &StoreId,
        version: &Version,
        _took_effect: bool,
    ) -> Result<Decision, EngineError> {
        Err(EngineError(nothing_open(version)))
    }
}

/// Makes sure that the fence's table is there. A file that cannot be read, or never can be claimed because it cannot be
/// written, is refused here, where nothing of the claim has begun; a new one gets the table in its first transaction.
async fn ensure_fence(connection: &mut SqliteConnection) -> Result<(), sqlx::Error> {
    if !has_table(connection, "sanderling_fence").await? {
        sqlx::raw_sql(CREATE_FENCE).execute(connection).await?;
    }
    Ok(())
}

/// The epoch stays: if the fence ever comes back to a store, that store's old claims stay refused.
async fn move_fence(
    connection: &mut SqliteConnection,
    store: &StoreId,
) -> Result<Option<StoreId>, sqlx::Error> {
    let mut transaction = connection.begin_with("BEGIN IMMEDIATE").await?;
    sqlx::raw_sql(CREATE_FENCE)
        .execute(&mut *transaction)
        .await?;
    let held = read_fence(&mut transaction).await?;
    sqlx::query(
        "INSERT INTO sanderling_fence (id, store_id, epoch, claim) VALUES (0, ?1, 0, '') \
         ON CONFLICT (id) DO UPDATE SET store_id = excluded.store_id, claim = '' \
         WHERE store_id <> excluded.store_id",
    )
    .bind(store.as_str())
    .execute(&mut *transaction)
    .await?;
    transaction.commit().await?;
    Ok(held.map(|(store, _)| store))
}
