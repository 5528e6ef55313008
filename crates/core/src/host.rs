//! A host as it travels from who plans to who works: written out, no reference in it resolved.

use std::fmt;

use serde::{Deserialize, Serialize};

/// How a host that stands in no configuration is reached. Workers read it in the control store: they have no registry.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct WrittenHost {
    /// `postgres://…` with its `${NAME}` references as they were written; it bears no password of its own.
    pub url: String,
    /// The budget of connections that all workers share.
    pub connections: u32,
    /// The most targets in flight there, over all workers; absent where that is its connections.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub in_flight: Option<u32>,
    /// The role that migrations run as, as the settings write it; none is the login role.
    #[serde(default)]
    pub role: Option<String>,
    /// The search path of migrations, as the settings write it; empty is the tenant's schema alone.
    #[serde(default)]
    pub search_path: Vec<String>,
}

impl fmt::Debug for WrittenHost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WrittenHost")
            .field("connections", &self.connections)
            .field("role", &self.role)
            .field("search_path", &self.search_path)
            .finish_non_exhaustive()
    }
}
