//! A rehearsal: migrations in a transaction that is rolled back, and the catalog that they would leave.

use sanderling_core::Failure;
use sqlx::postgres::PgRow;

use super::catalog;
use super::connect::{Connection, Exchange, text};
use super::errors::{ServerError, Trouble, state};
use super::guard::{AS_LOGIN, BETWEEN, Guard};
use super::message::{Message, Part, marker};
use super::names::literal;
use super::ownership;
use super::verdict::{copies_with_the_client, guard_failure, tail_failure, transaction_ended};
use crate::ledger::{at_statement, at_step};
use crate::port::{Limits, Step};

/// The lines of the catalog after these steps; `None` while another session is at work on the tenant. Neither fence nor
/// ledger is written. The connection is to be closed, whatever came of it: with it ends what is left.
pub(super) async fn run(
    connection: &mut Connection,
    guard: &Guard,
    limits: &Limits,
    steps: &[Step<'_>],
) -> Result<Option<Vec<String>>, Failure> {
    if let Some(failure) = steps.iter().find_map(copies_with_the_client) {
        return Err(failure);
    }
    let marker = marker();
    let message = lay_out(guard, limits, steps, &connection.database_oid, &marker)?;
    let ours = |row: &PgRow| text(row, 0).as_deref() == Some(marker.as_str());
    let Exchange {
        completed,
        rows,
        trouble,
    } = connection.exchange(message.text(), ours).await;
    match trouble {
        None => {}
        Some(Trouble::Lost(failure)) => return Err(failure),
        Some(Trouble::Server(error)) => {
            let (part, offset) = message.part_of(error.position, completed);
            return refused(guard, steps, &error, (part, offset), &connection.login);
        }
    }
    // A transaction that was ended inside took effect, and the one that we would roll back is another.
    let transactions: Vec<_> = rows.iter().map(|row| text(row, 1)).collect();
    match transactions.as_slice() {
        [Some(first), Some(last)] if first == last => {}
        _ => return Err(at_last(transaction_ended(), steps)),
    }
    let read = catalog::read(connection, &[&guard.schema]).await;
    let undone = connection.rows("ROLLBACK".to_owned()).await;
    let mut catalogs = read.map_err(|trouble| trouble.failure())?;
    undone.map_err(|trouble| trouble.failure())?;
    Ok(catalogs.remove(&guard.schema.name))
}

/// As a migration's message, with the tenant's lock and without fence, ledger row and COMMIT.
fn lay_out(
    guard: &Guard,
    limits: &Limits,
    steps: &[Step<'_>],
    database_oid: &str,
    marker: &str,
) -> Result<Message, Failure> {
    let which = format!("SELECT '{marker}'::text, pg_catalog.pg_current_xact_id()::text");
    let mut message = Message::default();
    message.push(Part::Prologue, "BEGIN");
    message.push(Part::Guard, &guard.arrive(marker, database_oid, steps)?);
    message.push(Part::Guard, &which);
    for (index, step) in steps.iter().enumerate() {
        if index > 0 {
            for statement in BETWEEN {
                message.push(Part::Setting, statement);
            }
            message.push(Part::Setting, &mark("SELECT"));
            message.push(Part::Setting, &guard.search_path());
        }
        message.body(guard, limits, marker, (index, step))?;
        message.push(Part::Tail(index), &guard.stayed(marker));
    }
    // What is deferred to a commit would run there.
    if let Some(role) = guard.assume_role(marker)? {
        message.push(Part::Commit, &role);
    }
    message.push(Part::Commit, "SET CONSTRAINTS ALL IMMEDIATE");
    for statement in AS_LOGIN {
        message.push(Part::Commit, statement);
    }
    message.push(Part::Commit, &which);
    Ok(message)
}

/// The setting that says which transaction the rehearsal is in.
const MARK: &str = "sanderling.rehearsal";

fn mark(verb: &str) -> String {
    format!(
        "{verb} pg_catalog.set_config('{MARK}', pg_catalog.pg_current_xact_id()::pg_catalog.text, false)"
    )
}

impl Guard {
    /// Search path, the tenant's lock, and a ledger that has none of the versions. Touches nothing.
    fn arrive(&self, tag: &str, database_oid: &str, steps: &[Step<'_>]) -> Result<String, Failure> {
        let versions = steps
            .iter()
            .map(|step| Ok(literal(step.version.as_str())?.to_string()))
            .collect::<Result<Vec<_>, Failure>>()?
            .join(", ");
        let missing = literal(&format!(
            "schema {} is missing, or the login role may not use it",
            self.schema.name
        ))?;
        let ledger = self.schema.ledger();
        let name = literal(&ledger)?;
        let role = self.role()?.map(|role| role.literal.as_str());
        Ok(format!(
            "DO ${tag}$ BEGIN
PERFORM pg_catalog.set_config('search_path', {path}, true);
IF pg_catalog.current_schema() IS DISTINCT FROM {schema}::name THEN
 RAISE EXCEPTION USING ERRCODE = '{MISSING}', MESSAGE = {missing};
END IF;
{mark};
PERFORM pg_catalog.set_config('application_name', {application}, true);
{lock}IF pg_catalog.to_regclass({name}) IS NOT NULL THEN
 {readable} IF EXISTS (SELECT FROM {ledger} WHERE version::text IN ({versions}) AND state::text <> 'reverted') THEN
  RAISE EXCEPTION USING ERRCODE = '{ALREADY}', MESSAGE = 'the ledger has the version by now';
 END IF;
END IF;
END ${tag}$",
            path = self.path,
            mark = mark("PERFORM"),
            schema = self.schema.literal,
            application = self.application,
            lock = self.try_lock(database_oid),
            readable = ownership::demand_readable(&ledger, name.as_str(), role),
            MISSING = state::MISSING,
            ALREADY = state::ALREADY,
        ))
    }

    /// Raises where the migration ended the transaction or left the search path moved, as the tail of one that counts
    /// would. A setting that is undone with its transaction says which one this is.
    fn stayed(&self, tag: &str) -> String {
        format!(
            "DO ${tag}$ BEGIN
IF (pg_catalog.current_setting('{MARK}', true) OPERATOR(pg_catalog.=) pg_catalog.pg_current_xact_id()::pg_catalog.text) IS NOT TRUE THEN
 RAISE EXCEPTION USING ERRCODE = '{ENDED}', MESSAGE = 'the transaction is not the rehearsal''s';
END IF;
IF pg_catalog.current_setting('search_path') OPERATOR(pg_catalog.<>) {path} THEN
 RAISE EXCEPTION USING ERRCODE = '{PATH}', MESSAGE = 'the migration moved search_path and left it there: qualify names instead, or set it back to what it was at the migration''s end';
END IF;
END ${tag}$",
            path = self.path,
            ENDED = state::ENDED,
            PATH = state::PATH,
        )
    }
}

/// The server refused, and has rolled back.
fn refused(
    guard: &Guard,
    steps: &[Step<'_>],
    error: &ServerError,
    (part, offset): (Part, Option<usize>),
    login: &str,
) -> Result<Option<Vec<String>>, Failure> {
    let failure = match (part, guard.role()) {
        (Part::Role, Ok(Some(role))) => role.failure(error, login),
        _ => error.failure(),
    };
    Err(match (part, error.code.as_str()) {
        (Part::Guard, state::BUSY | "55P03") => return Ok(None),
        (Part::Guard, _) => guard_failure(failure),
        // A piece that holds several statements shifts the count, so the code decides, not the part.
        (_, state::ENDED) => at_last(transaction_ended(), steps),
        (_, state::PATH) => at_last(tail_failure(failure), steps),
        (Part::Body(step, statement), _) => match steps.get(step) {
            Some(step) => at_statement(failure, step, statement, offset),
            None => failure,
        },
        (Part::Tail(step), _) => match steps.get(step) {
            Some(step) => at_step(tail_failure(failure), step),
            None => tail_failure(failure),
        },
        (Part::Commit, _) => {
            let mut failure = at_last(failure, steps);
            failure.message = format!("at COMMIT: {}", failure.message);
            failure
        }
        (Part::Role | Part::Setting, _) => at_last(failure, steps),
        (Part::Prologue | Part::Evidence | Part::Reset, _) => failure,
    })
}

fn at_last(failure: Failure, steps: &[Step<'_>]) -> Failure {
    match steps.last() {
        Some(step) => at_step(failure, step),
        None => failure,
    }
}
