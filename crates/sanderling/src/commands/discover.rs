//! `sanderling status --discover URL --schemas PATTERN --migrations DIR`: a look at a fleet that nobody has configured.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::Context;
use sanderling_coordinator::Fleet;
use sanderling_core::selector::Selector;
use sanderling_core::{HostName, Place, Tenant, TenantId};
use sanderling_engine::{EngineError, HostConfig, Hosts, SearchPath};
use sanderling_secrets::Reference;
use sanderling_sql::Dialect;

use super::{selection, status};
use crate::cli::Status;
use crate::exit::{Exit, UsageError};
use crate::printer::Printer;

/// Looking needs no more.
const CONNECTIONS: u32 = 4;

/// What was typed.
pub(crate) struct Request {
    url: String,
    schemas: String,
    migrations: PathBuf,
}

impl Request {
    /// `None` where `status` is asked about a configured fleet.
    pub(crate) fn of(args: &Status) -> Option<Self> {
        Some(Self {
            url: args.discover.clone()?,
            schemas: args.schemas.clone()?,
            migrations: args.migrations.clone()?,
        })
    }
}

/// Finds the tenants by their schemas' names and shows which versions they are at. Reads only.
pub(crate) async fn run(printer: Printer, request: &Request) -> anyhow::Result<Exit> {
    let postgres = ["postgres://", "postgresql://", "${"];
    if !postgres.iter().any(|start| request.url.starts_with(start)) {
        return Err(UsageError(
            "--discover takes the URL of a PostgreSQL database, or a reference to one, `${DATABASE_URL}`".into(),
        )
        .into());
    }
    let host = HostName::new("discovered");
    let hosts = Arc::new(Hosts::new(vec![HostConfig {
        name: host.clone(),
        url: Reference::new(&request.url),
        direct_url: None,
        role: None,
        search_path: SearchPath::default(),
        connections: CONNECTIONS,
        in_flight: None,
        base_dir: PathBuf::from("."),
    }])?);
    let named = |EngineError(failure): EngineError| anyhow::anyhow!("{}", failure.message);
    let driver = hosts.driver(&host).map_err(named)?;
    let schemas = driver.schemas(&request.schemas).await.map_err(named)?;
    if schemas.is_empty() {
        return Err(UsageError(format!(
            "--schemas: no schema of this database is like `{}`",
            request.schemas
        ))
        .into());
    }
    let fleet = Fleet {
        name: host.to_string(),
        tenants: schemas
            .into_iter()
            .map(|schema| tenant(&host, schema))
            .collect(),
        migrations: migrations(printer, &request.migrations)?,
        hosts,
        written: BTreeMap::new(),
        create_missing: false,
    };
    let report = sanderling_coordinator::status(&fleet, &Selector::everyone(), None)
        .await
        .map_err(selection::sort)?;
    printer.talk(
        "no control store was asked: rollouts, holds and amendments of migrations are not known",
    );
    status::show(printer, &report)?;
    Ok(Exit::Done)
}

fn tenant(host: &HostName, schema: String) -> Tenant {
    Tenant {
        id: TenantId::new(&schema),
        place: Place {
            host: host.clone(),
            database: None,
            schema: Some(schema),
            file: None,
        },
        labels: BTreeMap::new(),
        size: None,
    }
}

fn migrations(
    printer: Printer,
    directory: &Path,
) -> anyhow::Result<sanderling_registry::migrations::Migrations> {
    let loaded = sanderling_registry::migrations::load(directory, &[Dialect::Postgres])
        .context("--migrations")?;
    for note in &loaded.notes {
        printer.warn(note);
    }
    Ok(loaded)
}
