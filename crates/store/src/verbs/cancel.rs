//! `rollout cancel`: nothing more begins; what is in flight finishes.

use async_trait::async_trait;
use sanderling_core::{EventKind, RolloutId, RolloutState};

use super::resume::UNCHANGED;
use crate::link::{Fault, Tx, corrupt, values};
use crate::perform::{Mode, Verb};
use crate::port::{CommandReceipt, StoreError};
use crate::rows::rollouts;

/// The arguments of `Command::Cancel`.
pub(crate) struct Cancel {
    pub(crate) id: RolloutId,
    pub(crate) actor: String,
    pub(crate) reason: String,
}

#[async_trait]
impl Verb for Cancel {
    type Out = CommandReceipt;
    const MODE: Mode = Mode::Write;

    async fn run(&self, tx: &mut Tx<'_>) -> Result<CommandReceipt, Fault> {
        let id = &self.id;
        let mut locked = rollouts::lock_one(tx, id).await?;
        let before = locked.rollout.state;
        if before == RolloutState::Cancelled {
            return Ok(UNCHANGED);
        }
        if !before.is_active() {
            return Err(StoreError::Refused(format!(
                "rollout {id} has ended ({before}); there is nothing left to cancel"
            ))
            .into());
        }
        let sql = "SELECT wave, COUNT(*) FROM targets
            WHERE fleet = $1 AND rollout = $2 AND outcome = 'pending' AND in_flight = 0 AND wave IS NOT NULL
            GROUP BY wave ORDER BY wave";
        let mut targets: Vec<(usize, u64)> = Vec::new();
        for row in tx.rows(sql, values![id]).await? {
            let wave = usize::try_from(row.count(0)?).map_err(|_| corrupt("a wave's index"))?;
            targets.push((wave, row.count(1)?));
        }
        let sql = "UPDATE targets SET outcome = 'cancelled'
            WHERE fleet = $1 AND rollout = $2 AND outcome = 'pending' AND in_flight = 0 AND wave IS NOT NULL";
        let cancelled = tx.exec(sql, values![id]).await?;
        let now = tx.now().await?;
        let kind = EventKind::Cancelled {
            actor: self.actor.clone(),
            reason: self.reason.clone(),
            targets,
        };
        locked.record(now, kind)?;
        rollouts::free_tenants(tx, id).await?;
        rollouts::save(tx, [&locked]).await?;
        let who = (now, self.actor.as_str(), "cancel");
        rollouts::audit(tx, who, &locked, before.as_str(), &self.reason).await?;
        Ok(CommandReceipt {
            changed: true,
            targets: cancelled,
        })
    }
}
