//! Connections that workers keep idle: each takes a place in its host's budget until its worker says that it let go.
//!
//! Both columns only grow, so that a message that comes twice or late does no harm: `kept` by reports, `let_go` by what
//! the worker says. What a worker keeps is never more than their difference.

use std::collections::BTreeMap;

use sanderling_core::{HostName, Micros, WorkerId};

use crate::link::{Fault, Tx, each, values};
use crate::port::Budget;

/// Notes what a worker has let go of. It only ever makes room, so the hosts' rows need no lock.
pub(crate) async fn let_go(
    tx: &mut Tx<'_>,
    worker: &WorkerId,
    hosts: &BTreeMap<HostName, u64>,
) -> Result<(), Fault> {
    let told: Vec<_> = hosts.iter().filter(|(_, n)| **n > 0).collect();
    if told.is_empty() {
        return Ok(());
    }
    let sql = "UPDATE kept SET let_go = CAST(v ->> 1 AS bigint) FROM {each}
        WHERE kept.fleet = f AND kept.host = v ->> 0 AND kept.worker = $3 AND let_go < CAST(v ->> 1 AS bigint)";
    let mut args = vec![each(&told)?];
    args.extend(values![worker]);
    tx.exec(sql, args).await?;
    Ok(())
}

/// Notes what a worker has let go of, and gives what it and the other live workers keep on these hosts; the hosts'
/// rows are locked. A worker whose heartbeat ran out is gone, and its connections with it.
pub(crate) async fn on_hosts(
    tx: &mut Tx<'_>,
    worker: &WorkerId,
    hosts: &BTreeMap<HostName, Budget>,
    now: Micros,
) -> Result<BTreeMap<HostName, Kept>, Fault> {
    let told = hosts.iter().map(|(host, b)| (host.clone(), b.let_go));
    let_go(tx, worker, &told.collect()).await?;
    let names: Vec<_> = hosts.keys().map(|host| [host]).collect();
    let sql = "SELECT kept.host, kept.worker, kept - let_go FROM {each} JOIN kept
        ON kept.fleet = f AND kept.host = v ->> 0 AND kept > let_go
        WHERE kept.worker = $3 OR EXISTS (SELECT 1 FROM workers
            WHERE workers.fleet = f AND workers.worker = kept.worker AND workers.lease_until > $4)";
    let mut args = vec![each(&names)?];
    args.extend(values![worker, now]);
    let mut found: BTreeMap<HostName, Kept> = BTreeMap::new();
    for row in &tx.rows(sql, args).await? {
        let kept = found.entry(HostName::new(row.text(0)?)).or_default();
        let n = row.count(2)?;
        if row.text(1)? == worker.as_str() {
            kept.own += n;
        } else {
            kept.others += n;
        }
    }
    Ok(found)
}

/// Idle connections on one host.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Kept {
    /// Of the worker that asks.
    pub(crate) own: u64,
    /// Of all other live workers.
    pub(crate) others: u64,
}

/// Adds what workers kept at the ends of their claims; the hosts' rows are locked.
pub(crate) async fn add(
    tx: &mut Tx<'_>,
    by: &BTreeMap<(HostName, WorkerId), u64>,
) -> Result<(), Fault> {
    if by.is_empty() {
        return Ok(());
    }
    let rows: Vec<_> = by
        .iter()
        .map(|((host, worker), n)| (host, worker, n))
        .collect();
    let sql = "INSERT INTO kept (fleet, host, worker, kept, let_go)
        SELECT f, v ->> 0, v ->> 1, CAST(v ->> 2 AS bigint), 0 FROM {each} WHERE f <> ''
        ON CONFLICT (fleet, host, worker) DO UPDATE SET kept = kept.kept + excluded.kept";
    tx.exec(sql, vec![each(&rows)?]).await?;
    Ok(())
}
