//! Connections of workers that hold more claims on a host than connections to it: so many claims of a worker as it was
//! granted connections count as having one, the others wait.

use std::collections::BTreeMap;

use sanderling_core::{HostName, WorkerId};

use crate::link::{Fault, Tx, each, values};

/// What is taken on one host, apart from idle connections.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Taken {
    /// Claims in flight of the worker that asks.
    pub(crate) own: u64,
    /// The connections that it was granted last; absent before.
    granted: Option<u64>,
    /// Claims in flight that nobody holds any more: each has its connection's place.
    loose: u64,
    others: BTreeMap<WorkerId, Other>,
}

/// Another worker's part.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Other {
    in_flight: u64,
    /// Absent where each of its claims brings a connection.
    granted: Option<u64>,
    changed: bool,
}

impl Other {
    fn seats(&self) -> u64 {
        self.granted.unwrap_or(u64::MAX).min(self.in_flight)
    }
}

impl Taken {
    /// Connections that others may have in use.
    pub(crate) fn seats(&self) -> u64 {
        self.loose + self.others.values().map(Other::seats).sum::<u64>()
    }

    /// Claims of others that wait for a connection of their workers.
    pub(crate) fn waiting(&self) -> u64 {
        let waiting = |other: &Other| other.in_flight - other.seats();
        self.others.values().map(waiting).sum()
    }

    /// A claim changes hands, and with it a connection of its old worker, as long as that had any.
    pub(crate) fn take_over(&mut self, owner: Option<&WorkerId>) {
        match owner {
            None => self.loose = self.loose.saturating_sub(1),
            Some(owner) => {
                // Where it is not there it is the asking worker's own.
                let Some(other) = self.others.get_mut(owner) else {
                    return;
                };
                other.in_flight = other.in_flight.saturating_sub(1);
                if let Some(granted) = &mut other.granted {
                    *granted = granted.saturating_sub(1);
                    other.changed = true;
                }
            }
        }
        self.own += 1;
    }

    /// What is to be written once claims were granted: host, worker and connections.
    pub(crate) fn changed<'r>(
        &'r self,
        host: &'r HostName,
        worker: &'r WorkerId,
        own: u64,
    ) -> Vec<(&'r HostName, &'r WorkerId, u64)> {
        let others = self.others.iter().filter(|(_, other)| other.changed);
        let mut rows: Vec<_> = others
            .map(|(name, other)| (host, name, other.granted.unwrap_or_default()))
            .collect();
        if self.granted != Some(own) {
            rows.push((host, worker, own));
        }
        rows
    }
}

/// Claims in flight on these hosts by worker; the hosts' rows are locked. An end that is not committed yet still counts.
pub(crate) async fn taken(
    tx: &mut Tx<'_>,
    worker: &WorkerId,
    hosts: &[&HostName],
) -> Result<BTreeMap<HostName, Taken>, Fault> {
    let mut found: BTreeMap<HostName, Taken> = BTreeMap::new();
    if hosts.is_empty() {
        return Ok(found);
    }
    let names: Vec<_> = hosts.iter().map(|host| [host]).collect();
    let sql = "SELECT host, owner, COUNT(*), (SELECT seats FROM kept
            WHERE kept.fleet = $1 AND kept.host = targets.host AND kept.worker = targets.owner)
        FROM targets WHERE fleet = $1 AND in_flight = 1 AND host IN (SELECT v ->> 0 FROM {each})
        GROUP BY host, owner";
    for row in &tx.rows(sql, vec![each(&names)?]).await? {
        let taken = found.entry(HostName::new(row.text(0)?)).or_default();
        let in_flight = row.count(2)?;
        match row.text_or_none(1)? {
            None => taken.loose = in_flight,
            Some(owner) if owner == worker.as_str() => taken.own = in_flight,
            Some(owner) => {
                let other = Other {
                    in_flight,
                    granted: granted(row.int_or_none(3)?),
                    changed: false,
                };
                taken.others.insert(WorkerId::new(owner), other);
            }
        }
    }
    let sql = "SELECT kept.host, seats FROM {each} JOIN kept
        ON kept.fleet = f AND kept.host = v ->> 0 AND kept.worker = $3";
    let mut args = vec![each(&names)?];
    args.extend(values![worker]);
    for row in &tx.rows(sql, args).await? {
        let taken = found.entry(HostName::new(row.text(0)?)).or_default();
        taken.granted = granted(row.int_or_none(1)?);
    }
    Ok(found)
}

fn granted(seats: Option<i64>) -> Option<u64> {
    seats.and_then(|seats| u64::try_from(seats).ok())
}

/// Writes the connections that workers may have from here on.
pub(crate) async fn save(
    tx: &mut Tx<'_>,
    rows: &[(&HostName, &WorkerId, u64)],
) -> Result<(), Fault> {
    if rows.is_empty() {
        return Ok(());
    }
    let sql = "INSERT INTO kept (fleet, host, worker, kept, let_go, seats)
        SELECT f, v ->> 0, v ->> 1, 0, 0, CAST(v ->> 2 AS bigint) FROM {each} WHERE f <> ''
        ON CONFLICT (fleet, host, worker) DO UPDATE SET seats = excluded.seats";
    tx.exec(sql, vec![each(rows)?]).await?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn busy(in_flight: u64, granted: Option<u64>) -> Taken {
        let other = Other {
            in_flight,
            granted,
            changed: false,
        };
        Taken {
            others: [(WorkerId::new("w2"), other)].into(),
            ..Taken::default()
        }
    }

    #[test]
    fn a_claim_above_what_its_worker_was_granted_waits() {
        let taken = busy(20, Some(8));
        assert_eq!((taken.seats(), taken.waiting()), (8, 12));
        let taken = busy(3, Some(8));
        assert_eq!((taken.seats(), taken.waiting()), (3, 0));
        let taken = busy(5, None);
        assert_eq!((taken.seats(), taken.waiting()), (5, 0));
    }

    #[test]
    fn a_claim_that_changes_hands_brings_its_connection() {
        let mut taken = busy(20, Some(8));
        for _ in 0..3 {
            taken.take_over(Some(&WorkerId::new("w2")));
        }
        assert_eq!((taken.own, taken.seats()), (3, 5));
        let (host, me) = (HostName::new("h"), WorkerId::new("w1"));
        let written = taken.changed(&host, &me, 3);
        let seats: Vec<_> = written
            .iter()
            .map(|(_, name, n)| (name.as_str(), *n))
            .collect();
        assert_eq!(seats, [("w2", 5), ("w1", 3)]);
    }
}
