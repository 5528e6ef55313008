//! Reports to the store: successes in batches, everything else at once.

use std::sync::Arc;
use std::time::{Duration, Instant};

use sanderling_core::Outcome;
use sanderling_store::{Receipt, Report, Store, StoreError, TargetResult};
use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::CancellationToken;

use crate::held::HeldClaims;

/// Successes wait for company at most this long.
const BATCH_WAIT: Duration = Duration::from_millis(20);
/// And go once there are this many, or half of what this worker holds: the other half is at work meanwhile.
const BATCH_SIZE: usize = 64;
/// Pause before a report that the store did not take is sent again.
const RETRY_PAUSE: Duration = Duration::from_millis(250);

type Waiting = (Report, oneshot::Sender<Receipt>);

/// Hands reports to the task that sends them.
#[derive(Clone)]
pub(crate) struct Reporter(mpsc::Sender<Waiting>);

impl Reporter {
    /// Starts the sending task. It ends when the last `Reporter` is dropped and everything has been sent, or given up.
    pub(crate) fn start(
        store: Arc<dyn Store>,
        held: Arc<HeldClaims>,
        drain: CancellationToken,
        lease: Duration,
    ) -> (Self, tokio::task::JoinHandle<()>) {
        let (sender, mut receiver) = mpsc::channel(1024);
        let mut sending = Sender {
            store,
            held,
            drain,
            lease,
            draining_since: None,
        };
        let task = tokio::spawn(async move { sending.send_all(&mut receiver).await });
        (Self(sender), task)
    }

    /// Sends one report and waits until the store has taken it. A store that is away is asked again and again (the
    /// claim's number keeps a late answer from doing harm), in a drain only as long as the claim could last.
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

struct Sender {
    store: Arc<dyn Store>,
    held: Arc<HeldClaims>,
    drain: CancellationToken,
    lease: Duration,
    /// Since when the store has been away in a drain.
    draining_since: Option<Instant>,
}

impl Sender {
    async fn send_all(&mut self, receiver: &mut mpsc::Receiver<Waiting>) {
        while let Some(first) = receiver.recv().await {
            let mut batch = vec![first];
            let until = tokio::time::Instant::now() + BATCH_WAIT;
            while self.waits(batch.len()) && batch.iter().all(|(report, _)| may_wait(report)) {
                match tokio::time::timeout_at(until, receiver.recv()).await {
                    Ok(Some(next)) => batch.push(next),
                    Ok(None) | Err(_) => break,
                }
            }
            self.send(batch).await;
        }
    }

    /// Whether so few reports wait for company.
    fn waits(&self, reports: usize) -> bool {
        reports < BATCH_SIZE.min(self.held.count().div_ceil(2))
    }

    async fn send(&mut self, batch: Vec<Waiting>) {
        let (reports, answers): (Vec<_>, Vec<_>) = batch.into_iter().unzip();
        let receipts = loop {
            match self.store.report(&reports).await {
                Ok(receipts) => {
                    self.draining_since = None;
                    break receipts;
                }
                Err(error @ StoreError::Corrupt(_)) => {
                    tracing::error!(%error, reports = reports.len(), "the control store refuses these reports; their claims end with their leases");
                    break vec![Receipt::Stale; reports.len()];
                }
                Err(error) if self.gives_up() => {
                    tracing::error!(%error, reports = reports.len(), "reports not recorded before this process ends; their claims end with their leases, and whoever takes over reads the ledgers");
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

    /// In a drain: whether the store has been away for a whole lease. The claims have run out by then.
    fn gives_up(&mut self) -> bool {
        if !self.drain.is_cancelled() {
            return false;
        }
        let since = *self.draining_since.get_or_insert_with(Instant::now);
        since.elapsed() > self.lease
    }
}
