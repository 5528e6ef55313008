//! Hosts that stand in no configuration: they come with rollouts, from a registry that workers do not have.

use std::path::PathBuf;
use std::sync::Arc;

use sanderling_engine::{HostConfig, Hosts};
use sanderling_store::{Store, StoreError, WrittenHostRecord};

use crate::circuit::Circuits;

/// What was learnt so far.
pub(crate) struct WrittenHosts {
    hosts: Arc<Hosts>,
    circuits: Arc<Circuits>,
    base_dir: PathBuf,
    /// The number of the newest host that was learnt.
    newest: i64,
}

impl WrittenHosts {
    /// Knows nothing yet.
    pub(crate) fn new(hosts: Arc<Hosts>, circuits: Arc<Circuits>, base_dir: PathBuf) -> Self {
        Self {
            hosts,
            circuits,
            base_dir,
            newest: 0,
        }
    }

    /// Asks for hosts that are new or changed, before looking for targets: a rollout and its hosts are submitted in one
    /// transaction. A host whose references this process cannot resolve is left to workers that can: nobody's tenants
    /// fail for a variable that one machine lacks.
    pub(crate) async fn learn(&mut self, store: &dyn Store) -> Result<(), StoreError> {
        for record in store.written_hosts(self.newest).await? {
            self.newest = self.newest.max(record.number);
            let name = record.name.clone();
            match self.config(record) {
                Ok(config) => self.hosts.learn(config),
                Err(why) => {
                    tracing::error!(host = %name, %why, "claiming nothing on this host, which came with a rollout");
                    self.circuits
                        .cannot_use(name, format!("cannot be used by this worker: {why}"));
                }
            }
        }
        Ok(())
    }

    fn config(&self, record: WrittenHostRecord) -> Result<HostConfig, String> {
        let config = HostConfig::written(record.name, &record.host, self.base_dir.clone())?;
        config.usable()?;
        Ok(config)
    }
}
