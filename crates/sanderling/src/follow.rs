//! Follows a rollout: events as they come, progress, until nothing moves any more.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use sanderling_core::{RolloutId, RolloutState};
use sanderling_store::{RolloutRecord, Store, StoreError, WorkerRecord};
use tokio_util::sync::CancellationToken;

use crate::printer::Printer;
use crate::progress::Progress;

/// A rollout whose first wave has not opened for this long has nobody to open it.
const NO_LEADER: Duration = Duration::from_secs(10);
/// What is in flight while nobody works for this long does not move: whoever worked has ended, or comes again later.
const NO_WORKER: Duration = Duration::from_secs(10);
/// Events read at once.
const PAGE: u32 = 500;

/// Follows one rollout.
pub(crate) struct Follower {
    pub(crate) store: Arc<dyn Store>,
    pub(crate) printer: Printer,
    pub(crate) rollout: RolloutId,
    /// Pause between two looks.
    pub(crate) pause: Duration,
    /// The last event that need not be shown.
    pub(crate) after_seq: i64,
}

impl Follower {
    /// Follows until the rollout is final, or stopped with nothing in flight that its hosts let end, or `stop` is
    /// cancelled.
    pub(crate) async fn follow(
        mut self,
        stop: &CancellationToken,
    ) -> anyhow::Result<RolloutRecord> {
        let mut progress = Progress::new(self.printer);
        let (since, mut said) = (Instant::now(), false);
        let mut worked = Instant::now();
        loop {
            let looked = self.look(&mut progress).await;
            if let Ok((record, _)) = &looked
                && !said
                && stands_still(record)
                && since.elapsed() > NO_LEADER
            {
                said = true;
                progress.talk("no wave has opened yet: is a `sanderling coordinator` running?");
            }
            // Of a store that does not answer nobody knows who works.
            if looked
                .as_ref()
                .map_or(true, |(_, workers)| !workers.is_empty())
            {
                worked = Instant::now();
            }
            match looked {
                Ok((record, workers))
                    if settled(&record, &workers)
                        || (stands(&record) && worked.elapsed() > NO_WORKER)
                        || stop.is_cancelled() =>
                {
                    progress.end();
                    if !stop.is_cancelled() {
                        say_left(&progress, &record);
                    }
                    return Ok(record);
                }
                Ok(_) => {}
                Err(error @ StoreError::Unavailable { .. }) if !stop.is_cancelled() => {
                    progress.talk(&format!("{error}; still trying"));
                }
                Err(error) => return Err(error.into()),
            }
            tokio::select! {
                () = tokio::time::sleep(self.pause) => {}
                () = stop.cancelled() => {}
            }
        }
    }

    async fn look(
        &mut self,
        progress: &mut Progress,
    ) -> Result<(RolloutRecord, Vec<WorkerRecord>), StoreError> {
        let record = self
            .store
            .rollout(&self.rollout)
            .await?
            .ok_or_else(|| StoreError::NoRollout(self.rollout.clone()))?;
        // The record first: every event up to it is there to be shown before it is called final.
        while self.after_seq < record.rollout.last_seq {
            let events = self
                .store
                .events(&self.rollout, self.after_seq, PAGE)
                .await?;
            let Some(last) = events.last() else { break };
            self.after_seq = last.seq;
            for event in &events {
                progress.event(&record.rollout, event);
            }
        }
        let workers = self.store.workers().await?;
        progress.hosts(sanderling_coordinator::hosts_away_of(&workers));
        progress.state(&record);
        Ok((record, workers))
    }
}

/// Whether it runs and no wave has opened.
fn stands_still(record: &RolloutRecord) -> bool {
    record.rollout.state == RolloutState::Running
        && record
            .rollout
            .waves
            .iter()
            .all(|wave| wave.opened_at.is_none())
}

/// Whether it was stopped, so that only what is in flight can move.
fn stands(record: &RolloutRecord) -> bool {
    matches!(
        record.rollout.state,
        RolloutState::Paused | RolloutState::Halted | RolloutState::Cancelled
    )
}

/// What is left in flight when nobody follows any more.
fn say_left(progress: &Progress, record: &RolloutRecord) {
    let left = record.rollout.in_flight.len();
    if left > 0 {
        progress.talk(&format!(
            "{left} in flight stay so: nobody works there now. When their hosts are back, a worker, or the next `sanderling up`, \
             settles them"
        ));
    }
}

/// Whether nothing will move by itself any more.
fn settled(record: &RolloutRecord, workers: &[WorkerRecord]) -> bool {
    let RolloutRecord { rollout, now, .. } = record;
    let quiet = rollout.in_flight.is_empty();
    // What is cut off from its tenant, and waited for no longer, does not end by itself.
    let stuck = || {
        let cut_off = sanderling_coordinator::cut_off(&rollout.id, workers);
        let given_up = cut_off.iter().filter(|of| of.is_given_up(rollout, *now));
        let given_up: BTreeSet<_> = given_up.map(|of| &of.tenant).collect();
        rollout.in_flight.keys().all(|t| given_up.contains(t))
    };
    match record.rollout.state {
        RolloutState::Running => false,
        // The time of a hold is over, and the leader has yet to say so.
        RolloutState::Waiting => {
            quiet && record.rollout.hold_ends_at.is_none_or(|at| at > record.now)
        }
        RolloutState::Paused | RolloutState::Halted | RolloutState::Cancelled => quiet || stuck(),
        RolloutState::Succeeded | RolloutState::CompletedWithFailures => true,
    }
}
