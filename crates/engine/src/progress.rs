//! How far a stepwise file has come, and where the next attempt goes on: the same for both engines.

use sanderling_core::{ErrorClass, Failure, LedgerRow, RowState, Version};
use sanderling_sql::Sending;

use crate::ledger::{at_statement, at_step, edited};
use crate::port::Step;

/// A row as it was read.
#[derive(Clone, Debug)]
pub(crate) struct Row {
    pub(crate) ledger: LedgerRow,
    /// How many statements are in effect; negative: that one was announced, and nobody has said how it ended.
    pub(crate) step: i64,
    /// How many there are.
    pub(crate) steps: i64,
}

/// What the row is before a change, for the compare-and-set of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Point {
    /// No row, or one whose version is not in effect.
    Start,
    /// Under way, at this step, written under this epoch.
    At { step: i64, epoch: i64 },
}

/// Where an attempt begins.
#[derive(Clone, Debug)]
pub(crate) enum Begin {
    /// Everything is in effect.
    Done(Box<LedgerRow>),
    /// With the statement of this index; `announced`: its end is not known.
    At {
        index: usize,
        announced: bool,
        point: Point,
    },
}

impl Row {
    /// The row as the next change expects it.
    pub(crate) fn point(&self) -> Point {
        Point::At {
            step: self.step,
            epoch: self.ledger.epoch.0,
        }
    }
}

/// Where to begin, or why not to.
pub(crate) fn begin(row: Option<&Row>, step: &Step<'_>) -> Result<Begin, Failure> {
    let start = Begin::At {
        index: 0,
        announced: false,
        point: Point::Start,
    };
    let Some(row) = row else { return Ok(start) };
    match row.ledger.state {
        RowState::Reverted => Ok(start),
        RowState::Applied if !step.accepts(&row.ledger.checksum) => Err(edited(&row.ledger, step)),
        // Where the text before stopped says nothing about where this one would go on.
        RowState::Applying if row.ledger.checksum != *step.checksum => {
            Err(edited(&row.ledger, step))
        }
        RowState::Applied => Ok(Begin::Done(Box::new(row.ledger.clone()))),
        RowState::Applying => resume(row, step),
        RowState::Reverting => Err(at_step(
            Failure::new(
                ErrorClass::Precondition,
                "dirty",
                format!(
                    "version {} is on its way down here and stopped half way; look at the tenant before anything else runs",
                    step.version
                ),
            ),
            step,
        )),
    }
}

fn resume(row: &Row, step: &Step<'_>) -> Result<Begin, Failure> {
    let all = i64::try_from(step.statements.len()).unwrap_or(i64::MAX);
    let known = row.steps == all && row.step.abs() <= all;
    let (index, announced) = match row.step {
        announced @ ..=-1 => (announced.abs() - 1, true),
        done => (done, false),
    };
    match usize::try_from(index) {
        Ok(index) if known => Ok(Begin::At {
            index,
            announced,
            point: row.point(),
        }),
        _ => Err(at_step(
            Failure::new(
                ErrorClass::Precondition,
                "ledger_row",
                format!(
                    "the ledger says that version {} stands at statement {} of {}, the file has {all}; look at the tenant before anything else runs",
                    step.version, row.step, row.steps
                ),
            ),
            step,
        )),
    }
}

/// The caller's mistake: a file that is sent statement by statement is nobody's part.
pub(crate) fn not_together() -> Failure {
    Failure::new(
        ErrorClass::Internal,
        "stepwise",
        "a transaction=off migration was to share a transaction with others",
    )
}

/// Nothing was asked for, or what no transaction holds.
pub(crate) fn not_rehearsed(steps: &[Step<'_>]) -> Option<Failure> {
    let why = match steps.iter().find(|step| step.stepwise) {
        Some(step) => format!(
            "{} has transaction=off, and no transaction takes it back",
            step.file
        ),
        None if steps.is_empty() => "nothing was given to rehearse".to_owned(),
        None => return None,
    };
    Some(Failure::new(ErrorClass::Precondition, "rehearsal", why))
}

/// The caller's mistake: steps of one transaction go one way.
pub(crate) fn unlike(steps: &[Step<'_>]) -> Option<Failure> {
    let way = steps.first()?.direction;
    steps.iter().any(|step| step.direction != way).then(|| {
        Failure::new(
            ErrorClass::Internal,
            "direction",
            "versions were to be applied and taken back in one transaction",
        )
    })
}

/// Nobody needs to say anything about the version.
pub(crate) fn nothing_open(version: &Version) -> Failure {
    Failure::new(
        ErrorClass::Precondition,
        "decided",
        format!("no statement of version {version} waits for a person's word there"),
    )
}

/// A statement's number as the ledger has it.
pub(crate) fn number(statements: usize) -> i64 {
    i64::try_from(statements).unwrap_or(i64::MAX)
}

/// Whether any of the first so many statements leaves something behind. What SET and RESET change is gone with the
/// session.
pub(crate) fn lasting(step: &Step<'_>, statements: usize) -> bool {
    let mut first = step.statements.iter().take(statements);
    first.any(|statement| statement.sending != Sending::Setting)
}

/// Points a failure at the statement of that index and says how many are in effect.
pub(crate) fn blame(
    failure: Failure,
    step: &Step<'_>,
    index: usize,
    offset: Option<usize>,
    done: usize,
) -> Failure {
    let all = step.statements.len();
    let mut failure = at_statement(failure, step, index, offset);
    let in_effect = if lasting(step, done) {
        format!(
            "{done} of {all} statements are in effect, and the next attempt goes on behind them"
        )
    } else {
        "nothing of the file is in effect".to_owned()
    };
    failure.message = format!(
        "statement {} of {all}: {} ({in_effect})",
        index + 1,
        failure.message
    );
    failure
}

#[cfg(test)]
mod tests {
    use super::*;
    use sanderling_core::{Checksum, Epoch};
    use sanderling_sql::Statement;

    fn row(state: RowState, checksum: &str, step: i64) -> Row {
        Row {
            ledger: LedgerRow {
                version: Version::new("1"),
                checksum: Checksum::new(checksum),
                state,
                epoch: Epoch(4),
                rollout: None,
                applied_at: None,
            },
            step,
            steps: 2,
        }
    }

    fn begun(row: Option<&Row>) -> Result<String, String> {
        let statements = [1, 2].map(|line| Statement {
            text: "SELECT 1".into(),
            line,
            column: 1,
            sending: Sending::Shared,
        });
        let (version, checksum) = (Version::new("1"), Checksum::new("same"));
        let step = Step {
            version: &version,
            name: "x",
            checksum: &checksum,
            accepted: None,
            file: "1_x.sql",
            statements: &statements,
            lock_timeout_ms: None,
            statement_timeout_ms: None,
            has_ledger: true,
            stepwise: true,
            direction: sanderling_core::Direction::Up,
        };
        match begin(row, &step) {
            Ok(Begin::Done(_)) => Ok("done".into()),
            Ok(Begin::At {
                index, announced, ..
            }) => Ok(format!("{index} {announced}")),
            Err(failure) => Err(failure.cause.code),
        }
    }

    #[test]
    fn an_attempt_goes_on_where_the_row_stands() {
        use RowState::{Applied, Applying, Reverted, Reverting};
        let begin_at = |state, step| begun(Some(&row(state, "same", step)));
        assert_eq!(begun(None), Ok("0 false".into()));
        assert_eq!(begin_at(Reverted, 0), Ok("0 false".into()));
        assert_eq!(begin_at(Applying, 1), Ok("1 false".into()));
        assert_eq!(begin_at(Applying, -2), Ok("1 true".into()));
        assert_eq!(begin_at(Applying, 2), Ok("2 false".into()));
        assert_eq!(begin_at(Applied, 2), Ok("done".into()));
        assert_eq!(begin_at(Applying, 3), Err("ledger_row".into()));
        assert_eq!(begin_at(Reverting, 1), Err("dirty".into()));
        for state in [Applied, Applying] {
            let other = row(state, "other", 1);
            assert_eq!(begun(Some(&other)), Err("checksum".into()));
        }
    }
}
