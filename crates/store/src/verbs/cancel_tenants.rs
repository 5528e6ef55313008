//! `tenants cancel`: some tenants are cancelled, in whatever rollout they are. What has not begun is so at once; a claim
//! that is at work is told, and what it comes to is said by its report.

use std::collections::BTreeSet;

use async_trait::async_trait;
use sanderling_core::{EventKind, Micros, Outcome, TenantId};

use crate::link::{Fault, Tx};
use crate::perform::{Mode, Verb};
use crate::port::{StoreError, TargetRef, TenantsReceipt};
use crate::rows::rollouts::Locked;
use crate::rows::targets::Target;
use crate::rows::{holds, rollouts, targets, tenants};

/// The arguments of `Store::cancel_tenants`.
pub(crate) struct CancelTenants {
    pub(crate) tenants: Vec<TenantId>,
    pub(crate) reason: String,
    pub(crate) actor: String,
}

#[async_trait]
impl Verb for CancelTenants {
    type Out = TenantsReceipt;
    const NAME: &str = "cancel_tenants";
    const MODE: Mode = Mode::Write;

    async fn run(&self, tx: &mut Tx<'_>) -> Result<TenantsReceipt, Fault> {
        let names: BTreeSet<&TenantId> = self.tenants.iter().collect();
        let ids = holds::rollouts_of(tx, &names).await?;
        let mut locked = rollouts::lock(tx, &ids.iter().collect()).await?;
        // A rollout may have ended between the look and the lock.
        locked.retain(|_, rollout| rollout.rollout.state.is_active());
        let keys: Vec<TargetRef> = locked
            .keys()
            .flat_map(|rollout| {
                names.iter().map(|tenant| TargetRef {
                    rollout: rollout.clone(),
                    tenant: (*tenant).clone(),
                })
            })
            .collect();
        let mut found = targets::lock(tx, &keys.iter().collect()).await?;
        found.retain(|_, target| target.wave.is_some());
        let claims = tenants::lock(tx, &names).await?;
        let (mut receipt, mut on_the_way) = (TenantsReceipt::default(), Vec::new());
        let (mut cancelled, mut told) = (Vec::new(), Vec::new());
        let now = tx.now().await?;
        for (key, mut target) in found {
            let unresolved = claims.get(&key.tenant).is_some_and(|c| c.unresolved);
            match fate(&target, unresolved) {
                Fate::InFlight if target.cancels => receipt.stopping.push(key.tenant),
                Fate::InFlight => {
                    let Some(rollout) = locked.get_mut(&key.rollout) else {
                        continue;
                    };
                    let kind = EventKind::CancelAsked {
                        tenant: key.tenant.clone(),
                        wave: target.wave()?,
                        actor: self.actor.clone(),
                        reason: self.reason.clone(),
                    };
                    self.note(tx, rollout, &key.tenant, kind, now).await?;
                    receipt.changed.push(key.tenant.clone());
                    receipt.stopping.push(key.tenant.clone());
                    told.push(key);
                }
                Fate::OnTheWay => on_the_way.push(key.tenant),
                Fate::Over => {}
                Fate::Becomes(outcome) => {
                    let kind = self.event(&target, outcome)?;
                    target.outcome = outcome;
                    target.failure = None;
                    cancelled.push(target);
                    let Some(rollout) = locked.get_mut(&key.rollout) else {
                        continue;
                    };
                    self.note(tx, rollout, &key.tenant, kind, now).await?;
                    receipt.changed.push(key.tenant);
                }
            }
        }
        if receipt.changed.is_empty() {
            refuse(&on_the_way)?;
        }
        targets::ended(tx, &cancelled).await?;
        targets::cancelling(tx, &told.iter().collect()).await?;
        rollouts::save(tx, locked.values()).await?;
        receipt.targets = (cancelled.len() + told.len()) as u64;
        receipt.in_flight.append(&mut on_the_way);
        Ok(receipt)
    }
}

/// What can be done about one target.
enum Fate {
    /// It has ended there.
    Over,
    /// A claim is at work on it.
    InFlight,
    /// A claim has ended, and something of it may still arrive.
    OnTheWay,
    /// It becomes this.
    Becomes(Outcome),
}

fn fate(target: &Target, unresolved: bool) -> Fate {
    if target.claim.in_flight {
        return Fate::InFlight;
    }
    match target.outcome {
        Outcome::Pending | Outcome::Deferred | Outcome::Held => {}
        _ => return Fate::Over,
    }
    if target.claim.epoch.0 > 0 && unresolved {
        return Fate::OnTheWay;
    }
    Fate::Becomes(if target.applied.is_empty() {
        Outcome::Cancelled
    } else {
        Outcome::Partial
    })
}

/// Nothing could be done: why, and what to type.
fn refuse(on_the_way: &[TenantId]) -> Result<(), Fault> {
    let named = |tenants: &[TenantId]| {
        let names: Vec<_> = tenants.iter().take(3).map(TenantId::as_str).collect();
        let more = tenants.len() - names.len();
        match more {
            0 => names.join(", "),
            n => format!("{} and {n} more", names.join(", ")),
        }
    };
    if !on_the_way.is_empty() {
        return Err(StoreError::Refused(format!(
            "{} was claimed, and that claim ended without a proof that nothing of it is on its way; let the rollout run until a \
             worker has settled it, then cancel",
            named(on_the_way)
        ))
        .into());
    }
    Ok(())
}

impl CancelTenants {
    /// Records what happens to one tenant, and who wanted it.
    async fn note(
        &self,
        tx: &mut Tx<'_>,
        rollout: &mut Locked,
        tenant: &TenantId,
        kind: EventKind,
        now: Micros,
    ) -> Result<(), Fault> {
        let before = rollout.rollout.state;
        rollout.record(now, kind)?;
        let who = (now, self.actor.as_str(), "cancel_tenant");
        let detail = format!("tenant {tenant}: {}", self.reason);
        rollouts::audit(tx, who, rollout, before.as_str(), &detail).await
    }

    fn event(&self, target: &Target, outcome: Outcome) -> Result<EventKind, Fault> {
        Ok(EventKind::TenantCancelled {
            tenant: target.key.tenant.clone(),
            wave: target.wave()?,
            was: target.outcome,
            outcome,
            actor: self.actor.clone(),
            reason: self.reason.clone(),
        })
    }
}
