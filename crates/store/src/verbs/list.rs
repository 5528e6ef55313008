//! `targets`: targets as records, page by page.

use async_trait::async_trait;
use sanderling_core::{Direction, Epoch, Micros, RolloutId, TenantId, Version, WorkerId};

use crate::link::{Fault, Row, Tx, corrupt, values};
use crate::perform::{Mode, Verb};
use crate::port::{TargetFilter, TargetRecord, TargetRef};
use crate::rows::targets;

/// The columns of a record: `t` is a target, `r` its rollout.
pub(super) const RECORD: &str =
    "t.rollout, t.tenant, t.place, t.wave, t.outcome, t.epoch, t.owner, t.lease_until,
    t.applied, t.failure, r.target, r.direction";

/// How many they are: what is selected behind them begins here.
pub(super) const COLUMNS: usize = 12;

/// The arguments of `Store::targets`.
pub(crate) struct Targets {
    pub(crate) id: RolloutId,
    pub(crate) filter: TargetFilter,
    pub(crate) after: Option<TenantId>,
    pub(crate) limit: u32,
}

#[async_trait]
impl Verb for Targets {
    type Out = Vec<TargetRecord>;
    const NAME: &str = "targets";
    const MODE: Mode = Mode::Single;

    async fn run(&self, tx: &mut Tx<'_>) -> Result<Vec<TargetRecord>, Fault> {
        let sql = format!(
            "SELECT {RECORD} FROM targets AS t JOIN rollouts AS r ON r.fleet = $1 AND r.id = t.rollout
             WHERE t.fleet = $1 AND t.rollout = $2 AND t.tenant > $3
             AND ($4 = '' OR t.outcome = $4) AND ($5 = 0 OR t.in_flight = 1) ORDER BY t.tenant LIMIT $6"
        );
        let (outcome, in_flight) = match self.filter {
            TargetFilter::All => ("", 0_i64),
            TargetFilter::Outcome(outcome) => (outcome.as_str(), 0),
            TargetFilter::InFlight => ("", 1),
        };
        let after = self.after.as_ref().map_or("", TenantId::as_str);
        let limit = i64::from(self.limit);
        let args = values![&self.id, after, outcome, in_flight, limit];
        tx.rows(&sql, args).await?.iter().map(record).collect()
    }
}

/// A row of [`RECORD`].
pub(super) fn record(row: &Row) -> Result<TargetRecord, Fault> {
    let wave = row.int_or_none(3)?.map(usize::try_from).transpose();
    Ok(TargetRecord {
        target: TargetRef {
            rollout: RolloutId::new(row.text(0)?),
            tenant: TenantId::new(row.text(1)?),
        },
        place: row.json(2)?,
        wave: wave.map_err(|_| corrupt("a wave's index"))?,
        outcome: targets::outcome(row.text(4)?)?,
        version: Version::new(row.text(10)?),
        direction: direction(row.text(11)?)?,
        epoch: Epoch(row.int(5)?),
        owner: row.text_or_none(6)?.map(WorkerId::new),
        lease_until: row.int_or_none(7)?.map(Micros),
        applied: row.json(8)?,
        failure: targets::failure(row.text_or_none(9)?)?,
    })
}

fn direction(name: &str) -> Result<Direction, Fault> {
    Direction::parse(name).ok_or_else(|| corrupt(format!("unknown direction {name}")))
}
