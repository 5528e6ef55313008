//! The port: the control store's verbs. It is the truth about intent; nothing here touches a tenant.
//!
//! Every verb is one transaction. Verbs that change a rollout lock its row first (`FOR UPDATE`, SQLite
//! `BEGIN IMMEDIATE`), append events numbered under that lock, and fold them into the rollout's state.

mod amend;
mod error;
mod hold;
mod newest;
mod report;
mod written;

use std::collections::BTreeMap;
use std::time::Duration;

use async_trait::async_trait;
use sanderling_core::amend::{Accepted, Amendment};
use sanderling_core::plan::Plan;
use sanderling_core::rollout::Action;
use sanderling_core::{
    Bundle, BundleFile, BundleHash, Direction, Epoch, ErrorClass, Event, Failure, HostName, Micros,
    Nonce, Outcome, Place, Rollout, RolloutId, Serves, StoreId, TenantId, Version, WorkerId,
    WrittenHost, WrittenLabels,
};

pub use crate::alive::{Away, ClaimCutOff, HostAway, WorkerRecord};
pub use crate::budget::{Budget, Idle};
pub use amend::{Amend, refuses_amendment};
pub use error::StoreError;
pub use hold::{Hold, HoldRecord, TenantsReceipt};
pub use newest::NewestTarget;
pub use report::{Receipt, RenewedClaim, Report, TargetResult};
pub use written::WrittenHostRecord;

/// The control store of one fleet.
#[async_trait]
pub trait Store: Send + Sync {
    /// This store's identity, made when it was created; fences name it.
    fn id(&self) -> &StoreId;

    /// The store's clock. Every lease is compared with it, never with a worker's clock.
    async fn now(&self) -> Result<Micros, StoreError>;

    /// Keeps a bundle under its hash; keeping it again changes nothing.
    async fn put_bundle(&self, bundle: &Bundle) -> Result<(), StoreError>;

    /// The bundle of that hash, re-hashed on reading; `Corrupt` where content and hash differ.
    async fn bundle(&self, hash: &BundleHash) -> Result<Option<Bundle>, StoreError>;

    /// Every kept file whose name begins with the version's digits and an underscore (or `.`), newest bundle first,
    /// each distinct text once: what an edited migration is compared with.
    async fn files_of_version(&self, version: &Version) -> Result<Vec<BundleFile>, StoreError>;

    /// Submits a plan as a new rollout, or joins the active one with the same bundle, target, direction and tenants.
    /// `Overlap` where some of its tenants belong to an active rollout with another bundle, target or direction.
    async fn submit(&self, submission: &Submission) -> Result<Submitted, StoreError>;

    /// One rollout, with the store's time of the reading.
    async fn rollout(&self, id: &RolloutId) -> Result<Option<RolloutRecord>, StoreError>;

    /// Rollouts of the fleet, newest first: the active ones, or all of them up to `limit`.
    async fn rollouts(
        &self,
        active_only: bool,
        limit: u32,
    ) -> Result<Vec<RolloutRecord>, StoreError>;

    /// Targets of a rollout that match, by tenant id, after `after`, at most `limit`.
    async fn targets(
        &self,
        id: &RolloutId,
        filter: TargetFilter,
        after: Option<&TenantId>,
        limit: u32,
    ) -> Result<Vec<TargetRecord>, StoreError>;

    /// The target of each of these tenants in the newest rollout that has it, by tenant id; nothing of those that were
    /// in none. Looks through all targets of the fleet, so ask of many tenants at once.
    async fn newest_targets(&self, tenants: &[TenantId]) -> Result<Vec<NewestTarget>, StoreError>;

    /// What the store believes about tenants, for `verify`: by tenant id, after `after`, at most `limit` tenants.
    async fn believed(
        &self,
        after: Option<&TenantId>,
        limit: u32,
    ) -> Result<Vec<Believed>, StoreError>;

    /// Targets that could be started now, in the order in which they should be: open waves of running rollouts,
    /// pending and due or with an expired lease; of rollouts that do not run, only expired claims (to be resolved).
    /// Hosts not in `hosts` are left out, and so is what `serves` does not take. Reads without locking; `start` decides.
    async fn candidates(
        &self,
        hosts: &[HostName],
        serves: &Serves,
        limit: u32,
    ) -> Result<Vec<Candidate>, StoreError>;

    /// Grants claims on some of the wanted targets, which must be of one rollout: the rollout runs (or the claim
    /// is to be resolved), permits of rollout, wave and host are free, the target is pending and due or its lease
    /// has expired. A permit of a claim whose lease expired stays taken until that claim is granted anew or ended.
    /// `hosts` gives each host's budget of connections, of which those that live workers keep idle are taken too. Nothing
    /// is granted that `serves` does not take, expired claims included.
    async fn start(
        &self,
        worker: &WorkerId,
        wanted: &[Wanted],
        hosts: &BTreeMap<HostName, Budget>,
        serves: &Serves,
        lease: Duration,
    ) -> Result<Vec<Grant>, StoreError>;

    /// Extends the leases of claims that are still this worker's. Same order as `held`.
    async fn renew(
        &self,
        worker: &WorkerId,
        held: &[Held],
        lease: Duration,
    ) -> Result<Vec<RenewedClaim>, StoreError>;

    /// Whether the claim may begin another version: still the current one, and its rollout runs. One read.
    async fn may_continue(&self, held: &Held) -> Result<RenewedClaim, StoreError>;

    /// Raises the epoch of a claim that is still current, to at least `at_least`: after a lost connection, or when
    /// the tenant's fence was ahead. `Stale` where the claim is not current any more.
    async fn reissue(
        &self,
        held: &Held,
        at_least: Epoch,
        nonce: &Nonce,
        lease: Duration,
    ) -> Result<Epoch, StoreError>;

    /// Lets go of a claim without saying what became of it: it stays in flight, may be taken over at once, and that is
    /// not counted as a lost worker. For a worker that drains while something may be on its way to a tenant that it
    /// cannot reach. Changes nothing where the claim is not current any more.
    async fn abandon(&self, held: &Held) -> Result<(), StoreError>;

    /// Records what became of claims. Each is compared-and-set on its epoch; a stale one changes nothing and says
    /// so. Adds to the tallies, judges the halt rules, and halts in the same transaction. Same order as `reports`.
    async fn report(&self, reports: &[Report]) -> Result<Vec<Receipt>, StoreError>;

    /// Takes or renews the fleet's leadership. `None` while another process holds an unexpired lease.
    async fn lead(
        &self,
        holder: &WorkerId,
        lease: Duration,
    ) -> Result<Option<Leadership>, StoreError>;

    /// Gives leadership up, if it is still held, so that another need not wait for the lease.
    async fn resign(&self, leadership: &Leadership) -> Result<(), StoreError>;

    /// Performs an action that `decide` returned, if the leadership is current (`Stale` otherwise) and the rollout
    /// has seen no event since `seen_seq` (`Conflict` otherwise: read and decide again).
    async fn act(
        &self,
        leadership: &Leadership,
        id: &RolloutId,
        seen_seq: i64,
        action: &Action,
    ) -> Result<(), StoreError>;

    /// Performs an operator's verb. Repeating it is harmless.
    async fn command(
        &self,
        id: &RolloutId,
        command: &Command,
        actor: &str,
    ) -> Result<CommandReceipt, StoreError>;

    /// Pins tenants, whatever rollout they are in: what is pending there does not start before the hold ends. A tenant that
    /// is pinned already gets the new reason and end. Repeating it is harmless.
    async fn hold(&self, hold: &Hold, actor: &str) -> Result<TenantsReceipt, StoreError>;

    /// Lets pinned tenants go: their targets are pending again, and a rollout that waited for them runs.
    async fn release(
        &self,
        tenants: &[TenantId],
        actor: &str,
    ) -> Result<TenantsReceipt, StoreError>;

    /// Cancels these tenants in the rollouts that are active. What has not begun is cancelled at once; who is at work on one
    /// hears it from `renew` and `may_continue`, and its report says what came of it. Refused where all that is left of
    /// them may be on its way, and nobody is at work.
    async fn cancel_tenants(
        &self,
        tenants: &[TenantId],
        reason: &str,
        actor: &str,
    ) -> Result<TenantsReceipt, StoreError>;

    /// Every text of the fleet that took the place of another, oldest first.
    async fn amendments(&self) -> Result<Vec<Amendment>, StoreError>;

    /// The tenants that are pinned now, by id.
    async fn holds(&self) -> Result<Vec<HoldRecord>, StoreError>;

    /// Events of a rollout after `after_seq`, in order, at most `limit`.
    async fn events(
        &self,
        id: &RolloutId,
        after_seq: i64,
        limit: u32,
    ) -> Result<Vec<Event>, StoreError>;

    /// Notes in the audit log what an operator did elsewhere (a fence that was taken over): who, which verb, and in
    /// `detail` to what and why.
    async fn note(&self, actor: &str, verb: &str, detail: &str) -> Result<(), StoreError>;

    /// Raises the highest number given out on tenants to at least the given one; lowers none, so that it may run beside
    /// workers. Each raise is audited with actor and reason, and takes for certain that something of the claims up to
    /// that number may still be on its way. Returns the tenants that were below.
    async fn raise_epochs(
        &self,
        epochs: &[(TenantId, Epoch)],
        actor: &str,
        reason: &str,
    ) -> Result<Vec<TenantId>, StoreError>;

    /// Notes that a worker lives and which hosts it serves, and which tenants there, until `lease` has passed; and for
    /// each host what it has kept idle there.
    async fn beat(
        &self,
        worker: &WorkerId,
        hosts: &BTreeMap<HostName, Idle>,
        serves: &Serves,
        lease: Duration,
    ) -> Result<(), StoreError>;

    /// Notes which hosts a worker cannot work on. Replaces what it noted before; holds as long as its heartbeat.
    async fn away(&self, worker: &WorkerId, hosts: &[Away]) -> Result<(), StoreError>;

    /// Hosts that came with submissions and stand in no configuration, as they were written, that are new or changed since
    /// `after`; in the order of their numbers.
    async fn written_hosts(&self, after: i64) -> Result<Vec<WrittenHostRecord>, StoreError>;

    /// Workers whose note has not expired.
    async fn workers(&self) -> Result<Vec<WorkerRecord>, StoreError>;
}

/// A plan to be carried out.
#[derive(Clone, Debug)]
pub struct Submission {
    /// The id the rollout gets if it is new.
    pub id: RolloutId,
    /// The plan.
    pub plan: Plan,
    /// Who submits it.
    pub actor: String,
    /// Hosts of the plan's targets that stand in no configuration.
    pub hosts: BTreeMap<HostName, WrittenHost>,
    /// The labels of the plan's targets, for workers that do not serve all of them.
    pub labels: BTreeMap<TenantId, WrittenLabels>,
}

/// What `submit` did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Submitted {
    /// The rollout: new, or the one that was joined.
    pub rollout: RolloutId,
    /// Whether it was active before.
    pub joined: bool,
    /// Tenants of the submission that the joined rollout does not have; they wait for the next rollout.
    pub left_for_next: Vec<TenantId>,
}

/// A rollout as stored.
#[derive(Clone, Debug)]
pub struct RolloutRecord {
    /// Its state, as of the last event.
    pub rollout: Rollout,
    /// The plan without its targets (`targets` and `left_out` are empty).
    pub plan: Plan,
    /// Who submitted it.
    pub actor: String,
    /// The store's time of the reading.
    pub now: Micros,
}

/// Which targets to list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TargetFilter {
    /// All of them.
    All,
    /// Those with this outcome. `Pending` includes those in flight.
    Outcome(Outcome),
    /// Those in flight.
    InFlight,
}

/// A target as stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TargetRecord {
    /// Rollout and tenant.
    pub target: TargetRef,
    /// Where its data lives.
    pub place: Place,
    /// Index of its wave; absent where the plan left it out.
    pub wave: Option<usize>,
    /// What became of it.
    pub outcome: Outcome,
    /// The version the rollout takes it to.
    pub version: Version,
    /// Its current or last epoch in this rollout; 0 before the first start.
    pub epoch: Epoch,
    /// Who holds it, while it is in flight; absent where that worker let go of it.
    pub owner: Option<WorkerId>,
    /// Until when, while it is in flight.
    pub lease_until: Option<Micros>,
    /// Which way.
    pub direction: Direction,
    /// Versions that this rollout applied, or took back, by evidence.
    pub applied: Vec<Version>,
    /// Why it failed, if it did.
    pub failure: Option<Failure>,
}

/// What the store believes about one tenant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Believed {
    /// The tenant.
    pub tenant: TenantId,
    /// The highest number given to a claim on it; 0 before the first.
    pub issued: Epoch,
    /// Its targets that say something about it (claimed, or up to date when the plan was made), newest rollout first:
    /// back to the last one up that got where it led, and any that is in flight.
    pub targets: Vec<TargetRecord>,
}

/// Names one target.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TargetRef {
    /// The rollout.
    pub rollout: RolloutId,
    /// The tenant.
    pub tenant: TenantId,
}

/// A target that could be started.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Candidate {
    /// Rollout and tenant.
    pub target: TargetRef,
    /// Its host.
    pub host: HostName,
    /// Whether a claim on it has expired.
    pub expired: bool,
}

/// A target that a worker asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wanted {
    /// Rollout and tenant.
    pub target: TargetRef,
    /// The claim's nonce, fresh for this attempt.
    pub nonce: Nonce,
}

/// What a granted claim may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClaimMode {
    /// Apply what is pending.
    Apply,
    /// Only fence, read the ledger and report: the rollout does not run any more.
    Resolve,
}

/// A granted claim: everything a worker needs, so that it reads nothing else.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Grant {
    /// Rollout and tenant.
    pub target: TargetRef,
    /// Where its data lives.
    pub place: Place,
    /// Its wave.
    pub wave: usize,
    /// The claim's number.
    pub epoch: Epoch,
    /// The claim's nonce, as asked for.
    pub nonce: Nonce,
    /// What it may do.
    pub mode: ClaimMode,
    /// Whether an earlier claim in any rollout ended without a report or a fence: a message of it may still be on
    /// its way, so that no failure may be reported before the fence is committed.
    pub takeover: bool,
    /// Whether its wave was swept: this is the last try, and locks that are not had now are a failure.
    pub sweep: bool,
    /// Attempts that ended in a retry so far, by class.
    pub attempts: BTreeMap<ErrorClass, u32>,
    /// Whether versions are applied or taken back.
    pub direction: Direction,
    /// The versions to apply, ascending, or to take back, descending, as planned.
    pub versions: Vec<Version>,
    /// Versions that this rollout is known to have applied, or taken back, already.
    pub applied: Vec<Version>,
    /// Whether the plan found a ledger table.
    pub has_ledger: bool,
    /// The bundle.
    pub bundle: BundleHash,
    /// Texts that are right besides the bundle's own, for versions that were amended.
    pub accepted: Accepted,
    /// The rollout's policy.
    pub policy: sanderling_core::policy::Policy,
    /// How many connections the worker may keep idle on the host from here on; the others are closed before it
    /// opens one for this claim.
    pub spare: u32,
    /// How many connections the worker may have on the host from here on, idle ones included, where more targets than
    /// that may be in flight; absent where each claim brings its own.
    pub seats: Option<u32>,
    /// When it was granted.
    pub at: Micros,
}

/// A claim that a worker believes to hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Held {
    /// Rollout and tenant.
    pub target: TargetRef,
    /// The claim's number.
    pub epoch: Epoch,
}

/// The right to act as the fleet's leader until the lease ends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Leadership {
    /// Who.
    pub holder: WorkerId,
    /// Grows with each change of leader; every action carries it.
    pub epoch: i64,
    /// Until when.
    pub until: Micros,
}

/// An operator's verb on a rollout.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Command {
    /// Let a halted rollout go on; `acknowledge` must be true for a halted one.
    Resume {
        /// The operator has seen what failed.
        acknowledge: bool,
        /// Why, where that was said.
        reason: Option<String>,
    },
    /// Stop starts; those in flight finish the version at hand.
    Pause {
        /// Why, where that was said.
        reason: Option<String>,
    },
    /// Make failed targets pending again, and let the rollout run, unless it is paused.
    Retry {
        /// Only those whose cause is of this class; all failed ones where absent.
        class: Option<ErrorClass>,
        /// Why, where that was said.
        reason: Option<String>,
    },
    /// Correct a migration: what has not been applied yet takes the new text from here on, in a revised plan, and failed
    /// targets are pending again. Nothing may be in flight, and nothing may begin.
    Amend(Amend),
    /// Let it go past a gate: the first of this name that still keeps a wave shut.
    SkipGate {
        /// The gate's name.
        gate: String,
        /// Why.
        reason: String,
    },
    /// Go on with targets that have not begun: those that a person skipped or cancelled are pending again, and a halted
    /// rollout runs, which acknowledges its failures. What failed stays failed.
    RetryNotStarted {
        /// Why, where that was said.
        reason: Option<String>,
    },
    /// Leave one target out: `skipped`. Refused while it is in flight or something may be on its way to it.
    Skip {
        /// The tenant.
        tenant: TenantId,
        /// Why.
        reason: String,
    },
    /// End it: targets not begun are `cancelled`; those in flight finish.
    Cancel {
        /// Why.
        reason: String,
    },
}

/// What a verb did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CommandReceipt {
    /// Whether anything changed; false when it had been done before.
    pub changed: bool,
    /// Targets affected (retried, skipped, cancelled).
    pub targets: u64,
}
