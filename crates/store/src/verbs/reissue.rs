//! `reissue`: a greater number for a claim that is still current, because an epoch belongs to one connection.

use std::collections::BTreeSet;
use std::time::Duration;

use async_trait::async_trait;
use sanderling_core::{Epoch, EventKind, Nonce};

use super::start::until;
use crate::link::{Fault, Tx, corrupt};
use crate::perform::{Mode, Verb};
use crate::port::{Held, StoreError};
use crate::rows::{rollouts, targets, tenants};

/// The arguments of `Store::reissue`.
pub(crate) struct Reissue {
    pub(crate) held: Held,
    pub(crate) at_least: Epoch,
    pub(crate) nonce: Nonce,
    pub(crate) lease: Duration,
}

#[async_trait]
impl Verb for Reissue {
    type Out = Epoch;
    const NAME: &str = "reissue";
    const MODE: Mode = Mode::Write;

    async fn run(&self, tx: &mut Tx<'_>) -> Result<Epoch, Fault> {
        let key = &self.held.target;
        let mut locked = rollouts::lock_one(tx, &key.rollout).await?;
        let now = tx.now().await?;
        let found = targets::lock(tx, &BTreeSet::from([key])).await?;
        let target = found.get(key).filter(|target| {
            let claim = &target.claim;
            claim.in_flight && (claim.epoch == self.held.epoch || self.is_answered(claim))
        });
        let Some(target) = target else {
            return Err(StoreError::Stale(format!(
                "the claim on tenant {} with epoch {} has ended or was taken over",
                key.tenant, self.held.epoch
            ))
            .into());
        };
        if target.claim.epoch != self.held.epoch {
            return Ok(target.claim.epoch);
        }
        let claims = tenants::lock(tx, &BTreeSet::from([&key.tenant])).await?;
        let claims = claims
            .get(&key.tenant)
            .ok_or_else(|| corrupt(format!("tenant {} has no row", key.tenant)))?;
        let epoch = Epoch(claims.epoch.0.saturating_add(1).max(self.at_least.0));
        let mut target = target.clone();
        target.claim.epoch = epoch;
        target.claim.nonce = Some(self.nonce.clone());
        target.claim.lease_until = until(now, self.lease);
        // A message under the former number may still be on its way.
        target.claim.takeover = true;
        let kind = EventKind::Reissued {
            tenant: key.tenant.clone(),
            wave: target.wave()?,
            epoch,
        };
        locked.record(now, kind)?;
        targets::claimed(tx, [&target]).await?;
        tenants::granted(tx, &[(&key.tenant, epoch)]).await?;
        rollouts::save(tx, [&locked]).await?;
        Ok(epoch)
    }
}

impl Reissue {
    /// Whether this very call was answered before, and the answer was lost.
    fn is_answered(&self, claim: &targets::Claim) -> bool {
        claim.nonce.as_ref() == Some(&self.nonce) && claim.epoch >= self.at_least
    }
}
