//! One claimed file: guard, migration and ledger row in one transaction.

mod rehearse;
mod stepwise;

use std::ops::Range;
use std::sync::Arc;
use std::time::Instant;

use async_trait::async_trait;
use sanderling_core::{ErrorClass, Failure, LedgerRow};
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{Connection, Row, SqliteConnection};
use tokio::sync::watch;

use super::ask::{Answer, ask};
use super::between;
use super::errors::{failure_of, is_answer, is_busy};
use super::keys::{Keys, TABLES};
use super::tables::{
    CREATE_FENCE, CREATE_LEDGER, READ_LEDGER, ledger_of, raise_fence, read_fence, read_ledger,
    write_row,
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
        let entered = match self.enter(steps, &[READ_LEDGER, TABLES]).await {
            Ok(entered) => entered,
            Err(outcome) => return outcome,
        };
        self.watch.end_when(self.cancelled.clone());
        let inside = self.inside(steps, entered).await;
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

    /// Begins the transaction and passes the fence, with both tables there: cheap where they are, and right where the
    /// plan's knowledge is old. `more` is asked in the same call, from statement [`MORE`] on. What does not get so far
    /// has left nothing behind.
    async fn enter(&mut self, steps: &[Step<'_>], more: &[&str]) -> Result<Answer, StepOutcome> {
        let begin = self.begin(steps).await;
        let begin = begin.map_err(|error| StepOutcome::Failed(failure_of(&error)))?;
        let fence = raise_fence(&self.claim).map_err(StepOutcome::Failed)?;
        let mut all = vec![
            begin.as_str(),
            "BEGIN IMMEDIATE",
            CREATE_FENCE,
            CREATE_LEDGER,
        ];
        all.push(&fence);
        all.extend(more);
        self.lost = Some(Failure::new(
            ErrorClass::Connection,
            "abandoned",
            "the transaction was begun and its end was not awaited",
        ));
        let mut entered = ask(&mut self.connection, &all).await;
        if let Some(error) = &entered.error
            && entered.changed.len() < BEGUN
            && is_answer(error)
        {
            self.lost = None;
            return Err(if is_busy(error) {
                StepOutcome::Busy
            } else {
                StepOutcome::Failed(failure_of(error))
            });
        }
        match (entered.changed.get(MORE - 1), entered.error.take()) {
            (Some(1), None) => Ok(entered),
            (None | Some(1), Some(error)) => Err(self.undo(Stop::Error(error)).await),
            _ => Err(match self.who_fences().await {
                Ok(refusal) => self.undo(Stop::Outcome(StepOutcome::Fenced(refusal))).await,
                Err(error) => self.undo(Stop::Error(error)).await,
            }),
        }
    }

    /// Makes ready for a transaction; returns what is to be sent in front of its BEGIN.
    async fn begin(&mut self, steps: &[Step<'_>]) -> Result<String, sqlx::Error> {
        self.renew().await?;
        let wait = steps.iter().find_map(|step| step.lock_timeout_ms);
        let wait = wait.unwrap_or(self.limits.lock_timeout_ms);
        self.watch.limit(0);
        self.watch.close_gate(false);
        let wait = busy_timeout(wait).as_millis();
        Ok(format!("PRAGMA busy_timeout = {wait}"))
    }

    /// Migrations and their rows, behind the fence; everything but COMMIT.
    async fn inside(&mut self, steps: &[Step<'_>], entered: Answer) -> Result<(), Stop> {
        let rows = ledger_of(entered.rows(MORE))?.map_err(Stop::failed)?;
        if let Some(outcome) = already(&rows, steps) {
            return Err(Stop::Outcome(outcome));
        }
        if let Some(failure) = under_newer(&rows, steps) {
            return Err(Stop::failed(failure));
        }
        let mut keys = self.keys(&entered, MORE + 1).await?;
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
        self.run(step, 0..step.statements.len()).await?;
        let write = write_row(step, &self.claim, begun.elapsed()).map_err(Stop::failed)?;
        let mut written = ask(&mut self.connection, &[TABLES, &write]).await;
        let row = written.completed(1)?;
        let keys = self.keys(&written, 0).await?;
        no_worse(&keys, &before, step)?;
        if row == 1 {
            return Ok(keys);
        }
        Err(Stop::failed(at_step(
            Failure::new(ErrorClass::Precondition, "ledger_row", ROW_TAKEN),
            step,
        )))
    }

    /// The foreign keys that are broken, from the rows of [`TABLES`].
    async fn keys(&mut self, answer: &Answer, statement: usize) -> Result<Keys, sqlx::Error> {
        let tables = answer.rows(statement).map(|row| row.try_get(0));
        let tables = tables.collect::<Result<Vec<String>, _>>()?;
        Keys::of(&mut self.connection, tables).await
    }

    /// Some statements of a version; returns the foreign keys that are broken after them, none of them by them.
    async fn statements(
        &mut self,
        step: &Step<'_>,
        range: Range<usize>,
        before: Keys,
    ) -> Result<Keys, Stop> {
        self.run(step, range).await?;
        let keys = Keys::broken(&mut self.connection).await?;
        no_worse(&keys, &before, step)?;
        Ok(keys)
    }

    /// Some statements of a version, which have not ended the transaction.
    async fn run(&mut self, step: &Step<'_>, range: Range<usize>) -> Result<(), Stop> {
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
        body
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
        let mut ended = ask(&mut self.connection, &["COMMIT", READ_LEDGER]).await;
        let rows = match ended.error.take() {
            Some(error) if ended.changed.is_empty() => return Err(error.into()),
            Some(_) => None,
            None => ledger_of(ended.rows(1)).ok().and_then(Result::ok),
        };
        let row = rows.zip(steps.last()).and_then(|(rows, step)| {
            rows.into_iter().find(|row| {
                row.version == *step.version
                    && row.checksum == *step.checksum
                    && row.state == step.direction.done()
            })
        });
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
        // Whatever the answer is, what comes next has a connection of its own.
        self.used = true;
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

    /// Clears the connection of what a former version may have left in it, before another one shares it.
    async fn clear(&mut self, former: Option<&Step<'_>>) -> Result<(), Stop> {
        if let Some(former) = former.filter(|former| between::may_leave(former))
            && let Some(failure) = between::clear(&mut self.connection).await?
        {
            return Err(Stop::failed(at_step(failure, former)));
        }
        Ok(())
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

/// How many statements have completed where the transaction is begun.
const BEGUN: usize = 2;
/// The first statement that is asked behind the fence.
const MORE: usize = 5;

/// What a version's statements broke is its failure.
fn no_worse(keys: &Keys, before: &Keys, step: &Step<'_>) -> Result<(), Stop> {
    match keys.newly(before) {
        Some(failure) => Err(Stop::failed(at_step(failure, step))),
        None => Ok(()),
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
        let fence = raise_fence(&self.claim).map_err(FenceRefusal::Unavailable)?;
        let mut raised = ask(&mut self.connection, &[CREATE_FENCE, &fence]).await;
        if raised.completed(1).map_err(unavailable)? != 1 {
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
        // Who has the file open already is not made to wait.
        if self.new && self.lost.is_none() {
            let switch = ["PRAGMA busy_timeout = 0", "PRAGMA journal_mode = WAL"];
            let _ = ask(&mut self.connection, &switch).await;
        }
        let _ = self.connection.close().await;
        false
    }
}
