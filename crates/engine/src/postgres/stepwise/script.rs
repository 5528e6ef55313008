//! The messages of a stepwise file.

use sanderling_core::Failure;
use sanderling_sql::{Sending, Statement};

use crate::port::{Limits, Step};
use crate::postgres::connect::milliseconds;
use crate::postgres::errors::state;
use crate::postgres::guard::{AS_LOGIN, Guard, LEDGER_COLUMNS, RESET};
use crate::postgres::message::{Message, Part};
use crate::postgres::names::{literal, waiting_key};
use crate::progress::Point;

/// The columns of the file's ledger row, in the order of `row::read`.
const MORE_COLUMNS: &str = "step::bigint::text, steps::bigint::text";

/// The server ends a session of ours that waits for its client for longer: its worker is paused, or away, and others
/// wait for the lock it holds.
const IDLE_SESSION: &str = "30s";

/// A statement that waits for all older transactions holds nobody up while it does, and leaves an INVALID index behind
/// where it gives up. So it waits longer than the limit that keeps a queue from forming behind a lock.
const PATIENCE_MS: u64 = 60_000;

/// What was said about the locks.
pub(super) const HELD: &str = "held";
/// Somebody else has the tenant.
pub(super) const BUSY: &str = "busy";

/// A change of the file's ledger row.
#[derive(Clone, Copy, Debug)]
pub(super) struct Change {
    pub(super) from: Point,
    pub(super) state: &'static str,
    pub(super) step: i64,
}

/// What the messages of one file have in common.
pub(super) struct Script<'a> {
    pub(super) guard: &'a Guard,
    pub(super) limits: &'a Limits,
    pub(super) step: &'a Step<'a>,
    pub(super) oid: String,
    /// Random: no row of a migration's can be taken for ours.
    pub(super) marker: String,
}

impl Script<'_> {
    /// Clears the session, sets it up for statements that stand in no guard, and tries the locks for as long as the
    /// session lives; each is tried and none waited for, because a statement that waits has a snapshot, and one that
    /// waits for all snapshots would wait for it.
    pub(super) fn prepare(&self, waits_for_all: bool) -> String {
        let Guard {
            path, application, ..
        } = self.guard;
        let lock_ms = self.lock_timeout_ms();
        let statement_ms = self
            .step
            .statement_timeout_ms
            .unwrap_or(self.limits.statement_timeout_ms);
        let tenant = format!(
            "pg_catalog.pg_try_advisory_lock({}::bigint)",
            self.guard.schema.lock_key(&self.oid)
        );
        let turn = match waits_for_all {
            true => format!("pg_catalog.pg_try_advisory_lock({}::bigint)", waiting_key()),
            false => "true".to_owned(),
        };
        let own = [
            format!("SELECT pg_catalog.set_config('search_path', {path}, false)"),
            format!("SELECT pg_catalog.set_config('application_name', {application}, false)"),
            format!("SET lock_timeout = '{}'", milliseconds(lock_ms)),
            format!("SET statement_timeout = '{}'", milliseconds(statement_ms)),
            format!("SET idle_session_timeout = '{IDLE_SESSION}'"),
            "SET tcp_keepalives_idle = 30".to_owned(),
            "SET tcp_keepalives_interval = 10".to_owned(),
            "SET tcp_keepalives_count = 3".to_owned(),
            format!(
                "SELECT CASE WHEN {tenant} THEN CASE WHEN {turn} THEN '{HELD}' ELSE 'queued' END ELSE '{BUSY}' END, '{}'::text",
                self.marker
            ),
        ];
        let mut message = RESET.join(";\n");
        for statement in own {
            message.push_str(";\n");
            message.push_str(&statement);
        }
        message
    }

    /// Commits the claim to the fence, makes the ledger, and reads the file's row, while the ledger that was looked at is
    /// still locked.
    pub(super) fn open(&self) -> Result<Message, Failure> {
        let mut message = Message::default();
        message.push(Part::Prologue, "BEGIN");
        let entry = self.guard.entry(&self.marker, &self.oid, true, "")?;
        message.push(Part::Guard, &entry);
        message.push(Part::Evidence, &self.read()?);
        message.push(Part::Commit, "COMMIT");
        Ok(message)
    }

    /// The file's row.
    pub(super) fn read(&self) -> Result<String, Failure> {
        Ok(format!(
            "SELECT '{}'::text, {LEDGER_COLUMNS}, {MORE_COLUMNS} FROM {} WHERE version::text OPERATOR(pg_catalog.=) {}",
            self.marker,
            self.guard.schema.ledger(),
            literal(self.step.version.as_str())?
        ))
    }

    /// A change of the row with what it speaks of in one transaction: a statement that can share one, or nothing. What
    /// the row must be is asked first and changed last. `sent`: so many statements of the file were sent before.
    pub(super) fn change(
        &self,
        change: Change,
        body: Option<usize>,
        sent: usize,
    ) -> Result<Message, Failure> {
        let mut message = Message::default();
        for statement in AS_LOGIN {
            message.push(Part::Prologue, statement);
        }
        if let Some(usual) = self.patience(sent, false) {
            message.push(Part::Prologue, &usual);
        }
        message.push(Part::Prologue, "BEGIN");
        let expected = format!(
            "IF {} THEN
 RAISE EXCEPTION USING ERRCODE = '{TAKEN}', MESSAGE = 'the ledger row of the version is not as it was read';
END IF;
",
            self.moved(change.from)?,
            TAKEN = state::TAKEN,
        );
        let entry = self
            .guard
            .entry(&self.marker, &self.oid, false, &expected)?;
        message.push(Part::Guard, &entry);
        let role = match body {
            Some(_) => self.guard.assume_role(&self.marker)?,
            None => None,
        };
        if let Some(index) = body {
            if let Some(role) = &role {
                message.push(Part::Role, role);
            }
            message.push(Part::Body(0, index), &self.step.statements[index].text);
            for statement in AS_LOGIN {
                message.push(Part::Setting, statement);
            }
        }
        let tail = self.guard.tail(&self.marker, false, &self.write(change)?);
        message.push(Part::Tail(0), &tail);
        message.commit(role);
        message.push(Part::Evidence, &self.read()?);
        Ok(message)
    }

    /// Sets the session up for a statement that stands in no guard, and says whether it is: the path, the role, and the
    /// tenant's lock for the session, which nothing in the file may have given away.
    pub(super) fn stand(&self, sent: usize, waits_for_all: bool) -> Result<String, Failure> {
        let path = &self.guard.path;
        let mut all: Vec<String> = AS_LOGIN.iter().map(|&s| s.to_owned()).collect();
        all.push(format!(
            "SELECT pg_catalog.set_config('search_path', {path}, false)"
        ));
        all.extend(self.patience(sent, waits_for_all));
        let actor = match self.guard.role()? {
            Some(role) => {
                all.push(self.as_role()?);
                format!("{}::name", role.literal)
            }
            None => "SESSION_USER".to_owned(),
        };
        all.push(format!(
            "SELECT (pg_catalog.current_schema() OPERATOR(pg_catalog.=) {schema}::name
 AND pg_catalog.current_setting('search_path') OPERATOR(pg_catalog.=) {path}
 AND CURRENT_USER OPERATOR(pg_catalog.=) {actor}
 AND {usable}
 AND {held})::text, '{marker}'::text",
            schema = self.guard.schema.literal,
            usable = self.guard.entries.usable(),
            held = self.lock_is_held(),
            marker = self.marker,
        ));
        Ok(all.join(";\n"))
    }

    /// Asks whether the session still holds the tenant's lock.
    pub(super) fn held(&self) -> String {
        format!(
            "SELECT ({})::text, '{}'::text",
            self.lock_is_held(),
            self.marker
        )
    }

    fn lock_is_held(&self) -> String {
        let key = self.guard.schema.lock_key(&self.oid).to_be_bytes();
        let [high, low] = [&key[..4], &key[4..]].map(|half| {
            half.iter()
                .fold(0u32, |number, byte| (number << 8) | u32::from(*byte))
        });
        format!(
            "EXISTS (SELECT FROM pg_catalog.pg_locks l WHERE l.locktype OPERATOR(pg_catalog.=) 'advisory'
 AND l.pid OPERATOR(pg_catalog.=) pg_catalog.pg_backend_pid() AND l.granted
 AND l.classid OPERATOR(pg_catalog.=) {high}::oid AND l.objid OPERATOR(pg_catalog.=) {low}::oid
 AND l.objsubid OPERATOR(pg_catalog.=) 1::smallint)"
        )
    }

    /// Takes the role on that the migration runs as, if it has one, for a statement that stands in no guard.
    pub(super) fn as_role(&self) -> Result<String, Failure> {
        Ok(match self.guard.role()? {
            Some(role) => format!(
                "SELECT pg_catalog.set_config('role', {}, false)",
                role.literal
            ),
            None => "SET ROLE NONE".to_owned(),
        })
    }

    /// Raises the limit on waiting for locks, or lowers it again; leaves alone what the file itself has set, in its header or
    /// by one of the `sent` statements, whatever the limit is.
    fn patience(&self, sent: usize, raise: bool) -> Option<String> {
        if sets_lock_timeout(&self.step.statements[..sent]) {
            return None;
        }
        let usual = self.lock_timeout_ms();
        let raised = raised(self.step.lock_timeout_ms, usual);
        let (from, to) = if raise {
            (usual, raised)
        } else {
            (raised, usual)
        };
        (from != to).then(|| {
            format!(
                "SELECT pg_catalog.set_config('lock_timeout', '{}', false) WHERE {}",
                milliseconds(to),
                lock_timeout_is(from)
            )
        })
    }

    fn lock_timeout_ms(&self) -> u64 {
        self.step
            .lock_timeout_ms
            .unwrap_or(self.limits.lock_timeout_ms)
    }

    /// Whether the row is another one than `from` says.
    fn moved(&self, from: Point) -> Result<String, Failure> {
        let ledger = self.guard.schema.ledger();
        let version = literal(self.step.version.as_str())?;
        Ok(match from {
            Point::Start => format!(
                "EXISTS (SELECT FROM {ledger} WHERE version::text = {version} AND state::text <> 'reverted')"
            ),
            Point::At { .. } => format!(
                "NOT EXISTS (SELECT FROM {ledger} l WHERE {})",
                self.is(from)?
            ),
        })
    }

    /// The row `l` as `from` says it is.
    fn is(&self, from: Point) -> Result<String, Failure> {
        let version = literal(self.step.version.as_str())?;
        let checksum = literal(self.step.checksum.as_str())?;
        let Point::At { step, epoch } = from else {
            return Ok("false".to_owned());
        };
        Ok(format!(
            "l.version::text = {version} AND l.checksum::text = {checksum} AND l.state::text = 'applying'
 AND l.step::bigint = ({step})::bigint AND l.epoch::bigint = {epoch}::bigint"
        ))
    }

    fn write(&self, change: Change) -> Result<String, Failure> {
        let Guard {
            rollout,
            worker,
            epoch,
            ..
        } = self.guard;
        let Change { from, state, step } = change;
        let ledger = self.guard.schema.ledger();
        let ours = self.guard.ours();
        let version = literal(self.step.version.as_str())?;
        let (name, checksum) = (
            literal(self.step.name)?,
            literal(self.step.checksum.as_str())?,
        );
        let steps = self.step.statements.len();
        let spent = "(extract(epoch FROM pg_catalog.clock_timestamp() - pg_catalog.now()) * 1000::numeric)::bigint";
        Ok(match from {
            Point::Start => format!(
                "INSERT INTO {ledger} AS l (version, name, checksum, state, step, steps, epoch, rollout, applied_at, duration_ms, applied_by)
 SELECT {version}, {name}, {checksum}, '{state}', {step}, {steps}, {epoch}, {rollout}, pg_catalog.clock_timestamp(), {spent}, {worker}
 {ours}
 ON CONFLICT (version) DO UPDATE SET name = excluded.name, checksum = excluded.checksum, state = excluded.state,
 step = excluded.step, steps = excluded.steps, epoch = excluded.epoch, rollout = excluded.rollout,
 applied_at = excluded.applied_at, duration_ms = excluded.duration_ms, applied_by = excluded.applied_by
 WHERE l.state::text = 'reverted' AND l.epoch <= excluded.epoch"
            ),
            Point::At { .. } => format!(
                "UPDATE {ledger} AS l SET state = '{state}', step = {step}, steps = {steps}, epoch = {epoch}, rollout = {rollout},
 applied_at = pg_catalog.clock_timestamp(), duration_ms = l.duration_ms::bigint + {spent}, applied_by = {worker}
 WHERE {is} AND EXISTS (SELECT {ours})",
                is = self.is(from)?,
            ),
        })
    }
}

/// The limit on waiting for locks of a statement that waits for all older transactions. No limit stays none.
fn raised(own: Option<u64>, usual: u64) -> u64 {
    match (own, usual) {
        (Some(own), _) => own,
        (None, 0) => 0,
        (None, usual) => usual.max(PATIENCE_MS),
    }
}

/// Whether the last of these statements that speaks of `lock_timeout` sets it.
fn sets_lock_timeout(statements: &[Statement]) -> bool {
    let settings = statements.iter().rev();
    settings
        .filter(|statement| statement.sending == Sending::Setting)
        .find_map(|statement| {
            let text = statement.text.to_ascii_lowercase();
            let is_name = |c: char| c.is_ascii_alphanumeric() || c == '_';
            let mut words = text.split(|c| !is_name(c));
            words
                .any(|word| word == "lock_timeout")
                .then(|| !text.starts_with("reset"))
        })
        .unwrap_or(false)
}

/// Whether the session's lock_timeout is so many milliseconds.
fn lock_timeout_is(ms: u64) -> String {
    format!(
        "(SELECT s.setting FROM pg_catalog.pg_settings s WHERE s.name OPERATOR(pg_catalog.=) 'lock_timeout') \
         OPERATOR(pg_catalog.=) '{}'",
        milliseconds(ms).trim_end_matches("ms")
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_limit_and_ones_own_are_not_raised() {
        for (own, usual, is) in [
            (None, 2_000, 60_000),
            (None, 90_000, 90_000),
            (None, 0, 0),
            (Some(2_000), 2_000, 2_000),
            (Some(0), 0, 0),
        ] {
            assert_eq!(raised(own, usual), is, "{own:?} {usual}");
        }
    }

    #[test]
    fn the_last_word_on_lock_timeout_counts() {
        let sets = |texts: &[&str]| {
            let statements: Vec<_> = texts
                .iter()
                .map(|text| Statement {
                    text: (*text).to_owned(),
                    line: 1,
                    column: 1,
                    sending: Sending::Setting,
                })
                .collect();
            sets_lock_timeout(&statements)
        };
        assert!(sets(&["SET lock_timeout = 0", "SET work_mem = '1MB'"]));
        assert!(sets(&["set session \"lock_timeout\" to '60s'"]));
        assert!(!sets(&["SET lock_timeout = 0", "RESET lock_timeout"]));
        assert!(!sets(&["SET deadlock_timeout = '1s'"]));
    }
}
