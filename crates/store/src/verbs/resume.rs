//! `rollout resume`: a person lets a halted, paused or waiting rollout go on.

use async_trait::async_trait;
use sanderling_core::event::RetriedTargets;
use sanderling_core::{EventKind, Micros, Outcome, RolloutId, RolloutState};

use crate::link::{Fault, Tx, corrupt, values};
use crate::perform::{Mode, Verb};
use crate::port::{CommandReceipt, StoreError};
use crate::rows::rollouts::Locked;
use crate::rows::{holds, rollouts};

/// The arguments of `Command::Resume`.
pub(crate) struct Resume {
    pub(crate) id: RolloutId,
    pub(crate) actor: String,
    pub(crate) acknowledge: bool,
    pub(crate) reason: Option<String>,
}

/// What a verb answers that had been done before.
pub(super) const UNCHANGED: CommandReceipt = CommandReceipt {
    changed: false,
    targets: 0,
};

#[async_trait]
impl Verb for Resume {
    type Out = CommandReceipt;
    const NAME: &str = "resume";
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
            RolloutState::Waiting if locked.rollout.waits_for_holds() => {
                return Err(StoreError::Refused(format!(
                    "rollout {id} waits for {} held, and goes on by itself when they are let go: \
                     `sanderling tenants release --tenants ID`, or leave them out with `sanderling rollout skip {id} --tenant ID --reason …`",
                    match locked.rollout.held() {
                        1 => "1 tenant that is".to_owned(),
                        n => format!("{n} tenants that are"),
                    }
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
        let (actor, reason) = (self.actor.clone(), self.reason.clone());
        locked.record(now, EventKind::Resumed { actor, reason })?;
        let targets = self.go_on_with_partial(tx, &mut locked, now).await?;
        holds::settle(tx, &mut locked, now, None).await?;
        rollouts::save(tx, [&locked]).await?;
        let who = (now, self.actor.as_str(), "resume");
        let detail = self.reason.as_deref().unwrap_or_default();
        rollouts::audit(tx, who, &locked, before.as_str(), detail).await?;
        Ok(CommandReceipt {
            changed: true,
            targets,
        })
    }
}

/// What a halt stopped between two versions.
const PARTIAL: &str = "fleet = $1 AND rollout = $2 AND wave IS NOT NULL AND outcome = 'partial'";

impl Resume {
    /// Targets that the halt stopped between two versions go on; what failed stays failed. Returns how many.
    async fn go_on_with_partial(
        &self,
        tx: &mut Tx<'_>,
        locked: &mut Locked,
        now: Micros,
    ) -> Result<u64, Fault> {
        let sql = format!(
            "SELECT wave, COUNT(*) FROM targets WHERE {PARTIAL} GROUP BY wave ORDER BY wave"
        );
        let mut targets = Vec::new();
        for row in tx.rows(&sql, values![&self.id]).await? {
            targets.push(RetriedTargets {
                wave: usize::try_from(row.count(0)?).map_err(|_| corrupt("a wave's index"))?,
                outcome: Outcome::Partial,
                cause: None,
                targets: row.count(1)?,
            });
        }
        if targets.is_empty() {
            return Ok(0);
        }
        let sql = format!("UPDATE targets SET outcome = 'pending', not_before = 0 WHERE {PARTIAL}");
        let resumed = tx.exec(&sql, values![&self.id]).await?;
        let kind = EventKind::Retried {
            actor: self.actor.clone(),
            targets,
            reason: self.reason.clone(),
        };
        locked.record(now, kind)?;
        Ok(resumed)
    }
}
