//! `now`, `rollout`, `rollouts`.

use async_trait::async_trait;
use sanderling_core::{Micros, RolloutId};

use crate::link::{Fault, Row, Tx, values};
use crate::perform::{Mode, Verb};
use crate::port::RolloutRecord;

/// `Store::now`.
pub(crate) struct Now;

#[async_trait]
impl Verb for Now {
    type Out = Micros;
    const NAME: &str = "now";
    const MODE: Mode = Mode::Single;

    async fn run(&self, tx: &mut Tx<'_>) -> Result<Micros, Fault> {
        tx.now().await
    }
}

const COLUMNS: &str = "body, plan, actor, {now}";

/// The argument of `Store::rollout`.
pub(crate) struct GetRollout {
    pub(crate) id: RolloutId,
}

#[async_trait]
impl Verb for GetRollout {
    type Out = Option<RolloutRecord>;
    const NAME: &str = "rollout";
    const MODE: Mode = Mode::Single;

    async fn run(&self, tx: &mut Tx<'_>) -> Result<Option<RolloutRecord>, Fault> {
        let sql = format!("SELECT {COLUMNS} FROM rollouts WHERE fleet = $1 AND id = $2");
        let row = tx.row(&sql, values![&self.id]).await?;
        row.as_ref().map(record).transpose()
    }
}

/// The arguments of `Store::rollouts`.
pub(crate) struct Rollouts {
    pub(crate) active_only: bool,
    pub(crate) limit: u32,
}

#[async_trait]
impl Verb for Rollouts {
    type Out = Vec<RolloutRecord>;
    const NAME: &str = "rollouts";
    const MODE: Mode = Mode::Single;

    async fn run(&self, tx: &mut Tx<'_>) -> Result<Vec<RolloutRecord>, Fault> {
        let sql = format!(
            "SELECT {COLUMNS} FROM rollouts WHERE fleet = $1
             AND ($2 = 0 OR state IN ('running', 'paused', 'halted', 'waiting'))
             ORDER BY number DESC LIMIT $3"
        );
        let args = values![i64::from(self.active_only), i64::from(self.limit)];
        tx.rows(&sql, args).await?.iter().map(record).collect()
    }
}

fn record(row: &Row) -> Result<RolloutRecord, Fault> {
    Ok(RolloutRecord {
        rollout: row.json(0)?,
        plan: row.json(1)?,
        actor: row.text(2)?.to_owned(),
        now: Micros(row.int(3)?),
    })
}
