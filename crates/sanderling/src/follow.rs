//! Follows a rollout: events as they come, progress, until nothing moves any more.

use std::sync::Arc;
use std::time::{Duration, Instant};

use sanderling_core::{RolloutId, RolloutState};
use sanderling_store::{RolloutRecord, Store, StoreError};
use tokio_util::sync::CancellationToken;

use crate::printer::Printer;
use crate::progress::Progress;

/// A rollout whose first wave has not opened for this long has nobody to open it.
const NO_LEADER: Duration = Duration::from_secs(10);
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
    /// Follows until the rollout is final, or stopped with nothing in flight, or `stop` is cancelled.
    pub(crate) async fn follow(
        mut self,
        stop: &CancellationToken,
    ) -> anyhow::Result<RolloutRecord> {
        let mut progress = Progress::new(self.printer);
        let (since, mut said) = (Instant::now(), false);
        loop {
            let looked = self.look(&mut progress).await;
            if let Ok(record) = &looked
                && !said
                && stands_still(record)
                && since.elapsed() > NO_LEADER
            {
                said = true;
                progress.talk("no wave has opened yet: is a `sanderling coordinator` running?");
            }
            match looked {
                Ok(record) if settled(&record) || stop.is_cancelled() => {
                    progress.end();
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

    async fn look(&mut self, progress: &mut Progress) -> Result<RolloutRecord, StoreError> {
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
        progress.hosts(sanderling_coordinator::hosts_away(&*self.store).await?);
        progress.state(&record);
        Ok(record)
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

/// Whether nothing will move by itself any more.
fn settled(record: &RolloutRecord) -> bool {
    let quiet = record.rollout.in_flight.is_empty();
    match record.rollout.state {
        RolloutState::Running => false,
        // The time of a hold is over, and the leader has yet to say so.
        RolloutState::Waiting => {
            quiet && record.rollout.hold_ends_at.is_none_or(|at| at > record.now)
        }
        RolloutState::Paused | RolloutState::Halted | RolloutState::Cancelled => quiet,
        RolloutState::Succeeded | RolloutState::CompletedWithFailures => true,
    }
}
