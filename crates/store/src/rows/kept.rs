//! Connections that workers keep idle: each takes a place in its host's budget until its worker says that it let go.
//!
//! Both columns hold what the worker counted since it began, and only grow, so that what comes twice, late, or not at all
//! does no harm.

use std::collections::BTreeMap;

use sanderling_core::{HostName, Micros, WorkerId};

use crate::link::{Fault, Tx, each, values};
use crate::port::{Budget, Idle};

/// Notes what a worker says that it has kept and let go of.
pub(crate) async fn told(
    tx: &mut Tx<'_>,
    worker: &WorkerId,
    hosts: &BTreeMap<HostName, Idle>,
) -> Result<(), Fault> {
    let told: Vec<_> = hosts
        .iter()
        .filter(|(_, idle)| idle.kept > 0)
        .map(|(host, idle)| (host, worker, idle.kept, idle.let_go))
        .collect();
    write(tx, &told).await
}

/// Rows in the order of hosts, which is the order of every verb's locks.
async fn write(tx: &mut Tx<'_>, rows: &[(&HostName, &WorkerId, u64, u64)]) -> Result<(), Fault> {
    if rows.is_empty() {
        return Ok(());
    }
    let sql = "INSERT INTO kept (fleet, host, worker, kept, let_go)
        SELECT f, v ->> 0, v ->> 1, CAST(v ->> 2 AS bigint), CAST(v ->> 3 AS bigint) FROM {each} WHERE f <> ''
        ON CONFLICT (fleet, host, worker) DO UPDATE SET
        kept = CASE WHEN excluded.kept > kept.kept THEN excluded.kept ELSE kept.kept END,
        let_go = CASE WHEN excluded.let_go > kept.let_go THEN excluded.let_go ELSE kept.let_go END";
    tx.exec(sql, vec![each(rows)?]).await?;
    Ok(())
}

/// Notes what a worker says of itself, and gives what it and the other live workers keep on these hosts; the hosts'
/// rows are locked. A worker whose heartbeat ran out is gone, and its connections with it.
pub(crate) async fn on_hosts(
    tx: &mut Tx<'_>,
    worker: &WorkerId,
    hosts: &BTreeMap<HostName, Budget>,
    now: Micros,
) -> Result<BTreeMap<HostName, Kept>, Fault> {
    let said = hosts.iter().map(|(host, b)| (host.clone(), b.idle));
    told(tx, worker, &said.collect()).await?;
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

/// Notes how many connections workers had kept by the ends of their claims; the hosts' rows are locked.
pub(crate) async fn by_then(
    tx: &mut Tx<'_>,
    kept: &BTreeMap<(HostName, WorkerId), u64>,
) -> Result<(), Fault> {
    let rows: Vec<_> = kept
        .iter()
        .map(|((host, worker), n)| (host, worker, *n, 0))
        .collect();
    write(tx, &rows).await
}
