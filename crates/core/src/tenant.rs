//! A tenant and where its data lives.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};

use crate::ids::{HostName, TenantId};

/// One customer, as the registry describes it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tenant {
    /// Unique in the fleet.
    pub id: TenantId,
    /// Where its data lives.
    pub place: Place,
    /// Free labels for selectors and waves; an empty cell in a CSV is an absent label.
    #[serde(default)]
    pub labels: BTreeMap<String, String>,
    /// Rough size in bytes, when the registry knows it: smaller tenants go first inside a wave.
    #[serde(default)]
    pub size: Option<u64>,
}

/// Where a tenant's data lives: a schema in a database of a host, a whole database, or a file of a host that is a directory.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Place {
    /// The alias in `[hosts.<name>]`.
    pub host: HostName,
    /// Replaces the database of the host's URL.
    #[serde(default)]
    pub database: Option<String>,
    /// The schema inside the database (PostgreSQL).
    #[serde(default)]
    pub schema: Option<String>,
    /// The file below the host's directory (SQLite).
    #[serde(default)]
    pub file: Option<String>,
}

impl fmt::Display for Place {
    /// `eu1/app/tenant_7` or `files/tenant_7.db`: for messages, never for SQL.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.host)?;
        for part in [&self.database, &self.schema, &self.file]
            .into_iter()
            .flatten()
        {
            write!(f, "/{part}")?;
        }
        Ok(())
    }
}
