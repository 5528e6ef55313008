//! The connections of one host: opened within its budget, kept for the next tenant, and not kept for long.

use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::{Duration, Instant};

use sanderling_core::{Failure, HostName};
use tokio::task::AbortHandle;

use super::budget::{Budget, ToClose, Use};
use super::connect::{Connection, Key, Opener};

/// A connection is closed after this many uses: a backend's catalog caches grow with every schema that it has seen,
/// and are only given back with the process.
pub(crate) const RECYCLE_AFTER: u32 = 1_000;

/// The longest that the server lets a session be silent.
const SILENCE: Duration = Duration::from_secs(10);

/// For how long connections are kept.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Keeping {
    /// A connection is closed after so many sessions.
    pub(crate) recycle_after: u32,
    /// The server ends a session that nobody spoke to for longer. The client closes an idle one after half of that: the
    /// server's places are not ours to sit on.
    pub(crate) silence: Duration,
}

impl Keeping {
    /// For claims that last so long without renewal. The places of a process that is frozen are given to others when its
    /// claims end, and its sessions have to be gone by then.
    pub(crate) fn within(lease: Duration) -> Self {
        Self {
            recycle_after: RECYCLE_AFTER,
            silence: SILENCE.min(lease / 2),
        }
    }

    fn idle(self) -> Duration {
        self.silence / 2
    }
}

/// The connections of one host.
pub(crate) struct Connections {
    opener: Opener,
    budget: Arc<Budget<Connection>>,
    keeping: Keeping,
    /// Closes what stays idle; begun with the first connection that is kept, ended with this value.
    sweeper: Mutex<Option<AbortHandle>>,
}

impl Connections {
    /// Reads the URL; connects nowhere yet. `limit` is the most connections that are open at one time, over all
    /// databases and purposes, as long as no more sessions than that are asked for.
    pub(crate) fn new(
        host: HostName,
        setting: &'static str,
        url: &str,
        limit: usize,
        keeping: Keeping,
    ) -> Result<Self, Failure> {
        Ok(Self {
            opener: Opener::new(host, setting, url, keeping.silence)?,
            budget: Budget::new(limit),
            keeping,
            sweeper: Mutex::default(),
        })
    }

    /// A connection for a session: a kept one that still answers, or a new one. Waits for no other session. With all
    /// that is open and idle it is one of at most `room`: what is idle above that is closed before it is opened.
    pub(crate) async fn take(&self, key: &Key, room: usize) -> Result<Connection, Failure> {
        close(self.budget.expire(self.keeping.idle())).await;
        while let Some((mut connection, permit)) = self.budget.reuse(|idle| idle.key == *key) {
            connection.permit = Some(permit);
            if connection.alive().await {
                close(self.budget.fit(room, 0)).await;
                return Ok(connection);
            }
        }
        close(self.budget.fit(room, 1)).await;
        self.open(key, Use::Session).await
    }

    /// Closes the oldest idle connections until no more than `spare` are left.
    pub(crate) async fn trim(&self, spare: usize) {
        close(self.budget.trim(spare)).await;
    }

    /// Has no more open at one time than this: others have the rest of the host's budget.
    pub(crate) async fn allow(&self, connections: usize) {
        close(self.budget.allow(connections)).await;
    }

    /// How many connections were kept idle, and how many of them are not any more.
    pub(crate) fn counts(&self) -> (u64, u64) {
        self.budget.counts()
    }

    /// A connection for a short visit. Waits until the budget has room; to be closed as soon as it was used.
    pub(crate) async fn visit(&self, key: &Key) -> Result<Connection, Failure> {
        self.open(key, Use::Visit).await
    }

    /// Keeps a session's connection for the next tenant, unless it has served enough; whether it did. Closes what is
    /// kept too long, or is too much.
    pub(crate) async fn give(&self, mut connection: Connection) -> bool {
        connection.uses += 1;
        connection.idle_since = Instant::now();
        let permit = connection.permit.take();
        let kept = match permit {
            Some(permit) if connection.uses < self.keeping.recycle_after => {
                let over = self.budget.keep(connection, permit);
                self.sweep();
                close(over).await;
                true
            }
            permit => {
                connection.permit = permit;
                connection.close().await;
                false
            }
        };
        close(self.budget.expire(self.keeping.idle())).await;
        kept
    }

    /// Closes everything that is kept.
    pub(crate) async fn close(&self) {
        close(self.budget.expire(Duration::ZERO)).await;
    }

    /// The version of the server that answered last, as a number such as 150004; none before one has.
    pub(crate) fn answered(&self) -> Option<u32> {
        let version = self.opener.answered.load(Ordering::Relaxed);
        (version > 0).then_some(version)
    }

    /// The setting that the host's URL is from.
    pub(crate) fn setting(&self) -> &'static str {
        self.opener.setting
    }

    /// Says which host, so that the message stands alone.
    pub(crate) fn named(&self, failure: Failure) -> Failure {
        self.opener.named(failure)
    }

    async fn open(&self, key: &Key, of: Use) -> Result<Connection, Failure> {
        let (over, permit) = self.budget.enter(of).await;
        close(over).await;
        self.opener.open(key, permit).await
    }

    fn sweep(&self) {
        let mut sweeper = self.sweeper.lock().unwrap_or_else(PoisonError::into_inner);
        if sweeper.as_ref().is_none_or(AbortHandle::is_finished) {
            let budget = Arc::downgrade(&self.budget);
            *sweeper = Some(
                tokio::spawn(close_what_stays_idle(budget, self.keeping.idle())).abort_handle(),
            );
        }
    }
}

impl Drop for Connections {
    fn drop(&mut self) {
        let sweeper = self.sweeper.get_mut();
        if let Some(sweeper) = sweeper.unwrap_or_else(PoisonError::into_inner) {
            sweeper.abort();
        }
    }
}

async fn close_what_stays_idle(budget: Weak<Budget<Connection>>, kept: Duration) {
    while let Some(idle) = budget.upgrade() {
        let since = idle.oldest().unwrap_or_else(Instant::now);
        drop(idle);
        tokio::time::sleep_until((since + kept).into()).await;
        if let Some(budget) = budget.upgrade() {
            close(budget.expire(kept)).await;
        }
    }
}

async fn close(connections: ToClose<Connection>) {
    let closing = connections.into_iter().map(|(mut connection, permit)| {
        connection.permit = Some(permit);
        connection.close()
    });
    futures::future::join_all(closing).await;
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A claim is renewed each third of its lease, so a process that froze loses it after two thirds at the soonest.
    #[test]
    fn silent_sessions_are_gone_before_a_frozen_process_loses_its_claims() {
        for lease in [1, 3, 10, 30, 600].map(Duration::from_secs) {
            let keeping = Keeping::within(lease);
            assert!(keeping.silence < lease * 2 / 3, "{lease:?}");
            assert!(keeping.idle() < keeping.silence, "{lease:?}");
        }
        assert_eq!(Keeping::within(Duration::from_secs(30)).silence, SILENCE);
    }
}
