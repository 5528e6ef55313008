//! One claimed file: guard, migration and ledger row in one transaction.

use std::sync::Arc;

use async_trait::async_trait;
use sanderling_core::{Epoch, ErrorClass, Failure, LedgerRow, RowState, StoreId};
use sqlx::sqlite::SqliteRow;
use sqlx::{Connection, Row, SqliteConnection};

use super::errors::{failure_of, is_answer, is_busy};
use super::watch::{Watch, busy_timeout};
use crate::ledger::{Found, RawRow, already, at_statement, at_step, find, in_order};
use crate::port::{Claim, Evidence, FenceRefusal, Limits, Session, Step, StepOutcome};
use crate::send;

const CREATE_LEDGER: &str = "CREATE TABLE IF NOT EXISTS sanderling_migrations (version TEXT PRIMARY KEY NOT NULL, \
     name TEXT NOT NULL, checksum TEXT NOT NULL, state TEXT NOT NULL, step INTEGER NOT NULL DEFAULT 0, \
     steps INTEGER NOT NULL DEFAULT 0, epoch INTEGER NOT NULL, rollout TEXT, applied_at INTEGER NOT NULL, \
     duration_ms INTEGER NOT NULL, applied_by TEXT NOT NULL)";

const RAISE_FENCE: &str = "INSERT INTO main.sanderling_fence AS f (id, store_id, epoch, claim) VALUES (0, ?1, ?2, ?3) \
     ON CONFLICT (id) DO UPDATE SET epoch = excluded.epoch, claim = excluded.claim \
     WHERE f.store_id = excluded.store_id \
     AND (f.epoch < excluded.epoch OR (f.epoch = excluded.epoch AND f.claim = excluded.claim))";

const READ_LEDGER: &str = "SELECT CAST(version AS TEXT), CAST(checksum AS TEXT), CAST(state AS TEXT), \
     CAST(epoch AS INTEGER), CAST(rollout AS TEXT), CAST(applied_at AS INTEGER) FROM main.sanderling_migrations";

const WRITE_ROW: &str = "INSERT INTO main.sanderling_migrations AS l \
     (version, name, checksum, state, step, steps, epoch, rollout, applied_at, duration_ms, applied_by) \
     VALUES (?1, ?2, ?3, 'applied', 0, 0, ?4, ?5, CAST((julianday('now') - 2440587.5) * 86400000 AS INTEGER) * 1000, ?6, ?7) \
     ON CONFLICT (version) DO UPDATE SET name = excluded.name, checksum = excluded.checksum, state = excluded.state, \
     step = 0, steps = 0, epoch = excluded.epoch, rollout = excluded.rollout, applied_at = excluded.applied_at, \
     duration_ms = excluded.duration_ms, applied_by = excluded.applied_by \
     WHERE l.state = 'reverted' AND l.epoch <= excluded.epoch";

/// A session on its own connection.
pub(crate) struct SqliteSession {
    connection: SqliteConnection,
    watch: Arc<Watch>,
    claim: Claim,
    limits: Limits,
    /// Set while a transaction is under way, and for good once its end is unknown.
    lost: Option<Failure>,
}

/// Why a transaction does not commit.
enum Stop {
    Outcome(StepOutcome),
    Error(sqlx::Error),
}

impl From<sqlx::Error> for Stop {
    fn from(error: sqlx::Error) -> Self {
        Self::Error(error)
    }
}

impl SqliteSession {
    /// Takes a connection over and sets its hooks.
    pub(crate) async fn new(
        mut connection: SqliteConnection,
        claim: Claim,
        limits: Limits,
    ) -> Result<Self, sqlx::Error> {
        let watch = Watch::over(&mut connection).await?;
        Ok(Self {
            connection,
            watch,
            claim,
            limits,
            lost: None,
        })
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
        let ended = match self.inside(steps).await {
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
        let wait = steps.iter().find_map(|step| step.lock_timeout_ms);
        let wait = wait.unwrap_or(self.limits.lock_timeout_ms);
        let pragma = format!("PRAGMA busy_timeout = {}", busy_timeout(wait).as_millis());
        send::message(pragma).execute(&mut self.connection).await?;
        self.watch.limit(0);
        self.watch.close_gate(false);
        sqlx::raw_sql("BEGIN IMMEDIATE")
            .execute(&mut self.connection)
            .await?;
        Ok(())
    }

    /// Fence, ledger, migrations and their rows; everything but COMMIT.
    async fn inside(&mut self, steps: &[Step<'_>]) -> Result<(), Stop> {
        if !self.raise_fence().await? {
            let refusal = self.who_fences().await?;
            return Err(Stop::Outcome(StepOutcome::Fenced(refusal)));
        }
        // Cheap where it is there, and right where the plan's knowledge is old.
        sqlx::raw_sql(CREATE_LEDGER)
            .execute(&mut self.connection)
            .await?;
        let rows = self
            .ledger()
            .await?
            .map_err(|failure| Stop::Outcome(StepOutcome::Failed(failure)))?;
        if let Some(outcome) = already(&rows, steps) {
            return Err(Stop::Outcome(outcome));
        }
        for step in steps {
            match find(&rows, step) {
                Found::Open => self.apply(step).await?,
                Found::Applied(_) => {}
                Found::Refused(failure) => {
                    return Err(Stop::Outcome(StepOutcome::Failed(*failure)));
                }
            }
        }
        Ok(())
    }

    async fn apply(&mut self, step: &Step<'_>) -> Result<(), Stop> {
        let begun = std::time::Instant::now();
        let rollbacks = self.watch.rollbacks();
        let limit = step
            .statement_timeout_ms
            .unwrap_or(self.limits.statement_timeout_ms);
        self.watch.close_gate(true);
        let body = self.body(step, limit).await;
        self.watch.limit(0);
        self.watch.close_gate(false);
        if self.watch.rollbacks() != rollbacks {
            // A statement that SQLite itself rolls everything back for (ON CONFLICT ROLLBACK, a full disk) names itself.
            if let Err(Stop::Outcome(StepOutcome::Failed(failure))) = body
                && failure.cause.code != COMMIT_REFUSED
            {
                return Err(Stop::Outcome(StepOutcome::Failed(failure)));
            }
            return Err(Stop::Outcome(StepOutcome::Failed(at_step(ended(), step))));
        }
        body?;
        let duration = i64::try_from(begun.elapsed().as_millis()).unwrap_or(i64::MAX);
        let written = sqlx::query(WRITE_ROW)
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
            return Ok(());
        }
        Err(Stop::Outcome(StepOutcome::Failed(at_step(
            Failure::new(
                ErrorClass::Precondition,
                "ledger_row",
                "another row took the version's place in the ledger while the migration ran",
            ),
            step,
        ))))
    }

    async fn body(&mut self, step: &Step<'_>, limit_ms: u64) -> Result<(), Stop> {
        for (index, statement) in step.statements.iter().enumerate() {
            self.watch.limit(limit_ms);
            let sent = send::message(statement.text.clone());
            if let Err(error) = sent.execute(&mut self.connection).await {
                if !is_answer(&error) {
                    return Err(Stop::Error(error));
                }
                let failure = at_statement(failure_of(&error), step, index, None);
                return Err(Stop::Outcome(StepOutcome::Failed(failure)));
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
                    && row.state == RowState::Applied
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
        self.transaction(steps).await
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
        if !self.raise_fence().await.map_err(unavailable)? {
            return Err(self.who_fences().await.unwrap_or_else(unavailable));
        }
        self.ledger()
            .await
            .map_err(unavailable)?
            .map_err(FenceRefusal::Unavailable)
    }

    async fn close(mut self: Box<Self>) {
        // Closing checkpoints and removes the -wal file; a failure of that loses nothing.
        let _ = self.connection.close().await;
    }
}

/// Who holds the fence, if anybody ever did.
pub(super) async fn read_fence(
    connection: &mut SqliteConnection,
) -> Result<Option<(StoreId, Epoch)>, sqlx::Error> {
    let row = sqlx::query("SELECT store_id, epoch FROM main.sanderling_fence WHERE id = 0")
        .fetch_optional(connection)
        .await?;
    row.map(|row| {
        Ok((
            StoreId::new(row.try_get::<String, _>(0)?),
            Epoch(row.try_get(1)?),
        ))
    })
    .transpose()
}

/// Every row of the ledger; `None` where there is no ledger. Asks for the table only when reading failed.
pub(super) async fn read_ledger(
    connection: &mut SqliteConnection,
) -> Result<Option<Result<Vec<LedgerRow>, Failure>>, sqlx::Error> {
    let rows = match sqlx::query(READ_LEDGER).fetch_all(&mut *connection).await {
        Ok(rows) => rows,
        Err(error) if is_answer(&error) && !has_ledger(connection).await? => {
            return Ok(None);
        }
        Err(error) => return Err(error),
    };
    let rows = rows
        .iter()
        .map(raw_row)
        .collect::<Result<Vec<_>, sqlx::Error>>()?;
    let parsed = rows
        .into_iter()
        .map(RawRow::parse)
        .collect::<Result<_, _>>();
    Ok(Some(parsed.map(in_order)))
}

/// Whether the file has a ledger.
async fn has_ledger(connection: &mut SqliteConnection) -> Result<bool, sqlx::Error> {
    sqlx::query(
        "SELECT 1 FROM main.sqlite_schema WHERE type = 'table' AND name = 'sanderling_migrations'",
    )
    .fetch_optional(connection)
    .await
    .map(|row| row.is_some())
}

fn raw_row(row: &SqliteRow) -> Result<RawRow, sqlx::Error> {
    Ok(RawRow {
        version: row.try_get(0)?,
        checksum: row.try_get(1)?,
        state: row.try_get(2)?,
        epoch: row.try_get(3)?,
        rollout: row.try_get(4)?,
        applied_at: row.try_get(5)?,
    })
}
