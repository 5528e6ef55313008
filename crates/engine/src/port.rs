//! The port: one driver per host, one session per claimed tenant.

use std::collections::BTreeSet;

use async_trait::async_trait;
use sanderling_core::{
    Checksum, Direction, Epoch, Failure, Inspection, LedgerRow, Nonce, Place, RolloutId, Standing,
    StoreId, TenantId, Version, WorkerId,
};
use sanderling_sql::Statement;
use tokio::sync::watch;

/// A database server (or a directory of files) that tenants share.
#[async_trait]
pub trait Driver: Send + Sync {
    /// Looks at many places, reading only, by database and not by tenant. Same order as `places`; what cannot
    /// be read says so in its own `Standing` and hurts no other.
    async fn survey(&self, places: &[Place]) -> Vec<Standing>;

    /// The normalised catalog of many places, reading only. Same order as `places`.
    async fn catalogs(&self, places: &[Place]) -> Vec<Result<Catalog, Failure>>;

    /// What lies at many places beside their ledgers: fence, locks, broken indexes. Reading only, by database and not
    /// by tenant. Same order as `places`.
    async fn inspect(&self, places: &[Place]) -> Vec<Result<Inspection, Failure>>;

    /// Opens a session for a claim. Creates the place where `limits.create_missing` allows it and it is missing;
    /// makes sure that the fence's table exists. Sends nothing of a migration.
    async fn open(
        &self,
        place: &Place,
        claim: &Claim,
        limits: &Limits,
    ) -> Result<Box<dyn Session>, EngineError>;

    /// Engine and major version of what answered last, such as `postgres 16`; none before anything has. Connects nowhere.
    fn major(&self) -> Option<String>;

    /// Connects once, reading only, and says in one sentence what answers and by which setting it was reached.
    async fn greet(&self) -> Result<String, EngineError>;

    /// What a rollout would lack here: with so many connections, and places to be created or not. Reads only.
    async fn lacks(&self, connections: u32, create: bool) -> Result<Vec<Lack>, EngineError>;

    /// The schemas of the URL's database that a `LIKE` pattern takes, by name; those of the server itself, and ours,
    /// never. Reads only.
    async fn schemas(&self, like: &str) -> Result<Vec<String>, EngineError>;

    /// Applies versions to a place as a claim would, in one transaction that is rolled back, and says what the catalog would
    /// be. `None` while another session is at work on the tenant. The claim only says who asks: its number is not used, and
    /// neither fence nor ledger is made or written. What no transaction takes back stays (numbers drawn from sequences).
    async fn rehearse(
        &self,
        place: &Place,
        claim: &Claim,
        limits: &Limits,
        steps: &[Step<'_>],
    ) -> Result<Option<Catalog>, EngineError>;

    /// Moves the fence of a place to another control store, on a person's word. Returns the store that held it.
    async fn take_fence(
        &self,
        place: &Place,
        store: &StoreId,
    ) -> Result<Option<StoreId>, EngineError>;

    /// Writes a person's word on a statement of a stepwise migration whose end nobody heard and no catalog shows: that
    /// it took effect, or that it did not and is to be sent again. Refused while a session is at work on the tenant, where
    /// the fence is not this store's, and where no statement waits for a word.
    async fn decide_step(
        &self,
        place: &Place,
        store: &StoreId,
        version: &Version,
        took_effect: bool,
    ) -> Result<Decision, EngineError>;
}

/// Something that a rollout would lack on a host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lack {
    /// Whether no tenant could be migrated without it.
    pub blocks: bool,
    /// What it is and what to do, in a sentence.
    pub what: String,
}

/// What a person decided about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Decision {
    /// The number of the statement, from 1.
    pub statement: u64,
    /// How many the migration has.
    pub statements: u64,
}

/// One claimed tenant. Dropping it without `close` closes the connection.
#[async_trait]
pub trait Session: Send {
    /// Applies one version, or takes it back, under the guard (lock, fence, ledger), in one transaction, one message
    /// where the engine can. Success is a ledger row that came back. A version is taken back only where it is in effect
    /// and none above it is; its row stays, as `reverted`.
    async fn step(&mut self, step: &Step<'_>) -> StepOutcome;

    /// Takes several versions one way as one transaction (`atomic = "tenant"`), in the order given. The outcome is that
    /// of the whole; `Applied` carries the evidence of the last version.
    async fn steps(&mut self, steps: &[Step<'_>]) -> StepOutcome;

    /// From here on a step that is one transaction ends early once this says so: the connection is closed, and the step is
    /// `Lost` or `Failed`. What was committed before stays so, and nobody knows of it before the fence is committed and the
    /// ledger read. A stepwise migration does not end early. The default never ends early.
    fn end_when(&mut self, cancelled: watch::Receiver<bool>) {
        let _ = cancelled;
    }

    /// Commits the claim's epoch to the fence by itself, then reads the ledger: after this no message of an older
    /// claim can take effect. Where a stepwise migration stopped half way, that takes its session's end as well
    /// (`FenceRefusal::Busy`). Works on a connection whose last message failed.
    async fn fence(&mut self) -> Result<Vec<LedgerRow>, FenceRefusal>;

    /// Gives the connection back, or closes it where what it saw makes it unfit. Whether it is kept for the next
    /// tenant: then it still takes its place in the host's budget.
    async fn close(self: Box<Self>) -> bool;
}

/// The claim under which a session acts; the guard writes it to fence and ledger.
#[derive(Clone, Debug)]
pub struct Claim {
    /// The control store that issued the epoch.
    pub store: StoreId,
    /// The rollout.
    pub rollout: RolloutId,
    /// The tenant.
    pub tenant: TenantId,
    /// The claim's number.
    pub epoch: Epoch,
    /// Tells this claim from any other with an equal number.
    pub nonce: Nonce,
    /// Who acts.
    pub worker: WorkerId,
}

/// Limits of the server's time and what may be created.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// How long a statement waits for a lock, in milliseconds.
    pub lock_timeout_ms: u64,
    /// How long a statement may run, in milliseconds; 0 is without limit.
    pub statement_timeout_ms: u64,
    /// Whether a missing schema, database or file is created.
    pub create_missing: bool,
    /// How many connections this process may have on the host once this one is open, idle ones included: one for each of
    /// its claims there, and those that may stay idle beside all claims. What is idle above that is closed first.
    pub room: u32,
}

/// One migration to apply, or to take back.
#[derive(Clone, Debug)]
pub struct Step<'a> {
    /// Its version.
    pub version: &'a Version,
    /// Its name, for the ledger.
    pub name: &'a str,
    /// The hash of its canonical text.
    pub checksum: &'a Checksum,
    /// Other texts of it that are right where they are in effect: those that it was amended from.
    pub accepted: Option<&'a BTreeSet<Checksum>>,
    /// The file, for messages.
    pub file: &'a str,
    /// Whether it is applied, or taken back. All steps of one call go one way.
    pub direction: Direction,
    /// The statements of that way, split for this engine.
    pub statements: &'a [Statement],
    /// Overrides `Limits::lock_timeout_ms` for this migration.
    pub lock_timeout_ms: Option<u64>,
    /// Overrides `Limits::statement_timeout_ms` for this migration.
    pub statement_timeout_ms: Option<u64>,
    /// Whether the ledger table is known to be there; where not, the step creates it.
    pub has_ledger: bool,
    /// Whether its statements are sent one by one (`transaction=off`). It then stands alone in `Session::steps`, and
    /// a failure may leave a part of it in effect: its ledger row says which, and the next claim goes on there. Never
    /// on the way down.
    pub stepwise: bool,
}

impl Step<'_> {
    /// Whether this text is right where it is in effect.
    pub fn accepts(&self, text: &Checksum) -> bool {
        self.checksum == text || self.accepted.is_some_and(|others| others.contains(text))
    }
}

/// A ledger row that came back from the tenant's own database. Only a ledger read can make one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Evidence {
    row: LedgerRow,
}

impl Evidence {
    /// Wraps a row as it was read. Crate-private: a caller cannot invent evidence.
    pub(crate) fn from_ledger(row: LedgerRow) -> Self {
        Self { row }
    }

    /// The row.
    pub fn row(&self) -> &LedgerRow {
        &self.row
    }
}

/// What became of a step.
#[derive(Clone, Debug)]
pub enum StepOutcome {
    /// Committed now, whichever way, and the row came back.
    Applied(Evidence),
    /// The ledger says that it has gone this way already (applied with this checksum; reverted); the body did not run.
    AlreadyApplied(Evidence),
    /// Another session holds the tenant's lock, or a file is locked. Nothing ran.
    Busy,
    /// A stepwise migration waits for its turn: in its database another one runs that must run alone there. Nothing
    /// ran; ask again.
    Queued,
    /// The fence is ahead of this claim, or another store holds it. Nothing ran.
    Fenced(FenceRefusal),
    /// The database refused; everything of this step was rolled back. Of a stepwise migration: of the statement at
    /// hand; the ledger says what is in effect.
    Failed(Failure),
    /// The connection was lost after the message was sent: the effect is unknown. Take a new epoch, open a new
    /// session, fence, read the ledger.
    Lost(Failure),
}

/// Why the fence let a claim not pass.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FenceRefusal {
    /// A newer claim of our own store holds it (or our store was restored from a backup).
    Ahead {
        /// The fence's epoch.
        epoch: Epoch,
    },
    /// Another control store holds it.
    OtherStore {
        /// That store.
        store: StoreId,
    },
    /// The fence is committed, but a statement that an older claim began may still be running: ask again.
    Busy,
    /// The fence could not be reached or written.
    Unavailable(Failure),
}

/// A session could not be opened. Nothing of a migration was sent.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{}", .0.message)]
pub struct EngineError(pub Failure);

/// A tenant's catalog in normal form: equal catalogs have equal lines, whatever the schema is called.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Catalog {
    /// SHA-256 over algorithm version, engine and lines: 64 hex digits.
    pub fingerprint: String,
    /// One line per table, column, index, constraint; sorted; without our own ledger and fence.
    pub lines: Vec<String>,
}
