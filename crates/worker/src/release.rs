//! Locks that are done with, given back together: nobody waits for that, and each call to Redis serves many.

use std::sync::Arc;
use std::time::Duration;

use sanderling_claims::{Claims, LockKey};
use sanderling_core::Nonce;
use tokio::sync::mpsc;

/// How long a lock waits for company.
const COMPANY: Duration = Duration::from_millis(5);

/// Hands locks to the task that releases them.
#[derive(Clone)]
pub(crate) struct Releaser(mpsc::UnboundedSender<(LockKey, Nonce)>);

impl Releaser {
    /// Starts the releasing task. It ends when the last `Releaser` is dropped and everything has been sent.
    pub(crate) fn start(claims: Arc<dyn Claims>) -> (Self, tokio::task::JoinHandle<()>) {
        let (sender, mut receiver) = mpsc::unbounded_channel();
        let task = tokio::spawn(async move {
            while let Some(first) = receiver.recv().await {
                tokio::time::sleep(COMPANY).await;
                let mut locks = vec![first];
                while let Ok(next) = receiver.try_recv() {
                    locks.push(next);
                }
                if let Err(error) = claims.release(&locks).await {
                    tracing::debug!(%error, "locks not released; they expire by themselves");
                }
            }
        });
        (Self(sender), task)
    }

    /// Releases a lock soon. The slot is free at once, and a lock that is not released expires by itself.
    pub(crate) fn release(&self, lock: (LockKey, Nonce)) {
        // The task ends after the last sender.
        let _ = self.0.send(lock);
    }
}
