//! What the leader knows of rollouts and workers, as it gets into metrics.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use sanderling_core::halt::Rule;
use sanderling_core::{Rollout, RolloutId, RolloutState};
use sanderling_store::{RolloutRecord, Store, StoreError};
use sanderling_telemetry::catalogue::{HALTS, LEADER, WORKERS, WORKERS_AWAY};
use sanderling_telemetry::{
    ACTIVE_ROLLOUTS, Board, ENDED_ROLLOUTS, Pace, Samples, host_label, is_recording, rollout,
};

use crate::history::pace;

/// How long what costs a question of its own is shown before it is asked again. The states of active rollouts cost
/// none: the leader has just read them.
const FRESH: Duration = Duration::from_secs(5);
/// Rollouts that are looked through for those that ended last.
const LOOKED_THROUGH: u32 = 32;

/// What the leader shows.
pub(crate) struct Figures {
    board: Board,
    /// What was asked for, and when.
    asked: Option<(Instant, Asked)>,
    /// The active rollouts as they were, and whether each was halted; `None` before the first look as a leader, because
    /// what had halted by then has been counted by another.
    halted: Option<BTreeMap<RolloutId, bool>>,
}

#[derive(Default)]
struct Asked {
    /// The active rollouts at that time.
    active: BTreeSet<RolloutId>,
    ended: Samples,
    workers: Samples,
    paces: BTreeMap<RolloutId, Pace>,
}

impl Figures {
    pub(crate) fn new() -> Self {
        for rule in Rule::ALL {
            HALTS.more([rule.as_str()], 0);
        }
        LEADER.set([], 0.0);
        Self {
            board: Board::new(),
            asked: None,
            halted: None,
        }
    }

    /// Shows nothing: another leads.
    pub(crate) fn clear(&mut self) {
        LEADER.set([], 0.0);
        self.board.clear();
        (self.asked, self.halted) = (None, None);
    }

    /// Shows the active rollouts as they were just read, and the rest as it was asked for a moment ago.
    pub(crate) async fn show(&mut self, store: &dyn Store, active: &[RolloutRecord]) {
        if !is_recording() {
            return;
        }
        LEADER.set([], 1.0);
        self.count_halts(active);
        let ids: BTreeSet<_> = active
            .iter()
            .map(|record| record.rollout.id.clone())
            .collect();
        let fresh = |(at, asked): &(Instant, Asked)| at.elapsed() < FRESH && asked.active == ids;
        if !self.asked.as_ref().is_some_and(fresh) {
            match ask(store, active, ids).await {
                Ok(asked) => self.asked = Some((Instant::now(), asked)),
                Err(error) => {
                    tracing::debug!(%error, "metrics of workers and ended rollouts are as they were")
                }
            }
        }
        let mut samples = Samples::default();
        let asked = self.asked.as_ref().map(|(_, asked)| asked);
        for RolloutRecord {
            rollout: of, now, ..
        } in active.iter().take(ACTIVE_ROLLOUTS)
        {
            let pace = asked.and_then(|asked| asked.paces.get(&of.id)).copied();
            samples.append(rollout(of, *now, pace));
        }
        if let Some(asked) = asked {
            samples.append(asked.ended.clone());
            samples.append(asked.workers.clone());
        }
        self.board.show(samples);
    }

    fn count_halts(&mut self, active: &[RolloutRecord]) {
        let before = self.halted.take();
        let mut now = BTreeMap::new();
        for RolloutRecord { rollout, .. } in active {
            let halt = halted(rollout);
            if let (Some(rule), Some(before)) = (halt, &before)
                && !before.get(&rollout.id).copied().unwrap_or(false)
            {
                HALTS.one([rule.as_str()]);
            }
            now.insert(rollout.id.clone(), halt.is_some());
        }
        self.halted = Some(now);
    }
}

fn halted(rollout: &Rollout) -> Option<Rule> {
    let halt = rollout.halt.as_ref()?;
    (rollout.state == RolloutState::Halted).then_some(halt.rule)
}

async fn ask(
    store: &dyn Store,
    active: &[RolloutRecord],
    ids: BTreeSet<RolloutId>,
) -> Result<Asked, StoreError> {
    let mut asked = Asked {
        workers: workers(store).await?,
        ..Asked::default()
    };
    let newest = store.rollouts(false, LOOKED_THROUGH).await?;
    let ended = newest
        .iter()
        .filter(|record| !record.rollout.state.is_active());
    for RolloutRecord {
        rollout: of, now, ..
    } in ended.take(ENDED_ROLLOUTS)
    {
        let pace = pace(store, of).await?;
        asked.ended.append(rollout(of, *now, pace));
    }
    for RolloutRecord { rollout, .. } in active.iter().take(ACTIVE_ROLLOUTS) {
        if let Some(pace) = pace(store, rollout).await? {
            asked.paces.insert(rollout.id.clone(), pace);
        }
    }
    asked.active = ids;
    Ok(asked)
}

async fn workers(store: &dyn Store) -> Result<Samples, StoreError> {
    let mut samples = Samples::default();
    let workers = store.workers().await?;
    samples.set(&WORKERS, [], workers.len() as f64);
    let mut away: BTreeMap<&str, u32> = BTreeMap::new();
    for host in workers.iter().flat_map(|worker| &worker.away) {
        *away.entry(host_label(host.host.as_str())).or_default() += 1;
    }
    for (host, workers) in away {
        samples.set(&WORKERS_AWAY, [host], f64::from(workers));
    }
    Ok(samples)
}
