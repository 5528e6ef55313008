//! `rollout retry --amend`: a migration that failed is corrected; what has not been applied yet takes the new text.

use async_trait::async_trait;
use sanderling_core::amend::{Amendment, revised_hash};
use sanderling_core::{Checksum, EventKind, Micros, RolloutId, Version};

use super::bundles::PutBundle;
use super::resume::UNCHANGED;
use super::retry::{Retry, What};
use super::submit::lock_fleet;
use crate::link::{Fault, Tx, values};
use crate::perform::{Mode, Verb};
use crate::port::{Amend, CommandReceipt, StoreError, refuses_amendment};
use crate::rows::holds;
use crate::rows::rollouts::{self, Locked};

/// The arguments of `Command::Amend`.
pub(crate) struct Amending {
    pub(crate) id: RolloutId,
    pub(crate) actor: String,
    pub(crate) amend: Amend,
}

#[async_trait]
impl Verb for Amending {
    type Out = CommandReceipt;
    const NAME: &str = "amend";
    const MODE: Mode = Mode::Write;

    async fn run(&self, tx: &mut Tx<'_>) -> Result<CommandReceipt, Fault> {
        lock_fleet(tx).await?;
        let mut locked = rollouts::lock_one(tx, &self.id).await?;
        let before = locked.rollout.state;
        if self.was_done(tx, &locked).await? {
            return Ok(UNCHANGED);
        }
        self.check(&locked)?;
        let retry = Retry {
            id: self.id.clone(),
            actor: self.actor.clone(),
            what: What::Failed(None),
            reason: Some(self.amend.reason.clone()),
        };
        if !before.is_active() {
            retry.own_tenants(tx).await?;
            retry.refuse_moved_on(tx).await?;
        }
        let now = tx.now().await?;
        self.revise(tx, &mut locked, now).await?;
        let groups = retry.groups(tx).await?;
        let retried = retry.put_back(tx, &mut locked, groups, now).await?;
        holds::settle(tx, &mut locked, now, None).await?;
        rollouts::save(tx, [&locked]).await?;
        let who = (now, self.actor.as_str(), "amend");
        let Amendment { version, was, is } = &self.amend.amendment;
        let detail = format!("{version} {was} {is}: {}", self.amend.reason);
        rollouts::audit(tx, who, &locked, before.as_str(), &detail).await?;
        Ok(CommandReceipt {
            changed: true,
            targets: retried,
        })
    }
}

impl Amending {
    /// Whether this very amendment is the rollout's last word.
    async fn was_done(&self, tx: &mut Tx<'_>, locked: &Locked) -> Result<bool, Fault> {
        if locked.rollout.bundle != *self.amend.bundle.hash() {
            return Ok(false);
        }
        let Amendment { version, was, is } = &self.amend.amendment;
        let sql = "SELECT number FROM amendments WHERE fleet = $1 AND rollout = $2 AND version = $3
            AND checksum_was = $4 AND checksum_is = $5";
        let args = values![&self.id, version, was.as_str(), is.as_str()];
        Ok(tx.row(sql, args).await?.is_some())
    }

    fn check(&self, locked: &Locked) -> Result<(), Fault> {
        let (id, rollout) = (&self.id, &locked.rollout);
        if let Some(why) = refuses_amendment(rollout) {
            return Err(StoreError::Refused(why).into());
        }
        if rollout.bundle != self.amend.from {
            return Err(StoreError::Conflict(format!(
                "rollout {id} was amended by somebody else meanwhile; look at `sanderling rollout show {id}` and type it again"
            ))
            .into());
        }
        Ok(())
    }

    /// The new bundle, the text that is right from now on, and the revised plan.
    async fn revise(&self, tx: &mut Tx<'_>, locked: &mut Locked, now: Micros) -> Result<(), Fault> {
        let amend = &self.amend;
        let bundle = amend.bundle.clone();
        PutBundle { bundle }.run(tx).await?;
        let Amendment { version, was, is } = &amend.amendment;
        let sql = "INSERT INTO amendments (fleet, version, checksum_was, checksum_is, rollout, at, actor, reason)
            VALUES ($1, $2, $3, $4, $5, $6, $7, $8)";
        let args = values![
            version,
            was.as_str(),
            is.as_str(),
            &self.id,
            now,
            self.actor.as_str(),
            amend.reason.as_str()
        ];
        tx.exec(sql, args).await?;
        let mut plan = locked.plan()?;
        plan.bundle = amend.bundle.hash().clone();
        plan.accepted = amend.accepted.clone();
        let args = values![&self.id, serde_json::to_string(&plan)?];
        tx.exec(
            "UPDATE rollouts SET plan = $3 WHERE fleet = $1 AND id = $2",
            args,
        )
        .await?;
        let hash = amend.bundle.hash();
        let plan_hash = revised_hash(&locked.rollout.plan_hash, hash, &amend.amendment);
        let kind = EventKind::Amended {
            actor: self.actor.clone(),
            reason: amend.reason.clone(),
            amendment: amend.amendment.clone(),
            bundle: hash.clone(),
            plan_hash,
        };
        locked.record(now, kind)?;
        Ok(())
    }
}

/// `Store::amendments`.
pub(crate) struct Amendments;

#[async_trait]
impl Verb for Amendments {
    type Out = Vec<Amendment>;
    const NAME: &str = "amendments";
    const MODE: Mode = Mode::Single;

    async fn run(&self, tx: &mut Tx<'_>) -> Result<Vec<Amendment>, Fault> {
        let sql = "SELECT version, checksum_was, checksum_is FROM amendments WHERE fleet = $1 ORDER BY number";
        let rows = tx.rows(sql, Vec::new()).await?;
        rows.iter()
            .map(|row| {
                Ok(Amendment {
                    version: Version::new(row.text(0)?),
                    was: Checksum::new(row.text(1)?),
                    is: Checksum::new(row.text(2)?),
                })
            })
            .collect()
    }
}
