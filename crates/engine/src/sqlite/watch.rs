//! Watching over a connection while a migration runs on it: SQLite itself says when a transaction ends, and asks
//! before it commits.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use sqlx::SqliteConnection;
use tokio::sync::watch;

/// Virtual machine steps between two looks at the clock; about a millisecond of work.
const STEPS_PER_LOOK: i32 = 10_000;

/// What the hooks of one connection share with its session.
pub(crate) struct Watch {
    /// Closed while a migration's own statements run: a COMMIT among them turns into a rollback.
    gate_closed: AtomicBool,
    /// Transactions that were rolled back, by whomever.
    rollbacks: AtomicU64,
    /// Milliseconds since `since` at which the running statement is interrupted; 0 is never.
    deadline_ms: AtomicU64,
    since: Instant,
    /// Says that the claim's target was cancelled: what runs is interrupted.
    cancelled: Mutex<Option<watch::Receiver<bool>>>,
}

impl Watch {
    /// Sets the hooks on a connection.
    pub(crate) async fn over(connection: &mut SqliteConnection) -> Result<Arc<Self>, sqlx::Error> {
        let watch = Arc::new(Self {
            gate_closed: AtomicBool::new(false),
            rollbacks: AtomicU64::new(0),
            deadline_ms: AtomicU64::new(0),
            since: Instant::now(),
            cancelled: Mutex::default(),
        });
        let mut handle = connection.lock_handle().await?;
        let gate = Arc::clone(&watch);
        handle.set_commit_hook(move || !gate.gate_closed.load(Ordering::SeqCst));
        let counter = Arc::clone(&watch);
        handle.set_rollback_hook(move || {
            counter.rollbacks.fetch_add(1, Ordering::SeqCst);
        });
        let clock = Arc::clone(&watch);
        handle.set_progress_handler(STEPS_PER_LOOK, move || !clock.is_over());
        Ok(watch)
    }

    /// Closes or opens the way to COMMIT.
    pub(crate) fn close_gate(&self, closed: bool) {
        self.gate_closed.store(closed, Ordering::SeqCst);
    }

    /// Interrupts the running statement of a migration once this says so; `None` is never.
    pub(crate) fn end_when(&self, cancelled: Option<watch::Receiver<bool>>) {
        *self.said() = cancelled;
    }

    /// Whether that was said.
    pub(crate) fn is_cancelled(&self) -> bool {
        self.said().as_ref().is_some_and(|said| *said.borrow())
    }

    fn said(&self) -> MutexGuard<'_, Option<watch::Receiver<bool>>> {
        self.cancelled
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    /// How many transactions have been rolled back so far.
    pub(crate) fn rollbacks(&self) -> u64 {
        self.rollbacks.load(Ordering::SeqCst)
    }

    /// Limits the next statement; 0 is without limit.
    pub(crate) fn limit(&self, milliseconds: u64) {
        let deadline = match milliseconds {
            0 => 0,
            ms => self.now().saturating_add(ms).max(1),
        };
        self.deadline_ms.store(deadline, Ordering::SeqCst);
    }

    fn is_over(&self) -> bool {
        if self.is_cancelled() {
            return true;
        }
        let deadline = self.deadline_ms.load(Ordering::SeqCst);
        deadline != 0 && self.now() >= deadline
    }

    fn now(&self) -> u64 {
        u64::try_from(self.since.elapsed().as_millis()).unwrap_or(u64::MAX)
    }
}

/// How long SQLite waits for a file's lock.
pub(crate) fn busy_timeout(milliseconds: u64) -> Duration {
    Duration::from_millis(milliseconds.min(i32::MAX.unsigned_abs().into()))
}
