//! What an error of a message means for an operator.

use sanderling_core::{ErrorClass, Failure};

use super::errors::{SEARCH_PATH, state};
use crate::ledger::{ROW_TAKEN, TABLE, at_statement};
use crate::port::Step;

/// The tail did not find its own transaction.
pub(super) fn transaction_ended() -> Failure {
    Failure::new(
        ErrorClass::MigrationSql,
        "transaction_ended",
        "the migration ended the transaction it runs in (COMMIT or ROLLBACK); remove that statement, and look at what it left behind",
    )
}

/// LOCK TABLE on what can be no ledger: a sequence, an index.
pub(super) const NOT_A_TABLE: &str = "42809";

/// What a failure inside the guard means for an operator.
pub(super) fn guard_failure(mut failure: Failure) -> Failure {
    if failure.cause.code == NOT_A_TABLE {
        failure.message = format!(
            "{TABLE} is not a table ({}): find out who made it, then remove or rename it",
            failure.message
        );
        failure.cause.code = state::OWNER.into();
    }
    if failure.cause.code == state::OWNER {
        failure.cause.class = ErrorClass::Precondition;
        failure.cause.code = "ledger_owner".into();
    } else if failure.cause.code == state::ENTRY {
        failure.cause.code = SEARCH_PATH.into();
    } else if failure.cause.code == "42P01" {
        failure.cause.class = ErrorClass::Precondition;
        failure.message = format!(
            "{}: the ledger or the fence is gone since the plan was made; plan again",
            failure.message
        );
    }
    failure
}

/// What a failure of a tail means: its own SQLSTATEs by name.
pub(super) fn tail_failure(mut failure: Failure) -> Failure {
    match failure.cause.code.as_str() {
        state::TAKEN => failure.cause.code = "ledger_row".into(),
        // Only the ledger is written there, and the guard saw that the row was not in it.
        "23505" => {
            failure.cause.class = ErrorClass::MigrationSql;
            failure.cause.code = "ledger_row".into();
            failure.message = ROW_TAKEN.to_owned();
        }
        state::PATH => failure.cause.code = SEARCH_PATH.into(),
        _ => {}
    }
    failure
}

/// The tail did not find the ledger or the fence.
pub(super) fn own_table_gone() -> Failure {
    Failure::new(
        ErrorClass::MigrationSql,
        "own_table",
        format!(
            "the migration drops, renames or moves {TABLE} or sanderling.fence, which are Sanderling's own and say what \
             is applied here; remove that statement"
        ),
    )
}

/// COPY to or from the client cannot be part of a message: nobody feeds it.
pub(super) fn copies_with_the_client(step: &Step<'_>) -> Option<Failure> {
    let at = step.statements.iter().position(|statement| {
        let words: Vec<_> = statement
            .text
            .split(|c: char| !c.is_ascii_alphanumeric() && c != '_')
            .filter(|word| !word.is_empty())
            .collect();
        let ends =
            |word: &str| word.eq_ignore_ascii_case("stdin") || word.eq_ignore_ascii_case("stdout");
        words
            .first()
            .is_some_and(|word| word.eq_ignore_ascii_case("copy"))
            && words.iter().any(|word| ends(word))
    })?;
    let failure = Failure::new(
        ErrorClass::MigrationSql,
        "copy",
        "COPY … FROM STDIN and TO STDOUT need a client to feed them; write the rows as INSERT",
    );
    Some(at_statement(failure, step, at, None))
}
