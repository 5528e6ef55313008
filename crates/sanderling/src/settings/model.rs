//! The settings as types.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use sanderling_claims::Access;
use sanderling_coordinator::Provider;
use sanderling_core::policy::{Atomic, Backoff};
use sanderling_core::waves::{HaltSpec, WaveSpec, default_waves};
use sanderling_core::{ErrorClass, HostName, Selector, Serves};
use sanderling_engine::{RoleTemplate, SearchPath};
use sanderling_registry::{HostKind, UrlTemplate};

use super::url::ConfiguredUrl;

/// Everything that is configured. References are not resolved yet.
#[derive(Clone, Debug)]
pub(crate) struct Settings {
    /// The directory that relative paths start from: the file's own.
    pub(crate) base_dir: PathBuf,
    /// Prefixes Redis keys, store rows and metrics; `[a-z0-9_-]{1,40}`.
    pub(crate) fleet_name: String,
    /// The directory of migrations as written: relative to `base_dir` unless absolute.
    pub(crate) migrations_dir: PathBuf,
    /// Globs of tenant files, relative to `base_dir`.
    pub(crate) tenant_patterns: Vec<String>,
    /// Whether missing schemas and files are created.
    pub(crate) create_missing: bool,
    /// The control store.
    pub(crate) control: ControlSettings,
    /// The claims.
    pub(crate) claims: ClaimsSettings,
    /// How often the leader looks at the whole fleet for its metrics; zero is never.
    pub(crate) survey: Duration,
    /// Where a coordinator or worker answers metrics and probes; nowhere if absent.
    pub(crate) listen: Option<String>,
    /// Tenants that one worker has in hand at once.
    pub(crate) worker_slots: u32,
    /// Which tenants a worker serves.
    pub(crate) worker_serves: Serves,
    /// The hosts, by name.
    pub(crate) hosts: Vec<HostSettings>,
    /// What a rollout may do.
    pub(crate) rollout: RolloutSettings,
    /// The providers that gates may ask, by name.
    pub(crate) providers: BTreeMap<String, Provider>,
}

/// `[control]`
#[derive(Clone, Debug)]
pub(crate) struct ControlSettings {
    /// `sqlite://…` or `postgres://…`
    pub(crate) url: ConfiguredUrl,
    /// How long a claim or a leadership lasts without renewal.
    pub(crate) lease: Duration,
    /// How often processes look for work when nothing wakes them.
    pub(crate) poll: Duration,
}

/// `[claims]`
#[derive(Clone, Debug)]
pub(crate) struct ClaimsSettings {
    /// `memory://`, `redis://…`, `rediss://…`, `redis+unix:///…`, `redis+sentinel://…` or `rediss+sentinel://…`
    pub(crate) url: ConfiguredUrl,
    /// Certificates, and whether other machines may be spoken to in the clear.
    pub(crate) access: Access,
    /// How long a tenant's lock lasts without renewal.
    pub(crate) ttl: Duration,
}

/// `[hosts.<name>]`
#[derive(Clone, Debug)]
pub(crate) struct HostSettings {
    /// The alias that tenants name.
    pub(crate) name: HostName,
    /// `postgres://…`, or `sqlite://<directory>`
    pub(crate) url: ConfiguredUrl,
    /// Where to connect instead, when `url` leads through a pooler; PostgreSQL only.
    pub(crate) direct_url: Option<ConfiguredUrl>,
    /// Where the URL has places for what tenants' rows say: a host is made for each distinct rendering.
    pub(crate) template: Option<UrlTemplate>,
    /// The role that migrations run as; PostgreSQL only.
    pub(crate) role: Option<RoleTemplate>,
    /// What migrations see beside their tenant's schema; PostgreSQL only.
    pub(crate) search_path: SearchPath,
    /// Connections that all workers together may hold.
    pub(crate) connections: u32,
    /// Targets in flight over all workers, where that is more than its connections.
    pub(crate) in_flight: Option<u32>,
    /// Whether it is a directory of SQLite files.
    pub(crate) is_sqlite: bool,
}

/// `[rollout]` and `[retry]`
#[derive(Clone, Debug)]
pub(crate) struct RolloutSettings {
    /// Targets in flight at once.
    pub(crate) concurrency: u32,
    /// How much of a tenant's path is one transaction.
    pub(crate) atomic: Atomic,
    /// How long a migration waits for a lock.
    pub(crate) lock_timeout: Duration,
    /// How long one statement may run; zero is without limit.
    pub(crate) statement_timeout: Duration,
    /// How long tenants wait for a host that is away.
    pub(crate) host_patience: Duration,
    /// The configured waves; empty means the default ones.
    pub(crate) waves: Vec<WaveSpec>,
    /// Limits of the whole rollout.
    pub(crate) halt: HaltSpec,
    /// Who is never in the canary.
    pub(crate) canary_exclude: Option<Selector>,
    /// Limits of the wave of tenants that failed before with the same bundle.
    pub(crate) known_failures: HaltSpec,
    /// Retry budgets, the defaults included; a class that is absent is not retried.
    pub(crate) retry: BTreeMap<ErrorClass, Backoff>,
}

impl Settings {
    /// The configured waves, or the default ones.
    pub(crate) fn wave_specs(&self) -> Vec<WaveSpec> {
        if self.rollout.waves.is_empty() {
            default_waves()
        } else {
            self.rollout.waves.clone()
        }
    }

    /// Limits of the whole rollout.
    pub(crate) fn halt_spec(&self) -> HaltSpec {
        self.rollout.halt.clone()
    }

    /// What the registry should know about each host.
    pub(crate) fn host_kinds(&self) -> BTreeMap<HostName, HostKind> {
        let kind = |host: &HostSettings| {
            let used = host.direct_url.as_ref().unwrap_or(&host.url);
            match &host.template {
                _ if host.is_sqlite => HostKind::Directory,
                Some(template) => HostKind::Template(template.clone()),
                None => HostKind::Server {
                    database: used.written_database(),
                    address: used.written_address(),
                },
            }
        };
        self.hosts
            .iter()
            .map(|h| (h.name.clone(), kind(h)))
            .collect()
    }
}
