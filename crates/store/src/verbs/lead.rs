//! `lead` and `resign`: one leader per fleet, by a lease whose epoch every action carries.

use std::time::Duration;

use async_trait::async_trait;
use sanderling_core::{Micros, WorkerId};

use super::start::until;
use crate::link::{Fault, Tx, values};
use crate::perform::{Mode, Verb};
use crate::port::{Leadership, StoreError};

/// The arguments of `Store::lead`.
pub(crate) struct Lead {
    pub(crate) holder: WorkerId,
    pub(crate) lease: Duration,
}

#[async_trait]
impl Verb for Lead {
    type Out = Option<Leadership>;
    const NAME: &str = "lead";
    const MODE: Mode = Mode::Write;

    async fn run(&self, tx: &mut Tx<'_>) -> Result<Option<Leadership>, Fault> {
        let insert = "INSERT INTO leaders (fleet, holder, epoch, lease_until) VALUES ($1, '', 0, 0)
            ON CONFLICT DO NOTHING";
        tx.exec(insert, Vec::new()).await?;
        let Some(leader) = current(tx).await? else {
            return Ok(None);
        };
        let now = tx.now().await?;
        let ours = leader.holder == self.holder;
        if !ours && leader.until > now {
            return Ok(None);
        }
        let leadership = Leadership {
            holder: self.holder.clone(),
            epoch: if ours { leader.epoch } else { leader.epoch + 1 },
            until: until(now, self.lease),
        };
        let sql = "UPDATE leaders SET holder = $2, epoch = $3, lease_until = $4 WHERE fleet = $1";
        let args = values![&self.holder, leadership.epoch, leadership.until];
        tx.exec(sql, args).await?;
        Ok(Some(leadership))
    }
}

/// The argument of `Store::resign`.
pub(crate) struct Resign {
    pub(crate) leadership: Leadership,
}

#[async_trait]
impl Verb for Resign {
    type Out = ();
    const NAME: &str = "resign";
    const MODE: Mode = Mode::Write;

    /// The row stays, because its epoch must never be given out again.
    async fn run(&self, tx: &mut Tx<'_>) -> Result<(), Fault> {
        let sql = "UPDATE leaders SET holder = '', lease_until = 0
            WHERE fleet = $1 AND holder = $2 AND epoch = $3";
        let args = values![&self.leadership.holder, self.leadership.epoch];
        tx.exec(sql, args).await?;
        Ok(())
    }
}

async fn current(tx: &mut Tx<'_>) -> Result<Option<Leadership>, Fault> {
    let sql = "SELECT holder, epoch, lease_until FROM leaders WHERE fleet = $1 {lock}";
    let row = tx.row(sql, Vec::new()).await?;
    row.map(|row| {
        Ok(Leadership {
            holder: WorkerId::new(row.text(0)?),
            epoch: row.int(1)?,
            until: Micros(row.int(2)?),
        })
    })
    .transpose()
}

/// Locks the leader's row and refuses who does not lead any more.
pub(super) async fn require(tx: &mut Tx<'_>, claimed: &Leadership) -> Result<(), Fault> {
    let leader = current(tx).await?;
    let now = tx.now().await?;
    let leads = leader
        .is_some_and(|l| l.holder == claimed.holder && l.epoch == claimed.epoch && l.until > now);
    if leads {
        return Ok(());
    }
    Err(StoreError::Stale(format!(
        "{} does not lead fleet {} any more (epoch {})",
        claimed.holder,
        tx.fleet(),
        claimed.epoch
    ))
    .into())
}
