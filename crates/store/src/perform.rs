//! Runs a verb as one transaction, from BEGIN to COMMIT, in a task that nobody aborts.
//!
//! A caller may drop its future at any moment: the task goes on to its end, so no connection is ever left inside a
//! transaction, and what the verb did is either committed or rolled back.

use std::sync::Arc;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use sanderling_core::StoreId;
use sanderling_failpoints::failpoint;
use sanderling_telemetry::catalogue::{STORE_ERRORS, STORE_REQUESTS};

use crate::link::{Connector, Fault, Pool, Tx};
use crate::port::StoreError;

/// How often a transaction is run again after deadlocks and serialisation failures.
const AGAIN: u32 = 10;

/// What a verb needs of its transaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mode {
    /// It writes.
    Write,
    /// It reads one snapshot in several statements.
    Snapshot,
    /// It reads with one statement, which needs no transaction around it.
    Single,
}

/// One verb with its arguments.
#[async_trait]
pub(crate) trait Verb: Send + Sync + 'static {
    /// What it answers.
    type Out: Send + 'static;
    /// What metrics call it: the port's name of the verb.
    const NAME: &str;
    /// What it needs.
    const MODE: Mode;
    /// How long it may take in all. After that its connection is closed and nothing is known of its effect.
    const LIMIT: Duration = Duration::from_secs(30);

    /// Does it. Run anew, from the beginning, after a deadlock.
    async fn run(&self, tx: &mut Tx<'_>) -> Result<Self::Out, Fault>;
}

/// An open store: identity, fleet and connections.
pub(crate) struct Control {
    /// The store's identity.
    pub(crate) id: StoreId,
    fleet: String,
    writers: Pool,
    readers: Pool,
}

impl Control {
    /// Over a connector; `writers` connections write, `readers` read.
    pub(crate) fn new(
        id: StoreId,
        fleet: &str,
        connector: &Arc<dyn Connector>,
        (writers, readers): (usize, usize),
    ) -> Self {
        Self {
            id,
            fleet: fleet.to_owned(),
            writers: Pool::new(Arc::clone(connector), writers),
            readers: Pool::new(Arc::clone(connector), readers),
        }
    }

    /// Runs a verb to its end, also when the caller goes away.
    pub(crate) async fn perform<V: Verb>(self: &Arc<Self>, verb: V) -> Result<V::Out, StoreError> {
        let control = Arc::clone(self);
        let task = tokio::spawn(async move { control.run(&verb).await });
        match task.await {
            Ok(result) => result,
            Err(ended) => match ended.try_into_panic() {
                Ok(panic) => std::panic::resume_unwind(panic),
                Err(_) => Err(self.unavailable("the process is shutting down".to_owned())),
            },
        }
    }

    async fn run<V: Verb>(&self, verb: &V) -> Result<V::Out, StoreError> {
        let asked = Instant::now();
        let result = match tokio::time::timeout(V::LIMIT, self.tried(verb)).await {
            Ok(result) => result,
            Err(_) => Err(self.unavailable(format!("no answer within {:?}", V::LIMIT))),
        };
        STORE_REQUESTS.took([V::NAME], asked.elapsed());
        // There from the first answer on: a rate sees no series come up that begins with an error.
        STORE_ERRORS.more([V::NAME, "unavailable"], 0);
        if let Err(error) = &result {
            STORE_ERRORS.one([V::NAME, error.kind()]);
        }
        result
    }

    async fn tried<V: Verb>(&self, verb: &V) -> Result<V::Out, StoreError> {
        let pool = match V::MODE {
            Mode::Write => &self.writers,
            Mode::Snapshot | Mode::Single => &self.readers,
        };
        let _seat = pool
            .seats
            .acquire()
            .await
            .map_err(|_| self.unavailable("it was closed".to_owned()))?;
        let mut tries = 0;
        loop {
            tries += 1;
            match self.once(pool, verb).await {
                Ok(Some(out)) => return Ok(out),
                Ok(None) => {}
                Err(Fault::Verb(error)) => return Err(error),
                Err(Fault::Again(why)) if tries >= AGAIN => return Err(self.unavailable(why)),
                Err(Fault::Again(why)) => {
                    tracing::debug!(why, tries, "running the transaction again");
                    let most = 5_u64 << tries.min(8);
                    tokio::time::sleep(Duration::from_millis(rand::random_range(0..most))).await;
                }
                Err(Fault::Link(message)) => return Err(self.unavailable(message)),
            }
        }
    }

    /// One attempt. `None`: read it again (a connection that had died unnoticed, or a disturbed look).
    async fn once<V: Verb>(&self, pool: &Pool, verb: &V) -> Result<Option<V::Out>, Fault> {
        let dialect = pool.connector.dialect();
        let begin = match V::MODE {
            Mode::Write => Some(dialect.begin_write),
            Mode::Snapshot => Some(dialect.begin_read),
            Mode::Single => None,
        };
        let (mut link, untried) = pool.begun(begin).await?;
        let result = verb
            .run(&mut Tx::new(link.as_mut(), dialect, &self.fleet))
            .await;
        if begin == Some(dialect.begin_write) {
            failpoint!("store.before_commit");
        }
        let ended = match (&result, begin) {
            (Err(Fault::Link(_)), None) if untried => {
                pool.forget();
                return Ok(None);
            }
            (Err(Fault::Link(_)), _) => return result.map(Some),
            (_, None) => Ok(()),
            (Ok(_), Some(_)) => link.batch("COMMIT").await,
            (Err(_), Some(_)) => link.batch("ROLLBACK").await,
        };
        if link.disturbed() {
            return Ok(None);
        }
        match ended {
            Ok(()) => {
                if begin == Some(dialect.begin_write) {
                    failpoint!(
                        "store.answer",
                        Err(Fault::Link("its answer was lost".to_owned()))
                    );
                }
                pool.keep(link);
                result.map(Some)
            }
            Err(fault) => result.and(Err(fault)),
        }
    }

    fn unavailable(&self, message: String) -> StoreError {
        StoreError::Unavailable {
            url: self.writers.connector.place().to_owned(),
            message,
        }
    }
}
