//! `sanderling up`: plan, submit or join, follow; coordinate and work as well where this process is the whole fleet's.

use std::io::{BufRead, IsTerminal, Write};
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, anyhow, bail};
use sanderling_claims::Claims;
use sanderling_coordinator::{Fleet, PlanRequest, Planned};
use sanderling_core::{Outcome, RolloutId, RolloutState, Serves, TenantId};
use sanderling_store::{RolloutRecord, Store, StoreError, Submission, TargetFilter, TargetRecord};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::{joined, plan, process, selection, serving};
use crate::cli::{How, Up};
use crate::exit::{Exit, UsageError};
use crate::follow::Follower;
use crate::render;
use crate::signals::Signals;
use crate::wiring::Wiring;

/// Held targets looked at to find the rollout that waits for them.
const MOST_HELD: u32 = 100_000;
/// How long `up` waits for a live worker of the cluster.
const WORKER_WAIT: Duration = Duration::from_secs(30);

/// Takes the fleet to a version.
pub(crate) async fn run(wiring: &Wiring, args: &Up) -> anyhow::Result<Exit> {
    let file = args.plan.as_deref().map(plan::file::read).transpose()?;
    let asked = file.as_ref().map_or(&args.selection, |file| &file.request);
    let request = selection::request(wiring, asked)?;
    ride(wiring, &request, args.how, file.as_ref()).await
}

/// Takes tenants where the request says, whichever way.
pub(crate) async fn ride(
    wiring: &Wiring,
    request: &PlanRequest,
    how: How,
    file: Option<&plan::file::Document>,
) -> anyhow::Result<Exit> {
    let fleet = wiring.fleet()?;
    let existing = wiring.store_if_any().await?;
    let planned = selection::plan(&fleet, request, existing.as_deref()).await?;
    for sentence in &planned.left_behind {
        wiring.printer.warn(sentence);
    }
    if let Some(file) = file {
        plan::file::compare(file, &planned, existing.as_deref()).await?;
    }
    let embedded = how.embedded || wiring.claims_in_memory();
    if !embedded {
        serving::refuse_unserved(wiring, &fleet, &planned, existing.as_deref()).await?;
    }
    if how.dry_run {
        plan::show(wiring, &planned)?;
        wiring.printer.talk("dry run: nothing was changed");
        return Ok(Exit::Done);
    }
    if planned.plan.targets.is_empty() && at_work(existing.as_deref(), &planned).await?.is_none() {
        warn_of_the_other_way(wiring, existing.as_deref(), &planned).await?;
        return plan::nothing_to_do(wiring, &planned);
    }
    if !embedded {
        confirm(wiring, how.yes || file.is_some(), &planned)?;
    }
    let signals = Signals::listen(
        wiring.printer,
        "interrupted: finishing the migrations at hand; once more ends at once",
    )?;
    let (store, claims) = (wiring.store().await?, wiring.claims()?);
    if !embedded {
        wait_for_worker(wiring, &fleet, &planned, &*store).await?;
    }
    let (record, joined) = submit(wiring, &*store, &fleet, planned).await?;
    if record.rollout.state == RolloutState::Halted {
        // Only a person lets it go on: another `up` says why it stands still and what to type.
        return finish(wiring, &record);
    }
    if let Err(error) = claims.wake().await {
        tracing::debug!(%error, "wake-up not sent; workers poll");
    }
    let drain = signals.drain().child_token();
    let mut hands = if embedded {
        Some(Hands::start(wiring, &store, &claims, joined, &drain).await?)
    } else {
        None
    };
    let follower = Follower {
        store: store.clone(),
        printer: wiring.printer,
        rollout: record.rollout.id.clone(),
        pause: wiring.follow_pause(),
        after_seq: if joined { record.rollout.last_seq } else { 0 },
    };
    let followed = match &mut hands {
        Some(hands) => tokio::select! {
            followed = follower.follow(signals.drain()) => followed,
            error = hands.broken() => Err(error),
        },
        None => follower.follow(signals.drain()).await,
    };
    drain.cancel();
    if let Some(hands) = hands {
        hands.end().await;
    }
    match signals.exit() {
        Some(exit) => {
            let id = &record.rollout.id;
            wiring.printer.talk(&format!(
                "rollout {id} is not finished; {} goes on with it",
                render::again(&record.rollout)
            ));
            let last = store.rollout(id).await?.unwrap_or(record);
            plan::summary(wiring, &last)?;
            Ok(exit)
        }
        None => finish(wiring, &followed?),
    }
}

fn finish(wiring: &Wiring, record: &RolloutRecord) -> anyhow::Result<Exit> {
    if let Some(file) = &wiring.metrics {
        file.ended(record);
    }
    wiring.printer.result(&render::ending(&record.rollout));
    plan::summary(wiring, record)?;
    Ok(Exit::of(record.rollout.state))
}

/// There is nothing to do yet: a rollout that goes the other way and has not ended may be about to change that.
async fn warn_of_the_other_way(
    wiring: &Wiring,
    store: Option<&dyn Store>,
    planned: &Planned,
) -> Result<(), StoreError> {
    let Some(store) = store else { return Ok(()) };
    let active = store.rollouts(true, 100).await?;
    let others = active.iter().map(|record| &record.rollout);
    for other in others.filter(|other| other.direction != planned.plan.direction) {
        wiring.printer.warn(&format!(
            "rollout {id} is {state} {whither} ({outcomes}); `sanderling rollout show {id}` says what is to be done with it",
            id = other.id,
            state = other.state,
            whither = render::whither(other.direction, &other.target),
            outcomes = render::counts(&other.outcomes())
        ));
    }
    Ok(())
}

/// The active rollout of the same bundle and target that has one of these tenants in flight or waits for it, if there is
/// one: what looks up to date may just have been migrated by it, and what the plan leaves out as held is held there.
async fn at_work(
    store: Option<&dyn Store>,
    planned: &Planned,
) -> Result<Option<RolloutId>, StoreError> {
    let Some(store) = store else { return Ok(None) };
    let selected = |tenant: &TenantId| {
        planned
            .plan
            .left_out
            .iter()
            .any(|left| left.tenant == *tenant)
    };
    let alike = store
        .rollouts(true, 100)
        .await?
        .into_iter()
        .map(|record| record.rollout)
        .filter(|rollout| {
            let plan = &planned.plan;
            (&rollout.bundle, &rollout.target, rollout.direction)
                == (&plan.bundle, &plan.target, plan.direction)
        });
    for rollout in alike {
        if rollout.in_flight.keys().any(selected) {
            return Ok(Some(rollout.id));
        }
        if rollout.held() > 0 {
            let held = TargetFilter::Outcome(Outcome::Held);
            let held = store.targets(&rollout.id, held, None, MOST_HELD).await?;
            let in_wave = |target: &TargetRecord| target.wave.is_some();
            if held
                .iter()
                .any(|target| in_wave(target) && selected(&target.target.tenant))
            {
                return Ok(Some(rollout.id));
            }
        }
    }
    Ok(None)
}

async fn submit(
    wiring: &Wiring,
    store: &dyn Store,
    fleet: &Fleet,
    planned: Planned,
) -> anyhow::Result<(RolloutRecord, bool)> {
    if planned.plan.targets.is_empty()
        && let Some(id) = at_work(Some(store), &planned).await?
    {
        return Ok((read(store, &id).await?, true));
    }
    store.put_bundle(&fleet.migrations.bundle).await?;
    let direction = planned.plan.direction;
    let submission = Submission {
        id: RolloutId::new(uuid::Uuid::now_v7().to_string()),
        hosts: serving::written(fleet, &planned.plan),
        labels: serving::labels(fleet, &planned.plan),
        plan: planned.plan,
        actor: actor(),
    };
    let submitted = store.submit(&submission).await.map_err(|error| match &error {
        StoreError::Overlap { rollout, .. } => {
            anyhow!(
                "{error}; look at it with `sanderling rollout show {rollout}`, or end it with `sanderling rollout cancel {rollout} --reason \"…\"`; \
                 where one migration of it failed and was corrected: `sanderling rollout retry {rollout} --amend VERSION --reason \"…\"`"
            )
        }
        _ => error.into(),
    })?;
    let id = &submitted.rollout;
    wiring.printer.talk(&if submitted.joined {
        format!("joined rollout {id}")
    } else {
        format!("rollout {id}")
    });
    for sentence in joined::news(store, fleet, &submitted, direction).await? {
        wiring.printer.warn(&sentence);
    }
    Ok((read(store, id).await?, submitted.joined))
}

async fn read(store: &dyn Store, id: &RolloutId) -> anyhow::Result<RolloutRecord> {
    Ok(store
        .rollout(id)
        .await?
        .ok_or_else(|| StoreError::NoRollout(id.clone()))?)
}

/// Asks on a terminal; elsewhere `--yes` must have been given.
fn confirm(wiring: &Wiring, yes: bool, planned: &Planned) -> anyhow::Result<()> {
    if yes {
        return Ok(());
    }
    if !std::io::stdin().is_terminal() {
        return Err(UsageError(
            "there is no terminal to ask on; add --yes to start without asking, or --plan FILE to carry out a plan that was looked at".into(),
        )
        .into());
    }
    wiring.printer.talk(&plan::text(&planned.summary()));
    let mut stderr = std::io::stderr();
    write!(stderr, "Start? [y/N] ")?;
    stderr.flush()?;
    let mut answer = String::new();
    std::io::stdin()
        .lock()
        .read_line(&mut answer)
        .context("reading the answer")?;
    if !matches!(answer.trim(), "y" | "Y" | "yes") {
        bail!("not started");
    }
    Ok(())
}

/// Waits until a worker lives; refuses where those that live do not serve everybody.
async fn wait_for_worker(
    wiring: &Wiring,
    fleet: &Fleet,
    planned: &Planned,
    store: &dyn Store,
) -> anyhow::Result<()> {
    let since = Instant::now();
    let mut said = false;
    while store.workers().await?.is_empty() {
        if since.elapsed() > WORKER_WAIT {
            bail!(
                "no worker is alive: start some with `sanderling worker` (and a `sanderling coordinator`), \
                 or let this process do the work with `sanderling {} --embedded`; nothing was started",
                planned.plan.direction
            );
        }
        if !said {
            wiring.printer.talk("waiting for a live worker");
            said = true;
        }
        tokio::time::sleep(wiring.settings.control.poll.min(Duration::from_secs(1))).await;
    }
    serving::refuse_unserved(wiring, fleet, planned, Some(store)).await
}

/// A coordinator and a worker inside this process.
struct Hands(JoinSet<()>);

impl Hands {
    /// Starts both. Where a rollout was joined, another process may be at work on it: then the worker stands by and
    /// begins when no live worker is left. Of coordinators only one leads anyway.
    async fn start(
        wiring: &Wiring,
        store: &Arc<dyn Store>,
        claims: &Arc<dyn Claims>,
        joined: bool,
        drain: &CancellationToken,
    ) -> anyhow::Result<Self> {
        let stand_by = joined && !store.workers().await?.is_empty();
        if stand_by {
            wiring.printer.talk("another process is at work on it; this one follows, and takes over if that one stops");
        }
        let coordinator = process::new_coordinator(wiring, store.clone(), claims.clone());
        let worker =
            process::new_worker(wiring, Serves::everyone(), store.clone(), claims.clone())?;
        let (store, poll) = (store.clone(), wiring.settings.control.poll);
        let mut hands = JoinSet::new();
        hands.spawn(coordinator.run(drain.clone()));
        let drain = drain.clone();
        hands.spawn(async move {
            while stand_by && !drain.is_cancelled() && !nobody_works(&*store).await {
                tokio::select! {
                    () = tokio::time::sleep(poll) => {}
                    () = drain.cancelled() => {}
                }
            }
            worker.run(drain).await;
        });
        Ok(Self(hands))
    }

    /// Comes back only when one of them has broken down: then nothing would move any more.
    async fn broken(&mut self) -> anyhow::Error {
        match self.0.join_next().await {
            Some(Err(error)) => {
                anyhow::anyhow!("the coordinator or worker of this process broke down: {error}")
            }
            Some(Ok(())) | None => std::future::pending().await,
        }
    }

    /// Waits until they have drained.
    async fn end(mut self) {
        while self.0.join_next().await.is_some() {}
    }
}

async fn nobody_works(store: &dyn Store) -> bool {
    store
        .workers()
        .await
        .is_ok_and(|workers| workers.is_empty())
}

/// Who types: for the audit log.
pub(crate) fn actor() -> String {
    let user = std::env::var("USER")
        .or_else(|_| std::env::var("LOGNAME"))
        .unwrap_or_else(|_| "unknown".into());
    let host = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    format!("{user}@{}", host.trim())
}
