//! One claimed tenant: sending its messages and reading what became of them.

mod apart;

use std::sync::Arc;

use async_trait::async_trait;
use sanderling_core::{Epoch, ErrorClass, Failure, LedgerRow, RowState, StoreId};
use sqlx::postgres::PgRow;
use tokio::sync::watch;

use super::connect::{Connection, Exchange, Key, text};
use super::driver::Shared;
use super::errors::{MISSING, ServerError, Trouble, state};
use super::guard::{Guard, RESET};
use super::message::{Message, Part, marker};
use super::survey;
use super::verdict::{
    NOT_A_TABLE, copies_with_the_client, guard_failure, own_table_gone, tail_failure,
    transaction_ended,
};
use crate::cancelled::{cancelled, said};
use crate::ledger::{RawRow, already, at_statement, at_step, in_order, under_newer};
use crate::port::{Evidence, FenceRefusal, Limits, Session, Step, StepOutcome};
use crate::progress::{not_together, unlike};

/// A session on a dedicated connection.
pub(crate) struct PostgresSession {
    shared: Arc<Shared>,
    /// Taken out while a message is under way: a session whose future was dropped has none to give back.
    connection: Option<Connection>,
    key: Key,
    guard: Guard,
    limits: Limits,
    /// Set once a message of this claim may still be on its way: nothing more goes out under its epoch.
    lost: Option<Failure>,
    /// Says that the claim's target was cancelled.
    cancelled: Option<watch::Receiver<bool>>,
}

/// How one attempt ended.
enum Attempt {
    Done(StepOutcome),
    /// The ledger has some of the versions; the rest is to be tried without them.
    Ledger(Vec<LedgerRow>),
}

impl PostgresSession {
    pub(crate) fn new(
        shared: Arc<Shared>,
        connection: Connection,
        key: Key,
        guard: Guard,
        limits: Limits,
    ) -> Self {
        Self {
            shared,
            connection: Some(connection),
            key,
            guard,
            limits,
            lost: None,
            cancelled: None,
        }
    }

    /// The session's connection, or a new one where the last was closed with nothing under way on it.
    async fn connection(&mut self) -> Result<Connection, Failure> {
        match self.connection.take() {
            Some(connection) => Ok(connection),
            // Its place in the budget is the claim's: nobody has to make way for it.
            None => self.shared.connections.take(&self.key, usize::MAX).await,
        }
    }

    async fn attempt(&mut self, steps: &[&Step<'_>], again: bool) -> Attempt {
        let mut connection = match self.connection().await {
            Ok(connection) => connection,
            Err(failure) => return Attempt::Done(StepOutcome::Failed(failure)),
        };
        let marker = marker();
        let oid = &connection.database_oid;
        let message = match Message::new(&self.guard, &self.limits, steps, oid, &marker, again) {
            Ok(message) => message,
            Err(failure) => {
                self.connection = Some(connection);
                return Attempt::Done(StepOutcome::Failed(failure));
            }
        };
        // Until the answer is in, the message may take effect whatever becomes of this future.
        self.lost = Some(abandoned());
        let is_evidence = |row: &PgRow| text(row, 0).as_deref() == Some(marker.as_str());
        let Exchange {
            completed,
            rows,
            trouble,
        } = tokio::select! {
            biased;
            exchange = connection.exchange(message.text(), is_evidence) => exchange,
            // The connection goes with this: the server notices, and takes back what is not committed.
            () = said(&mut self.cancelled) => return Attempt::Done(self.lose(cancelled())),
        };
        match trouble {
            None => Attempt::Done(self.proved(connection, steps, &rows)),
            Some(Trouble::Lost(failure)) => Attempt::Done(self.lose(failure)),
            Some(Trouble::Server(error)) => {
                let (part, offset) = message.part_of(error.position, completed);
                // The server answered: nothing of the message is on its way any more.
                self.lost = None;
                self.refused(connection, steps, &error, part, offset).await
            }
        }
    }

    /// No error is not success: the row has to say that it is this claim's.
    fn proved(
        &mut self,
        connection: Connection,
        steps: &[&Step<'_>],
        rows: &[PgRow],
    ) -> StepOutcome {
        let row = rows.last().and_then(|row| ledger_row(row, 1)?.parse().ok());
        match row {
            Some(row) if self.is_proof(&row, steps) => {
                self.lost = None;
                self.connection = Some(connection);
                StepOutcome::Applied(Evidence::from_ledger(row))
            }
            _ => self.lose(Failure::new(
                ErrorClass::Internal,
                "no_evidence",
                "the message went through without an error, and its ledger row did not come back",
            )),
        }
    }

    /// Whether a ledger row says that this claim took the last of the steps its way.
    fn is_proof(&self, row: &LedgerRow, steps: &[&Step<'_>]) -> bool {
        steps.last().is_some_and(|step| {
            row.version == *step.version
                && row.checksum == *step.checksum
                && row.state == step.direction.done()
                && self.guard.is_ours(row)
        })
    }

    /// An error at COMMIT or after it: the ledger says which of the two it was.
    async fn after_commit(&mut self, steps: &[&Step<'_>], failure: Failure) -> StepOutcome {
        match self.read_ledger(false).await {
            Ok(rows) => match rows
                .unwrap_or_default()
                .into_iter()
                .find(|row| self.is_proof(row, steps))
            {
                Some(row) => StepOutcome::Applied(Evidence::from_ledger(row)),
                None => StepOutcome::Failed(failure),
            },
            Err(failure) => self.lose(failure),
        }
    }

    fn lose(&mut self, failure: Failure) -> StepOutcome {
        let failure = self.shared.connections.named(failure);
        self.lost = Some(failure.clone());
        StepOutcome::Lost(failure)
    }

    /// The server refused and rolled back.
    async fn refused(
        &mut self,
        mut connection: Connection,
        steps: &[&Step<'_>],
        error: &ServerError,
        part: Part,
        offset: Option<usize>,
    ) -> Attempt {
        let kept = rolled_back(&mut connection).await;
        let (database, login) = (connection.database_oid.clone(), connection.login.clone());
        let ended = error.code == state::ENDED;
        let gone = matches!(error.code.as_str(), "42P01" | "3F000");
        let own_gone = gone && matches!(part, Part::Tail(_));
        if gone && matches!(part, Part::Guard | Part::Tail(_)) {
            self.shared.forget_fence(&database);
        }
        // What ended its transaction itself may have left anything behind.
        if kept && !ended && !own_gone && error.code != state::UNFIT {
            self.connection = Some(connection);
        } else {
            connection.close().await;
        }
        let failure = match (part, self.guard.role()) {
            (Part::Role, Ok(Some(role))) => role.failure(error, &login),
            _ => error.failure(),
        };
        let at_step = |failure| match step_of(part, steps) {
            Some(step) => at_step(failure, step),
            None => failure,
        };
        Attempt::Done(match (part, error.code.as_str()) {
            (Part::Guard, state::BUSY | "55P03") => StepOutcome::Busy,
            (Part::Guard, state::FENCED) => StepOutcome::Fenced(self.who_fences().await),
            (Part::Guard, state::ALREADY) => match self.read_ledger(false).await {
                Ok(rows) => return Attempt::Ledger(rows.unwrap_or_default()),
                Err(failure) => StepOutcome::Failed(failure),
            },
            (Part::Guard, state::MISSING) => StepOutcome::Failed(self.not_there(failure).await),
            (Part::Guard, state::ENTRY) => {
                StepOutcome::Failed(self.shared.connections.named(guard_failure(failure)))
            }
            (Part::Guard, _) => StepOutcome::Failed(guard_failure(failure)),
            // A piece that holds several statements shifts the count, so the code decides, not the part.
            _ if ended => StepOutcome::Failed(at_step(transaction_ended())),
            _ if own_gone => StepOutcome::Failed(at_step(own_table_gone())),
            (Part::Body(step, statement), _) => match steps.get(step) {
                Some(step) => StepOutcome::Failed(at_statement(failure, step, statement, offset)),
                None => StepOutcome::Failed(failure),
            },
            (Part::Tail(_), _) => StepOutcome::Failed(at_step(tail_failure(failure))),
            (Part::Role | Part::Setting, _) => StepOutcome::Failed(at_step(failure)),
            (Part::Commit, _) => {
                let mut failure = at_step(failure);
                failure.message = format!("at COMMIT: {}", failure.message);
                self.after_commit(steps, failure).await
            }
            (Part::Evidence | Part::Reset, _) => self.after_commit(steps, at_step(failure)).await,
            (Part::Prologue, _) => StepOutcome::Failed(failure),
        })
    }

    /// One message of ours on the session's connection; a connection found dead is replaced once, because nothing
    /// of a migration is under way on it.
    async fn ask(&mut self, message: &str) -> Result<Vec<PgRow>, Trouble> {
        let mut last = None;
        for _ in 0..2 {
            let mut connection = self.connection().await.map_err(Trouble::Lost)?;
            match connection.rows(message.to_owned()).await {
                Ok(rows) => {
                    self.connection = Some(connection);
                    return Ok(rows);
                }
                Err(trouble @ Trouble::Server(_)) => {
                    self.connection = Some(connection);
                    return Err(trouble);
                }
                Err(trouble @ Trouble::Lost(_)) => last = Some(trouble),
            }
        }
        Err(last.unwrap_or_else(|| {
            Trouble::Lost(Failure::new(ErrorClass::Connection, "io", "no connection"))
        }))
    }

    /// Every row of the ledger; none where there is no ledger of ours: what a table that somebody else owns says is no
    /// word on any claim. `held`: only where no other session holds the tenant; `None` where one does.
    async fn read_ledger(&mut self, held: bool) -> Result<Option<Vec<LedgerRow>>, Failure> {
        let connection = self.connection().await?;
        let tag = marker();
        let read = self.guard.read_ledger(&tag, &connection.database_oid, held);
        self.connection = Some(connection);
        let rows = match self.ask(&read?).await {
            Ok(rows) => rows,
            Err(Trouble::Server(error)) => match error.code.as_str() {
                state::BUSY => return Ok(None),
                state::UNREADABLE => {
                    return Err(self.shared.connections.named(survey::strange()));
                }
                // No table (or no schema), or none of ours: nothing was ever applied here that anybody can prove.
                "42P01" | "3F000" | NOT_A_TABLE | state::OWNER => return Ok(Some(Vec::new())),
                _ => return Err(self.shared.connections.named(error.failure())),
            },
            Err(lost) => return Err(self.shared.connections.named(lost.failure())),
        };
        let rows = rows
            .iter()
            .filter(|row| text(row, 0).as_deref() == Some(tag.as_str()))
            .filter_map(|row| ledger_row(row, 1));
        let rows = rows.map(RawRow::parse).collect::<Result<_, _>>()?;
        Ok(Some(in_order(rows)))
    }

    /// The guard cannot tell a schema that is missing from one that the login role may not use; the catalog can.
    async fn not_there(&mut self, mut failure: Failure) -> Failure {
        match self.ask(&self.guard.schema.exists()).await {
            Ok(rows) if rows.is_empty() => failure.cause.code = MISSING.into(),
            Ok(_) => {
                failure.cause.class = ErrorClass::Permission;
                failure.cause.code = "42501".into();
                failure.message = format!(
                    "the login role may not use schema {}; grant USAGE on it",
                    self.guard.schema.name
                );
            }
            Err(trouble) => return self.shared.connections.named(trouble.failure()),
        }
        failure
    }

    /// Another store's fence ends a claim, and nobody may say so while a bare statement of an older claim may be running.
    async fn unless_at_work(&mut self, refusal: FenceRefusal) -> FenceRefusal {
        let connection = match self.connection().await {
            Ok(connection) => connection,
            Err(failure) => return FenceRefusal::Unavailable(failure),
        };
        let ask = self
            .guard
            .nobody_at_work(&marker(), &connection.database_oid);
        self.connection = Some(connection);
        match self.ask(&ask).await {
            Ok(_) => refusal,
            Err(Trouble::Server(error)) if error.code == state::BUSY => FenceRefusal::Busy,
            Err(trouble) => {
                FenceRefusal::Unavailable(self.shared.connections.named(trouble.failure()))
            }
        }
    }

    async fn who_fences(&mut self) -> FenceRefusal {
        match self.ask(&self.guard.read_fence()).await {
            Ok(rows) => {
                let held = rows.first().and_then(|row| {
                    Some((StoreId::new(text(row, 0)?), text(row, 1)?.parse().ok()?))
                });
                match held {
                    Some((store, _)) if !self.guard.is_store(&store) => {
                        self.unless_at_work(FenceRefusal::OtherStore { store })
                            .await
                    }
                    Some((_, epoch)) => FenceRefusal::Ahead {
                        epoch: Epoch(epoch),
                    },
                    None => FenceRefusal::Unavailable(Failure::new(
                        ErrorClass::Precondition,
                        "fence",
                        "the fence's row vanished after it had refused",
                    )),
                }
            }
            Err(trouble) => {
                FenceRefusal::Unavailable(self.shared.connections.named(trouble.failure()))
            }
        }
    }
}

#[async_trait]
impl Session for PostgresSession {
    async fn step(&mut self, step: &Step<'_>) -> StepOutcome {
        self.steps(std::slice::from_ref(step)).await
    }

    async fn steps(&mut self, steps: &[Step<'_>]) -> StepOutcome {
        if let Some(failure) = &self.lost {
            return StepOutcome::Lost(failure.clone());
        }
        if let Some(failure) = steps.iter().find_map(copies_with_the_client) {
            return StepOutcome::Failed(failure);
        }
        if self.cancelled.as_ref().is_some_and(|said| *said.borrow()) {
            return StepOutcome::Failed(cancelled());
        }
        match steps {
            [step] if step.stepwise && step.direction.is_up() => return self.stepwise(step).await,
            several if several.iter().any(|step| step.stepwise) => {
                return StepOutcome::Failed(not_together());
            }
            _ => {}
        }
        if let Some(failure) = unlike(steps) {
            return StepOutcome::Failed(failure);
        }
        let mut open: Vec<&Step<'_>> = steps.iter().collect();
        // Whether a version of them was taken back before: the message for that costs the server more.
        let mut again = false;
        // Each round ends, knows that, or leaves at least one version fewer.
        while !open.is_empty() {
            let rows = match self.attempt(&open, again).await {
                Attempt::Done(outcome) => return outcome,
                Attempt::Ledger(rows) => rows,
            };
            if let Some(outcome) = already(&rows, steps) {
                return outcome;
            }
            if let Some(failure) = under_newer(&rows, steps) {
                return StepOutcome::Failed(failure);
            }
            let before = open.len();
            open.retain(|step| already(&rows, std::slice::from_ref(*step)).is_none());
            if let Some(refused) = steps
                .iter()
                .filter_map(|step| already(&rows, std::slice::from_ref(step)))
                .find(|outcome| matches!(outcome, StepOutcome::Failed(_)))
            {
                return refused;
            }
            let was = again;
            again |= rows.iter().any(|row| {
                row.state == RowState::Reverted && open.iter().any(|s| *s.version == row.version)
            });
            if open.len() == before && again == was {
                return StepOutcome::Busy;
            }
        }
        StepOutcome::Failed(Failure::new(
            ErrorClass::Internal,
            "no_steps",
            "a session was asked to apply nothing",
        ))
    }

    fn end_when(&mut self, cancelled: watch::Receiver<bool>) {
        self.cancelled = Some(cancelled);
    }

    async fn fence(&mut self) -> Result<Vec<LedgerRow>, FenceRefusal> {
        if let Some(lost) = &self.lost {
            // The late message bears this very claim, so the fence would let it pass.
            return Err(FenceRefusal::Unavailable(Failure::new(
                ErrorClass::Connection,
                "claim_lost",
                format!(
                    "a message of this claim may still be on its way ({}); take a new epoch and open a new session",
                    lost.message
                ),
            )));
        }
        let unavailable = |failure| Err(FenceRefusal::Unavailable(failure));
        let raise = format!(
            "{}; {} RETURNING 'raised'::text",
            Guard::flushed(),
            self.guard.raise_fence()
        );
        match self.ask(&raise).await {
            // The statements in front return rows too, the fence's only if it let us pass.
            Ok(rows) if rows.last().and_then(|row| text(row, 0)).as_deref() == Some("raised") => {}
            Ok(_) => return Err(self.who_fences().await),
            Err(trouble) => {
                if let (Trouble::Server(error), Some(connection)) = (&trouble, &self.connection)
                    && matches!(error.code.as_str(), "42P01" | "3F000")
                {
                    self.shared.forget_fence(&connection.database_oid);
                }
                return unavailable(self.shared.connections.named(trouble.failure()));
            }
        }
        self.settled_ledger().await
    }

    async fn close(mut self: Box<Self>) -> bool {
        let Some(connection) = self.connection.take() else {
            return false;
        };
        self.shared.connections.give(connection).await
    }
}

/// A message was sent, and may take effect whatever becomes of its sender.
fn abandoned() -> Failure {
    Failure::new(
        ErrorClass::Connection,
        "abandoned",
        "the message was sent and its answer was not awaited",
    )
}

/// Ends a failed transaction and clears up behind it; whether the connection may go on being used.
async fn rolled_back(connection: &mut Connection) -> bool {
    let message = format!("ROLLBACK; {}", RESET.join("; "));
    connection.rows(message).await.is_ok()
}

/// The step that a part belongs to; the last one where the part is nobody's.
fn step_of<'a, 's>(part: Part, steps: &[&'a Step<'s>]) -> Option<&'a Step<'s>> {
    match part {
        Part::Body(step, _) | Part::Tail(step) => steps.get(step).copied(),
        _ => steps.last().copied(),
    }
}

fn ledger_row(row: &PgRow, first: usize) -> Option<RawRow> {
    Some(RawRow {
        version: text(row, first)?,
        checksum: text(row, first + 1)?,
        state: text(row, first + 2)?,
        epoch: text(row, first + 3)?.parse().ok()?,
        rollout: text(row, first + 4),
        applied_at: text(row, first + 5).and_then(|micros| micros.parse().ok()),
    })
}
