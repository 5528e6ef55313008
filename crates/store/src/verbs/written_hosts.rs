//! `written_hosts`: hosts that stand in no configuration. They come with a submission and go to every worker.

use std::collections::BTreeMap;

use async_trait::async_trait;
use sanderling_core::{HostName, WrittenHost};

use crate::link::{Fault, Tx, corrupt, values};
use crate::perform::{Mode, Verb};
use crate::port::WrittenHostRecord;

/// The arguments of `Store::written_hosts`.
pub(crate) struct Since {
    pub(crate) after: i64,
}

#[async_trait]
impl Verb for Since {
    type Out = Vec<WrittenHostRecord>;
    const NAME: &str = "written_hosts";
    const MODE: Mode = Mode::Single;

    async fn run(&self, tx: &mut Tx<'_>) -> Result<Vec<WrittenHostRecord>, Fault> {
        let sql = "SELECT number, host, body FROM written_hosts WHERE fleet = $1 AND number > $2 ORDER BY number";
        let rows = tx.rows(sql, values![self.after]).await?;
        rows.iter()
            .map(|row| {
                Ok(WrittenHostRecord {
                    number: row.int(0)?,
                    name: HostName::new(row.text(1)?),
                    host: row.json(2)?,
                })
            })
            .collect()
    }
}

/// Keeps what a submission brings along. The fleet's row is locked, so that numbers follow one another; what is as it was
/// keeps its number, and workers need not look at it again.
pub(super) async fn keep(
    tx: &mut Tx<'_>,
    hosts: &BTreeMap<HostName, WrittenHost>,
) -> Result<(), Fault> {
    if hosts.is_empty() {
        return Ok(());
    }
    let sql = "SELECT host, body, number FROM written_hosts WHERE fleet = $1";
    let rows = tx.rows(sql, Vec::new()).await?;
    let mut known = BTreeMap::new();
    let mut number = 0;
    for row in &rows {
        let host: WrittenHost = row.json(1)?;
        number = number.max(row.int(2)?);
        known.insert(HostName::new(row.text(0)?), host);
    }
    for (name, host) in hosts {
        if known.get(name) == Some(host) {
            continue;
        }
        number = i64::checked_add(number, 1).ok_or_else(|| corrupt("numbers of hosts ran out"))?;
        let sql = "INSERT INTO written_hosts (fleet, host, number, body) VALUES ($1, $2, $3, $4)
            ON CONFLICT (fleet, host) DO UPDATE SET number = excluded.number, body = excluded.body";
        tx.exec(sql, values![name, number, serde_json::to_string(host)?])
            .await?;
    }
    Ok(())
}
