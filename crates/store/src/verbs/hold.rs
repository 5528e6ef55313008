//! `hold`, `release`, `holds`: tenants that an operator pins, whatever rollout they are in.

use std::collections::{BTreeMap, BTreeSet};

use async_trait::async_trait;
use sanderling_core::{Micros, TenantId};

use super::submit::lock_fleet;
use crate::link::{Fault, Tx, Value, each, values};
use crate::perform::{Mode, Verb};
use crate::port::{Hold, HoldRecord, StoreError, TenantsReceipt};
use crate::rows::{holds, rollouts};

/// The arguments of `Store::hold`.
pub(crate) struct Pin {
    pub(crate) hold: Hold,
    pub(crate) actor: String,
}

#[async_trait]
impl Verb for Pin {
    type Out = TenantsReceipt;
    const NAME: &str = "hold";
    const MODE: Mode = Mode::Write;

    async fn run(&self, tx: &mut Tx<'_>) -> Result<TenantsReceipt, Fault> {
        let Hold {
            tenants,
            reason,
            until,
        } = &self.hold;
        // A submission, and a retry of what had ended, lock it too: none slips by between their look and ours.
        lock_fleet(tx).await?;
        let now = tx.now().await?;
        if until.is_some_and(|until| until <= now) {
            return Err(StoreError::Refused(
                "a hold cannot end in the past by the control store's clock; give a later --until, or none".to_owned(),
            )
            .into());
        }
        let names: BTreeSet<&TenantId> = tenants.iter().collect();
        let before = forget_ended(tx, now).await?;
        let same = |tenant: &TenantId| {
            before
                .get(tenant)
                .is_some_and(|hold| hold.reason == *reason && hold.until == *until)
        };
        let changed: BTreeSet<&TenantId> = names
            .iter()
            .copied()
            .filter(|tenant| !same(tenant))
            .collect();
        if !changed.is_empty() {
            let sql = "INSERT INTO holds (fleet, tenant, actor, reason, at, until)
                SELECT $1, v ->> 0, $3, $4, $5, $6 FROM {each} WHERE $1 <> ''
                ON CONFLICT (fleet, tenant) DO UPDATE SET actor = excluded.actor, reason = excluded.reason,
                at = excluded.at, until = excluded.until";
            let mut args = vec![each(&holds::keys(&changed))?];
            args.extend(values![self.actor.as_str(), reason.as_str(), now]);
            args.push(Value::Int(until.map(|until| until.0)));
            tx.exec(sql, args).await?;
        }
        let end = until.map_or_else(String::new, |until| {
            format!(" until {} (microseconds since 1970, UTC)", until.0)
        });
        let detail = format!("{end}: {reason}");
        let by = (self.actor.as_str(), Some(reason.as_str()));
        follow(tx, now, "hold", &changed, by, &detail).await
    }
}

/// The arguments of `Store::release`.
pub(crate) struct LetGo {
    pub(crate) tenants: Vec<TenantId>,
    pub(crate) actor: String,
}

#[async_trait]
impl Verb for LetGo {
    type Out = TenantsReceipt;
    const NAME: &str = "release";
    const MODE: Mode = Mode::Write;

    async fn run(&self, tx: &mut Tx<'_>) -> Result<TenantsReceipt, Fault> {
        lock_fleet(tx).await?;
        let now = tx.now().await?;
        let before = forget_ended(tx, now).await?;
        let names: BTreeSet<&TenantId> = self.tenants.iter().collect();
        let changed: BTreeSet<&TenantId> = names
            .into_iter()
            .filter(|tenant| before.contains_key(tenant))
            .collect();
        let sql = "DELETE FROM holds WHERE fleet = $1 AND tenant IN (SELECT v ->> 0 FROM {each})";
        tx.exec(sql, vec![each(&holds::keys(&changed))?]).await?;
        let by = (self.actor.as_str(), None);
        follow(tx, now, "release", &changed, by, "").await
    }
}

/// Takes holds out whose time is over; the others, by tenant.
async fn forget_ended(
    tx: &mut Tx<'_>,
    now: Micros,
) -> Result<BTreeMap<TenantId, HoldRecord>, Fault> {
    let sql = "DELETE FROM holds WHERE fleet = $1 AND until <= $2";
    tx.exec(sql, values![now]).await?;
    let live = holds::live(tx, now).await?;
    Ok(live
        .into_iter()
        .map(|hold| (hold.tenant.clone(), hold))
        .collect())
}

/// What the change means for the rollouts that have these tenants; and a line of the audit log for each tenant.
async fn follow(
    tx: &mut Tx<'_>,
    now: Micros,
    verb: &str,
    changed: &BTreeSet<&TenantId>,
    by: holds::By<'_>,
    detail: &str,
) -> Result<TenantsReceipt, Fault> {
    if changed.is_empty() {
        return Ok(TenantsReceipt::default());
    }
    let ids = holds::rollouts_of(tx, changed).await?;
    let mut locked = rollouts::lock(tx, &ids.iter().collect()).await?;
    let mut targets = 0;
    for rollout in locked.values_mut() {
        targets += holds::settle(tx, rollout, now, Some(by)).await?;
    }
    rollouts::save(tx, locked.values()).await?;
    let details: Vec<_> = changed
        .iter()
        .map(|tenant| [format!("tenant {tenant}{detail}")])
        .collect();
    let sql =
        "INSERT INTO audit (fleet, at, actor, verb, rollout, state_before, state_after, detail)
        SELECT $1, $3, $4, $5, '', '', '', v ->> 0 FROM {each}";
    let mut args = vec![each(&details)?];
    args.extend(values![now, by.0, verb]);
    tx.exec(sql, args).await?;
    Ok(TenantsReceipt {
        changed: changed.iter().map(|tenant| (*tenant).clone()).collect(),
        targets,
        in_flight: holds::in_flight(tx, changed).await?,
        stopping: Vec::new(),
    })
}

/// `Store::holds`.
pub(crate) struct Holds;

#[async_trait]
impl Verb for Holds {
    type Out = Vec<HoldRecord>;
    const NAME: &str = "holds";
    const MODE: Mode = Mode::Snapshot;

    async fn run(&self, tx: &mut Tx<'_>) -> Result<Vec<HoldRecord>, Fault> {
        let now = tx.now().await?;
        holds::live(tx, now).await
    }
}
