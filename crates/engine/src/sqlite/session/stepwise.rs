//! Files with `transaction=off`: each statement with its step in a transaction of its own. VACUUM, the only one that no
//! transaction may hold, is announced in the ledger and runs by itself; running it again harms nobody.

use std::time::Instant;

use sanderling_core::{ErrorClass, Failure};
use sanderling_sql::Sending;
use sqlx::{Row as _, SqliteConnection};

use super::{Keys, SqliteSession, Stop, failure_of, is_answer};
use crate::ledger::{ROW_TAKEN, RawRow, at_step};
use crate::port::{Evidence, Step, StepOutcome};
use crate::progress::{Begin, Point, Row, begin, blame, number};
use crate::send;

const READ_ROW: &str = "SELECT CAST(version AS TEXT), CAST(checksum AS TEXT), CAST(state AS TEXT), \
     CAST(epoch AS INTEGER), CAST(rollout AS TEXT), CAST(applied_at AS INTEGER), CAST(step AS INTEGER), \
     CAST(steps AS INTEGER) FROM main.sanderling_migrations WHERE version = ?1";

/// Writes the row of a file that begins; touches none when another took its place.
const BEGIN_ROW: &str = "INSERT INTO main.sanderling_migrations AS l \
     (version, name, checksum, state, step, steps, epoch, rollout, applied_at, duration_ms, applied_by) \
     VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, CAST((julianday('now') - 2440587.5) * 86400000 AS INTEGER) * 1000, ?9, ?10) \
     ON CONFLICT (version) DO UPDATE SET name = excluded.name, checksum = excluded.checksum, state = excluded.state, \
     step = excluded.step, steps = excluded.steps, epoch = excluded.epoch, rollout = excluded.rollout, \
     applied_at = excluded.applied_at, duration_ms = excluded.duration_ms, applied_by = excluded.applied_by \
     WHERE l.state = 'reverted' AND l.epoch <= excluded.epoch";

/// Moves the row of a file under way on; touches none where it is not as it was read.
const MOVE_ROW: &str = "UPDATE main.sanderling_migrations SET name = ?2, state = ?4, step = ?5, steps = ?6, epoch = ?7, \
     rollout = ?8, applied_at = CAST((julianday('now') - 2440587.5) * 86400000 AS INTEGER) * 1000, \
     duration_ms = duration_ms + ?9, applied_by = ?10 \
     WHERE version = ?1 AND checksum = ?3 AND state = 'applying' AND step = ?11 AND epoch = ?12";

/// What one transaction is to do.
#[derive(Clone, Copy)]
enum Turn {
    /// The next statement with its step, or its announcement.
    On,
    /// The announced statement ran and failed: it was not begun.
    Back,
}

/// What one transaction did.
enum Did {
    /// A statement is in effect; there are more.
    One,
    /// The statement of this index is announced.
    Announced(usize),
    /// It took an announcement back.
    Back,
    /// The file is in effect.
    All(Box<Evidence>),
}

impl SqliteSession {
    /// Takes the file as far as it goes.
    pub(super) async fn stepwise(&mut self, step: &Step<'_>) -> StepOutcome {
        // The announced statement that has run in this very call, by its number.
        let mut ran = 0;
        loop {
            match self.turn(step, Turn::On, ran).await {
                Ok(Did::All(evidence)) => return StepOutcome::Applied(*evidence),
                Ok(Did::One | Did::Back) => {}
                Ok(Did::Announced(index)) => match self.bare(step, index).await {
                    Ok(()) => ran = number(index + 1),
                    Err(StepOutcome::Failed(failure)) => {
                        return match self.turn(step, Turn::Back, 0).await {
                            Err(lost @ StepOutcome::Lost(_)) => lost,
                            _ => StepOutcome::Failed(blame(failure, step, index, None, index)),
                        };
                    }
                    Err(outcome) => return outcome,
                },
                Err(outcome) => return outcome,
            }
        }
    }

    /// One transaction: fence, row, a statement, the row moved on.
    async fn turn(&mut self, step: &Step<'_>, turn: Turn, ran: i64) -> Result<Did, StepOutcome> {
        self.enter(std::slice::from_ref(step), &[]).await?;
        self.turn_began = Instant::now();
        let inside = self.turn_inside(step, turn, ran).await;
        let ended = match inside {
            Ok(did) => sqlx::raw_sql("COMMIT")
                .execute(&mut self.connection)
                .await
                .map(|_| did)
                .map_err(Stop::from),
            Err(stop) => Err(stop),
        };
        match ended {
            Ok(did) => {
                self.lost = None;
                match did {
                    Did::All(_) => self.all_applied(step).await,
                    did => Ok(did),
                }
            }
            Err(stop) => Err(self.undo(stop).await),
        }
    }

    /// The row, read back after COMMIT.
    async fn all_applied(&mut self, step: &Step<'_>) -> Result<Did, StepOutcome> {
        match read_row(&mut self.connection, step).await {
            Ok(Ok(Some(row))) => Ok(Did::All(Box::new(Evidence::from_ledger(row.ledger)))),
            _ => {
                let lost = StepOutcome::Lost(Failure::new(
                    ErrorClass::Internal,
                    "no_evidence",
                    "the transaction went through without an error, and its ledger row did not come back",
                ));
                Err(self.lose(lost))
            }
        }
    }

    async fn turn_inside(&mut self, step: &Step<'_>, turn: Turn, ran: i64) -> Result<Did, Stop> {
        let row = read_row(&mut self.connection, step)
            .await?
            .map_err(Stop::failed)?;
        let (mut index, announced, point) = match begin(row.as_ref(), step).map_err(Stop::failed)? {
            Begin::Done(row) => {
                let evidence = Evidence::from_ledger(*row);
                return Err(Stop::Outcome(StepOutcome::AlreadyApplied(evidence)));
            }
            Begin::At {
                index,
                announced,
                point,
            } => (index, announced, point),
        };
        if matches!(turn, Turn::Back) {
            let state = if index == 0 { "reverted" } else { "applying" };
            self.write(step, point, state, number(index)).await?;
            return Ok(Did::Back);
        }
        if announced && number(index + 1) == ran {
            index += 1;
        }
        let Some(statement) = step.statements.get(index) else {
            return self.applied(step, point).await;
        };
        if let Sending::Alone(_) = statement.sending {
            self.write(step, point, "applying", -number(index + 1))
                .await?;
            return Ok(Did::Announced(index));
        }
        let keys = Keys::broken(&mut self.connection).await?;
        if let Err(stop) = self.statements(step, index..index + 1, keys).await {
            return Err(match stop {
                Stop::Outcome(StepOutcome::Failed(failure)) => {
                    Stop::failed(blame(failure, step, index, None, index))
                }
                other => other,
            });
        }
        if index + 1 == step.statements.len() {
            return self.applied(step, point).await;
        }
        self.write(step, point, "applying", number(index + 1))
            .await?;
        Ok(Did::One)
    }

    async fn applied(&mut self, step: &Step<'_>, point: Point) -> Result<Did, Stop> {
        let all = number(step.statements.len());
        self.write(step, point, "applied", all).await?;
        match read_row(&mut self.connection, step).await? {
            Ok(Some(row)) => Ok(Did::All(Box::new(Evidence::from_ledger(row.ledger)))),
            Ok(None) => Err(Stop::failed(at_step(taken(), step))),
            Err(failure) => Err(Stop::failed(failure)),
        }
    }

    /// Runs a statement by itself.
    async fn bare(&mut self, step: &Step<'_>, index: usize) -> Result<(), StepOutcome> {
        let failed = |error: &sqlx::Error| StepOutcome::Failed(failure_of(error));
        self.renew().await.map_err(|error| failed(&error))?;
        let limit = step
            .statement_timeout_ms
            .unwrap_or(self.limits.statement_timeout_ms);
        self.watch.limit(limit);
        let text = step.statements[index].text.clone();
        let ran = send::message(text).execute(&mut self.connection).await;
        self.watch.limit(0);
        match ran {
            Ok(_) => Ok(()),
            Err(error) if is_answer(&error) => Err(StepOutcome::Failed(failure_of(&error))),
            Err(error) => Err(self.lose(StepOutcome::Lost(failure_of(&error)))),
        }
    }

    async fn write(
        &mut self,
        step: &Step<'_>,
        from: Point,
        state: &str,
        at: i64,
    ) -> Result<(), Stop> {
        let (sql, was) = match from {
            Point::Start => (BEGIN_ROW, None),
            Point::At { step, epoch } => (MOVE_ROW, Some((step, epoch))),
        };
        let mut write = sqlx::query(sql)
            .bind(step.version.as_str())
            .bind(step.name)
            .bind(step.checksum.as_str())
            .bind(state)
            .bind(at)
            .bind(number(step.statements.len()))
            .bind(self.claim.epoch.0)
            .bind(self.claim.rollout.as_str())
            .bind(i64::try_from(self.turn_began.elapsed().as_millis()).unwrap_or(i64::MAX))
            .bind(self.claim.worker.as_str());
        if let Some((step, epoch)) = was {
            write = write.bind(step).bind(epoch);
        }
        let written = write.execute(&mut self.connection).await?;
        if written.rows_affected() == 1 {
            return Ok(());
        }
        Err(Stop::failed(at_step(taken(), step)))
    }
}

fn taken() -> Failure {
    Failure::new(ErrorClass::Precondition, "ledger_row", ROW_TAKEN)
}

async fn read_row(
    connection: &mut SqliteConnection,
    step: &Step<'_>,
) -> Result<Result<Option<Row>, Failure>, sqlx::Error> {
    let Some(row) = sqlx::query(READ_ROW)
        .bind(step.version.as_str())
        .fetch_optional(connection)
        .await?
    else {
        return Ok(Ok(None));
    };
    let raw = RawRow {
        version: row.try_get(0)?,
        checksum: row.try_get(1)?,
        state: row.try_get(2)?,
        epoch: row.try_get(3)?,
        rollout: row.try_get(4)?,
        applied_at: row.try_get(5)?,
    };
    let (step, steps) = (row.try_get(6)?, row.try_get(7)?);
    Ok(raw.parse().map(|ledger| {
        Some(Row {
            ledger,
            step,
            steps,
        })
    }))
}
