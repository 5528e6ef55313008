//! `rollout resume`: a person lets a halted rollout go on.

use async_trait::async_trait;
use sanderling_core::{EventKind, RolloutId, RolloutState};

use crate::link::{Fault, Tx};
use crate::perform::{Mode, Verb};
use crate::port::{CommandReceipt, StoreError};
use crate::rows::rollouts;

/// The arguments of `Command::Resume`.
pub(crate) struct Resume {
    pub(crate) id: RolloutId,
    pub(crate) actor: String,
    pub(crate) acknowledge: bool,
}

/// What a verb answers that had been done before.
pub(super) const UNCHANGED: CommandReceipt = CommandReceipt {
    changed: false,
    targets: 0,
};

#[async_trait]
impl Verb for Resume {
    type Out = CommandReceipt;
    const MODE: Mode = Mode::Write;

    async fn run(&self, tx: &mut Tx<'_>) -> Result<CommandReceipt, Fault> {
        let id = &self.id;
        let mut locked = rollouts::lock_one(tx, id).await?;
        let before = locked.rollout.state;
        match before {
            RolloutState::Running => return Ok(UNCHANGED),
            RolloutState::Halted if !self.acknowledge => {
                return Err(StoreError::Refused(format!(
                    "rollout {id} is halted: look at its failures (`sanderling rollout show {id}`), then \
                     `sanderling rollout resume {id} --acknowledge`"
                ))
                .into());
            }
            RolloutState::Halted | RolloutState::Paused | RolloutState::Waiting => {}
            RolloutState::CompletedWithFailures => {
                return Err(StoreError::Refused(format!(
                    "rollout {id} has ended ({before}) and cannot be resumed; \
                     `sanderling rollout retry {id} --failed` tries its failed tenants again"
                ))
                .into());
            }
            RolloutState::Succeeded | RolloutState::Cancelled => {
                return Err(StoreError::Refused(format!(
                    "rollout {id} has ended ({before}) and cannot be resumed; `sanderling up` starts a new one"
                ))
                .into());
            }
        }
        let now = tx.now().await?;
        let actor = self.actor.clone();
        locked.record(now, EventKind::Resumed { actor })?;
        rollouts::save(tx, [&locked]).await?;
        let who = (now, self.actor.as_str(), "resume");
        rollouts::audit(tx, who, &locked, before.as_str(), "").await?;
        Ok(CommandReceipt {
            changed: true,
            targets: 0,
        })
    }
}
