//! The room that is left on the hosts: sessions of every rollout and idle connections of every worker share a budget.

use std::collections::BTreeMap;

use sanderling_core::{HostName, Micros, WorkerId};

use crate::link::{Fault, Tx};
use crate::port::Budget;
use crate::rows::kept::Kept;
use crate::rows::seats::Taken;
use crate::rows::{hosts, kept, seats};

/// The room on one host, while claims are granted there.
#[derive(Clone, Debug, Default)]
struct Room {
    connections: u64,
    /// The most claims in flight: as many as connections, or more, which wait for one in their workers.
    most: u64,
    /// Claims in flight, those granted here included.
    in_flight: u64,
    /// Claims granted here.
    granted: u64,
    kept: Kept,
    /// Where more claims than connections may be in flight: who has how many of both.
    taken: Taken,
}

impl Room {
    /// Takes a place for one more claim. The worker's own idle connections do not stand in its way: it is told how
    /// many may stay, and closes the others first.
    fn take(&mut self) -> bool {
        let free = match self.queues() {
            false => self.in_flight + self.kept.others < self.connections,
            true => self.may_queue(),
        };
        if free {
            self.in_flight += 1;
            self.granted += 1;
            self.taken.own += 1;
        }
        free
    }

    fn queues(&self) -> bool {
        self.most > self.connections
    }

    /// A claim that waits needs a connection of its worker's to wait for.
    fn may_queue(&self) -> bool {
        let queue = self.most - self.connections;
        let waiting = queue.saturating_sub(self.taken.waiting());
        self.seats() > 0 && self.in_flight < self.most && self.taken.own < self.seats() + waiting
    }

    /// The connections that the worker may have here: what the others do not have. Never fewer than it uses by now, because
    /// each of them is granted no more than what this worker does not have.
    fn seats(&self) -> u64 {
        let others = self.taken.seats() + self.kept.others;
        self.connections.saturating_sub(others)
    }

    /// How many idle connections the worker may keep beside everybody's sessions. Where it has seats they bound both
    /// together.
    fn spare(&self) -> u64 {
        if self.queues() {
            return u64::MAX;
        }
        let taken = self.in_flight + self.kept.others;
        self.connections.saturating_sub(taken).min(self.kept.own)
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
        let queues = |(_, budget): &(&HostName, &Budget)| budget.in_flight > budget.connections;
        let queueing: Vec<_> = wanted.iter().filter(queues).map(|(host, _)| host).collect();
        let mut taken = seats::taken(tx, worker, &queueing).await?;
        let room = |(host, budget): (HostName, Budget)| {
            let room = Room {
                connections: budget.connections.into(),
                most: budget.in_flight.max(budget.connections).into(),
                in_flight: in_flight.get(&host).copied().unwrap_or_default(),
                granted: 0,
                kept: kept.get(&host).copied().unwrap_or_default(),
                taken: taken.remove(&host).unwrap_or_default(),
            };
            (host, room)
        };
        Ok(Self(wanted.into_iter().map(room).collect()))
    }

    /// Takes a place on a host; false where there is none.
    pub(super) fn take(&mut self, host: &HostName) -> bool {
        self.0.get_mut(host).is_some_and(Room::take)
    }

    /// Takes a claim over that another worker has in flight, or nobody any more: its place comes along, and a connection of
    /// that worker's.
    pub(super) fn take_over(&mut self, host: &HostName, owner: Option<&WorkerId>) {
        if let Some(room) = self.0.get_mut(host) {
            room.taken.take_over(owner);
        }
    }

    /// How many idle connections the worker may keep on a host.
    pub(super) fn spare(&self, host: &HostName) -> u32 {
        let spare = self.0.get(host).map_or(0, Room::spare);
        u32::try_from(spare).unwrap_or(u32::MAX)
    }

    /// How many connections the worker may have on a host, where claims may wait for one.
    pub(super) fn seats(&self, host: &HostName) -> Option<u32> {
        let room = self.0.get(host).filter(|room| room.queues())?;
        Some(u32::try_from(room.seats()).unwrap_or(u32::MAX))
    }

    /// Writes the places that were taken.
    pub(super) async fn save(&self, tx: &mut Tx<'_>, worker: &WorkerId) -> Result<(), Fault> {
        let granted = |(host, room): (&HostName, &Room)| {
            (
                host.clone(),
                i64::try_from(room.granted).unwrap_or(i64::MAX),
            )
        };
        hosts::add(tx, &self.0.iter().map(granted).collect()).await?;
        let queueing = self.0.iter().filter(|(_, room)| room.queues());
        let changed: Vec<_> = queueing
            .flat_map(|(host, room)| room.taken.changed(host, worker, room.seats()))
            .collect();
        seats::save(tx, &changed).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn room(in_flight: u64, own: u64, others: u64) -> Room {
        Room {
            connections: 8,
            most: 8,
            in_flight,
            granted: 0,
            kept: Kept { own, others },
            taken: Taken::default(),
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
