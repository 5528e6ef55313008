//! `act`: what `decide` returned, carried out by the leader.

use async_trait::async_trait;
use sanderling_core::rollout::Action;
use sanderling_core::{EventKind, RolloutId};

use super::lead;
use crate::link::{Fault, Tx};
use crate::perform::{Mode, Verb};
use crate::port::{Leadership, StoreError};
use crate::rows::rollouts;

/// The arguments of `Store::act`.
pub(crate) struct Act {
    pub(crate) leadership: Leadership,
    pub(crate) id: RolloutId,
    pub(crate) seen_seq: i64,
    pub(crate) action: Action,
}

#[async_trait]
impl Verb for Act {
    type Out = ();
    const MODE: Mode = Mode::Write;

    async fn run(&self, tx: &mut Tx<'_>) -> Result<(), Fault> {
        lead::require(tx, &self.leadership).await?;
        let mut locked = rollouts::lock_one(tx, &self.id).await?;
        let last = locked.rollout.last_seq;
        if last != self.seen_seq {
            return Err(StoreError::Conflict(format!(
                "rollout {} is at event {last}, the decision was made at event {}",
                self.id, self.seen_seq
            ))
            .into());
        }
        let now = tx.now().await?;
        let kind = match &self.action {
            Action::OpenWave(wave) => EventKind::WaveOpened { wave: *wave },
            Action::Finish(state) => EventKind::Finished { state: *state },
        };
        // Nothing happened since the decision, so an action that does not fit was not decided by `decide`.
        locked.record(now, kind).map_err(|fault| match fault {
            Fault::Verb(StoreError::Corrupt(why)) => StoreError::Refused(why).into(),
            other => other,
        })?;
        if !locked.rollout.state.is_active() {
            rollouts::free_tenants(tx, &self.id).await?;
        }
        rollouts::save(tx, [&locked]).await
    }
}
