//! From values to [`Settings`].

use std::path::{Path, PathBuf};
use std::time::Duration;

use sanderling_core::{HostName, Serves};
use sanderling_engine::{RoleTemplate, SearchPath};

use super::error::SettingsError;
use super::model::{ControlSettings, HostSettings, Settings};
use super::reader::{Reader, below, path};
use super::source;
use super::url;
use super::{claims, policy, providers};

/// Shorter leases and locks would expire while a healthy process is busy for a moment.
pub(super) const LEAST_LEASE: Duration = Duration::from_secs(1);
/// Looking more often than this is load without use.
const LEAST_POLL: Duration = Duration::from_millis(10);
/// The leader's look at the whole fleet, for its metrics.
const SURVEY: Duration = Duration::from_secs(300);
/// Looking at a fleet more often than this is load without use.
const LEAST_SURVEY: Duration = Duration::from_secs(1);
/// Longest name of a fleet or a host.
const NAME_CHARS: usize = 40;

impl Settings {
    /// Reads the file and this process's environment.
    ///
    /// # Errors
    /// Everything that is wrong, each with file and line or with its variable.
    pub(crate) fn load(file: &Path) -> Result<Self, SettingsError> {
        let text = |os: std::ffi::OsString| os.into_string().ok();
        Self::load_with(
            file,
            std::env::vars_os().filter_map(|(k, v)| Some((text(k)?, text(v)?))),
        )
    }

    /// Reads the file and the given variables.
    ///
    /// # Errors
    /// As [`Settings::load`].
    pub(crate) fn load_with(
        file: &Path,
        environment: impl IntoIterator<Item = (String, String)>,
    ) -> Result<Self, SettingsError> {
        let tree = source::read(file, environment)?;
        let base = base_of(file)?;
        let mut reader = Reader::new(&tree);
        let settings = Self {
            fleet_name: fleet_name(&mut reader),
            migrations_dir: reader
                .text(&path("fleet.migrations"))
                .unwrap_or_else(|| "migrations".into())
                .into(),
            tenant_patterns: tenants(&mut reader),
            create_missing: reader.flag(&path("fleet.create_missing")).unwrap_or(false),
            control: control(&mut reader, &base),
            claims: claims::read(&mut reader, &base),
            survey: survey(&mut reader),
            listen: reader.text(&path("metrics.listen")),
            worker_slots: reader.count(&path("worker.slots"), 1).unwrap_or(16),
            worker_serves: serves(&mut reader),
            hosts: hosts(&mut reader, &base),
            rollout: policy::read(&mut reader),
            providers: providers::read(&mut reader, &base),
            base_dir: base,
        };
        format(&mut reader);
        reader.finish(settings)
    }
}

fn fleet_name(reader: &mut Reader<'_>) -> String {
    let key = path("fleet.name");
    let name = reader.text(&key);
    match &name {
        None if !reader.has(&key) => reader.problem(
            &key,
            "is missing; name the fleet, for it keeps environments apart in Redis, control store and metrics",
        ),
        Some(name) if !is_name(name) => reader.problem(
            &key,
            format!("{name:?} must be 1 to {NAME_CHARS} characters of a-z, 0-9, _ and -"),
        ),
        _ => {}
    }
    name.unwrap_or_default()
}

fn is_name(name: &str) -> bool {
    let legal = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_' || b == b'-';
    (1..=NAME_CHARS).contains(&name.len()) && name.bytes().all(legal)
}

fn tenants(reader: &mut Reader<'_>) -> Vec<String> {
    let key = path("fleet.tenants");
    let patterns = reader.list(&key);
    if !reader.has(&key) || patterns.as_ref().is_some_and(Vec::is_empty) {
        reader.problem(&key, "is missing; name the files that list tenants, as in [\"tenants/*.yaml\", \"tenants/*.csv\"]");
    }
    patterns.unwrap_or_default()
}

fn format(reader: &mut Reader<'_>) {
    let key = path("fleet.format");
    if reader.text(&key).is_some_and(|format| format != "native") {
        reader.problem(
            &key,
            "only \"native\" is supported yet (-- +migrate Up and Down); remove it",
        );
    }
}

/// The file's directory, absolute: what is found there does not depend on where the program stands.
fn base_of(file: &Path) -> Result<PathBuf, SettingsError> {
    let file = std::path::absolute(file)
        .map_err(|error| SettingsError::one(format!("{}: {error}", file.display())))?;
    Ok(file.parent().unwrap_or(Path::new("/")).to_owned())
}

fn survey(reader: &mut Reader<'_>) -> Duration {
    let key = path("coordinator.survey");
    match reader.duration(&key, Duration::ZERO) {
        Some(every) if !every.is_zero() && every < LEAST_SURVEY => {
            reader.problem(&key, "must be at least 1s, or 0s for never");
            SURVEY
        }
        every => every.unwrap_or(SURVEY),
    }
}

fn serves(reader: &mut Reader<'_>) -> Serves {
    let key = path("worker.serves");
    let text = reader.text(&key);
    let read = text.as_deref().map(Serves::parse).transpose();
    read.unwrap_or_else(|error| {
        reader.problem(&key, error.to_string());
        None
    })
    .unwrap_or_default()
}

fn control(reader: &mut Reader<'_>, base: &Path) -> ControlSettings {
    let schemes = &["sqlite", "postgres", "postgresql"];
    let url = url::read(
        reader,
        &path("control.url"),
        Some("sqlite://.sanderling/control.db"),
        schemes,
        base,
    );
    let lease = reader.duration(&path("control.lease"), LEAST_LEASE);
    let poll = reader
        .duration(&path("control.poll"), LEAST_POLL)
        .unwrap_or(Duration::from_secs(1));
    let lease = lease.unwrap_or(Duration::from_secs(30));
    if poll > lease {
        reader.problem(&path("control.poll"), "must not be longer than `lease`");
    }
    ControlSettings { url, lease, poll }
}

fn hosts(reader: &mut Reader<'_>, base: &Path) -> Vec<HostSettings> {
    let section = path("hosts");
    let names = reader.names(&section);
    names.iter().map(|name| host(reader, name, base)).collect()
}

fn host(reader: &mut Reader<'_>, name: &str, base: &Path) -> HostSettings {
    let at = below(&path("hosts"), name);
    if !is_name(name) {
        reader.problem(
            &at,
            format!("a host's name must be 1 to {NAME_CHARS} characters of a-z, 0-9, _ and -"),
        );
    }
    let schemes = &["postgres", "postgresql", "sqlite"];
    let (url, template) = url::read_template(reader, &below(&at, "url"), schemes, base);
    let is_sqlite = url.scheme().as_deref() == Some("sqlite");
    let connections = reader.count(&below(&at, "connections"), 1);
    let connections = connections.unwrap_or(if is_sqlite { 2 } else { 8 });
    let in_flight = reader.count(&below(&at, "in_flight"), connections);
    let direct = below(&at, "direct_url");
    let direct = reader
        .has(&direct)
        .then(|| url::read_template(reader, &direct, &schemes[..2], base));
    // What is connected with decides.
    let (direct_url, template) = match direct {
        Some((direct_url, template)) => (Some(direct_url), template),
        None => (None, template),
    };
    let role = role(reader, &below(&at, "role"));
    let search_path = search_path(reader, &below(&at, "search_path"));
    for (key, given) in [
        ("direct_url", direct_url.is_some()),
        ("role", role.is_some()),
        ("search_path", search_path.is_some()),
    ] {
        if is_sqlite && given {
            let why = "is for PostgreSQL; this host is a directory of SQLite files";
            reader.problem(&below(&at, key), why);
        }
    }
    HostSettings {
        name: HostName::new(name),
        url,
        direct_url,
        template,
        role,
        search_path: search_path.unwrap_or_default(),
        connections,
        in_flight,
        is_sqlite,
    }
}

fn role(reader: &mut Reader<'_>, at: &[String]) -> Option<RoleTemplate> {
    let text = reader.text(at)?;
    RoleTemplate::parse(&text)
        .map_err(|wrong| reader.problem(at, format!("{text:?} {wrong}")))
        .ok()
}

fn search_path(reader: &mut Reader<'_>, at: &[String]) -> Option<SearchPath> {
    let entries = reader.list(at)?;
    SearchPath::parse(&entries)
        .map_err(|wrong| reader.problem(at, wrong))
        .ok()
}
