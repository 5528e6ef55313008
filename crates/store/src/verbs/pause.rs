//! `rollout pause`: a person stops starts.

use async_trait::async_trait;
use sanderling_core::{EventKind, RolloutId, RolloutState};

use super::resume::UNCHANGED;
use crate::link::{Fault, Tx};
use crate::perform::{Mode, Verb};
use crate::port::{CommandReceipt, StoreError};
use crate::rows::rollouts;

/// The arguments of `Command::Pause`.
pub(crate) struct Pause {
    pub(crate) id: RolloutId,
    pub(crate) actor: String,
    pub(crate) reason: Option<String>,
}

#[async_trait]
impl Verb for Pause {
    type Out = CommandReceipt;
    const NAME: &str = "pause";
    const MODE: Mode = Mode::Write;

    async fn run(&self, tx: &mut Tx<'_>) -> Result<CommandReceipt, Fault> {
        let id = &self.id;
        let mut locked = rollouts::lock_one(tx, id).await?;
        let before = locked.rollout.state;
        match before {
            RolloutState::Paused => return Ok(UNCHANGED),
            RolloutState::Running | RolloutState::Waiting => {}
            RolloutState::Halted => {
                return Err(StoreError::Refused(format!(
                    "rollout {id} is halted, so nothing of it starts; `sanderling rollout show {id}` says why and what to type"
                ))
                .into());
            }
            RolloutState::Succeeded
            | RolloutState::CompletedWithFailures
            | RolloutState::Cancelled => {
                return Err(StoreError::Refused(format!(
                    "rollout {id} has ended ({before}); there is nothing left to pause"
                ))
                .into());
            }
        }
        let now = tx.now().await?;
        let kind = EventKind::Paused {
            actor: self.actor.clone(),
            reason: self.reason.clone(),
        };
        locked.record(now, kind)?;
        rollouts::save(tx, [&locked]).await?;
        let who = (now, self.actor.as_str(), "pause");
        let reason = self.reason.as_deref().unwrap_or_default();
        rollouts::audit(tx, who, &locked, before.as_str(), reason).await?;
        Ok(CommandReceipt {
            changed: true,
            targets: 0,
        })
    }
}
