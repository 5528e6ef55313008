//! `beat` and `workers`: who lives, and which hosts it serves. Nothing durable depends on it.

use std::collections::BTreeMap;
use std::time::Duration;

use async_trait::async_trait;
use sanderling_core::{HostName, Micros, Serves, WorkerId};

use super::start::until;
use crate::link::{Fault, Tx, corrupt, values};
use crate::perform::{Mode, Verb};
use crate::port::{Away, ClaimCutOff, HostAway, Idle, TargetRef, WorkerRecord};
use crate::rows::kept;

/// How long a note that has expired is kept, in microseconds: one day.
const KEPT: i64 = 86_400_000_000;

/// The arguments of `Store::beat`.
pub(crate) struct Beat {
    pub(crate) worker: WorkerId,
    pub(crate) hosts: BTreeMap<HostName, Idle>,
    pub(crate) serves: Serves,
    pub(crate) lease: Duration,
}

#[async_trait]
impl Verb for Beat {
    type Out = ();
    const NAME: &str = "beat";
    const MODE: Mode = Mode::Write;

    async fn run(&self, tx: &mut Tx<'_>) -> Result<(), Fault> {
        let now = tx.now().await?;
        let hosts = serde_json::to_string(&self.hosts.keys().collect::<Vec<_>>())?;
        let sql = "INSERT INTO workers (fleet, worker, hosts, lease_until, serves) VALUES ($1, $2, $3, $4, $5)
            ON CONFLICT (fleet, worker) DO UPDATE SET hosts = excluded.hosts, lease_until = excluded.lease_until,
                serves = excluded.serves";
        let args = values![
            &self.worker,
            hosts,
            until(now, self.lease),
            self.serves.to_string()
        ];
        tx.exec(sql, args).await?;
        kept::told(tx, &self.worker, &self.hosts).await?;
        let sql = "DELETE FROM workers WHERE fleet = $1 AND lease_until < $2";
        tx.exec(sql, values![now.0.saturating_sub(KEPT)]).await?;
        let sql = "DELETE FROM kept WHERE fleet = $1 AND NOT EXISTS (SELECT 1 FROM workers
            WHERE workers.fleet = kept.fleet AND workers.worker = kept.worker)";
        tx.exec(sql, Vec::new()).await?;
        Ok(())
    }
}

/// The arguments of `Store::away`.
pub(crate) struct NoteAway {
    pub(crate) worker: WorkerId,
    pub(crate) hosts: Vec<Away>,
}

#[async_trait]
impl Verb for NoteAway {
    type Out = ();
    const NAME: &str = "away";
    const MODE: Mode = Mode::Write;

    async fn run(&self, tx: &mut Tx<'_>) -> Result<(), Fault> {
        let now = tx.now().await?;
        let ago = |age: Duration| Micros(2 * now.0 - until(now, age).0);
        let cut_off = |(target, granted, age): &(TargetRef, Micros, Duration)| ClaimCutOff {
            rollout: target.rollout.clone(),
            tenant: target.tenant.clone(),
            granted: *granted,
            since: ago(*age),
        };
        let away: Vec<_> = self
            .hosts
            .iter()
            .map(|away| HostAway {
                host: away.host.clone(),
                since: ago(away.age),
                reason: away.reason.clone(),
                cut_off: away.cut_off.iter().map(cut_off).collect(),
            })
            .collect();
        let sql = "UPDATE workers SET away = $3 WHERE fleet = $1 AND worker = $2";
        tx.exec(sql, values![&self.worker, serde_json::to_string(&away)?])
            .await?;
        Ok(())
    }
}

/// `Store::workers`.
pub(crate) struct Workers;

#[async_trait]
impl Verb for Workers {
    type Out = Vec<WorkerRecord>;
    const NAME: &str = "workers";
    const MODE: Mode = Mode::Single;

    async fn run(&self, tx: &mut Tx<'_>) -> Result<Vec<WorkerRecord>, Fault> {
        let sql = "SELECT worker, hosts, lease_until, away, serves FROM workers
            WHERE fleet = $1 AND lease_until > {now} ORDER BY worker";
        let rows = tx.rows(sql, Vec::new()).await?;
        rows.iter()
            .map(|row| {
                Ok(WorkerRecord {
                    worker: WorkerId::new(row.text(0)?),
                    hosts: row.json(1)?,
                    until: Micros(row.int(2)?),
                    away: row.json(3)?,
                    serves: serves(row.text(4)?)?,
                })
            })
            .collect()
    }
}

fn serves(text: &str) -> Result<Serves, Fault> {
    if text.is_empty() {
        return Ok(Serves::everyone());
    }
    Serves::parse(text).map_err(|error| corrupt(format!("what a worker serves: {error}")))
}
