//! `act`: what `decide` returned, carried out by the leader.

use std::collections::BTreeSet;

use async_trait::async_trait;
use sanderling_core::rollout::Action;
use sanderling_core::{ErrorClass, EventKind, Micros, Outcome, RolloutId, TenantId};

use super::lead;
use crate::link::{Fault, Tx, values};
use crate::perform::{Mode, Verb};
use crate::port::{Leadership, StoreError, TargetRef};
use crate::rows::{holds, rollouts, targets};

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
    const NAME: &str = "act";
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
            Action::Sweep(wave) => self.sweep(tx, *wave).await?,
            Action::Halt(halt) => EventKind::Halted { halt: halt.clone() },
            Action::Wait => EventKind::Waiting {
                held: locked.rollout.held(),
            },
            Action::EndHolds => {
                holds::settle(tx, &mut locked, now, None).await?;
                return rollouts::save(tx, [&locked]).await;
            }
            Action::Finish(state) => EventKind::Finished { state: *state },
            Action::JudgeGate { .. } => locked.rollout.verdict(now).ok_or_else(|| {
                StoreError::Refused(format!(
                    "rollout {} stands at no gate that has a verdict",
                    self.id
                ))
            })?,
            Action::MeasuredGate {
                wave,
                gate,
                evaluation,
                measurement,
            } => {
                let of = locked
                    .rollout
                    .waves
                    .get(*wave)
                    .and_then(|w| w.gates.get(*gate));
                let state = of.ok_or_else(|| {
                    StoreError::Refused(format!("rollout {} has no such gate", self.id))
                })?;
                EventKind::GateMeasured {
                    wave: *wave,
                    gate: state.gate.name.clone(),
                    evaluation: *evaluation,
                    measurement: measurement.clone(),
                }
            }
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

impl Act {
    /// Puts the wave's deferred targets back, in the order of the plan, with the whole budget for locks and what is
    /// left of any other.
    async fn sweep(&self, tx: &mut Tx<'_>, wave: usize) -> Result<EventKind, Fault> {
        let sql = "SELECT tenant FROM targets
            WHERE fleet = $1 AND rollout = $2 AND wave = $3 AND outcome = 'deferred'";
        let index = i64::try_from(wave).unwrap_or(i64::MAX);
        let rows = tx.rows(sql, values![&self.id, index]).await?;
        let keys = rows
            .iter()
            .map(|row| {
                Ok(TargetRef {
                    rollout: self.id.clone(),
                    tenant: TenantId::new(row.text(0)?),
                })
            })
            .collect::<Result<Vec<_>, Fault>>()?;
        let mut found = targets::lock(tx, &keys.iter().collect::<BTreeSet<_>>()).await?;
        for target in found.values_mut() {
            target.outcome = Outcome::Pending;
            target.failure = None;
            target.not_before = Micros(0);
            target.attempts.remove(&ErrorClass::LockTimeout);
        }
        targets::ended(tx, found.values()).await?;
        Ok(EventKind::Swept {
            wave,
            targets: found.len() as u64,
        })
    }
}
