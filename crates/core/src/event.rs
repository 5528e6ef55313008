//! What happened in a rollout, in commit order. `fold` replays events into a `Rollout`.

use serde::{Deserialize, Serialize};

use crate::amend::Amendment;
use crate::cause::{ErrorClass, Failure};
use crate::gate::{Measurement, Verdict};
use crate::ids::{BundleHash, Epoch, HostName, Micros, TenantId, Version, WorkerId};
use crate::outcome::Outcome;
use crate::rollout::{Halt, RolloutState};

/// One event. `seq` is taken while the rollout row is locked, so its order is commit order.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Event {
    /// Per rollout, from 1, without gaps.
    pub seq: i64,
    /// The control store's time.
    pub at: Micros,
    /// What happened.
    pub kind: EventKind,
}

/// What happened.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum EventKind {
    /// The rollout was submitted with its plan; the first event.
    Submitted {
        /// Targets in the plan, those that have nothing to do included.
        tenants: u64,
    },
    /// The leader opened a wave; index 0 is the canary.
    WaveOpened {
        /// Index into the plan's waves.
        wave: usize,
    },
    /// Nothing of a wave was left but deferred targets: they are pending again for their last try.
    Swept {
        /// Index into the plan's waves.
        wave: usize,
        /// How many.
        targets: u64,
    },
    /// A claim was granted: the target is in flight from here on.
    Started {
        /// The tenant.
        tenant: TenantId,
        /// Its wave.
        wave: usize,
        /// Its host.
        host: HostName,
        /// The claim's number.
        epoch: Epoch,
        /// Who holds it.
        worker: WorkerId,
        /// Whether it was taken over from a claim whose lease had expired.
        takeover: bool,
    },
    /// The claim's number was raised for the same owner, after a lost connection or a fence that was ahead.
    Reissued {
        /// The tenant.
        tenant: TenantId,
        /// Its wave.
        wave: usize,
        /// The new number.
        epoch: Epoch,
    },
    /// The claim ended with an outcome.
    Ended {
        /// The tenant.
        tenant: TenantId,
        /// Its wave.
        wave: usize,
        /// The claim's number.
        epoch: Epoch,
        /// What became of the target; never `Pending`.
        outcome: Outcome,
        /// Versions applied by this rollout so far, by the ledger's evidence.
        applied: Vec<Version>,
        /// Why it failed, if it did.
        failure: Option<Failure>,
        /// How long the claim was held, in milliseconds.
        duration_ms: u64,
    },
    /// The claim ended without an outcome: the target is pending again.
    Released {
        /// The tenant.
        tenant: TenantId,
        /// Its wave.
        wave: usize,
        /// The claim's number.
        epoch: Epoch,
        /// The class that is being retried; absent when a drain or a halt released it.
        class: Option<ErrorClass>,
        /// Not to be started before this moment.
        not_before: Option<Micros>,
    },
    /// A halt rule was crossed: by the event before this one, in the same transaction, or by time, as the leader found.
    Halted {
        /// Rule, wave, cause and counts.
        halt: Halt,
    },
    /// A person stopped starts; what is in flight finishes the version at hand.
    Paused {
        /// Who.
        actor: String,
        /// Why, where that was said.
        reason: Option<String>,
    },
    /// A person let a rollout go on: a halted one knowing what failed, so that counting begins anew; a paused or waiting one
    /// with everything it had counted.
    Resumed {
        /// Who.
        actor: String,
        /// Why, where that was said.
        #[serde(default)]
        reason: Option<String>,
    },
    /// A person corrected a migration: what has not been applied yet takes the new text, what was applied stays. The
    /// plan is revised; targets move only with what follows.
    Amended {
        /// Who.
        actor: String,
        /// Why.
        reason: String,
        /// Which text took the place of which.
        amendment: Amendment,
        /// The bundle from here on.
        bundle: BundleHash,
        /// The plan's hash from here on.
        plan_hash: String,
    },
    /// Failed targets were made pending again.
    Retried {
        /// Who.
        actor: String,
        /// Per wave: how many targets went from this outcome back to pending.
        targets: Vec<RetriedTargets>,
        /// Why, where that was said.
        #[serde(default)]
        reason: Option<String>,
    },
    /// A person left one target out of the rollout.
    Skipped {
        /// The tenant.
        tenant: TenantId,
        /// Its wave.
        wave: usize,
        /// What it was.
        was: Outcome,
        /// The text form of the cause it had failed for, if it had failed.
        cause: Option<String>,
        /// Who.
        actor: String,
        /// Why.
        reason: String,
    },
    /// Tenants are pinned: their targets that nobody had in hand do not start before the hold ends.
    Held {
        /// Per wave: how many targets went from this outcome to held; none where only `until` has changed.
        targets: Vec<HeldTargets>,
        /// Who pinned them; absent where targets fell under an earlier hold (a claim gave one back, a person retried one).
        actor: Option<String>,
        /// Why, where a person pinned them just now.
        reason: Option<String>,
        /// When the first hold on a target of this rollout ends by itself; absent where none does.
        until: Option<Micros>,
    },
    /// Holds have ended: their targets are pending again.
    HoldEnded {
        /// Who let them go; absent where their time was over.
        actor: Option<String>,
        /// Per wave: how many targets.
        targets: Vec<(usize, u64)>,
        /// When the first hold on a target of this rollout ends by itself; absent where none does.
        until: Option<Micros>,
    },
    /// Nothing is left but held targets; the leader lets the rollout wait for them.
    Waiting {
        /// How many.
        held: u64,
    },
    /// A person cancelled one target that is in flight: its claim is told, and ends as `cancelled` unless the change was
    /// committed before.
    CancelAsked {
        /// The tenant.
        tenant: TenantId,
        /// Its wave.
        wave: usize,
        /// Who.
        actor: String,
        /// Why.
        reason: String,
    },
    /// A person cancelled one target that had not begun.
    TenantCancelled {
        /// The tenant.
        tenant: TenantId,
        /// Its wave.
        wave: usize,
        /// What it was.
        was: Outcome,
        /// Cancelled, or partial where it had applied a version before.
        outcome: Outcome,
        /// Who.
        actor: String,
        /// Why.
        reason: String,
    },
    /// A person cancelled the rollout; targets not begun are `cancelled`, those between two versions `partial`.
    Cancelled {
        /// Who.
        actor: String,
        /// Why.
        reason: String,
        /// Per wave: how many targets that nobody had in hand, pending, deferred or held, were cancelled.
        targets: Vec<(usize, u64)>,
        /// Per wave: how many of those had applied a version before, and so are partial.
        #[serde(default)]
        partial: Vec<(usize, u64)>,
    },
    /// A gate was measured. What it says follows in the same transaction, once it says something.
    GateMeasured {
        /// Index into the plan's waves: the wave that the gate comes after.
        wave: usize,
        /// The gate's name.
        gate: String,
        /// Its evaluation, from 1.
        evaluation: u32,
        /// What was measured, with the evidence.
        measurement: Measurement,
    },
    /// A gate said something. A rollout goes on after `pass`; it halts after `fail`, which `halted` says next; after
    /// anything else it waits for a person.
    GateJudged {
        /// Index into the plan's waves.
        wave: usize,
        /// The gate's name.
        gate: String,
        /// Its evaluation.
        evaluation: u32,
        /// What it said.
        verdict: Verdict,
        /// Why.
        reason: String,
    },
    /// A person let the rollout go past a gate.
    GateSkipped {
        /// Index into the plan's waves.
        wave: usize,
        /// The gate's name.
        gate: String,
        /// Who.
        actor: String,
        /// Why.
        reason: String,
    },
    /// Every target has ended; the leader closed the rollout.
    Finished {
        /// The final state.
        state: RolloutState,
    },
}

impl EventKind {
    /// The value of `type` in JSON and in the store.
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Submitted { .. } => "submitted",
            Self::WaveOpened { .. } => "wave_opened",
            Self::Swept { .. } => "swept",
            Self::Started { .. } => "started",
            Self::Reissued { .. } => "reissued",
            Self::Ended { .. } => "ended",
            Self::Released { .. } => "released",
            Self::Halted { .. } => "halted",
            Self::Paused { .. } => "paused",
            Self::Resumed { .. } => "resumed",
            Self::Amended { .. } => "amended",
            Self::Retried { .. } => "retried",
            Self::Skipped { .. } => "skipped",
            Self::Held { .. } => "held",
            Self::HoldEnded { .. } => "hold_ended",
            Self::Waiting { .. } => "waiting",
            Self::CancelAsked { .. } => "cancel_asked",
            Self::TenantCancelled { .. } => "tenant_cancelled",
            Self::Cancelled { .. } => "cancelled",
            Self::GateMeasured { .. } => "gate_measured",
            Self::GateJudged { .. } => "gate_judged",
            Self::GateSkipped { .. } => "gate_skipped",
            Self::Finished { .. } => "finished",
        }
    }
}

/// Targets of one wave that a hold keeps from starting.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HeldTargets {
    /// Index of the wave.
    pub wave: usize,
    /// What they were: pending or deferred.
    pub outcome: Outcome,
    /// How many.
    pub targets: u64,
}

/// Targets of one wave that went back to pending.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RetriedTargets {
    /// Index of the wave.
    pub wave: usize,
    /// What they were.
    pub outcome: Outcome,
    /// The text form of the cause they had failed for, if they had failed.
    pub cause: Option<String>,
    /// How many.
    pub targets: u64,
}
