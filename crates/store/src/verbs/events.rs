//! `events`: the log of a rollout, in commit order.

use async_trait::async_trait;
use sanderling_core::{Event, Micros, RolloutId};

use crate::link::{Fault, Tx, values};
use crate::perform::{Mode, Verb};

/// The arguments of `Store::events`.
pub(crate) struct Events {
    pub(crate) id: RolloutId,
    pub(crate) after_seq: i64,
    pub(crate) limit: u32,
}

#[async_trait]
impl Verb for Events {
    type Out = Vec<Event>;
    const NAME: &str = "events";
    const MODE: Mode = Mode::Single;

    async fn run(&self, tx: &mut Tx<'_>) -> Result<Vec<Event>, Fault> {
        let sql = "SELECT seq, at, kind FROM events WHERE fleet = $1 AND rollout = $2 AND seq > $3
            ORDER BY seq LIMIT $4";
        let args = values![&self.id, self.after_seq, i64::from(self.limit)];
        let rows = tx.rows(sql, args).await?;
        rows.iter()
            .map(|row| {
                Ok(Event {
                    seq: row.int(0)?,
                    at: Micros(row.int(1)?),
                    kind: row.json(2)?,
                })
            })
            .collect()
    }
}
