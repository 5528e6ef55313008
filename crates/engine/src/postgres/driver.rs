//! The driver of one PostgreSQL server.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use futures::StreamExt;
use sanderling_core::{Failure, HostName, Inspection, Place, Standing, StoreId, Version};

use super::connect::{Connection, Key, Purpose, text};
use super::connections::{Connections, Keeping};
use super::entries::Entries;
use super::errors::{MISSING, Trouble};
use super::guard::Guard;
use super::names::{Schema, literal};
use super::role::Role;
use super::session::PostgresSession;
use super::stepwise::decide;
use super::{catalog, fence, inspect, places, rehearse, room, survey};
use crate::fingerprint;
use crate::grouping::by_group;
use crate::port::{Catalog, Claim, Decision, Driver, EngineError, Lack, Limits, Session, Step};
use crate::progress::not_rehearsed;
use crate::role::RoleTemplate;
use crate::search_path::SearchPath;

/// The limits under which a person moves a fence.
const BY_HAND: Purpose = Purpose::Change {
    lock_timeout_ms: 5_000,
    statement_timeout_ms: 60_000,
};

/// What sessions of one host share.
pub(crate) struct Shared {
    pub(crate) connections: Connections,
    /// Databases, by oid, in which this process has seen the fence's table. A name may come to mean another one.
    fenced: Mutex<HashSet<String>>,
    /// Databases, by oid, in which this process has looked at what the schemas of the path hold.
    looked_at: Mutex<HashSet<String>>,
}

/// The driver of one PostgreSQL server.
pub(crate) struct PostgresDriver {
    shared: Arc<Shared>,
    limit: usize,
    role: Option<RoleTemplate>,
    search_path: SearchPath,
}

impl Shared {
    /// Makes sure that the fence's table is there; asks the server once per database and process.
    pub(crate) async fn ensure_fence(&self, connection: &mut Connection) -> Result<(), Trouble> {
        if self.fenced().contains(&connection.database_oid) {
            return Ok(());
        }
        fence::ensure(connection).await?;
        self.fenced().insert(connection.database_oid.clone());
        Ok(())
    }

    /// Looks at what the schemas of the path hold; asks the server once per database and process.
    async fn look_at_path(
        &self,
        connection: &mut Connection,
        entries: &Entries,
    ) -> Result<(), Trouble> {
        let looked_at = || {
            self.looked_at
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
        };
        if entries.is_empty() || looked_at().contains(&connection.database_oid) {
            return Ok(());
        }
        entries.demand_unplanted(connection).await?;
        looked_at().insert(connection.database_oid.clone());
        Ok(())
    }

    /// Forgets that the fence's table was seen: a statement of ours did not find it.
    pub(crate) fn forget_fence(&self, database_oid: &str) {
        self.fenced().remove(database_oid);
    }

    fn fenced(&self) -> std::sync::MutexGuard<'_, HashSet<String>> {
        self.fenced.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn prepare(
        &self,
        connection: &mut Connection,
        guard: &Guard,
        limits: &Limits,
    ) -> Result<(), Trouble> {
        self.ensure_fence(connection).await?;
        self.look_at_path(connection, &guard.entries).await?;
        if !limits.create_missing {
            return Ok(());
        }
        places::make_schema(connection, &guard.schema, guard.role().unwrap_or_default()).await
    }

    /// A connection for a session, to a database that is made where it is missing and that is allowed.
    async fn connect(
        &self,
        key: &Key,
        limits: &Limits,
        role: impl Fn(&str) -> Option<Role>,
    ) -> Result<Connection, Failure> {
        let room = usize::try_from(limits.room).unwrap_or(usize::MAX);
        match (self.connections.take(key, room).await, &key.database) {
            (Err(failure), Some(database))
                if limits.create_missing && failure.cause.code == MISSING =>
            {
                let role = role(database);
                places::make_database(&self.connections, database, role.as_ref()).await?;
                self.connections.take(key, room).await
            }
            (taken, _) => taken,
        }
    }

    /// Why a place could not be prepared. What is not there is said to be missing, whatever the trouble was about.
    async fn refusal(
        &self,
        mut connection: Connection,
        guard: &Guard,
        limits: &Limits,
        trouble: Trouble,
    ) -> Failure {
        let schema = &guard.schema;
        let asks = !limits.create_missing && matches!(trouble, Trouble::Server(_));
        let failure = if asks && matches!(places::exists(&mut connection, schema).await, Ok(false))
        {
            places::missing(schema)
        } else {
            places::why(
                &trouble,
                guard.role().unwrap_or_default(),
                &connection.login,
            )
        };
        // With it ends whatever it was in the middle of.
        connection.close().await;
        self.connections.named(failure)
    }
}

impl PostgresDriver {
    /// Reads the URL; connects nowhere yet.
    pub(crate) fn new(
        host: HostName,
        setting: &'static str,
        url: &str,
        connections: u32,
        keeping: Keeping,
        role: Option<RoleTemplate>,
        search_path: SearchPath,
    ) -> Result<Self, Failure> {
        let limit = usize::try_from(connections).unwrap_or(usize::MAX).max(1);
        Ok(Self {
            shared: Arc::new(Shared {
                connections: Connections::new(host, setting, url, limit, keeping)?,
                fenced: Mutex::default(),
                looked_at: Mutex::default(),
            }),
            limit,
            role,
            search_path,
        })
    }

    /// Closes every kept connection.
    pub(crate) async fn close(&self) {
        self.shared.connections.close().await;
    }

    /// Closes kept connections until no more than `spare` are left.
    pub(crate) async fn trim(&self, spare: usize) {
        self.shared.connections.trim(spare).await;
    }

    /// Has no more connections open at one time than this.
    pub(crate) async fn allow(&self, connections: usize) {
        self.shared.connections.allow(connections).await;
    }

    /// How many connections were kept idle, and how many of them are not any more.
    pub(crate) fn counts(&self) -> (u64, u64) {
        self.shared.connections.counts()
    }

    fn change(place: &Place, limits: &Limits) -> Key {
        Key {
            database: place.database.clone(),
            purpose: Purpose::Change {
                lock_timeout_ms: limits.lock_timeout_ms,
                statement_timeout_ms: limits.statement_timeout_ms,
            },
        }
    }

    fn entries(&self) -> Result<Entries, Failure> {
        Entries::new(&self.search_path, self.role.as_ref())
    }

    fn look(database: Option<String>) -> Key {
        Key {
            database,
            purpose: Purpose::Look,
        }
    }
}

#[async_trait]
impl Driver for PostgresDriver {
    async fn survey(&self, places: &[Place]) -> Vec<Standing> {
        let groups = by_group(places, |place| place.database.clone());
        let surveys = futures::stream::iter(groups).map(|(database, indices)| async move {
            let members: Vec<_> = indices.iter().map(|&at| &places[at]).collect();
            let standings =
                survey::database(&self.shared.connections, &Self::look(database), &members).await;
            indices.into_iter().zip(standings).collect::<Vec<_>>()
        });
        crate::grouping::in_order(surveys.buffer_unordered(self.limit).concat().await)
    }

    async fn catalogs(&self, places: &[Place]) -> Vec<Result<Catalog, Failure>> {
        let groups = by_group(places, |place| place.database.clone());
        let readings = futures::stream::iter(groups).map(|(database, indices)| async move {
            let members: Vec<_> = indices.iter().map(|&at| &places[at]).collect();
            let catalogs =
                catalog::database(&self.shared.connections, &Self::look(database), &members).await;
            indices.into_iter().zip(catalogs).collect::<Vec<_>>()
        });
        crate::grouping::in_order(readings.buffer_unordered(self.limit).concat().await)
    }

    async fn inspect(&self, places: &[Place]) -> Vec<Result<Inspection, Failure>> {
        let groups = by_group(places, |place| place.database.clone());
        let readings = futures::stream::iter(groups).map(|(database, indices)| async move {
            let members: Vec<_> = indices.iter().map(|&at| &places[at]).collect();
            let found =
                inspect::database(&self.shared.connections, &Self::look(database), &members).await;
            indices.into_iter().zip(found).collect::<Vec<_>>()
        });
        crate::grouping::in_order(readings.buffer_unordered(self.limit).concat().await)
    }

    async fn open(
        &self,
        place: &Place,
        claim: &Claim,
        limits: &Limits,
    ) -> Result<Box<dyn Session>, EngineError> {
        let schema = Schema::of(place).map_err(EngineError)?;
        let key = Self::change(place, limits);
        let entries = self.entries().map_err(EngineError)?;
        let guard = Guard::new(schema, claim)
            .and_then(|guard| guard.with_entries(entries))
            .map_err(EngineError)?;
        let named = |database: &str| {
            let template = self.role.as_ref()?;
            Some(template.render(&guard.schema.name, database))
        };
        let role = |database: &str| Role::new(&named(database)?).ok();
        let connecting = self.shared.connect(&key, limits, role);
        let mut connection = connecting.await.map_err(EngineError)?;
        let guard = match named(&connection.database) {
            Some(role) => guard.with_role(&role),
            None => guard,
        };
        let prepared = self.shared.prepare(&mut connection, &guard, limits).await;
        if let Err(trouble) = prepared {
            let refusal = self.shared.refusal(connection, &guard, limits, trouble);
            return Err(EngineError(refusal.await));
        }
        Ok(Box::new(PostgresSession::new(
            Arc::clone(&self.shared),
            connection,
            key,
            guard,
            *limits,
        )))
    }

    fn major(&self) -> Option<String> {
        let version = self.shared.connections.answered()?;
        Some(format!("postgres {}", version / 10_000))
    }

    async fn greet(&self) -> Result<String, EngineError> {
        let connections = &self.shared.connections;
        let connection = connections
            .visit(&Self::look(None))
            .await
            .map_err(EngineError)?;
        let said = format!(
            "PostgreSQL {}.{} by {}, as {}",
            connection.version / 10_000,
            connection.version % 10_000,
            connections.setting(),
            connection.login
        );
        connection.close().await;
        Ok(said)
    }

    async fn lacks(&self, connections: u32, create: bool) -> Result<Vec<Lack>, EngineError> {
        let opener = &self.shared.connections;
        let mut connection = opener.visit(&Self::look(None)).await.map_err(EngineError)?;
        let entries = self.entries().map_err(EngineError)?;
        let mut lacks = room::lacks(&mut connection, connections, create).await;
        if let Ok(lacks) = &mut lacks {
            match entries.lacks(&mut connection).await {
                Ok(more) => lacks.extend(more),
                Err(trouble) => return Err(EngineError(opener.named(trouble.failure()))),
            }
        }
        connection.close().await;
        lacks.map_err(|trouble| EngineError(opener.named(trouble.failure())))
    }

    async fn schemas(&self, like: &str) -> Result<Vec<String>, EngineError> {
        let pattern = literal(like).map_err(EngineError)?;
        let connections = &self.shared.connections;
        let mut connection = connections
            .visit(&Self::look(None))
            .await
            .map_err(EngineError)?;
        let rows = connection
            .rows(format!(
                "SELECT nspname::text FROM pg_catalog.pg_namespace WHERE nspname::text OPERATOR(pg_catalog.~~) {pattern}::text \
                 AND nspname::text OPERATOR(pg_catalog.!~~) 'pg\\_%'::text \
                 AND nspname::text OPERATOR(pg_catalog.<>) 'information_schema'::text \
                 AND nspname::text OPERATOR(pg_catalog.<>) 'sanderling'::text ORDER BY nspname::text COLLATE \"C\""
            ))
            .await;
        connection.close().await;
        let rows = rows.map_err(|trouble| EngineError(connections.named(trouble.failure())))?;
        Ok(rows.iter().filter_map(|row| text(row, 0)).collect())
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
        let schema = Schema::of(place).map_err(EngineError)?;
        let entries = self.entries().map_err(EngineError)?;
        let guard = Guard::new(schema, claim)
            .and_then(|guard| guard.with_entries(entries))
            .map_err(EngineError)?;
        let key = Self::change(place, limits);
        let connections = &self.shared.connections;
        let mut connection = connections.visit(&key).await.map_err(EngineError)?;
        let guard = match &self.role {
            Some(template) => {
                let role = template.render(&guard.schema.name, &connection.database);
                guard.with_role(&role)
            }
            None => guard,
        };
        let looked = self
            .shared
            .look_at_path(&mut connection, &guard.entries)
            .await;
        if let Err(trouble) = looked {
            connection.close().await;
            return Err(EngineError(connections.named(trouble.failure())));
        }
        let seen = rehearse::run(&mut connection, &guard, limits, steps).await;
        connection.close().await;
        let lines = seen.map_err(|failure| EngineError(connections.named(failure)))?;
        Ok(lines.map(|lines| fingerprint::catalog("postgres", lines)))
    }

    async fn take_fence(
        &self,
        place: &Place,
        store: &StoreId,
    ) -> Result<Option<StoreId>, EngineError> {
        let schema = Schema::of(place).map_err(EngineError)?;
        let store = literal(store.as_str()).map_err(EngineError)?;
        let key = Key {
            database: place.database.clone(),
            purpose: BY_HAND,
        };
        let connections = &self.shared.connections;
        let mut connection = connections.visit(&key).await.map_err(EngineError)?;
        let named = |trouble: Trouble| EngineError(connections.named(trouble.failure()));
        self.shared
            .ensure_fence(&mut connection)
            .await
            .map_err(named)?;
        // The epoch stays: if the fence ever comes back to a store, that store's old messages stay refused.
        let held = connection
            .rows(format!(
                "BEGIN; SELECT store_id FROM sanderling.fence WHERE place = {place} FOR UPDATE; \
                 INSERT INTO sanderling.fence AS f (place, store_id, epoch, claim) VALUES ({place}, {store}, 0, '') \
                 ON CONFLICT (place) DO UPDATE SET store_id = excluded.store_id, claim = '' \
                 WHERE f.store_id <> excluded.store_id; COMMIT",
                place = schema.place
            ))
            .await
            .map_err(named)?;
        connection.close().await;
        Ok(held.first().and_then(|row| text(row, 0)).map(StoreId::new))
    }

    async fn decide_step(
        &self,
        place: &Place,
        store: &StoreId,
        version: &Version,
        took_effect: bool,
    ) -> Result<Decision, EngineError> {
        let schema = Schema::of(place).map_err(EngineError)?;
        let key = Key {
            database: place.database.clone(),
            purpose: BY_HAND,
        };
        let connections = &self.shared.connections;
        let mut connection = connections.visit(&key).await.map_err(EngineError)?;
        let role = match &self.role {
            Some(template) => {
                let role = Role::new(&template.render(&schema.name, &connection.database));
                Some(role.map_err(EngineError)?)
            }
            None => None,
        };
        let role = role.as_ref().map(|role| role.literal.as_str());
        let decided = decide(&mut connection, &schema, store, version, role, took_effect).await;
        connection.close().await;
        decided.map_err(|failure| EngineError(connections.named(failure)))
    }
}
