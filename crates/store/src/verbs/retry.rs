//! `rollout retry`: targets that failed, or that a person kept from beginning, are pending again, with fresh retry
//! budgets, and the rollout runs.

use async_trait::async_trait;
use sanderling_core::event::RetriedTargets;
use sanderling_core::{ErrorClass, EventKind, Micros, RolloutId, RolloutState, TenantId};

use super::overlap;
use super::resume::UNCHANGED;
use super::submit::lock_fleet;
use crate::link::{Fault, Tx, Value, corrupt, values};
use crate::perform::{Mode, Verb};
use crate::port::{CommandReceipt, StoreError};
use crate::rows::rollouts::Locked;
use crate::rows::{holds, rollouts, targets};

/// The arguments of `Command::Retry`.
pub(crate) struct Retry {
    pub(crate) id: RolloutId,
    pub(crate) actor: String,
    pub(crate) what: What,
    pub(crate) reason: Option<String>,
}

/// Which targets are pending again.
#[derive(Clone, Copy)]
pub(crate) enum What {
    /// Those that failed, with this class of error where there is one.
    Failed(Option<ErrorClass>),
    /// Those that a person kept from beginning.
    NotStarted,
}

/// What is retried: what failed or waits for a sweep, what stopped half way (it goes on where it stands, or says again
/// what a person must decide), and what a halt stopped between two versions.
const FAILED: &str = "fleet = $1 AND rollout = $2 AND wave IS NOT NULL
    AND (outcome IN ('failed', 'dirty', 'deferred') AND ($3 = '' OR class = $3) OR outcome = 'partial' AND $3 = '')";

/// What a person skipped or cancelled, one by one.
const NOT_STARTED: &str = "fleet = $1 AND rollout = $2 AND wave IS NOT NULL
    AND outcome IN ('skipped', 'cancelled') AND $3 = ''";

#[async_trait]
impl Verb for Retry {
    type Out = CommandReceipt;
    const NAME: &str = "retry";
    const MODE: Mode = Mode::Write;

    async fn run(&self, tx: &mut Tx<'_>) -> Result<CommandReceipt, Fault> {
        let id = &self.id;
        lock_fleet(tx).await?;
        let mut locked = rollouts::lock_one(tx, id).await?;
        let before = locked.rollout.state;
        let groups = self.groups(tx).await?;
        let over = match self.what {
            // Nothing failed, but a person may have left somebody out.
            What::NotStarted => before == RolloutState::Succeeded && groups.is_empty(),
            What::Failed(_) => before == RolloutState::Succeeded,
        };
        if over || before == RolloutState::Cancelled {
            return Err(StoreError::Refused(format!(
                "rollout {id} has ended ({before}) and has nothing to retry; `sanderling up` starts a new one"
            ))
            .into());
        }
        let not_begun = match self.what {
            What::NotStarted if before == RolloutState::Halted => not_begun(&locked),
            _ => 0,
        };
        if groups.is_empty() && not_begun == 0 {
            return Ok(UNCHANGED);
        }
        if !before.is_active() {
            self.own_tenants(tx).await?;
            self.refuse_moved_on(tx).await?;
        }
        let now = tx.now().await?;
        if matches!(self.what, What::NotStarted) && before == RolloutState::Halted {
            // Who goes on with the rest has seen what failed, and leaves it so.
            let (actor, reason) = (self.actor.clone(), self.reason.clone());
            locked.record(now, EventKind::Resumed { actor, reason })?;
        }
        let retried = self.put_back(tx, &mut locked, groups, now).await?;
        holds::settle(tx, &mut locked, now, None).await?;
        rollouts::save(tx, [&locked]).await?;
        let who = (now, self.actor.as_str(), "retry");
        rollouts::audit(tx, who, &locked, before.as_str(), &self.detail()).await?;
        Ok(CommandReceipt {
            changed: true,
            targets: retried + not_begun,
        })
    }
}

/// Targets that would start by themselves, were it not for the halt.
fn not_begun(locked: &Locked) -> u64 {
    let waves = &locked.rollout.waves;
    waves.iter().map(|w| w.startable() + w.deferred()).sum()
}

impl Retry {
    fn args(&self) -> Vec<Value> {
        let class = match self.what {
            What::Failed(class) => class.map_or("", ErrorClass::as_str),
            What::NotStarted => "",
        };
        values![&self.id, class]
    }

    fn retried(&self) -> &'static str {
        match self.what {
            What::Failed(_) => FAILED,
            What::NotStarted => NOT_STARTED,
        }
    }

    /// What the audit log keeps: the class, or that it was about what had not begun; and why, where that was said.
    fn detail(&self) -> String {
        let what = match self.what {
            What::Failed(class) => class.map_or("", ErrorClass::as_str),
            What::NotStarted => "not started",
        };
        match &self.reason {
            None => what.to_owned(),
            Some(reason) if what.is_empty() => reason.clone(),
            Some(reason) => format!("{what}: {reason}"),
        }
    }

    /// Makes them pending; returns how many.
    pub(super) async fn put_back(
        &self,
        tx: &mut Tx<'_>,
        locked: &mut Locked,
        targets: Vec<RetriedTargets>,
        now: Micros,
    ) -> Result<u64, Fault> {
        if targets.is_empty() {
            return Ok(0);
        }
        let sql = format!(
            "UPDATE targets SET outcome = 'pending', class = NULL, cause = NULL, failure = NULL,
             attempts = '{{}}', not_before = 0 WHERE {}",
            self.retried()
        );
        let retried = tx.exec(&sql, self.args()).await?;
        let kind = EventKind::Retried {
            actor: self.actor.clone(),
            targets,
            reason: self.reason.clone(),
        };
        locked.record(now, kind)?;
        Ok(retried)
    }

    pub(super) async fn groups(&self, tx: &mut Tx<'_>) -> Result<Vec<RetriedTargets>, Fault> {
        let sql = format!(
            "SELECT wave, outcome, cause, COUNT(*) FROM targets WHERE {}
             GROUP BY wave, outcome, cause ORDER BY wave, outcome, cause",
            self.retried()
        );
        let rows = tx.rows(&sql, self.args()).await?;
        rows.iter()
            .map(|row| {
                let outcome = targets::outcome(row.text(1)?)?;
                let cause = row.text_or_none(2)?.map(str::to_owned);
                Ok(RetriedTargets {
                    wave: usize::try_from(row.count(0)?).map_err(|_| corrupt("a wave's index"))?,
                    outcome,
                    cause: cause.filter(|_| outcome.counts_to_halt()),
                    targets: row.count(3)?,
                })
            })
            .collect()
    }

    /// A tenant that a later rollout has worked on may be past the versions that failed here.
    pub(super) async fn refuse_moved_on(&self, tx: &mut Tx<'_>) -> Result<(), Fault> {
        let sql = format!(
            "SELECT tenant, later.rollout FROM (SELECT tenant AS t, number AS n FROM targets WHERE {}) AS mine
             JOIN (SELECT tenant, rollout, number FROM targets WHERE fleet = $1 AND epoch > 0) AS later
             ON later.tenant = mine.t AND later.number > mine.n ORDER BY tenant LIMIT 1",
            self.retried()
        );
        if let Some(row) = tx.row(&sql, self.args()).await? {
            let (tenant, later) = (row.text(0)?, row.text(1)?);
            return Err(StoreError::Refused(format!(
                "rollout {} had ended, and rollout {later} has worked on tenant {tenant} since; \
                 `sanderling up` plans from where tenants are now",
                self.id
            ))
            .into());
        }
        Ok(())
    }

    /// A rollout that had ended owns its tenants again, unless another one has taken some of them.
    pub(super) async fn own_tenants(&self, tx: &mut Tx<'_>) -> Result<(), Fault> {
        let sql =
            "SELECT tenant FROM targets WHERE fleet = $1 AND rollout = $2 AND wave IS NOT NULL";
        let rows = tx.rows(sql, values![&self.id]).await?;
        let tenants = rows
            .iter()
            .map(|row| row.text(0).map(TenantId::new))
            .collect::<Result<Vec<_>, _>>()?;
        let tenants: Vec<_> = tenants.iter().collect();
        if let Some(owner) = overlap::owners(tx, &tenants, &self.id).await?.first() {
            return Err(StoreError::Refused(format!(
                "rollout {} had ended, and rollout {} ({}) now has {} of its tenants: wait for that one, or cancel it",
                self.id,
                owner.rollout.id,
                owner.rollout.state,
                owner.tenants.len()
            ))
            .into());
        }
        let sql =
            "UPDATE targets SET active = 1 WHERE fleet = $1 AND rollout = $2 AND wave IS NOT NULL";
        tx.exec(sql, values![&self.id]).await?;
        Ok(())
    }
}
