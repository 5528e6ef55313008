//! Since when a standstill of a rollout is its own.

use std::collections::BTreeMap;

use sanderling_core::{Micros, RolloutId};
use sanderling_store::{RolloutRecord, WorkerRecord};

/// For each active rollout: since when this leader has watched it with nothing from outside in its way.
///
/// A rollout that nobody led (a laptop overnight), that waits for a host that is away (as long as it has patience), or
/// whose connections another rollout has, stands still and is not stalled. `decide` cannot see these, so the leader
/// tells it from when to count.
#[derive(Debug, Default)]
pub(crate) struct Watch(BTreeMap<RolloutId, Micros>);

impl Watch {
    /// Looks once, each turn. Where the workers were not seen, nobody knows whether a host is in the way.
    pub(crate) fn look(&mut self, records: &[RolloutRecord], workers: Option<&[WorkerRecord]>) {
        let away = || {
            workers
                .iter()
                .copied()
                .flatten()
                .flat_map(|worker| &worker.away)
        };
        let flies = |record: &RolloutRecord| !record.rollout.in_flight.is_empty();
        let flying = records.iter().filter(|record| flies(record)).count();
        self.0 = records
            .iter()
            .map(|record| {
                let id = &record.rollout.id;
                let behind_others = !flies(record) && flying > 0;
                let since = self.0.get(id).copied();
                let patience = record.rollout.policy.host_patience_ms;
                let waits = workers.is_none()
                    || away().any(|host| host.since.plus_millis(patience) > record.now);
                let since = since.filter(|_| !waits && !behind_others);
                (id.clone(), since.unwrap_or(record.now))
            })
            .collect();
    }

    /// Since when; from now on where it was not looked at.
    pub(crate) fn since(&self, id: &RolloutId) -> Micros {
        self.0.get(id).copied().unwrap_or(Micros(i64::MAX))
    }
}
