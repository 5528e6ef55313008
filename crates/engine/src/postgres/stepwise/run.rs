//! One attempt at a stepwise file, from the locks to the row that says `applied`.

use sanderling_core::{ErrorClass, Failure, LedgerRow, RowState};
use sanderling_sql::{Alone, Sending};
use sqlx::postgres::PgRow;

use super::alone::{Lonely, Verdict};
use super::row;
use super::script::{BUSY, Change, HELD, Script};
use crate::ledger::at_step;
use crate::port::{Limits, Step};
use crate::postgres::connect::{Connection, Exchange, text};
use crate::postgres::errors::{ServerError, Trouble, state};
use crate::postgres::guard::Guard;
use crate::postgres::message::{Message, Part, marker};
use crate::postgres::verdict::{guard_failure, own_table_gone, tail_failure, transaction_ended};
use crate::progress::{Begin, Point, Row, begin, blame, lasting, number};

/// How an attempt ended. The server has answered everything, unless it is `Lost`.
pub(crate) enum End {
    /// The row says `applied`, and this claim wrote it.
    Applied(Box<LedgerRow>),
    /// The row had said so before.
    Already(Box<LedgerRow>),
    /// The connection was found dead before anything was sent on it that has an effect.
    Dead(Box<Failure>),
    /// Another session holds the tenant.
    Busy,
    /// Another session of the database runs what must run one at a time.
    Queued,
    /// The fence refuses the claim.
    Fenced,
    /// The guard did not find the schema.
    NotThere(Box<Failure>),
    /// A statement failed, or the attempt may not go on.
    Failed(Box<Failure>),
    /// The connection is gone.
    Lost(Box<Failure>),
}

impl From<Failure> for End {
    fn from(failure: Failure) -> Self {
        Self::Failed(Box::new(failure))
    }
}

impl From<Trouble> for End {
    fn from(trouble: Trouble) -> Self {
        match trouble {
            Trouble::Lost(failure) => Self::Lost(Box::new(failure)),
            Trouble::Server(error) => error.failure().into(),
        }
    }
}

/// An attempt under way.
struct Attempt<'a> {
    connection: &'a mut Connection,
    script: Script<'a>,
    /// The row as it stands.
    point: Point,
    /// Statements in effect.
    done: usize,
}

/// Takes the file as far as it goes. The connection's session holds locks afterwards.
pub(crate) async fn run(
    connection: &mut Connection,
    guard: &Guard,
    limits: &Limits,
    step: &Step<'_>,
) -> End {
    let oid = connection.database_oid.clone();
    let mut attempt = Attempt {
        connection,
        script: Script {
            guard,
            limits,
            step,
            oid,
            marker: marker(),
        },
        point: Point::Start,
        done: 0,
    };
    match attempt.all().await {
        Ok(row) => End::Applied(Box::new(row.ledger)),
        Err(end) => end,
    }
}

impl Attempt<'_> {
    async fn all(&mut self) -> Result<Row, End> {
        self.take_locks().await?;
        let row = self.open().await?;
        let (index, announced) = match begin(row.as_ref(), self.script.step)? {
            Begin::Done(row) => return Err(End::Already(row)),
            Begin::At {
                index,
                announced,
                point,
            } => {
                self.point = point;
                (index, announced)
            }
        };
        self.done = index;
        self.settings_again(index).await?;
        let statements = self.script.step.statements;
        let mut row = None;
        for (at, statement) in statements.iter().enumerate().skip(index) {
            row = match &statement.sending {
                Sending::Alone(alone) => {
                    self.alone(at, alone, announced && at == index).await?;
                    None
                }
                Sending::Setting => {
                    self.set(at).await?;
                    None
                }
                Sending::Shared => Some(self.shared(at).await?),
            };
            self.done = at + 1;
        }
        match row {
            Some(row) if row.ledger.state == RowState::Applied => Ok(row),
            _ => self.finish().await,
        }
    }

    async fn take_locks(&mut self) -> Result<(), End> {
        let statements = self.script.step.statements;
        let waits = statements
            .iter()
            .any(|s| matches!(&s.sending, Sending::Alone(alone) if alone.waits_for_all));
        let marker = self.script.marker.clone();
        let rows = self.connection.rows(self.script.prepare(waits)).await;
        // Nothing that takes effect is under way: a connection lost here has only lost its locks.
        let rows = rows.map_err(|trouble| match trouble {
            Trouble::Lost(failure) => End::Dead(Box::new(failure)),
            server @ Trouble::Server(_) => End::from(server),
        })?;
        let said = rows
            .iter()
            .find(|row| text(row, 1).as_deref() == Some(marker.as_str()))
            .and_then(|row| text(row, 0));
        match said.as_deref() {
            Some(HELD) => Ok(()),
            Some(BUSY) => Err(End::Busy),
            _ => Err(End::Queued),
        }
    }

    /// Commits the claim to the fence and reads the row: from here on nobody older changes it.
    async fn open(&mut self) -> Result<Option<Row>, End> {
        let message = self.script.open()?;
        self.send(&message).await
    }

    /// What the file has set in a session that is gone, set again.
    async fn settings_again(&mut self, upto: usize) -> Result<(), End> {
        let statements = self.script.step.statements;
        for (at, statement) in statements.iter().enumerate().take(upto) {
            if statement.sending == Sending::Setting {
                self.set(at).await?;
            }
        }
        Ok(())
    }

    /// Changes a setting of the session. The row does not move: where nothing but settings came before, nothing has
    /// begun, and the next session sets them again.
    async fn set(&mut self, index: usize) -> Result<(), End> {
        if let Err(trouble) = self.connection.rows(self.script.as_role()?).await {
            return Err(match (trouble, self.script.guard.role()) {
                (Trouble::Server(error), Ok(Some(role))) => {
                    let failure = role.failure(&error, &self.connection.login);
                    self.blame(failure, index, None)
                }
                (trouble, _) => trouble.into(),
            });
        }
        let text = self.script.step.statements[index].text.clone();
        match self.connection.exchange(text, |_| false).await.trouble {
            None => Ok(()),
            Some(Trouble::Server(error)) => Err(self.blame(error.failure(), index, error.position)),
            Some(lost) => Err(lost.into()),
        }
    }

    /// A statement and its step in one transaction; the last one's is the file's end.
    async fn shared(&mut self, index: usize) -> Result<Row, End> {
        let all = self.script.step.statements.len();
        let state = if index + 1 == all {
            "applied"
        } else {
            "applying"
        };
        self.change(state, number(index + 1), Some(index)).await
    }

    /// The file's end where its last statement ran alone, or was a setting.
    async fn finish(&mut self) -> Result<Row, End> {
        let all = self.script.step.statements.len();
        self.change("applied", number(all), None).await
    }

    async fn alone(&mut self, index: usize, alone: &Alone, announced: bool) -> Result<(), End> {
        let lonely = Lonely::new(self.script.guard, self.script.step, alone)?;
        if announced {
            if let Some(failure) = self.stand(&lonely).await? {
                return Err(self.blame(failure, index, None));
            }
            match lonely.after(self.connection).await {
                Ok(Verdict::Done) => return Ok(()),
                Ok(Verdict::Again) => {}
                Ok(Verdict::Open(failure)) => return Err(self.blame(*failure, index, None)),
                Err(Trouble::Server(error)) => {
                    let mut failure = error.failure();
                    failure.message = format!(
                        "what {} left here when it broke off could not be cleared away: {}",
                        lonely.what(),
                        failure.message
                    );
                    return Err(self.blame(failure, index, None));
                }
                Err(lost) => return Err(lost.into()),
            }
        } else if let Some(failure) = lonely.before(self.connection).await? {
            return Err(self.blame(failure, index, None));
        }
        self.change("applying", -number(index + 1), None).await?;
        if let Some(failure) = self.stand(&lonely).await? {
            self.take_back(index).await?;
            return Err(self.blame(failure, index, None));
        }
        let text = self.script.step.statements[index].text.clone();
        let trouble = self.connection.exchange(text, |_| false).await.trouble;
        if !matches!(trouble, Some(Trouble::Lost(_))) {
            self.still_held(&lonely).await?;
        }
        let failed = match trouble {
            None => lonely.unproved(self.connection).await?.map(|f| (f, None)),
            Some(Trouble::Server(error)) => Some((error.failure(), error.position)),
            Some(lost) => return Err(lost.into()),
        };
        match failed {
            None => Ok(()),
            Some((failure, offset)) => Err(self.broke_off(&lonely, index, failure, offset).await),
        }
    }

    /// The last look before something is sent that no guard protects: the statement, or what clears away after it. Why
    /// it may not be sent.
    async fn stand(&mut self, lonely: &Lonely<'_>) -> Result<Option<Failure>, End> {
        let message = self.script.stand(self.done, lonely.waits_for_all())?;
        let rows = match (
            self.connection.rows(message).await,
            self.script.guard.role(),
        ) {
            (Err(Trouble::Server(error)), Ok(Some(role))) => {
                return Ok(Some(role.failure(&error, &self.connection.login)));
            }
            (rows, _) => rows?,
        };
        if self.says_yes(&rows) {
            return Ok(None);
        }
        Ok(Some(Failure::new(
            ErrorClass::MigrationSql,
            "session",
            format!(
                "{} was not sent: the session no longer holds the tenant's lock, path or role; the file must not give up advisory \
                 locks, and a pooler between Sanderling and the server must not share sessions",
                lonely.what()
            ),
        )))
    }

    /// Whatever a statement calls (a function in an index's expression) may have given the tenant's lock up. Then others
    /// may be at work on the tenant: nothing is cleared away or sent any more, as if the connection were gone.
    async fn still_held(&mut self, lonely: &Lonely<'_>) -> Result<(), End> {
        let rows = self.connection.rows(self.script.held()).await?;
        if self.says_yes(&rows) {
            return Ok(());
        }
        Err(End::Lost(Box::new(Failure::new(
            ErrorClass::Connection,
            "lock_lost",
            format!(
                "{} gave up the tenant's advisory lock, so nothing may follow it in this session: find the function that it calls \
                 and that unlocks advisory locks (pg_advisory_unlock_all), and take that out",
                lonely.what()
            ),
        ))))
    }

    fn says_yes(&self, rows: &[PgRow]) -> bool {
        rows.last().is_some_and(|row| {
            text(row, 0).as_deref() == Some("true")
                && text(row, 1).as_deref() == Some(self.script.marker.as_str())
        })
    }

    /// The statement ended with an error: what it left is cleared away, and the row says again that it was not begun.
    async fn broke_off(
        &mut self,
        lonely: &Lonely<'_>,
        index: usize,
        mut failure: Failure,
        offset: Option<usize>,
    ) -> End {
        match lonely.half_done(self.connection, failure.cause.class).await {
            Ok(None) => {}
            Ok(Some(left)) => {
                failure.message = format!("{}; {left}", failure.message);
                return self.blame(failure, index, offset);
            }
            Err(Trouble::Lost(failure)) => return End::Lost(Box::new(failure)),
            // Nobody looked, so it stays announced.
            Err(Trouble::Server(_)) => return self.blame(failure, index, offset),
        }
        match lonely.clear(self.connection).await {
            Ok(left) if left.is_empty() => {}
            Ok(left) => {
                failure.message = format!(
                    "{}; the INVALID index that it left, {}, was dropped",
                    failure.message,
                    left.join(", ")
                );
            }
            Err(Trouble::Lost(failure)) => return End::Lost(Box::new(failure)),
            Err(Trouble::Server(error)) => {
                failure.message = format!(
                    "{}; the INVALID index that it left could not be dropped ({}), the next attempt tries that first",
                    failure.message, error.message
                );
                return self.blame(failure, index, offset);
            }
        }
        match self.take_back(index).await {
            Err(lost @ End::Lost(_)) => lost,
            // Where the row cannot be changed the statement stays announced, which costs the next attempt a look.
            Ok(()) | Err(_) => self.blame(failure, index, offset),
        }
    }

    /// Takes the announcement of a statement back. The right to delete is not needed in a ledger, so a file of which
    /// nothing is in effect is left as one that was undone.
    async fn take_back(&mut self, index: usize) -> Result<(), End> {
        let (state, step) = if lasting(self.script.step, index) {
            ("applying", number(index))
        } else {
            ("reverted", 0)
        };
        self.change(state, step, None).await.map(|_| ())
    }

    /// Changes the row, with a statement or without one, and has it read back.
    async fn change(
        &mut self,
        state: &'static str,
        step: i64,
        body: Option<usize>,
    ) -> Result<Row, End> {
        let change = Change {
            from: self.point,
            state,
            step,
        };
        let message = self.script.change(change, body, self.done)?;
        let row = self.send(&message).await?;
        let guard = self.script.guard;
        match row {
            Some(row)
                if guard.is_ours(&row.ledger)
                    && row.ledger.checksum == *self.script.step.checksum
                    && row.ledger.state.as_str() == state
                    && row.step == step =>
            {
                self.point = row.point();
                Ok(row)
            }
            _ => Err(End::Lost(Box::new(Failure::new(
                ErrorClass::Internal,
                "no_evidence",
                "the message went through without an error, and its ledger row did not come back",
            )))),
        }
    }

    /// Sends a message of ours and returns the row that it read last.
    async fn send(&mut self, message: &Message) -> Result<Option<Row>, End> {
        let marker = self.script.marker.clone();
        let Exchange {
            completed,
            rows,
            trouble,
        } = self
            .connection
            .exchange(message.text(), |row| {
                text(row, 0).as_deref() == Some(marker.as_str())
            })
            .await;
        match trouble {
            None => Ok(rows.last().map(|row| row::read(row, 1)).transpose()?),
            Some(Trouble::Lost(failure)) => Err(End::Lost(Box::new(failure))),
            Some(Trouble::Server(error)) => {
                let (part, offset) = message.part_of(error.position, completed);
                // With the error the transaction is over, unless the server's hand is still in it.
                self.connection.rows("ROLLBACK".to_owned()).await?;
                Err(self.refused(&error, part, offset))
            }
        }
    }

    fn refused(&self, error: &ServerError, part: Part, offset: Option<usize>) -> End {
        let step = self.script.step;
        let failure = match (part, self.script.guard.role()) {
            (Part::Role, Ok(Some(role))) => role.failure(error, &self.connection.login),
            _ => error.failure(),
        };
        let gone = matches!(error.code.as_str(), "42P01" | "3F000");
        match (part, error.code.as_str()) {
            (Part::Guard, state::BUSY | "55P03") => End::Busy,
            (Part::Guard, state::FENCED) => End::Fenced,
            (Part::Guard, state::MISSING) => End::NotThere(Box::new(failure)),
            (Part::Guard, _) => guard_failure(tail_failure(failure)).into(),
            (_, state::ENDED) => self.blame(transaction_ended(), self.done, None),
            (Part::Tail(_), _) if gone => self.blame(own_table_gone(), self.done, None),
            (Part::Body(_, index), _) => self.blame(failure, index, offset),
            (Part::Tail(_), _) => self.blame(tail_failure(failure), self.done, None),
            // A refused COMMIT is no commit. What stands behind it only reads.
            (Part::Commit | Part::Setting | Part::Role, _) => self.blame(failure, self.done, None),
            _ => at_step(failure, step).into(),
        }
    }

    fn blame(&self, failure: Failure, index: usize, offset: Option<usize>) -> End {
        blame(failure, self.script.step, index, offset, self.done).into()
    }
}
