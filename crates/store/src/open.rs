//! Opening a control store: to use it, or only to look.

use std::path::Path;
use std::sync::Arc;

use sanderling_core::StoreId;

use crate::link::{Connector, PostgresConnector, SqliteConnector};
use crate::perform::Control;
use crate::port::{Store, StoreError};
use crate::schema::{self, Create, Found, Ground, Look};

/// Opens the control store of a fleet, creating or upgrading its tables where needed.
///
/// `url` is resolved text: `postgres://…` or `sqlite://path`, the path relative to `base_dir`.
///
/// # Errors
/// `Refused` where the URL is not one of those, the file is not on a local disk, or a newer program wrote the
/// store; `Unavailable` where it cannot be reached or its tables cannot be made. None of them shows a password.
pub async fn open(url: &str, fleet: &str, base_dir: &Path) -> Result<Arc<dyn Store>, StoreError> {
    let way = Way::to(url, base_dir, false)?;
    way.make_directory()?;
    let opening = way.control(StoreId::new(""), fleet);
    let id = match opening.perform(Look(way.ground)).await {
        Ok(Found::Store(id)) => id,
        Ok(Found::Nothing | Found::Older(_)) => opening.perform(Create(way.ground)).await?,
        Err(error) => return Err(error),
    };
    Ok(Arc::new(way.store(id, fleet)))
}

/// Opens the control store of a fleet to look only: nothing is created, and every verb that writes fails.
///
/// `None` where there is no store yet.
///
/// # Errors
/// As [`open`]; also `Refused` where the store's tables are of an older version, because looking upgrades nothing.
pub async fn open_existing(
    url: &str,
    fleet: &str,
    base_dir: &Path,
) -> Result<Option<Arc<dyn Store>>, StoreError> {
    let way = Way::to(url, base_dir, true)?;
    if way.file.as_deref().is_some_and(|file| !file.exists()) {
        return Ok(None);
    }
    let opening = way.control(StoreId::new(""), fleet);
    match opening.perform(Look(way.ground)).await? {
        Found::Nothing => Ok(None),
        Found::Store(id) => Ok(Some(Arc::new(way.store(id, fleet)))),
        Found::Older(version) => Err(StoreError::Refused(format!(
            "the control store has version {version}, written by an older sanderling; \
             `sanderling up` or `sanderling coordinator` upgrades it, looking does not"
        ))),
    }
}

/// How a store is reached.
struct Way {
    connector: Arc<dyn Connector>,
    ground: Ground,
    /// Connections that write, and that read. SQLite has one writer anyway; in PostgreSQL most writers queue at a
    /// rollout's row, and every process of the fleet brings as many.
    sizes: (usize, usize),
    file: Option<std::path::PathBuf>,
}

impl Way {
    fn to(url: &str, base_dir: &Path, looking: bool) -> Result<Self, StoreError> {
        if url.starts_with("postgres://") || url.starts_with("postgresql://") {
            return Ok(Self {
                connector: Arc::new(PostgresConnector::new(url, looking)?),
                ground: schema::POSTGRES,
                sizes: (6, 3),
                file: None,
            });
        }
        if url.starts_with("sqlite:") {
            let connector = SqliteConnector::new(url, base_dir, looking)?;
            return Ok(Self {
                file: Some(connector.file().to_owned()),
                connector: Arc::new(connector),
                ground: schema::SQLITE,
                sizes: (1, 3),
            });
        }
        Err(StoreError::Refused(
            "the control store's URL must begin with sqlite:// or postgres://".to_owned(),
        ))
    }

    fn make_directory(&self) -> Result<(), StoreError> {
        let Some(directory) = self.file.as_deref().and_then(Path::parent) else {
            return Ok(());
        };
        std::fs::create_dir_all(directory).map_err(|error| StoreError::Unavailable {
            url: self.connector.place().to_owned(),
            message: format!("cannot create directory {}: {error}", directory.display()),
        })
    }

    fn control(&self, id: StoreId, fleet: &str) -> Arc<Control> {
        Arc::new(Control::new(id, fleet, &self.connector, self.sizes))
    }

    fn store(&self, id: StoreId, fleet: &str) -> crate::control::Handle {
        crate::control::Handle(self.control(id, fleet))
    }
}
