//! One claimed file: guard, migration and ledger row in one transaction.

mod rehearse;
mod stepwise;

use std::ops::Range;
use std::sync::Arc;
use std::time::Instant;

use async_trait::async_trait;
use sanderling_core::{Direction, ErrorClass, Failure, LedgerRow};
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{Connection, SqliteConnection};
use tokio::sync::watch;

use super::between;
use super::errors::{failure_of, is_answer, is_busy};
use super::keys::Keys;
use super::tables::{
    CREATE_FENCE, CREATE_LEDGER, RAISE_FENCE, UNDO_ROW, WRITE_ROW, read_fence, read_ledger,
};
use super::watch::{Watch, busy_timeout};
use crate::cancelled::cancelled;
use crate::ledger::{Found, ROW_TAKEN, already, at_statement, at_step, find, under_newer};
use crate::port::{Claim, Evidence, FenceRefusal, Limits, Session, Step, StepOutcome};
use crate::progress::{not_together, unlike};
use crate::send;

/// A file that is open to write.
pub(crate) struct Opened {
    /// Open another connection like it.
    pub(crate) options: SqliteConnectOptions,
    pub(crate) connection: SqliteConnection,
    /// Whether the file was not there before.
    pub(crate) new: bool,
}

/// A session on its own connection.
pub(crate) struct SqliteSession {
    options: SqliteConnectOptions,
    connection: SqliteConnection,
    /// Whether the file is new with this session.
    new: bool,
    /// Whether a migration ran on the connection that may have left something there, which dies with it.
    used: bool,
    watch: Arc<Watch>,
    claim: Claim,
    limits: Limits,
    /// When the transaction at hand of a stepwise file began.
    turn_began: Instant,
    /// Set while a transaction is under way, and for good once its end is unknown.
    lost: Option<Failure>,
    /// Says that the claim's target was cancelled.
    cancelled: Option<watch::Receiver<bool>>,
}

/// Why a transaction does not commit.
enum Stop {
    Outcome(StepOutcome),
    Error(sqlx::Error),
}

impl Stop {
    fn failed(failure: Failure) -> Self {
        Self::Outcome(StepOutcome::Failed(failure))
    }
}

impl From<sqlx::Error> for Stop {
    fn from(error: sqlx::Error) -> Self {
        Self::Error(error)
    }
}

impl SqliteSession {
    /// Takes a connection over and sets its hooks.
    pub(crate) async fn new(
        mut opened: Opened,
        claim: Claim,
        limits: Limits,
    ) -> Result<Self, sqlx::Error> {
        let watch = Watch::over(&mut opened.connection).await?;
        Ok(Self {
            options: opened.options,
            connection: opened.connection,
            new: opened.new,
            used: false,
            watch,
            claim,
            limits,
            turn_began: Instant::now(),
            lost: None,
            cancelled: None,
        })
    }

    /// Makes sure that no migration has run on the connection. Nothing is under way when this is called.
    async fn renew(&mut self) -> Result<(), sqlx::Error> {
        if self.used {
            let mut connection = SqliteConnection::connect_with(&self.options).await?;
            self.watch = Watch::over(&mut connection).await?;
            let used = std::mem::replace(&mut self.connection, connection);
            self.used = false;
            let _ = used.close().await;
        }
        Ok(())
    }

    async fn transaction(&mut self, steps: &[Step<'_>]) -> StepOutcome {
        if let Err(error) = self.begin(steps).await {
            return if is_busy(&error) {
                StepOutcome::Busy
            } else {
                StepOutcome::Failed(failure_of(&error))
            };
        }
        self.lost = Some(Failure::new(
            ErrorClass::Connection,
            "abandoned",
            "the transaction was begun and its end was not awaited",
        ));
        self.watch.end_when(self.cancelled.clone());
        let inside = self.inside(steps).await;
        // From here on it is committed, or it is not.
        self.watch.end_when(None);
        let ended = match inside {
            Ok(()) => self.commit(steps).await,
            Err(stop) => Err(stop),
        };
        match ended {
            Ok(evidence) => {
                self.lost = None;
                StepOutcome::Applied(evidence)
            }
            Err(stop) => self.undo(stop).await,
        }
    }

    async fn begin(&mut self, steps: &[Step<'_>]) -> Result<(), sqlx::Error> {
        self.renew().await?;
        let wait = steps.iter().find_map(|step| step.lock_timeout_ms);
        let wait = wait.unwrap_or(self.limits.lock_timeout_ms);
        self.watch.limit(0);
        self.watch.close_gate(false);
        let wait = busy_timeout(wait).as_millis();
        send::message(format!("PRAGMA busy_timeout = {wait}; BEGIN IMMEDIATE"))
            .execute(&mut self.connection)
            .await?;
        Ok(())
    }

    /// Fence, ledger, migrations and their rows; everything but COMMIT.
    async fn inside(&mut self, steps: &[Step<'_>]) -> Result<(), Stop> {
        self.pass_fence().await?;
        let rows = self.ledger().await?.map_err(Stop::failed)?;
        if let Some(outcome) = already(&rows, steps) {
            return Err(Stop::Outcome(outcome));
        }
        if let Some(failure) = under_newer(&rows, steps) {
            return Err(Stop::failed(failure));
        }
        let mut keys = Keys::broken(&mut self.connection).await?;
        let mut former: Option<&Step<'_>> = None;
        for step in steps {
            match find(&rows, step) {
                Found::Open => {
                    self.clear(former).await?;
                    keys = self.apply(step, keys).await?;
                    former = Some(step);
                }
                Found::Done(_) => {}
                Found::Refused(failure) => return Err(Stop::failed(*failure)),
            }
        }
        Ok(())
    }

    /// One version; returns the foreign keys that are broken after it, none of them by it.
    async fn apply(&mut self, step: &Step<'_>, before: Keys) -> Result<Keys, Stop> {
        let begun = Instant::now();
        let all = 0..step.statements.len();
        let keys = self.statements(step, all, before).await?;
        let duration = i64::try_from(begun.elapsed().as_millis()).unwrap_or(i64::MAX);
        let write = match step.direction {
            Direction::Up => WRITE_ROW,
            Direction::Down => UNDO_ROW,
        };
        let written = sqlx::query(write)
            .bind(step.version.as_str())
            .bind(step.name)
            .bind(step.checksum.as_str())
            .bind(self.claim.epoch.0)
            .bind(self.claim.rollout.as_str())
            .bind(duration)
            .bind(self.claim.worker.as_str())
            .execute(&mut self.connection)
            .await?;
        if written.rows_affected() == 1 {
            return Ok(keys);
        }
        Err(Stop::failed(at_step(
            Failure::new(ErrorClass::Precondition, "ledger_row", ROW_TAKEN),
            step,
        )))
    }

    /// Some statements of a version; returns the foreign keys that are broken after them, none of them by them.
    async fn statements(
        &mut self,
        step: &Step<'_>,
        range: Range<usize>,
        before: Keys,
    ) -> Result<Keys, Stop> {
        let rollbacks = self.watch.rollbacks();
        let limit = step
            .statement_timeout_ms
            .unwrap_or(self.limits.statement_timeout_ms);
        self.used |= between::may_leave(step);
        self.watch.close_gate(true);
        let body = self.body(step, range, limit).await;
        self.watch.limit(0);
        self.watch.close_gate(false);
        if self.watch.rollbacks() != rollbacks {
            // A statement that SQLite itself rolls everything back for (ON CONFLICT ROLLBACK, a full disk) names itself.
            if let Err(Stop::Outcome(StepOutcome::Failed(failure))) = body
                && failure.cause.code != COMMIT_REFUSED
            {
                return Err(Stop::failed(failure));
            }
            return Err(Stop::failed(at_step(ended(), step)));
        }
        body?;
        let keys = Keys::broken(&mut self.connection).await?;
        match keys.newly(&before) {
            Some(failure) => Err(Stop::failed(at_step(failure, step))),
            None => Ok(keys),
        }
    }

    async fn body(
        &mut self,
        step: &Step<'_>,
        range: Range<usize>,
        limit_ms: u64,
    ) -> Result<(), Stop> {
        let some = step.statements.iter().enumerate().take(range.end);
        for (index, statement) in some.skip(range.start) {
            if self.watch.is_cancelled() {
                return Err(Stop::failed(at_step(cancelled(), step)));
            }
            self.watch.limit(limit_ms);
            let sent = send::message(statement.text.clone());
            if let Err(error) = sent.execute(&mut self.connection).await {
                if !is_answer(&error) {
                    return Err(Stop::Error(error));
                }
                let failure = at_statement(failure_of(&error), step, index, None);
                return Err(Stop::failed(failure));
            }
        }
        Ok(())
    }

    async fn commit(&mut self, steps: &[Step<'_>]) -> Result<Evidence, Stop> {
        sqlx::raw_sql("COMMIT")
            .execute(&mut self.connection)
            .await?;
        let rows = self.ledger().await;
        let row = match (rows, steps.last()) {
            (Ok(Ok(rows)), Some(step)) => rows.into_iter().find(|row| {
                row.version == *step.version
                    && row.checksum == *step.checksum
                    && row.state == step.direction.done()
            }),
            _ => None,
        };
        row.map(Evidence::from_ledger).ok_or_else(|| {
            Stop::Outcome(StepOutcome::Lost(Failure::new(
                ErrorClass::Internal,
                "no_evidence",
                "the transaction went through without an error, and its ledger row did not come back",
            )))
        })
    }

    /// Ends the transaction without effect; an end that cannot be had is a loss.
    async fn undo(&mut self, stop: Stop) -> StepOutcome {
        if let Stop::Outcome(outcome @ StepOutcome::Lost(_)) = stop {
            return self.lose(outcome);
        }
        self.watch.close_gate(false);
        let undone = sqlx::raw_sql("ROLLBACK")
            .execute(&mut self.connection)
            .await;
        // "No transaction is active" is what was wanted.
        if let Err(error) = undone
            && !is_answer(&error)
        {
            return self.lose(StepOutcome::Lost(failure_of(&error)));
        }
        self.lost = None;
        match stop {
            Stop::Outcome(outcome) => outcome,
            Stop::Error(error) => StepOutcome::Failed(failure_of(&error)),
        }
    }

    fn lose(&mut self, outcome: StepOutcome) -> StepOutcome {
        if let StepOutcome::Lost(failure) = &outcome {
            self.lost = Some(failure.clone());
        }
        outcome
    }

    /// Raises the fence in the transaction at hand, with both tables there: cheap where they are, and right where the
    /// plan's knowledge is old.
    async fn pass_fence(&mut self) -> Result<(), Stop> {
        send::message(format!("{CREATE_FENCE}; {CREATE_LEDGER}"))
            .execute(&mut self.connection)
            .await?;
        if self.raise_fence().await? {
            return Ok(());
        }
        let refusal = self.who_fences().await?;
        Err(Stop::Outcome(StepOutcome::Fenced(refusal)))
    }

    /// Clears the connection of what a former version may have left in it, before another one shares it.
    async fn clear(&mut self, former: Option<&Step<'_>>) -> Result<(), Stop> {
        if let Some(former) = former.filter(|former| between::may_leave(former))
            && let Some(failure) = between::clear(&mut self.connection).await?
        {
            return Err(Stop::failed(at_step(failure, former)));
        }
        Ok(())
    }

    async fn raise_fence(&mut self) -> Result<bool, sqlx::Error> {
        let raised = sqlx::query(RAISE_FENCE)
            .bind(self.claim.store.as_str())
            .bind(self.claim.epoch.0)
            .bind(self.claim.nonce.as_str())
            .execute(&mut self.connection)
            .await?;
        Ok(raised.rows_affected() == 1)
    }

    async fn who_fences(&mut self) -> Result<FenceRefusal, sqlx::Error> {
        Ok(match read_fence(&mut self.connection).await? {
            Some((store, _)) if store != self.claim.store => FenceRefusal::OtherStore { store },
            Some((_, epoch)) => FenceRefusal::Ahead { epoch },
            None => FenceRefusal::Unavailable(Failure::new(
                ErrorClass::Precondition,
                "fence",
                "the fence's row vanished after it had refused",
            )),
        })
    }

    async fn ledger(&mut self) -> Result<Result<Vec<LedgerRow>, Failure>, sqlx::Error> {
        let rows = read_ledger(&mut self.connection).await?;
        Ok(rows.unwrap_or_else(|| Ok(Vec::new())))
    }
}

/// SQLITE_CONSTRAINT_COMMITHOOK: our hook turned a COMMIT into a rollback.
const COMMIT_REFUSED: &str = "531";

fn ended() -> Failure {
    Failure::new(
        ErrorClass::MigrationSql,
        "transaction_ended",
        "the migration ended the transaction it runs in (COMMIT or ROLLBACK); remove that statement",
    )
}

#[async_trait]
impl Session for SqliteSession {
    async fn step(&mut self, step: &Step<'_>) -> StepOutcome {
        self.steps(std::slice::from_ref(step)).await
    }

    async fn steps(&mut self, steps: &[Step<'_>]) -> StepOutcome {
        if let Some(failure) = &self.lost {
            return StepOutcome::Lost(failure.clone());
        }
        if steps.is_empty() {
            return StepOutcome::Failed(Failure::new(
                ErrorClass::Internal,
                "no_steps",
                "a session was asked to apply nothing",
            ));
        }
        if let Some(failure) = unlike(steps) {
            return StepOutcome::Failed(failure);
        }
        if self.cancelled.as_ref().is_some_and(|said| *said.borrow()) {
            return StepOutcome::Failed(cancelled());
        }
        match steps {
            [step] if step.stepwise && step.direction.is_up() => self.stepwise(step).await,
            several if several.iter().any(|step| step.stepwise) => {
                StepOutcome::Failed(not_together())
            }
            _ => self.transaction(steps).await,
        }
    }

    fn end_when(&mut self, cancelled: watch::Receiver<bool>) {
        self.cancelled = Some(cancelled);
    }

    async fn fence(&mut self) -> Result<Vec<LedgerRow>, FenceRefusal> {
        if let Some(lost) = &self.lost {
            return Err(FenceRefusal::Unavailable(Failure::new(
                ErrorClass::Connection,
                "claim_lost",
                format!(
                    "a transaction of this claim may still be open ({}); take a new epoch and open a new session",
                    lost.message
                ),
            )));
        }
        let unavailable = |error: sqlx::Error| FenceRefusal::Unavailable(failure_of(&error));
        self.renew().await.map_err(unavailable)?;
        sqlx::raw_sql(CREATE_FENCE)
            .execute(&mut self.connection)
            .await
            .map_err(unavailable)?;
        if !self.raise_fence().await.map_err(unavailable)? {
            return Err(self.who_fences().await.unwrap_or_else(unavailable));
        }
        self.ledger()
            .await
            .map_err(unavailable)?
            .map_err(FenceRefusal::Unavailable)
    }

    async fn close(mut self: Box<Self>) -> bool {
        // Before there is anything in the file, the switch would take two more transactions. A failure of it, or of
        // closing, which checkpoints and removes the -wal file, loses nothing.
        if self.new && self.lost.is_none() {
            let _ = sqlx::raw_sql("PRAGMA journal_mode = WAL")
                .execute(&mut self.connection)
                .await;
        }
        let _ = self.connection.close().await;
        false
    }
}
