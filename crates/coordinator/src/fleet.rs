//! A fleet as its operators hand it over: tenants, migrations, and the hosts to reach them by.

use std::collections::BTreeMap;
use std::sync::Arc;

use sanderling_core::assess::MigrationMeta;
use sanderling_core::selector::Selector;
use sanderling_core::{HostName, Place, Standing, Tenant, Version, WrittenHost};
use sanderling_engine::Hosts;
use sanderling_registry::migrations::Migrations;

use crate::look::engine;
use crate::refusal::PlanningError;

/// A fleet.
pub struct Fleet {
    /// Its name.
    pub name: String,
    /// Every tenant of the registry.
    pub tenants: Vec<Tenant>,
    /// The migrations and their bundle.
    pub migrations: Migrations,
    /// The opener of tenant connections.
    pub hosts: Arc<Hosts>,
    /// The hosts among them that stand in no configuration, as they go to workers.
    pub written: BTreeMap<HostName, WrittenHost>,
    /// Whether missing schemas and files may be created.
    pub create_missing: bool,
}

impl Fleet {
    /// The tenants that a selector takes, in the registry's order; an error where it takes nobody.
    pub(crate) fn select(&self, selector: &Selector) -> Result<Vec<Tenant>, PlanningError> {
        let taken: Vec<Tenant> = self
            .tenants
            .iter()
            .filter(|tenant| selector.matches(tenant))
            .cloned()
            .collect();
        if taken.is_empty() {
            return Err(PlanningError::NothingSelected {
                selector: selector.to_string(),
                tenants: self.tenants.len(),
            });
        }
        Ok(taken)
    }

    /// What planning needs to know of the migrations, ascending by version.
    pub fn metas(&self) -> Vec<MigrationMeta> {
        self.migrations.metas()
    }

    /// The newest version of the bundle.
    pub fn newest(&self) -> Option<Version> {
        self.metas().into_iter().map(|meta| meta.version).max()
    }

    /// How many tenants of the registry there are by engine and host.
    pub fn by_host(&self) -> BTreeMap<(String, String), u64> {
        let mut hosts = BTreeMap::new();
        for tenant in &self.tenants {
            let key = (engine(self, tenant), tenant.place.host.to_string());
            *hosts.entry(key).or_default() += 1;
        }
        hosts
    }

    /// Looks at tenants, reading only. Same order.
    pub async fn survey(&self, tenants: &[Tenant]) -> Vec<Standing> {
        let places: Vec<Place> = tenants.iter().map(|tenant| tenant.place.clone()).collect();
        self.hosts.survey(&places).await
    }
}
