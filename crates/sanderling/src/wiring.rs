//! From settings to things that work: the one place that names both a port and what stands behind it.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use sanderling_claims::Claims;
use sanderling_coordinator::Fleet;
use sanderling_core::{HostName, WorkerId, WrittenHost, waves::WaveSpec};
use sanderling_engine::{HostConfig, Hosts};
use sanderling_registry::ImplicitHost;
use sanderling_sql::Dialect;
use sanderling_store::Store;

use crate::cli::Global;
use crate::commands::metrics_file::MetricsFile;
use crate::exit::UsageError;
use crate::printer::Printer;
use crate::settings::{HostSettings, Settings};

/// The budget of a server that only rows name.
const IMPLICIT_CONNECTIONS: u32 = 8;

/// Settings, and what is made of them.
pub(crate) struct Wiring {
    pub(crate) settings: Settings,
    pub(crate) printer: Printer,
    /// Where the command was told to write metrics.
    pub(crate) metrics: Option<MetricsFile>,
}

impl Wiring {
    /// Reads the settings.
    pub(crate) fn load(global: &Global, printer: Printer) -> anyhow::Result<Self> {
        let settings =
            Settings::load(&global.config).map_err(|error| UsageError(error.to_string()))?;
        Ok(Self {
            settings,
            printer,
            metrics: None,
        })
    }

    /// The opener of tenant connections. Nothing is resolved or opened yet.
    pub(crate) fn hosts(&self) -> anyhow::Result<Arc<Hosts>> {
        self.hosts_and(&BTreeMap::new())
    }

    /// The same, with hosts that stand in no configuration.
    fn hosts_and(&self, written: &BTreeMap<HostName, WrittenHost>) -> anyhow::Result<Arc<Hosts>> {
        let configured = self.settings.hosts.iter();
        let configured = configured.filter(|host| host.template.is_none());
        let configs = configured.map(|host| HostConfig {
            name: host.name.clone(),
            url: host.url.reference().clone(),
            direct_url: host.direct_url.as_ref().map(|url| url.reference().clone()),
            role: host.role.clone(),
            search_path: host.search_path.clone(),
            connections: host.connections,
            in_flight: host.in_flight,
            base_dir: self.settings.base_dir.clone(),
        });
        let mut configs: Vec<_> = configs.collect();
        for (name, host) in written {
            let base = self.settings.base_dir.clone();
            let config = HostConfig::written(name.clone(), host, base);
            configs.push(config.map_err(|error| anyhow::anyhow!("host {name}: {error}"))?);
        }
        let hosts = Hosts::new(configs)?;
        Ok(Arc::new(
            hosts.within_leases_of(self.settings.control.lease),
        ))
    }

    /// The registry and the migrations, with the hosts to reach tenants by. What is worth a word is said.
    pub(crate) fn fleet(&self) -> anyhow::Result<Fleet> {
        let (fleet, notes) = self.read_fleet()?;
        for note in &notes {
            self.printer.warn(note);
        }
        Ok(fleet)
    }

    /// The same, with what is worth a word.
    pub(crate) fn read_fleet(&self) -> anyhow::Result<(Fleet, Vec<String>)> {
        let tenants = sanderling_registry::tenants::load_for(
            &self.settings.base_dir,
            &self.settings.tenant_patterns,
            &self.settings.host_kinds(),
        )?;
        let written: BTreeMap<_, _> = tenants
            .hosts
            .iter()
            .map(|host| (host.name.clone(), self.written(host)))
            .collect();
        let mut dialects = self.dialects();
        if !written.is_empty() && !dialects.contains(&Dialect::Postgres) {
            dialects.push(Dialect::Postgres);
        }
        let migrations = sanderling_registry::migrations::load(&self.migrations_dir(), &dialects)?;
        let notes = [tenants.notes, migrations.notes.clone()].concat();
        let fleet = Fleet {
            name: self.settings.fleet_name.clone(),
            tenants: tenants.tenants,
            migrations,
            hosts: self.hosts_and(&written)?,
            written,
            create_missing: self.settings.create_missing,
        };
        Ok((fleet, notes))
    }

    /// An implicit host, as it goes to workers: with role, path and budget of the host whose template made it.
    fn written(&self, host: &ImplicitHost) -> WrittenHost {
        let of = |known: &&HostSettings| Some(&known.name) == host.of.as_ref();
        let known = self.settings.hosts.iter().find(of);
        WrittenHost {
            url: host.url.clone(),
            connections: known.map_or(IMPLICIT_CONNECTIONS, |known| known.connections),
            in_flight: known.and_then(|known| known.in_flight),
            role: known.and_then(|known| Some(known.role.as_ref()?.as_written())),
            search_path: known.map_or_else(Vec::new, |known| known.search_path.as_written()),
        }
    }

    /// The directory of migrations.
    pub(crate) fn migrations_dir(&self) -> std::path::PathBuf {
        self.settings.base_dir.join(&self.settings.migrations_dir)
    }

    /// The dialects that this fleet's hosts speak.
    fn dialects(&self) -> Vec<Dialect> {
        let speaks = |sqlite: bool| {
            self.settings
                .hosts
                .iter()
                .any(|host| host.is_sqlite == sqlite)
        };
        let mut dialects = Vec::new();
        if speaks(false) {
            dialects.push(Dialect::Postgres);
        }
        if speaks(true) {
            dialects.push(Dialect::Sqlite);
        }
        dialects
    }

    /// The control store, created if it is not there.
    pub(crate) async fn store(&self) -> anyhow::Result<Arc<dyn Store>> {
        let url = self
            .settings
            .control
            .url
            .resolve()
            .map_err(|e| UsageError(e.to_string()))?;
        Ok(
            sanderling_store::open(url.expose(), &self.settings.fleet_name, self.base_dir())
                .await?,
        )
    }

    /// The control store if there is one; looking creates nothing.
    pub(crate) async fn store_if_any(&self) -> anyhow::Result<Option<Arc<dyn Store>>> {
        let url = self
            .settings
            .control
            .url
            .resolve()
            .map_err(|e| UsageError(e.to_string()))?;
        Ok(sanderling_store::open_existing(
            url.expose(),
            &self.settings.fleet_name,
            self.base_dir(),
        )
        .await?)
    }

    fn base_dir(&self) -> &Path {
        &self.settings.base_dir
    }

    /// The claims. What is wrong with their settings is a usage error; a server that is away is none.
    pub(crate) fn claims(&self) -> anyhow::Result<Arc<dyn Claims>> {
        let claims = &self.settings.claims;
        let url = claims
            .url
            .resolve()
            .map_err(|e| UsageError(e.to_string()))?;
        let fleet = &self.settings.fleet_name;
        let connected = claims.access.connect(url.expose(), fleet, claims.ttl);
        Ok(connected.map_err(|error| UsageError(error.to_string()))?)
    }

    /// Workers and the leader look sooner than they would by themselves. What was written holds without it.
    pub(crate) async fn wake(&self) {
        match self.claims() {
            Ok(claims) => {
                if let Err(error) = claims.wake().await {
                    tracing::debug!(%error, "wake-up not sent; workers poll");
                }
            }
            Err(error) => self.printer.warn(&format!(
                "workers are not woken, and find it by themselves within control.poll: {error}"
            )),
        }
    }

    /// Whether claims live in this process only, so that only this process can work.
    pub(crate) fn claims_in_memory(&self) -> bool {
        self.settings.claims.url.scheme().as_deref() == Some("memory")
    }

    /// The configured waves, or the default ones.
    pub(crate) fn waves(&self) -> Vec<WaveSpec> {
        self.settings.wave_specs()
    }

    /// How often a follower looks.
    pub(crate) fn follow_pause(&self) -> Duration {
        self.settings.control.poll.min(Duration::from_millis(200))
    }
}

/// The name of a process in the store: `<kind>-<host>-<pid>-<random>`.
pub(crate) fn process_name(kind: &str) -> WorkerId {
    let host = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    let host = match host.trim() {
        "" => "localhost",
        name => name,
    };
    let random = uuid::Uuid::now_v7().simple().to_string();
    WorkerId::new(format!(
        "{kind}-{host}-{}-{}",
        std::process::id(),
        &random[random.len() - 8..]
    ))
}
