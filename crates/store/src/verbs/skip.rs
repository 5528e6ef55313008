//! `rollout skip --tenant`: a person leaves one target out.

use std::collections::BTreeSet;

use async_trait::async_trait;
use sanderling_core::{EventKind, Outcome, RolloutId, RolloutState, TenantId};

use super::resume::UNCHANGED;
use crate::link::{Fault, Tx};
use crate::perform::{Mode, Verb};
use crate::port::{CommandReceipt, StoreError, TargetRef};
use crate::rows::targets::Target;
use crate::rows::{rollouts, targets, tenants};

/// The arguments of `Command::Skip`.
pub(crate) struct Skip {
    pub(crate) id: RolloutId,
    pub(crate) actor: String,
    pub(crate) tenant: TenantId,
    pub(crate) reason: String,
}

#[async_trait]
impl Verb for Skip {
    type Out = CommandReceipt;
    const NAME: &str = "skip";
    const MODE: Mode = Mode::Write;

    async fn run(&self, tx: &mut Tx<'_>) -> Result<CommandReceipt, Fault> {
        let (id, tenant) = (&self.id, &self.tenant);
        let mut locked = rollouts::lock_one(tx, id).await?;
        let before = locked.rollout.state;
        let key = TargetRef {
            rollout: id.clone(),
            tenant: tenant.clone(),
        };
        let mut found = targets::lock(tx, &BTreeSet::from([&key])).await?;
        let Some(mut target) = found.remove(&key) else {
            return refuse(format!(
                "rollout {id} has no tenant {tenant}; `sanderling plan --tenants {tenant}` says whether there is one of that name"
            ));
        };
        if target.outcome == Outcome::Skipped {
            return Ok(UNCHANGED);
        }
        let Some(wave) = target.wave else {
            return refuse(format!(
                "the plan of rollout {id} left tenant {tenant} out ({}); there is nothing to skip",
                target.outcome
            ));
        };
        may_skip(before, &target).or_else(refuse)?;
        settled(tx, &target).await?;
        let was = target.outcome;
        let failure = target.failure.take().filter(|_| was.counts_to_halt());
        target.outcome = Outcome::Skipped;
        targets::ended(tx, [&target]).await?;
        let now = tx.now().await?;
        let kind = EventKind::Skipped {
            tenant: tenant.clone(),
            wave,
            was,
            cause: failure.map(|failure| failure.cause.to_string()),
            actor: self.actor.clone(),
            reason: self.reason.clone(),
        };
        locked.record(now, kind)?;
        rollouts::save(tx, [&locked]).await?;
        let who = (now, self.actor.as_str(), "skip");
        let detail = format!("tenant {tenant}: {}", self.reason);
        rollouts::audit(tx, who, &locked, before.as_str(), &detail).await?;
        Ok(CommandReceipt {
            changed: true,
            targets: 1,
        })
    }
}

fn refuse<T>(why: String) -> Result<T, Fault> {
    Err(StoreError::Refused(why).into())
}

/// Whether the target stands where a person may leave it out; else why not, and what to type.
fn may_skip(state: RolloutState, target: &Target) -> Result<(), String> {
    let TargetRef { rollout, tenant } = &target.key;
    if !state.is_active() {
        return Err(format!(
            "rollout {rollout} has ended ({state}); no target of it is to come"
        ));
    }
    if target.claim.in_flight {
        return Err(format!(
            "tenant {tenant} is in flight ({}): it finishes first. `sanderling rollout pause {rollout}` stops it after the \
             version at hand; skip it then",
            target.claim.epoch
        ));
    }
    match target.outcome {
        Outcome::Pending
        | Outcome::Deferred
        | Outcome::Held
        | Outcome::Partial
        | Outcome::Failed
        | Outcome::Dirty => Ok(()),
        other => Err(format!(
            "tenant {tenant} is {other} in rollout {rollout}; there is nothing left to skip"
        )),
    }
}

/// Refuses where a message of an earlier claim may still be on its way: what is skipped must not move afterwards. Only a
/// worker's claim can rule that out.
async fn settled(tx: &mut Tx<'_>, target: &Target) -> Result<(), Fault> {
    let TargetRef { rollout, tenant } = &target.key;
    let claims = tenants::lock(tx, &BTreeSet::from([tenant])).await?;
    let unresolved = claims.get(tenant).is_some_and(|claims| claims.unresolved);
    if target.claim.epoch.0 == 0 || !unresolved {
        return Ok(());
    }
    refuse(format!(
        "tenant {tenant} was claimed ({}) and that claim ended without a proof that nothing of it is on its way; let rollout \
         {rollout} run until a worker has settled it, then skip it",
        target.claim.epoch
    ))
}
