//! Follows a rollout: events as they come, progress, until nothing moves any more.

use std::sync::Arc;
use std::time::Duration;

use sanderling_core::{RolloutId, RolloutState};
use sanderling_store::{RolloutRecord, Store, StoreError};
use tokio_util::sync::CancellationToken;

use crate::printer::Printer;
use crate::progress::Progress;

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
        loop {
            match self.look(&mut progress).await {
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
        progress.state(&record);
        Ok(record)
    }
}

/// Whether nothing will move by itself any more.
fn settled(record: &RolloutRecord) -> bool {
    let quiet = record.rollout.in_flight.is_empty();
    match record.rollout.state {
        RolloutState::Running => false,
        RolloutState::Paused
        | RolloutState::Halted
        | RolloutState::Waiting
        | RolloutState::Cancelled => quiet,
        RolloutState::Succeeded | RolloutState::CompletedWithFailures => true,
    }
}
