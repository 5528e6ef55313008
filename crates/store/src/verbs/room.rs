//! The room that is left on the hosts: sessions of every rollout and idle connections of every worker share a budget.

use std::collections::BTreeMap;

use sanderling_core::{HostName, Micros, WorkerId};

use crate::link::{Fault, Tx};
use crate::port::Budget;
use crate::rows::kept::Kept;
use crate::rows::{hosts, kept};

/// The room on one host, while claims are granted there.
#[derive(Clone, Copy, Debug, Default)]
struct Room {
    budget: u64,
    /// Claims in flight, those granted here included.
    in_flight: u64,
    /// Claims granted here.
    granted: u64,
    kept: Kept,
}

impl Room {
    /// Takes a place for one more session. The worker's own idle connections do not stand in its way: it is told how
    /// many may stay, and closes the others first.
    fn take(&mut self) -> bool {
        if self.in_flight + self.kept.others >= self.budget {
            return false;
        }
        self.in_flight += 1;
        self.granted += 1;
        true
    }

    /// How many idle connections the worker may keep beside everybody's sessions.
    fn spare(&self) -> u64 {
        let taken = self.in_flight + self.kept.others;
        self.budget.saturating_sub(taken).min(self.kept.own)
    }
}

/// The room on all hosts of a call, their rows locked.
pub(super) struct Rooms(BTreeMap<HostName, Room>);

impl Rooms {
    /// Locks the hosts and reads what is taken there. A host without a budget has no room.
    pub(super) async fn lock(
        tx: &mut Tx<'_>,
        worker: &WorkerId,
        budgets: &BTreeMap<HostName, Budget>,
        of: impl Iterator<Item = &HostName>,
        now: Micros,
    ) -> Result<Self, Fault> {
        let wanted: BTreeMap<HostName, Budget> = of
            .map(|host| (host.clone(), budgets.get(host).copied().unwrap_or_default()))
            .collect();
        let names = wanted.keys().map(|host| (host.clone(), 0)).collect();
        let in_flight = hosts::lock(tx, &names).await?;
        let kept = kept::on_hosts(tx, worker, &wanted, now).await?;
        let room = |(host, budget): (HostName, Budget)| {
            let room = Room {
                budget: budget.connections.into(),
                in_flight: in_flight.get(&host).copied().unwrap_or_default(),
                granted: 0,
                kept: kept.get(&host).copied().unwrap_or_default(),
            };
            (host, room)
        };
        Ok(Self(wanted.into_iter().map(room).collect()))
    }

    /// Takes a place on a host; false where there is none.
    pub(super) fn take(&mut self, host: &HostName) -> bool {
        self.0.get_mut(host).is_some_and(Room::take)
    }

    /// How many idle connections the worker may keep on a host.
    pub(super) fn spare(&self, host: &HostName) -> u32 {
        let spare = self.0.get(host).map_or(0, Room::spare);
        u32::try_from(spare).unwrap_or(u32::MAX)
    }

    /// Writes the places that were taken.
    pub(super) async fn save(&self, tx: &mut Tx<'_>) -> Result<(), Fault> {
        let granted = |(host, room): (&HostName, &Room)| {
            (
                host.clone(),
                i64::try_from(room.granted).unwrap_or(i64::MAX),
            )
        };
        hosts::add(tx, &self.0.iter().map(granted).collect()).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn room(in_flight: u64, own: u64, others: u64) -> Room {
        Room {
            budget: 8,
            in_flight,
            granted: 0,
            kept: Kept { own, others },
        }
    }

    #[test]
    fn what_others_keep_idle_is_taken() {
        assert!(!room(5, 0, 3).take());
        assert!(room(5, 0, 2).take());
    }

    #[test]
    fn what_a_worker_keeps_itself_makes_way() {
        let mut room = room(4, 3, 1);
        assert_eq!(room.spare(), 3);
        for spare in [2, 1, 0] {
            assert!(room.take());
            assert_eq!(room.spare(), spare);
        }
        assert!(!room.take(), "seven sessions and one that another keeps");
    }
}
