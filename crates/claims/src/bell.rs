//! Wake-ups inside a process: rung by anyone, heard once by each ear, also by one that listens late.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::sync::watch;

/// Counts rings.
#[derive(Debug)]
pub(crate) struct Bell(watch::Sender<u64>);

impl Bell {
    pub(crate) fn new() -> Self {
        Self(watch::Sender::new(0))
    }

    pub(crate) fn ring(&self) {
        self.0.send_modify(|rings| *rings += 1);
    }

    /// An ear that hears every ring from now on.
    pub(crate) fn listen(&self) -> Ear {
        let rings = self.0.subscribe();
        let heard = AtomicU64::new(*rings.borrow());
        Ear { rings, heard }
    }
}

/// One listener; it remembers what it has heard.
#[derive(Debug)]
pub(crate) struct Ear {
    rings: watch::Receiver<u64>,
    heard: AtomicU64,
}

impl Ear {
    /// Returns at the next ring, at once if there was one since the last call, else after `timeout`.
    ///
    /// Several callers on one ear each return at the next ring.
    pub(crate) async fn wait(&self, timeout: Duration) {
        let heard = self.heard.load(Ordering::Acquire);
        let mut rings = self.rings.clone();
        let next = rings.wait_for(|rings| *rings != heard);
        if let Ok(Ok(rings)) = tokio::time::timeout(timeout, next).await {
            self.heard.fetch_max(*rings, Ordering::AcqRel);
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::Instant;

    use super::*;

    const LONG: Duration = Duration::from_secs(3600);

    #[tokio::test(start_paused = true)]
    async fn a_ring_before_the_wait_is_heard_once() {
        let bell = Bell::new();
        let ear = bell.listen();
        bell.ring();
        bell.ring();
        let start = Instant::now();
        ear.wait(LONG).await;
        assert_eq!(start.elapsed(), Duration::ZERO);
        ear.wait(LONG).await;
        assert_eq!(start.elapsed(), LONG);
    }

    #[tokio::test(start_paused = true)]
    async fn one_ring_wakes_every_waiter() {
        let bell = Bell::new();
        let ear = bell.listen();
        let start = Instant::now();
        tokio::join!(ear.wait(LONG), ear.wait(LONG), async {
            tokio::task::yield_now().await;
            bell.ring();
        });
        assert_eq!(start.elapsed(), Duration::ZERO);
    }
}
