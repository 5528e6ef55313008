//! The leader's look at the whole fleet, now and then: who is at which version, and who is behind.

use std::sync::Arc;
use std::time::{Duration, Instant};

use sanderling_core::Micros;
use sanderling_core::selector::Selector;
use sanderling_store::Store;
use sanderling_telemetry::{Board, Look, fleet};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::fleet::Fleet;
use crate::status::status;

/// Reads registry and migrations as they are now; an error is a sentence.
pub type Load = dyn Fn() -> Result<Fleet, String> + Send + Sync;

/// Looks at the fleet while its coordinator leads, and shows what it saw in metrics. Reads only.
pub struct FleetWatch {
    load: Arc<Load>,
    store: Arc<dyn Store>,
    every: Duration,
    board: Board,
}

impl FleetWatch {
    /// A watch that looks as often as that.
    pub fn new(load: Arc<Load>, store: Arc<dyn Store>, every: Duration) -> Self {
        Self {
            load,
            store,
            every,
            board: Board::new(),
        }
    }

    /// Looks whenever it is time and the coordinator leads, until `drain` is cancelled. A look that fails is said, and
    /// leaves what was shown before with the time at which it was seen.
    pub async fn run(self, mut leads: watch::Receiver<bool>, drain: CancellationToken) {
        loop {
            tokio::select! {
                led = leads.wait_for(|leads| *leads) => if led.is_err() { return },
                () = drain.cancelled() => return,
            }
            tokio::select! {
                () = self.look() => {}
                () = drain.cancelled() => return,
            }
            tokio::select! {
                () = tokio::time::sleep(self.every) => {}
                lost = leads.wait_for(|leads| !*leads) => {
                    self.board.clear();
                    if lost.is_err() { return }
                }
                () = drain.cancelled() => return,
            }
        }
    }

    async fn look(&self) {
        let load = Arc::clone(&self.load);
        let loaded = match tokio::task::spawn_blocking(move || load()).await {
            Ok(loaded) => loaded,
            Err(error) => Err(error.to_string()),
        };
        let seen = match loaded {
            Ok(fleet) => self.see(&fleet).await,
            Err(error) => Err(error),
        };
        if let Err(error) = seen {
            tracing::warn!(
                error,
                "the fleet was not looked at; its metrics are as they were"
            );
        }
    }

    async fn see(&self, of: &Fleet) -> Result<(), String> {
        let begun = Instant::now();
        let everyone = Selector::everyone();
        let report = status(of, &everyone, Some(&*self.store))
            .await
            .map_err(|error| error.to_string())?;
        let at: Micros = self.store.now().await.map_err(|error| error.to_string())?;
        of.hosts.close().await;
        self.board.show(fleet(&Look {
            status: &report.summary,
            hosts: of.by_host(),
            at,
            took: begun.elapsed(),
        }));
        Ok(())
    }
}
