//! The hosts of a fleet: the only place where a connection to a tenant's database is opened.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures::StreamExt;
use sanderling_core::{ErrorClass, Failure, HostName, Inspection, Place, Standing, WrittenHost};
use sanderling_secrets::Reference;
use sanderling_sql::Dialect;

use crate::grouping::{by_group, in_order};
use crate::port::{Catalog, Driver, EngineError};
use crate::postgres::{Keeping, PostgresDriver};
use crate::role::RoleTemplate;
use crate::search_path::SearchPath;
use crate::sqlite::SqliteDriver;

/// How long a claim lasts where nobody says.
const LEASE: Duration = Duration::from_secs(30);

/// Hosts that are looked at side by side.
const HOSTS_AT_ONCE: usize = 16;

/// One host as the settings name it.
#[derive(Clone, Debug)]
pub struct HostConfig {
    /// The alias: `<name>` in `[hosts.<name>]`.
    pub name: HostName,
    /// `postgres://…` or `sqlite://<directory>`; references in it are resolved when the host is first used.
    pub url: Reference,
    /// Where to connect instead, when `url` leads through a pooler: applications' URL stays, Sanderling goes around.
    pub direct_url: Option<Reference>,
    /// The role that migrations run as on a PostgreSQL host; none is the login role.
    pub role: Option<RoleTemplate>,
    /// What migrations see beside their tenant's schema on a PostgreSQL host.
    pub search_path: SearchPath,
    /// The budget of connections that all workers share. This process has at most so many open at one time, idle ones
    /// of all databases included, as long as the store grants it no more sessions; one visit may go beside them.
    pub connections: u32,
    /// The most targets in flight over all workers; absent where that is `connections`. Those above them wait for one in the
    /// process that holds their claims.
    pub in_flight: Option<u32>,
    /// What a relative SQLite directory is relative to.
    pub base_dir: PathBuf,
}

impl HostConfig {
    /// A host as it travels from who plans to who works.
    ///
    /// # Errors
    /// A role or a search path that this program cannot read, as a sentence.
    pub fn written(name: HostName, host: &WrittenHost, base_dir: PathBuf) -> Result<Self, String> {
        let role = host.role.as_deref().map(RoleTemplate::parse);
        let search_path = match host.search_path.as_slice() {
            [] => SearchPath::default(),
            entries => {
                SearchPath::parse(entries).map_err(|wrong| format!("its search_path {wrong}"))?
            }
        };
        Ok(Self {
            name,
            url: Reference::new(&host.url),
            direct_url: None,
            role: role
                .transpose()
                .map_err(|wrong| format!("its role {wrong}"))?,
            search_path,
            connections: host.connections,
            in_flight: host.in_flight,
            base_dir,
        })
    }

    /// Whether its references resolve in this process. Keeps nothing of what they resolve to.
    ///
    /// # Errors
    /// The variable that is not set, as a sentence.
    pub fn usable(&self) -> Result<(), String> {
        match resolve(self) {
            Ok(_) => Ok(()),
            Err(EngineError(failure)) => Err(failure.message),
        }
    }

    /// The URL that connections are opened with, and the setting that it is from.
    fn used(&self) -> (&'static str, &Reference) {
        match &self.direct_url {
            Some(direct) => ("direct_url", direct),
            None => ("url", &self.url),
        }
    }
}

/// The hosts of a fleet.
pub struct Hosts {
    /// In Arcs, so that they are read without holding the lock.
    configs: Mutex<BTreeMap<HostName, Arc<HostConfig>>>,
    keeping: Keeping,
    opened: Mutex<BTreeMap<HostName, Opened>>,
}

#[derive(Clone)]
enum Opened {
    Postgres(Arc<PostgresDriver>),
    Sqlite(Arc<SqliteDriver>),
}

impl Hosts {
    /// Takes the settings; resolves no reference and connects nowhere.
    ///
    /// # Errors
    /// Two hosts of one name.
    pub fn new(configs: Vec<HostConfig>) -> Result<Self, EngineError> {
        let mut by_name = BTreeMap::new();
        for config in configs {
            let name = config.name.clone();
            if by_name.insert(name.clone(), Arc::new(config)).is_some() {
                return Err(precondition(
                    "host",
                    format!("host {name} is configured twice; give each host a name of its own"),
                ));
            }
        }
        Ok(Self {
            configs: Mutex::new(by_name),
            keeping: Keeping::within(LEASE),
            opened: Mutex::default(),
        })
    }

    /// Closes a connection after so many sessions instead of 1,000. To be said before the first is opened.
    #[must_use]
    pub fn recycling_after(mut self, sessions: u32) -> Self {
        self.keeping.recycle_after = sessions;
        self
    }

    /// For claims that last so long without renewal, instead of 30 seconds: idle connections are closed well before a
    /// process that stopped renewing loses its claims, and with them its places. To be said before the first is opened.
    #[must_use]
    pub fn within_leases_of(mut self, lease: Duration) -> Self {
        self.keeping.silence = Keeping::within(lease).silence;
        self
    }

    /// Takes a host along that came to be known later, or to be known otherwise. One that this process has opened stays as
    /// it was, but for its budget: what is kept idle there is counted by its driver.
    pub fn learn(&self, config: HostConfig) {
        self.configs().insert(config.name.clone(), Arc::new(config));
    }

    /// The driver of a host. Resolves the references in its URL, once.
    ///
    /// # Errors
    /// An unknown host, a variable that is not set (named, with the host), or a URL that no driver takes.
    pub fn driver(&self, host: &HostName) -> Result<Arc<dyn Driver>, EngineError> {
        Ok(match self.open(host)? {
            Opened::Postgres(driver) => driver,
            Opened::Sqlite(driver) => driver,
        })
    }

    /// The dialect of a host, by the scheme of its URL. Resolves references only where the scheme itself is one.
    ///
    /// # Errors
    /// An unknown host or scheme.
    pub fn dialect(&self, host: &HostName) -> Result<Dialect, EngineError> {
        let config = self.config(host)?;
        let (setting, url) = config.used();
        if url.as_written().starts_with("${") {
            return dialect_of(host, setting, &resolve(&config)?.1);
        }
        dialect_of(host, setting, url.as_written())
    }

    /// Engine and major version of a host, such as `postgres 16`, as it said when it was last connected to; none where it
    /// has not been.
    pub fn major(&self, host: &HostName) -> Option<String> {
        let opened = self.opened().get(host).cloned()?;
        match opened {
            Opened::Postgres(driver) => driver.major(),
            Opened::Sqlite(driver) => driver.major(),
        }
    }

    /// The connections that each host may have, over all workers.
    pub fn budgets(&self) -> BTreeMap<HostName, u32> {
        let configs = self.configs();
        let budget =
            |(name, config): (&HostName, &Arc<HostConfig>)| (name.clone(), config.connections);
        configs.iter().map(budget).collect()
    }

    /// The most targets that each host may have in flight, over all workers: no fewer than its connections.
    pub fn in_flight(&self) -> BTreeMap<HostName, u32> {
        let configs = self.configs();
        let most = |(name, config): (&HostName, &Arc<HostConfig>)| {
            let own = config.in_flight.unwrap_or(config.connections);
            (name.clone(), own.max(config.connections))
        };
        configs.iter().map(most).collect()
    }

    /// Has no more connections of a host open at one time than this, idle ones included: others have the rest of its
    /// budget.
    pub async fn allow(&self, host: &HostName, connections: u32) {
        if let Ok(Opened::Postgres(driver)) = self.open(host) {
            driver
                .allow(usize::try_from(connections).unwrap_or(usize::MAX))
                .await;
        }
    }

    /// How many connections of each host this process has kept idle so far, and how many of them are not any more.
    pub fn idle(&self) -> BTreeMap<HostName, (u64, u64)> {
        let counts = |(name, opened): (&HostName, &Opened)| match opened {
            Opened::Postgres(driver) => Some((name.clone(), driver.counts())),
            Opened::Sqlite(_) => None,
        };
        self.opened().iter().filter_map(counts).collect()
    }

    /// Closes what is kept idle on a host: the control store does not count it.
    pub async fn close_idle(&self, host: &HostName) {
        let opened = self.opened().get(host).cloned();
        if let Some(Opened::Postgres(driver)) = opened {
            driver.trim(0).await;
        }
    }

    /// Looks at many places on all their hosts side by side, reading only. Same order as `places`.
    pub async fn survey(&self, places: &[Place]) -> Vec<Standing> {
        let groups = by_group(places, |place| place.host.clone());
        let surveys = futures::stream::iter(groups).map(|(host, indices)| async move {
            let members: Vec<_> = indices.iter().map(|&at| places[at].clone()).collect();
            let standings = match self.driver(&host) {
                Ok(driver) => driver.survey(&members).await,
                Err(EngineError(failure)) => vec![Standing::Unreachable(failure); members.len()],
            };
            indices.into_iter().zip(standings).collect::<Vec<_>>()
        });
        in_order(surveys.buffer_unordered(HOSTS_AT_ONCE).concat().await)
    }

    /// The normalised catalogs of many places on all their hosts side by side. Same order as `places`.
    pub async fn catalogs(&self, places: &[Place]) -> Vec<Result<Catalog, Failure>> {
        let groups = by_group(places, |place| place.host.clone());
        let readings = futures::stream::iter(groups).map(|(host, indices)| async move {
            let members: Vec<_> = indices.iter().map(|&at| places[at].clone()).collect();
            let catalogs = match self.driver(&host) {
                Ok(driver) => driver.catalogs(&members).await,
                Err(EngineError(failure)) => vec![Err(failure); members.len()],
            };
            indices.into_iter().zip(catalogs).collect::<Vec<_>>()
        });
        in_order(readings.buffer_unordered(HOSTS_AT_ONCE).concat().await)
    }

    /// What lies at many places beside their ledgers, on all their hosts side by side. Same order as `places`.
    pub async fn inspect(&self, places: &[Place]) -> Vec<Result<Inspection, Failure>> {
        let groups = by_group(places, |place| place.host.clone());
        let readings = futures::stream::iter(groups).map(|(host, indices)| async move {
            let members: Vec<_> = indices.iter().map(|&at| places[at].clone()).collect();
            let found = match self.driver(&host) {
                Ok(driver) => driver.inspect(&members).await,
                Err(EngineError(failure)) => vec![Err(failure); members.len()],
            };
            indices.into_iter().zip(found).collect::<Vec<_>>()
        });
        in_order(readings.buffer_unordered(HOSTS_AT_ONCE).concat().await)
    }

    /// Closes every connection that is kept.
    pub async fn close(&self) {
        let opened = std::mem::take(&mut *self.opened());
        for driver in opened.into_values() {
            if let Opened::Postgres(driver) = driver {
                driver.close().await;
            }
        }
    }

    fn config(&self, host: &HostName) -> Result<Arc<HostConfig>, EngineError> {
        let known = self.configs().get(host).cloned();
        known.ok_or_else(|| {
            precondition(
                "host",
                format!("host {host} is not configured; add [hosts.{host}] with its url"),
            )
        })
    }

    fn open(&self, host: &HostName) -> Result<Opened, EngineError> {
        if let Some(opened) = self.opened().get(host) {
            return Ok(opened.clone());
        }
        let config = self.config(host)?;
        let (setting, url) = resolve(&config)?;
        let opened = match dialect_of(host, setting, &url)? {
            Dialect::Postgres => PostgresDriver::new(
                host.clone(),
                setting,
                &url,
                config.connections,
                self.keeping,
                config.role.clone(),
                config.search_path.clone(),
            )
            .map(|driver| Opened::Postgres(Arc::new(driver))),
            Dialect::Sqlite => SqliteDriver::new(host, &url, &config.base_dir)
                .map(|driver| Opened::Sqlite(Arc::new(driver))),
        }
        .map_err(EngineError)?;
        // Two tasks may have come here at once; the first driver stays, the second has opened nothing yet.
        Ok(self.opened().entry(host.clone()).or_insert(opened).clone())
    }

    fn configs(&self) -> MutexGuard<'_, BTreeMap<HostName, Arc<HostConfig>>> {
        self.configs.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn opened(&self) -> MutexGuard<'_, BTreeMap<HostName, Opened>> {
        self.opened.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn resolve(config: &HostConfig) -> Result<(&'static str, String), EngineError> {
    let (setting, url) = config.used();
    match url.resolve() {
        Ok(resolved) => Ok((setting, resolved.expose().to_owned())),
        Err(error) => Err(precondition(
            "secret",
            format!("hosts.{}.{setting}: {error}", config.name),
        )),
    }
}

fn dialect_of(host: &HostName, setting: &str, url: &str) -> Result<Dialect, EngineError> {
    let scheme = url.split_once(':').map_or("", |(scheme, _)| scheme);
    match scheme {
        "postgres" | "postgresql" => Ok(Dialect::Postgres),
        "sqlite" => Ok(Dialect::Sqlite),
        _ => Err(precondition(
            "url",
            format!("hosts.{host}.{setting} must begin with postgres:// or sqlite://"),
        )),
    }
}

fn precondition(code: &str, message: String) -> EngineError {
    EngineError(Failure::new(ErrorClass::Precondition, code, message))
}
