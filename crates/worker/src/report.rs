//! Reports to the store: successes in batches, everything else at once.

use std::sync::Arc;
use std::time::Duration;

use sanderling_core::Outcome;
use sanderling_store::{Receipt, Report, Store, StoreError, TargetResult};
use tokio::sync::{mpsc, oneshot};

/// Successes wait for company at most this long.
const BATCH_WAIT: Duration = Duration::from_millis(20);
/// And go once there are this many.
const BATCH_SIZE: usize = 64;
/// Pause before a report that the store did not take is sent again.
const RETRY_PAUSE: Duration = Duration::from_millis(250);

type Waiting = (Report, oneshot::Sender<Receipt>);

/// Hands reports to the task that sends them.
#[derive(Clone)]
pub(crate) struct Reporter(mpsc::Sender<Waiting>);

impl Reporter {
    /// Starts the sending task. It ends when the last `Reporter` is dropped and everything has been sent.
    pub(crate) fn start(store: Arc<dyn Store>) -> (Self, tokio::task::JoinHandle<()>) {
        let (sender, receiver) = mpsc::channel(1024);
        (Self(sender), tokio::spawn(send_all(store, receiver)))
    }

    /// Sends one report and waits until the store has taken it. A store that is away is asked again and again:
    /// the claim's number keeps a late answer from doing harm.
    pub(crate) async fn report(&self, report: Report) -> Receipt {
        let (answer, answered) = oneshot::channel();
        if self.0.send((report, answer)).await.is_err() {
            return Receipt::Stale;
        }
        answered.await.unwrap_or(Receipt::Stale)
    }
}

fn may_wait(report: &Report) -> bool {
    matches!(
        report.result,
        TargetResult::Ended {
            outcome: Outcome::Succeeded | Outcome::UpToDate,
            ..
        }
    )
}

async fn send_all(store: Arc<dyn Store>, mut receiver: mpsc::Receiver<Waiting>) {
    while let Some(first) = receiver.recv().await {
        let mut batch = vec![first];
        let until = tokio::time::Instant::now() + BATCH_WAIT;
        while batch.len() < BATCH_SIZE && batch.iter().all(|(report, _)| may_wait(report)) {
            match tokio::time::timeout_at(until, receiver.recv()).await {
                Ok(Some(next)) => batch.push(next),
                Ok(None) | Err(_) => break,
            }
        }
        send(&*store, batch).await;
    }
}

async fn send(store: &dyn Store, batch: Vec<Waiting>) {
    let (reports, answers): (Vec<_>, Vec<_>) = batch.into_iter().unzip();
    let receipts = loop {
        match store.report(&reports).await {
            Ok(receipts) => break receipts,
            Err(error @ StoreError::Corrupt(_)) => {
                tracing::error!(%error, reports = reports.len(), "the control store refuses these reports; their claims end with their leases");
                break vec![Receipt::Stale; reports.len()];
            }
            Err(error) => {
                tracing::warn!(%error, reports = reports.len(), "reports not recorded; sending them again");
                tokio::time::sleep(RETRY_PAUSE).await;
            }
        }
    };
    for (answer, receipt) in answers.into_iter().zip(receipts) {
        // Nobody waits any more only when the worker is being torn down.
        let _ = answer.send(receipt);
    }
}
