//! `newest_targets`: what became of tenants last.

use std::collections::BTreeSet;

use async_trait::async_trait;
use sanderling_core::{RolloutState, TenantId};

use super::list::{COLUMNS, RECORD, record};
use crate::link::{Fault, Tx, corrupt, each};
use crate::perform::{Mode, Verb};
use crate::port::NewestTarget;
use crate::rows::holds;

/// The argument of `Store::newest_targets`.
pub(crate) struct Newest {
    pub(crate) tenants: Vec<TenantId>,
}

#[async_trait]
impl Verb for Newest {
    type Out = Vec<NewestTarget>;
    const NAME: &str = "newest_targets";
    const MODE: Mode = Mode::Single;

    async fn run(&self, tx: &mut Tx<'_>) -> Result<Vec<NewestTarget>, Fault> {
        let sql = format!(
            "SELECT {RECORD}, r.state, t.in_flight FROM (
                SELECT targets.tenant, MAX(targets.number) AS number FROM {{each}} JOIN targets
                ON targets.fleet = f AND targets.tenant = v ->> 0 GROUP BY targets.tenant
             ) AS newest
             JOIN rollouts AS r ON r.fleet = $1 AND r.number = newest.number
             JOIN targets AS t ON t.fleet = $1 AND t.rollout = r.id AND t.tenant = newest.tenant
             ORDER BY t.tenant"
        );
        let names: BTreeSet<&TenantId> = self.tenants.iter().collect();
        let rows = tx.rows(&sql, vec![each(&holds::keys(&names))?]).await?;
        rows.iter()
            .map(|row| {
                let state = RolloutState::parse(row.text(COLUMNS)?);
                Ok(NewestTarget {
                    record: record(row)?,
                    state: state.ok_or_else(|| corrupt("a rollout's state"))?,
                    in_flight: row.int(COLUMNS + 1)? == 1,
                })
            })
            .collect()
    }
}
