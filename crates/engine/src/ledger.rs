//! What both engines share about ledger rows: names, reading, and what a row says about a step.

use sanderling_core::{
    Checksum, Direction, Epoch, ErrorClass, Failure, LedgerRow, Micros, RolloutId, RowState,
    Version,
};

use crate::port::{Evidence, Step, StepOutcome};

/// The ledger's table, in the tenant's schema or file.
pub(crate) const TABLE: &str = "sanderling_migrations";

/// A row as text, in the order of the columns that every ledger read of ours selects.
pub(crate) struct RawRow {
    pub(crate) version: String,
    pub(crate) checksum: String,
    pub(crate) state: String,
    pub(crate) epoch: i64,
    pub(crate) rollout: Option<String>,
    pub(crate) applied_at: Option<i64>,
}

impl RawRow {
    /// The row as a value; a state that no version of ours writes is a fault of the ledger, not a guess.
    pub(crate) fn parse(self) -> Result<LedgerRow, Failure> {
        let Some(state) = RowState::parse(&self.state) else {
            return Err(Failure::new(
                ErrorClass::Precondition,
                "ledger_state",
                format!(
                    "{TABLE} has version {} in state '{}', which this Sanderling does not know; use the release that wrote it",
                    self.version, self.state
                ),
            ));
        };
        Ok(LedgerRow {
            version: Version::new(self.version),
            checksum: Checksum::new(self.checksum),
            state,
            epoch: Epoch(self.epoch),
            rollout: self.rollout.map(RolloutId::new),
            applied_at: self.applied_at.map(Micros),
        })
    }
}

/// Sorts rows as ledgers are shown: by version, as numbers.
pub(crate) fn in_order(mut rows: Vec<LedgerRow>) -> Vec<LedgerRow> {
    rows.sort_by(|a, b| a.version.cmp(&b.version));
    rows
}

/// What a ledger says about a step before its body runs.
pub(crate) enum Found {
    /// The body may run: nothing or a reverted row on the way up, a row in effect on the way down.
    Open,
    /// It has gone this way: in effect with this checksum, or reverted.
    Done(Box<Evidence>),
    /// The row forbids the step.
    Refused(Box<Failure>),
}

/// Looks a step up among rows that were read from the tenant.
pub(crate) fn find(rows: &[LedgerRow], step: &Step<'_>) -> Found {
    let Some(row) = rows.iter().find(|row| row.version == *step.version) else {
        return match step.direction {
            Direction::Up => Found::Open,
            Direction::Down => Found::Refused(Box::new(never_applied(step))),
        };
    };
    match (row.state, step.direction) {
        (RowState::Applied, _) if !step.accepts(&row.checksum) => {
            Found::Refused(Box::new(edited(row, step)))
        }
        (RowState::Reverted, Direction::Up) | (RowState::Applied, Direction::Down) => Found::Open,
        (RowState::Applied, Direction::Up) | (RowState::Reverted, Direction::Down) => {
            Found::Done(Box::new(Evidence::from_ledger(row.clone())))
        }
        (RowState::Applying | RowState::Reverting, _) => Found::Refused(Box::new(at_step(
            Failure::new(
                ErrorClass::Precondition,
                "dirty",
                format!(
                    "version {} stands at '{}' in the ledger: a stepwise migration stopped half way; look at the tenant before anything else runs",
                    step.version, row.state
                ),
            ),
            step,
        ))),
    }
}

/// On the way down: a version above all of the steps that is in effect, or stands half way. Nothing is taken back under
/// it.
pub(crate) fn under_newer(rows: &[LedgerRow], steps: &[Step<'_>]) -> Option<Failure> {
    let lowest = steps.iter().min_by_key(|step| step.version)?;
    if lowest.direction.is_up() {
        return None;
    }
    let newer = rows.iter().find(|row| {
        row.state != RowState::Reverted
            && row.version > *lowest.version
            && steps.iter().all(|step| *step.version != row.version)
    })?;
    Some(at_step(
        Failure::new(
            ErrorClass::Precondition,
            "newer",
            format!(
                "version {} cannot be taken back: version {}, which is newer, stands at '{}' there; plan again, so that the \
                 newer one is taken back first",
                lowest.version, newer.version, newer.state
            ),
        ),
        lowest,
    ))
}

/// A version that is to be taken back has no row: nobody knows whether it is in effect.
fn never_applied(step: &Step<'_>) -> Failure {
    at_step(
        Failure::new(
            ErrorClass::Precondition,
            "not_applied",
            format!(
                "version {} is to be taken back, and the ledger has no row of it any more; look whether it is in effect \
                 there, and put the row back",
                step.version
            ),
        ),
        step,
    )
}

/// The row of a version comes from another text than the step's.
pub(crate) fn edited(row: &LedgerRow, step: &Step<'_>) -> Failure {
    let how = match row.state {
        RowState::Applying => "begun here, and not finished,",
        _ => "applied here",
    };
    at_step(
        Failure::new(
            ErrorClass::Precondition,
            "checksum",
            format!(
                "version {} was {how} from another text (ledger {}, bundle {}); restore the file, or roll forward with a new migration",
                step.version,
                short(row.checksum.as_str()),
                short(step.checksum.as_str())
            ),
        ),
        step,
    )
}

/// What is said where a version's row is another's than the one that was looked at.
pub(crate) const ROW_TAKEN: &str =
    "another row took the place of the version in the ledger while the migration ran";

/// The outcome when a ledger read shows nothing left to run, or what forbids it.
pub(crate) fn already(rows: &[LedgerRow], steps: &[Step<'_>]) -> Option<StepOutcome> {
    let mut last = None;
    for step in steps {
        match find(rows, step) {
            Found::Open => return None,
            Found::Done(evidence) => last = Some(StepOutcome::AlreadyApplied(*evidence)),
            Found::Refused(failure) => return Some(StepOutcome::Failed(*failure)),
        }
    }
    last
}

/// Points a failure at a step's version and file.
pub(crate) fn at_step(mut failure: Failure, step: &Step<'_>) -> Failure {
    failure.cause.version = Some(step.version.clone());
    failure.file = Some(step.file.to_owned());
    failure
}

/// Points a failure at one statement of a step: its number from 1, and its first token or the character given.
pub(crate) fn at_statement(
    failure: Failure,
    step: &Step<'_>,
    index: usize,
    offset: Option<usize>,
) -> Failure {
    let mut failure = at_step(failure, step);
    if let Some(statement) = step.statements.get(index) {
        let (line, column) = match offset {
            Some(offset) => statement.locate(offset),
            None => (statement.line, statement.column),
        };
        failure.cause.statement = u32::try_from(index + 1).ok();
        failure.line = Some(line);
        failure.column = Some(column);
    }
    failure
}

fn short(checksum: &str) -> String {
    checksum.chars().take(12).collect()
}
