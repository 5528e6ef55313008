//! `start`: grants claims, exactly as many as every permit allows.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use async_trait::async_trait;
use sanderling_core::plan::Plan;
use sanderling_core::{
    Epoch, ErrorClass, EventKind, HostName, Micros, RolloutId, Serves, TenantId, WorkerId,
};

use super::room::Rooms;
use crate::link::{Fault, Tx, corrupt, each};
use crate::perform::{Mode, Verb};
use crate::port::{Budget, ClaimMode, Grant, StoreError, TargetRef, Wanted};
use crate::rows::rollouts::Locked;
use crate::rows::targets::{Claim, Target};
use crate::rows::tenants::Claims;
use crate::rows::{rollouts, targets, tenants};

/// The arguments of `Store::start`.
pub(crate) struct Start {
    pub(crate) worker: WorkerId,
    pub(crate) wanted: Vec<Wanted>,
    pub(crate) hosts: BTreeMap<HostName, Budget>,
    pub(crate) serves: Serves,
    pub(crate) lease: Duration,
}

#[async_trait]
impl Verb for Start {
    type Out = Vec<Grant>;
    const NAME: &str = "start";
    const MODE: Mode = Mode::Write;

    async fn run(&self, tx: &mut Tx<'_>) -> Result<Vec<Grant>, Fault> {
        let Some(rollout) = self.rollout()? else {
            return Ok(Vec::new());
        };
        let mut locked = rollouts::lock_one(tx, rollout).await?;
        let now = tx.now().await?;
        let keys: BTreeSet<_> = self.wanted.iter().map(|w| &w.target).collect();
        let mut found = targets::lock(tx, &keys).await?;
        let regranted = self.regranted(&found, now);
        let busy = busy_elsewhere(tx, &keys).await?;
        found.retain(|key, target| {
            let startable = locked.runs() && target.is_due(now) && !busy.contains(&key.tenant);
            (startable || target.expired(now)) && self.serves.takes(&target.host, &target.labels)
        });
        if found.is_empty() && regranted.is_empty() {
            return Ok(Vec::new());
        }
        let hosts = found.values().chain(&regranted).map(|target| &target.host);
        let mut rooms = Rooms::lock(tx, &self.worker, &self.hosts, hosts, now).await?;
        let mut granted = Vec::new();
        if !found.is_empty() {
            agree(tx, &locked).await?;
            granted = self.grant(tx, &mut locked, &mut rooms, found, now).await?;
            rollouts::save(tx, [&locked]).await?;
        }
        granted.extend(regranted);
        let plan = locked.plan()?;
        granted
            .into_iter()
            .map(|target| grant_of(target, &locked, &plan, &rooms))
            .collect()
    }
}

impl Start {
    fn rollout(&self) -> Result<Option<&RolloutId>, Fault> {
        let rollouts: BTreeSet<_> = self.wanted.iter().map(|w| &w.target.rollout).collect();
        if rollouts.len() > 1 {
            return Err(StoreError::Refused(
                "targets of several rollouts cannot be started at once".to_owned(),
            )
            .into());
        }
        Ok(rollouts.first().copied())
    }

    /// Claims that this very call granted before: its answer was lost, and the caller asks again.
    fn regranted(&self, found: &BTreeMap<TargetRef, Target>, now: Micros) -> Vec<Target> {
        self.wanted
            .iter()
            .filter_map(|wanted| {
                let target = found.get(&wanted.target)?;
                let claim = &target.claim;
                let ours = claim.nonce.as_ref() == Some(&wanted.nonce)
                    && claim.owner.as_ref() == Some(&self.worker);
                (ours && claim.in_flight && !target.expired(now)).then(|| target.clone())
            })
            .collect()
    }

    /// Grants in the order wanted, as far as permits reach. A claim taken over holds its permits already.
    async fn grant(
        &self,
        tx: &mut Tx<'_>,
        locked: &mut Locked,
        rooms: &mut Rooms,
        mut found: BTreeMap<TargetRef, Target>,
        now: Micros,
    ) -> Result<Vec<Target>, Fault> {
        let names: BTreeSet<TenantId> = found.keys().map(|key| key.tenant.clone()).collect();
        let claims = tenants::lock(tx, &names.iter().collect()).await?;
        let mut granted = Vec::new();
        for wanted in &self.wanted {
            let Some(target) = found.remove(&wanted.target) else {
                continue;
            };
            let takeover = target.claim.in_flight;
            let wave = target.wave()?;
            if !takeover && (locked.rollout.permits(wave) == 0 || !rooms.take(&target.host)) {
                continue;
            }
            if takeover {
                rooms.take_over(&target.host, target.claim.owner.as_ref());
            }
            let before = claims
                .get(&target.key.tenant)
                .copied()
                .ok_or_else(|| corrupt(format!("tenant {} has no row", target.key.tenant)))?;
            // Who is cancelled is only settled, and said to be.
            let applies = locked.runs() && !target.cancels;
            let target = self.claim(target, wanted, before, now, applies);
            locked.record(now, self.event(&target, wave, takeover))?;
            granted.push(target);
        }
        if granted.is_empty() {
            return Ok(granted);
        }
        targets::claimed(tx, &granted).await?;
        rooms.save(tx, &self.worker).await?;
        let epochs: Vec<(&TenantId, Epoch)> = granted
            .iter()
            .map(|target| (&target.key.tenant, target.claim.epoch))
            .collect();
        tenants::granted(tx, &epochs).await?;
        Ok(granted)
    }

    fn claim(
        &self,
        target: Target,
        wanted: &Wanted,
        before: Claims,
        now: Micros,
        applies: bool,
    ) -> Target {
        let claim = Claim {
            in_flight: true,
            epoch: Epoch(before.epoch.0 + 1),
            nonce: Some(wanted.nonce.clone()),
            owner: Some(self.worker.clone()),
            lease_until: until(now, self.lease),
            since: now,
            takeover: before.unresolved,
            resolves: !applies,
        };
        let mut attempts = target.attempts;
        if target.claim.in_flight && target.claim.owner.is_some() {
            // Its worker went silent: too many of them, and the tenant itself is the reason. One that let go of its
            // claim (`abandon`) said so.
            *attempts.entry(ErrorClass::WorkerLost).or_default() += 1;
        }
        Target {
            claim,
            attempts,
            ..target
        }
    }

    fn event(&self, target: &Target, wave: usize, takeover: bool) -> EventKind {
        EventKind::Started {
            tenant: target.key.tenant.clone(),
            wave,
            host: target.host.clone(),
            epoch: target.claim.epoch,
            worker: self.worker.clone(),
            takeover,
        }
    }
}

/// The end of a lease.
pub(crate) fn until(now: Micros, lease: Duration) -> Micros {
    let micros = i64::try_from(lease.as_micros()).unwrap_or(i64::MAX);
    Micros(now.0.saturating_add(micros))
}

/// Tenants that a claim of another rollout is at work on: a cancelled rollout drains before the next one begins there.
async fn busy_elsewhere(
    tx: &mut Tx<'_>,
    keys: &BTreeSet<&TargetRef>,
) -> Result<BTreeSet<TenantId>, Fault> {
    let sql = "SELECT targets.tenant FROM {each} JOIN targets ON targets.fleet = f AND targets.tenant = v ->> 1
        WHERE targets.in_flight = 1 AND targets.rollout <> v ->> 0";
    let rows = tx.rows(sql, vec![each(&targets::pairs(keys))?]).await?;
    rows.iter()
        .map(|row| Ok(TenantId::new(row.text(0)?)))
        .collect()
}

/// Permits are counted from the targets. Where the rollout's own numbers differ nothing may start.
async fn agree(tx: &mut Tx<'_>, locked: &Locked) -> Result<(), Fault> {
    let rollout = &locked.rollout;
    let counted = targets::in_flight(tx, &rollout.id).await?;
    let known: BTreeMap<usize, u64> = rollout
        .waves
        .iter()
        .map(|wave| wave.in_flight)
        .enumerate()
        .filter(|(_, n)| *n > 0)
        .collect();
    if counted == known {
        return Ok(());
    }
    Err(corrupt(format!(
        "rollout {}: targets in flight by wave are {counted:?}, its state says {known:?}; nothing starts until they agree",
        rollout.id
    )))
}

fn grant_of(target: Target, locked: &Locked, plan: &Plan, rooms: &Rooms) -> Result<Grant, Fault> {
    let path = plan.paths.get(target.path).ok_or_else(|| {
        corrupt(format!(
            "rollout {} has no path {}",
            target.key.rollout, target.path
        ))
    })?;
    let nonce = target.claim.nonce.clone();
    let wave = target.wave()?;
    Ok(Grant {
        wave,
        sweep: locked.is_swept(wave),
        epoch: target.claim.epoch,
        nonce: nonce.ok_or_else(|| corrupt("a claim without nonce"))?,
        mode: if target.claim.resolves {
            ClaimMode::Resolve
        } else {
            ClaimMode::Apply
        },
        takeover: target.claim.takeover,
        attempts: target.attempts,
        direction: plan.direction,
        versions: path.versions.clone(),
        applied: target.applied,
        has_ledger: target.has_ledger,
        bundle: locked.rollout.bundle.clone(),
        accepted: plan.accepted.clone(),
        policy: locked.rollout.policy.clone(),
        spare: rooms.spare(&target.host),
        seats: rooms.seats(&target.host),
        at: target.claim.since,
        place: target.place,
        target: target.key,
    })
}
