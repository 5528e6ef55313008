//! `rollout skip --gate`: a person lets a rollout go past a gate.

use async_trait::async_trait;
use sanderling_core::{EventKind, Rollout, RolloutId};

use super::resume::UNCHANGED;
use crate::link::{Fault, Tx};
use crate::perform::{Mode, Verb};
use crate::port::{CommandReceipt, StoreError};
use crate::rows::rollouts;

/// The arguments of `Command::SkipGate`.
pub(crate) struct SkipGate {
    pub(crate) id: RolloutId,
    pub(crate) actor: String,
    pub(crate) gate: String,
    pub(crate) reason: String,
}

#[async_trait]
impl Verb for SkipGate {
    type Out = CommandReceipt;
    const NAME: &str = "skip_gate";
    const MODE: Mode = Mode::Write;

    async fn run(&self, tx: &mut Tx<'_>) -> Result<CommandReceipt, Fault> {
        let (id, gate) = (&self.id, &self.gate);
        let mut locked = rollouts::lock_one(tx, id).await?;
        let before = locked.rollout.state;
        let refuse = |why: String| Err(StoreError::Refused(why).into());
        if !before.is_active() {
            return refuse(format!(
                "rollout {id} has ended ({before}); no gate of it is to come"
            ));
        }
        let Some(wave) = keeps_shut(&locked.rollout, gate) else {
            if named(&locked.rollout, gate) {
                return Ok(UNCHANGED);
            }
            let names: Vec<_> = all(&locked.rollout).collect();
            return refuse(match names.is_empty() {
                true => format!("rollout {id} has no gates"),
                false => format!(
                    "rollout {id} has no gate {gate}; its gates: {}",
                    names.join(", ")
                ),
            });
        };
        let now = tx.now().await?;
        let kind = EventKind::GateSkipped {
            wave,
            gate: gate.clone(),
            actor: self.actor.clone(),
            reason: self.reason.clone(),
        };
        locked.record(now, kind)?;
        rollouts::save(tx, [&locked]).await?;
        let who = (now, self.actor.as_str(), "skip_gate");
        let detail = format!("{gate}: {}", self.reason);
        rollouts::audit(tx, who, &locked, before.as_str(), &detail).await?;
        Ok(CommandReceipt {
            changed: true,
            targets: 0,
        })
    }
}

/// The first wave whose successor is not open and that has this gate, not passed yet.
fn keeps_shut(rollout: &Rollout, gate: &str) -> Option<usize> {
    (0..rollout.waves.len()).find(|&wave| {
        let shut = rollout
            .waves
            .get(wave + 1)
            .is_some_and(|w| w.opened_at.is_none());
        shut && rollout.waves[wave]
            .gates
            .iter()
            .any(|state| state.gate.name == gate && !state.lets_go_on())
    })
}

fn all(rollout: &Rollout) -> impl Iterator<Item = &str> {
    let gates = rollout.waves.iter().flat_map(|wave| &wave.gates);
    gates.map(|state| state.gate.name.as_str())
}

fn named(rollout: &Rollout, gate: &str) -> bool {
    all(rollout).any(|name| name == gate)
}
