//! How many claims each host has in flight, over all rollouts: a budget that no single rollout can count.

use std::collections::BTreeMap;

use sanderling_core::HostName;

use crate::link::{Fault, Tx, corrupt, each};

/// Locks host rows in order of name and reads their claims in flight. `submit` made the rows.
pub(crate) async fn lock(
    tx: &mut Tx<'_>,
    hosts: &BTreeMap<HostName, i64>,
) -> Result<BTreeMap<HostName, u64>, Fault> {
    let keys: Vec<_> = hosts.keys().map(|host| [host]).collect();
    let sql = "SELECT host, in_flight FROM hosts
        WHERE fleet = $1 AND host IN (SELECT v ->> 0 FROM {each}) ORDER BY host {lock}";
    let rows = tx.rows(sql, vec![each(&keys)?]).await?;
    rows.iter()
        .map(|row| Ok((HostName::new(row.text(0)?), row.count(1)?)))
        .collect()
}

/// Adds to the claims in flight of hosts whose rows are locked.
pub(crate) async fn add(tx: &mut Tx<'_>, by: &BTreeMap<HostName, i64>) -> Result<(), Fault> {
    let changes: Vec<_> = by.iter().filter(|(_, n)| **n != 0).collect();
    if changes.is_empty() {
        return Ok(());
    }
    let sql = "UPDATE hosts SET in_flight = in_flight + CAST(v ->> 1 AS bigint)
        FROM {each} WHERE hosts.fleet = f AND hosts.host = v ->> 0";
    let changed = tx.exec(sql, vec![each(&changes)?]).await?;
    if changed != changes.len() as u64 {
        return Err(corrupt("a host of a target in flight has no row"));
    }
    Ok(())
}
