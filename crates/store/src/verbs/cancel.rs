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

/// Targets that nobody has in hand and that would start later, by themselves, in a sweep, or when their hold ends.
const NOT_BEGUN: &str = "fleet = $1 AND rollout = $2 AND outcome IN ('pending', 'deferred', 'held') AND in_flight = 0 AND wave IS NOT NULL";

/// How many of them there are in each wave, of those that also meet `condition`.
async fn not_begun(
    tx: &mut Tx<'_>,
    id: &RolloutId,
    condition: &str,
) -> Result<Vec<(usize, u64)>, Fault> {
    let sql = format!(
        "SELECT wave, COUNT(*) FROM targets WHERE {NOT_BEGUN} AND {condition} GROUP BY wave ORDER BY wave"
    );
    let rows = tx.rows(&sql, values![id]).await?;
    rows.iter()
        .map(|row| {
            let wave = usize::try_from(row.count(0)?).map_err(|_| corrupt("a wave's index"))?;
            Ok((wave, row.count(1)?))
        })
        .collect()
}

#[async_trait]
impl Verb for Cancel {
    type Out = CommandReceipt;
    const NAME: &str = "cancel";
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
        let targets = not_begun(tx, id, "applied = '[]'").await?;
        let partial = not_begun(tx, id, "applied <> '[]'").await?;
        let sql = format!(
            "UPDATE targets SET outcome = CASE WHEN applied = '[]' THEN 'cancelled' ELSE 'partial' END,
             class = NULL, cause = NULL, failure = NULL WHERE {NOT_BEGUN}"
        );
        let cancelled = tx.exec(&sql, values![id]).await?;
        let now = tx.now().await?;
        let kind = EventKind::Cancelled {
            actor: self.actor.clone(),
            reason: self.reason.clone(),
            targets,
            partial,
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
