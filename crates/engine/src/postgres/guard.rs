//! The statements around a migration: reset, guard, tail, evidence. Each promise of the house's claim protocol is
//! one of them.

use sanderling_core::{Epoch, Failure, LedgerRow, RolloutId, StoreId, TenantId};

use super::demand::Demand;
use super::entries::Entries;
use super::errors::state;
use super::names::{Schema, literal};
use super::ownership;
use super::role::Role;
use crate::ledger::ROW_TAKEN;
use crate::port::{Claim, Step};

/// What a migration could have left in the session. Whoever sent one clears up behind it, so a session that is kept is
/// clean. Statements of one message share its transaction, so `DISCARD ALL` cannot stand here. Session authorisation
/// comes first: the rest must not run as somebody's role.
pub(crate) const RESET: &[&str] = &[
    "SET SESSION AUTHORIZATION DEFAULT",
    "SET ROLE NONE",
    "CLOSE ALL",
    "RESET ALL",
    "DEALLOCATE ALL",
    "UNLISTEN *",
    "SELECT pg_catalog.pg_advisory_unlock_all()",
    "DISCARD PLANS",
    "DISCARD TEMP",
    "DISCARD SEQUENCES",
];

/// What separates two versions of one tenant in one transaction, as far as it can be undone there. The login role came
/// back before the first one's tail, where a trigger that the first put on the ledger may have left another one.
pub(crate) const BETWEEN: &[&str] = &[
    "SET SESSION AUTHORIZATION DEFAULT",
    "SET ROLE NONE",
    "CLOSE ALL",
    "RESET ALL",
    "DEALLOCATE ALL",
    "DISCARD TEMP",
];

/// A migration may have taken another role on; the ledger is the login role's, also after COMMIT.
pub(crate) const AS_LOGIN: &[&str] = &["SET SESSION AUTHORIZATION DEFAULT", "SET ROLE NONE"];

/// What is ours needs no second look: without this the text of a block of ours is parsed when it is compiled and again
/// when it runs. It is as it was before the migration's own statements.
pub(super) const TRUSTING: &str = "SET LOCAL check_function_bodies TO off";
/// Ends [`TRUSTING`].
pub(super) const CHECKING: &str = "SET LOCAL check_function_bodies TO DEFAULT";

/// The columns of a ledger read, in the order of `crate::ledger::RawRow`. Operands have the very types of an operator
/// of the server's: an inexact one would lose against another schema's that fits exactly.
pub(crate) const LEDGER_COLUMNS: &str = "version, checksum, state, epoch::text, rollout, \
     (extract(epoch FROM applied_at) OPERATOR(pg_catalog.*) 1000000::numeric)::bigint::text";

/// The values of one claim on one place, quoted.
pub(crate) struct Guard {
    pub(crate) schema: Schema,
    /// The ledger's qualified name, as a literal.
    ledger: String,
    pub(super) path: String,
    /// What stands in the path behind the tenant's schema.
    pub(super) entries: Entries,
    store: String,
    claim: String,
    pub(super) rollout: String,
    pub(super) worker: String,
    pub(super) epoch: i64,
    pub(super) application: String,
    pub(super) tenant: TenantId,
    store_id: StoreId,
    rollout_id: RolloutId,
    claim_epoch: Epoch,
    /// What the migration runs as; a name that cannot be one is said where it would be used.
    role: Result<Option<Role>, Failure>,
}

impl Guard {
    /// Quotes what the claim brings.
    pub(crate) fn new(schema: Schema, claim: &Claim) -> Result<Self, Failure> {
        Ok(Self {
            ledger: literal(&schema.ledger())?.to_string(),
            path: literal(&format!("{}, pg_temp", schema.ident))?.to_string(),
            entries: Entries::default(),
            store: literal(claim.store.as_str())?.to_string(),
            claim: literal(claim.nonce.as_str())?.to_string(),
            rollout: literal(claim.rollout.as_str())?.to_string(),
            worker: literal(claim.worker.as_str())?.to_string(),
            epoch: claim.epoch.0,
            claim_epoch: claim.epoch,
            store_id: claim.store.clone(),
            rollout_id: claim.rollout.clone(),
            application: literal(&application_name(claim))?.to_string(),
            role: Ok(None),
            tenant: claim.tenant.clone(),
            schema,
        })
    }

    /// The same claim, whose migrations see more schemas than the tenant's own.
    pub(crate) fn with_entries(mut self, entries: Entries) -> Result<Self, Failure> {
        let schema = &self.schema.ident;
        let path = format!("{schema}{}, pg_temp", entries.behind(schema));
        self.path = literal(&path)?.to_string();
        self.entries = entries;
        Ok(self)
    }

    /// The same claim, whose migrations run as a role of the tenant's.
    pub(crate) fn with_role(mut self, name: &str) -> Self {
        self.role = Role::new(name).map(Some);
        self
    }

    /// The role that migrations run as, if it is not the login role.
    pub(crate) fn role(&self) -> Result<Option<&Role>, Failure> {
        self.role.as_ref().map(Option::as_ref).map_err(Clone::clone)
    }

    /// A statement after which the migration's role is taken on, if it has one.
    pub(crate) fn assume_role(&self, tag: &str) -> Result<Option<String>, Failure> {
        self.role()?
            .map(|role| role.assume(&self.schema, &self.entries, tag))
            .transpose()
    }

    /// Whether a ledger row was written by this claim.
    pub(crate) fn is_ours(&self, row: &LedgerRow) -> bool {
        row.epoch == self.claim_epoch && row.rollout.as_ref() == Some(&self.rollout_id)
    }

    /// Whether this is the store that issued the claim.
    pub(crate) fn is_store(&self, store: &StoreId) -> bool {
        *store == self.store_id
    }

    /// Names resolve in the tenant's schema, the host's entries and, last, in the session's temporary one. As a function, because SET
    /// would store the names as it likes to quote them, and the tail compares.
    pub(crate) fn search_path(&self) -> String {
        format!(
            "SELECT pg_catalog.set_config('search_path', {}, true)",
            self.path
        )
    }

    /// The guard of a migration's one message: none of the versions may be in the ledger, unless as taken back where
    /// `again` says so; on the way down all of them must be, as its newest.
    pub(crate) fn enter(
        &self,
        tag: &str,
        database_oid: &str,
        steps: &[&Step<'_>],
        again: bool,
    ) -> Result<String, Failure> {
        if down(steps.iter().copied()) {
            return self.entry(tag, database_oid, false, &self.may_undo(steps)?);
        }
        let versions = steps
            .iter()
            .map(|step| Ok(literal(step.version.as_str())?.to_string()))
            .collect::<Result<Vec<_>, Failure>>()?
            .join(", ");
        let but = if again {
            " AND state::text <> 'reverted'"
        } else {
            ""
        };
        let last = format!(
            "IF EXISTS (SELECT FROM {ledger} WHERE version::text IN ({versions}){but}) THEN
 RAISE EXCEPTION USING ERRCODE = '{ALREADY}', MESSAGE = 'the ledger has the version';
END IF;
",
            ledger = self.schema.ledger(),
            ALREADY = state::ALREADY,
        );
        let make = steps.iter().any(|step| !step.has_ledger);
        self.entry(tag, database_oid, make, &last)
    }

    /// Search path with lock, then fence, then ledger, each in a statement (and so a snapshot) of its own; one block,
    /// because each costs a parse. `tag` is random: nothing inside can end the block early. The ledger is locked as the
    /// tail's INSERT will lock it, so that nobody can put another in its place, or a trigger on it, once it was looked
    /// at; it is looked at before anything reads it, because planning to read a view may run its owner's code. `make`:
    /// it may be missing; `last` is what else must hold, in plpgsql.
    pub(super) fn entry(
        &self,
        tag: &str,
        database_oid: &str,
        make: bool,
        last: &str,
    ) -> Result<String, Failure> {
        let create = if make {
            self.create_ledger()
        } else {
            String::new()
        };
        let missing = literal(&format!(
            "schema {} is missing, or the login role may not use it",
            self.schema.name
        ))?;
        let owned = ownership::demand(
            &self.ledger,
            state::OWNER,
            literal(&format!(
                "{} is not a table of the login role or of a role that it is a member of, or it bears triggers or rules, \
                 which would run as the login role: find out who made it, then drop those and ALTER TABLE … OWNER TO \
                 the login role, or remove the table",
                self.schema.ledger()
            ))?
            .as_str(),
            self.role()?.map(|role| role.literal.as_str()),
        );
        let Self {
            schema,
            application,
            path,
            ..
        } = self;
        // Read under the path of who was here before: each name and operator says whose it is.
        let current = "pg_catalog.current_schema()";
        let first = Demand::all(&[
            Demand::done(&format!("pg_catalog.set_config('search_path', {path}, true)")),
            Demand::done(&format!("pg_catalog.set_config('application_name', {application}, true)")),
            Demand::new(
                format!(
                    "{current} IS NULL OR {current} OPERATOR(pg_catalog.<>) {}::pg_catalog.name",
                    schema.literal
                ),
                state::MISSING,
                missing.as_str(),
            ),
            Demand::new(
                "pg_catalog.current_setting('transaction_isolation') OPERATOR(pg_catalog.<>) 'read committed'".to_owned(),
                state::UNFIT,
                "'the session is not in READ COMMITTED'",
            ),
            self.lock(database_oid),
        ]);
        let (ledger, fence) = (schema.ledger(), self.raise_fence());
        Ok(format!(
            "DO ${tag}$ BEGIN
{first}{entries}{fence};
IF NOT FOUND THEN
 RAISE EXCEPTION USING ERRCODE = '{FENCED}', MESSAGE = 'the fence refuses this claim';
END IF;
{create}LOCK TABLE {ledger} IN ROW EXCLUSIVE MODE;
{owned}{last}END ${tag}$",
            entries = self.entries.demand()?,
            FENCED = state::FENCED,
        ))
    }

    /// Raises the fence to this claim; touches no row when the fence is ahead or another store's.
    pub(crate) fn raise_fence(&self) -> String {
        let Self {
            store,
            claim,
            epoch,
            schema,
            ..
        } = self;
        format!(
            "INSERT INTO sanderling.fence AS f (place, store_id, epoch, claim)
 VALUES ({place}, {store}, {epoch}, {claim})
 ON CONFLICT (place) DO UPDATE SET epoch = excluded.epoch, claim = excluded.claim
 WHERE f.store_id::text = excluded.store_id::text
 AND (f.epoch < excluded.epoch OR (f.epoch = excluded.epoch AND f.claim::text = excluded.claim::text))",
            place = schema.place,
        )
    }

    /// Only under the tenant's lock: `IF NOT EXISTS` alone does not survive a race.
    fn create_ledger(&self) -> String {
        format!(
            "CREATE TABLE IF NOT EXISTS {} (
 version text COLLATE \"C\" PRIMARY KEY, name text NOT NULL, checksum text NOT NULL, state text NOT NULL,
 step integer NOT NULL DEFAULT 0, steps integer NOT NULL DEFAULT 0, epoch bigint NOT NULL, rollout text,
 applied_at timestamptz NOT NULL, duration_ms bigint NOT NULL, applied_by text NOT NULL);\n",
            self.schema.ledger()
        )
    }

    /// Makes the commit of a message of its own, which has no transaction block, wait for the disk.
    pub(crate) fn flushed() -> &'static str {
        "SELECT pg_catalog.set_config('synchronous_commit', 'on', true) \
         WHERE pg_catalog.current_setting('synchronous_commit') = 'off'"
    }

    /// The fence's row, if this very transaction wrote it for this claim: what a tail may rest on.
    pub(super) fn ours(&self) -> String {
        let Self {
            store,
            claim,
            epoch,
            schema,
            ..
        } = self;
        format!(
            "FROM sanderling.fence f WHERE f.place::text = {place} AND f.store_id::text = {store}
 AND f.epoch::bigint = {epoch}::bigint AND f.claim::text = {claim} AND f.xmin = pg_catalog.pg_current_xact_id_if_assigned()::xid",
            place = schema.place,
        )
    }

    /// Writes the ledger row of a version that is in effect with this transaction, or is not any more. `again`: it may
    /// take the place of one that was taken back, which costs more to plan.
    pub(crate) fn leave(
        &self,
        tag: &str,
        step: &Step<'_>,
        made: bool,
        again: bool,
    ) -> Result<String, Failure> {
        if down([step]) {
            return Ok(self.tail(tag, made, &self.undo_row(step)?));
        }
        let Self {
            rollout,
            worker,
            epoch,
            schema,
            ..
        } = self;
        let version = literal(step.version.as_str())?;
        let (name, checksum) = (literal(step.name)?, literal(step.checksum.as_str())?);
        let write = format!(
            "INSERT INTO {ledger} AS l (version, name, checksum, state, step, steps, epoch, rollout, applied_at, duration_ms, applied_by)
 SELECT {version}, {name}, {checksum}, 'applied', 0, 0, {epoch}, {rollout}, pg_catalog.clock_timestamp(),
 (extract(epoch FROM pg_catalog.clock_timestamp() - pg_catalog.now()) * 1000::numeric)::bigint, {worker}
 {ours}{place}",
            ledger = schema.ledger(),
            ours = self.ours(),
            place = if again { IN_ITS_PLACE } else { "" },
        );
        Ok(self.tail(tag, made, &write))
    }

    /// Proves that the transaction is still the guard's (the fence's row was written by it) and does `write`, which
    /// rests on [`Self::ours`] and touches one row. What it raises tells the two apart. `made`: the guard may have made
    /// the ledger.
    pub(super) fn tail(&self, tag: &str, made: bool, write: &str) -> String {
        let ours = self.ours();
        let raise_ended = format!(
            "RAISE EXCEPTION USING ERRCODE = '{}', MESSAGE = 'the transaction is not the guard''s';",
            state::ENDED
        );
        // A path that was moved decides what every name and operator below means (a hidden ROLLBACK moves it too). A
        // commit that the server has not flushed is no evidence; other levels, which differ in whom they wait for,
        // stay. Where the guard made the ledger, that went with the guard's transaction, and INSERT could not even be
        // read. One condition in front of all, because each costs a plan.
        let moved = format!(
            "pg_catalog.current_setting('search_path') OPERATOR(pg_catalog.<>) {}",
            self.path
        );
        let (gone, first) = if made {
            (
                format!(" OR pg_catalog.to_regclass({}) IS NULL", self.ledger),
                format!(" IF NOT EXISTS (SELECT {ours}) THEN\n  {raise_ended}\n END IF;\n"),
            )
        } else {
            (String::new(), String::new())
        };
        let settings = format!(
            "IF {moved}{gone} OR pg_catalog.current_setting('synchronous_commit') OPERATOR(pg_catalog.=) 'off' THEN
 IF {moved} THEN
  PERFORM pg_catalog.set_config('search_path', 'pg_catalog', true);
  IF EXISTS (SELECT {ours}) THEN
   RAISE EXCEPTION USING ERRCODE = '{PATH}', MESSAGE = 'the migration moved search_path and left it there: qualify names instead, or set it back to what it was at the migration''s end';
  END IF;
  {raise_ended}
 END IF;
{first} PERFORM pg_catalog.set_config('synchronous_commit', 'on', true);
END IF;
",
            PATH = state::PATH,
        );
        format!(
            "DO ${tag}$ BEGIN
{settings}{write};
IF NOT FOUND THEN
 IF EXISTS (SELECT {ours}) THEN
  RAISE EXCEPTION USING ERRCODE = '{TAKEN}', MESSAGE = '{ROW_TAKEN}';
 END IF;
 {raise_ended}
END IF;
END ${tag}$",
            TAKEN = state::TAKEN,
        )
    }

    /// Reads the ledger row back after COMMIT, marked so that no row of a migration can be taken for it.
    pub(crate) fn evidence(&self, marker: &str, step: &Step<'_>) -> Result<String, Failure> {
        Ok(format!(
            "SELECT '{marker}'::text, {LEDGER_COLUMNS} FROM {} WHERE version::text OPERATOR(pg_catalog.=) {}",
            self.schema.ledger(),
            literal(step.version.as_str())?
        ))
    }

    /// Every row of the ledger, if it is ours: looked at and read in one transaction. `held` asks for the tenant's lock
    /// first, which whoever is at work on the tenant holds.
    pub(crate) fn read_ledger(
        &self,
        tag: &str,
        database_oid: &str,
        held: bool,
    ) -> Result<String, Failure> {
        let lock = match held {
            true => self.try_lock(database_oid),
            false => String::new(),
        };
        // A name that no role can have owns nothing; a claim has to be settled all the same.
        let role = self.role().ok().flatten();
        let readable = ownership::demand_readable(
            &self.schema.ledger(),
            &self.ledger,
            role.map(|role| role.literal.as_str()),
        );
        Ok(format!(
            "DO ${tag}$ BEGIN\n{lock}{readable}END ${tag}$; SELECT '{tag}'::text, {LEDGER_COLUMNS} FROM {}",
            self.schema.ledger()
        ))
    }

    /// Raises where another session is at work on the tenant.
    pub(crate) fn nobody_at_work(&self, tag: &str, database_oid: &str) -> String {
        let lock = self.try_lock(database_oid);
        format!("DO ${tag}$ BEGIN\n{lock}END ${tag}$")
    }

    pub(super) fn try_lock(&self, database_oid: &str) -> String {
        Demand::all(&[self.lock(database_oid)])
    }

    /// The tenant's lock, until the transaction ends.
    fn lock(&self, database_oid: &str) -> Demand {
        let key = self.schema.lock_key(database_oid);
        Demand::new(
            format!("NOT pg_catalog.pg_try_advisory_xact_lock({key}::bigint)"),
            state::BUSY,
            "'another session holds the tenant'",
        )
    }

    /// Who holds the fence.
    pub(crate) fn read_fence(&self) -> String {
        format!(
            "SELECT store_id::text, epoch::text FROM sanderling.fence WHERE place::text = {}",
            self.schema.place
        )
    }
}

/// A row's place is free where its version was taken back, by nobody newer.
const IN_ITS_PLACE: &str = "
 ON CONFLICT (version) DO UPDATE SET name = excluded.name, checksum = excluded.checksum, state = excluded.state,
 step = 0, steps = 0, epoch = excluded.epoch, rollout = excluded.rollout, applied_at = excluded.applied_at,
 duration_ms = excluded.duration_ms, applied_by = excluded.applied_by
 WHERE l.state::text = 'reverted' AND l.epoch <= excluded.epoch";

/// Whether the way is down.
fn down<'a, 's: 'a>(steps: impl IntoIterator<Item = &'a Step<'s>>) -> bool {
    steps.into_iter().any(|step| !step.direction.is_up())
}

/// What `pg_stat_activity` shows while the message runs; the server keeps 63 bytes of ASCII.
fn application_name(claim: &Claim) -> String {
    let rollout = claim.rollout.as_str();
    let tail = rollout.char_indices().rev().nth(7).map_or(0, |(at, _)| at);
    format!("sanderling/{}/{}", &rollout[tail..], claim.tenant)
        .chars()
        .map(|c| if c.is_ascii_graphic() { c } else { '?' })
        .take(63)
        .collect()
}
