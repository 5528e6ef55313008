//! `renew` and `may_continue`: is a claim still the worker's, does its rollout still run, and has a person cancelled it.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use async_trait::async_trait;
use sanderling_core::{Epoch, RolloutId, RolloutState, TenantId, WorkerId};

use super::start::until;
use crate::link::{Fault, Tx, each, values};
use crate::perform::{Mode, Verb};
use crate::port::{Held, RenewedClaim, TargetRef};
use crate::rows::{rollouts, targets};

/// The arguments of `Store::renew`.
pub(crate) struct Renew {
    pub(crate) worker: WorkerId,
    pub(crate) held: Vec<Held>,
    pub(crate) lease: Duration,
}

#[async_trait]
impl Verb for Renew {
    type Out = Vec<RenewedClaim>;
    const NAME: &str = "renew";
    const MODE: Mode = Mode::Write;

    async fn run(&self, tx: &mut Tx<'_>) -> Result<Vec<RenewedClaim>, Fault> {
        let keys: BTreeSet<_> = self.held.iter().map(|held| &held.target).collect();
        let current = self.current(tx, &keys).await?;
        let answers: Vec<_> = self
            .held
            .iter()
            .map(|held| match current.get(&held.target) {
                Some((epoch, state, cancels)) if *epoch == held.epoch => alive(*state, *cancels),
                _ => RenewedClaim::Stale,
            })
            .collect();
        let kept: BTreeSet<_> = self
            .held
            .iter()
            .zip(&answers)
            .filter(|(_, answer)| **answer != RenewedClaim::Stale)
            .map(|(held, _)| &held.target)
            .collect();
        if !kept.is_empty() {
            let now = tx.now().await?;
            let sql = "UPDATE targets SET lease_until = $3 FROM {each}
                WHERE targets.fleet = f AND targets.rollout = v ->> 0 AND targets.tenant = v ->> 1";
            let mut args = vec![each(&targets::pairs(&kept))?];
            args.extend(values![until(now, self.lease)]);
            tx.exec(sql, args).await?;
        }
        Ok(answers)
    }
}

impl Renew {
    /// The epochs of targets that are this worker's, locked in order, and the states of their rollouts.
    async fn current(
        &self,
        tx: &mut Tx<'_>,
        keys: &BTreeSet<&TargetRef>,
    ) -> Result<BTreeMap<TargetRef, (Epoch, RolloutState, bool)>, Fault> {
        let sql =
            "SELECT targets.rollout, targets.tenant, targets.epoch, rollouts.state, targets.cancels
            FROM {each} JOIN targets
            ON targets.fleet = f AND targets.rollout = v ->> 0 AND targets.tenant = v ->> 1
            JOIN rollouts ON rollouts.fleet = $1 AND rollouts.id = targets.rollout
            WHERE targets.in_flight = 1 AND targets.owner = $3
            ORDER BY targets.rollout, targets.tenant {lock_targets}";
        let mut args = vec![each(&targets::pairs(keys))?];
        args.extend(values![&self.worker]);
        let rows = tx.rows(sql, args).await?;
        rows.iter()
            .map(|row| {
                let key = TargetRef {
                    rollout: RolloutId::new(row.text(0)?),
                    tenant: TenantId::new(row.text(1)?),
                };
                let epoch = Epoch(row.int(2)?);
                Ok((key, (epoch, rollouts::state(row, 3)?, row.flag(4)?)))
            })
            .collect()
    }
}

fn alive(state: RolloutState, cancels: bool) -> RenewedClaim {
    if cancels {
        RenewedClaim::Cancel
    } else if state == RolloutState::Running {
        RenewedClaim::Live
    } else {
        RenewedClaim::Stop
    }
}

/// The argument of `Store::may_continue`.
pub(crate) struct MayContinue {
    pub(crate) held: Held,
}

#[async_trait]
impl Verb for MayContinue {
    type Out = RenewedClaim;
    const NAME: &str = "may_continue";
    const MODE: Mode = Mode::Single;

    async fn run(&self, tx: &mut Tx<'_>) -> Result<RenewedClaim, Fault> {
        let sql = "SELECT rollouts.state, targets.cancels FROM targets
            JOIN rollouts ON rollouts.fleet = $1 AND rollouts.id = targets.rollout
            WHERE targets.fleet = $1 AND targets.rollout = $2 AND targets.tenant = $3 AND targets.epoch = $4
            AND targets.in_flight = 1";
        let Held { target, epoch } = &self.held;
        let row = tx
            .row(sql, values![&target.rollout, &target.tenant, *epoch])
            .await?;
        match row {
            Some(row) => Ok(alive(rollouts::state(&row, 0)?, row.flag(1)?)),
            None => Ok(RenewedClaim::Stale),
        }
    }
}
