//! The state of everything: control store, tenants, workers, and what is on its way between them.

use std::collections::BTreeMap;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use sanderling_core::rollout::{Action, Wave};
use sanderling_core::{ErrorClass, Outcome, Rollout};

/// Index of a tenant; its target and its place have the same.
pub(crate) type TenantNo = usize;
/// A claim's number.
pub(crate) type Number = u8;
/// A set of versions, a bit each.
pub(crate) type Versions = u8;

/// One state of the model.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct World {
    pub(crate) control: Control,
    pub(crate) places: Vec<Place>,
    /// What live workers have in hand, in order. Workers are alike, so only their claims are kept.
    pub(crate) jobs: Vec<Job>,
    /// Messages to tenants, in order.
    pub(crate) messages: Vec<Message>,
    /// Reports to the control store, in order; those of dead workers too.
    pub(crate) reports: Vec<Report>,
    /// Targets in flight as Redis counts them; only a flaw reads it.
    pub(crate) redis: u8,
    /// How many more things may go wrong.
    pub(crate) faults: u8,
    /// How many more verbs a person types.
    pub(crate) verbs: u8,
    pub(crate) seen: Seen,
}

/// What must never be seen, noted when it happens.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct Seen {
    /// An effect on a tenant whose target was not in flight.
    pub(crate) late_effect: bool,
    /// A start although a limit had been crossed.
    pub(crate) start_beyond_limit: bool,
    /// A wave opened before those in front of it had ended.
    pub(crate) early_wave: bool,
    /// An action of somebody who did not lead.
    pub(crate) stale_leader: bool,
    /// A body begun by a claim that was granted after the halt, or a second one of an older claim.
    pub(crate) body_after_halt: bool,
}

/// The control store.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Control {
    pub(crate) rollout: Folded,
    pub(crate) targets: Vec<Target>,
    /// The number of the last leader.
    pub(crate) leader: Number,
    pub(crate) coordinators: Vec<Coordinator>,
}

/// A target's row, and its tenant's.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Target {
    pub(crate) wave: usize,
    pub(crate) outcome: Outcome,
    pub(crate) class: Option<ErrorClass>,
    pub(crate) applied: Versions,
    pub(crate) attempts: BTreeMap<ErrorClass, u32>,
    /// The last number given out.
    pub(crate) number: Number,
    /// Whether something of an earlier claim may still arrive.
    pub(crate) unresolved: bool,
    pub(crate) claim: Option<Claim>,
}

/// A claim in flight.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Claim {
    pub(crate) number: Number,
    pub(crate) takeover: bool,
    pub(crate) resolves: bool,
}

/// Somebody who leads, or believes so.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Coordinator {
    pub(crate) number: Number,
    /// What it decided, and whether nothing has happened since.
    pub(crate) decided: Option<(Decided, bool)>,
}

/// A decision on its way to the store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Decided {
    Act(Action),
    /// Only where a flaw leaves halting to the leader.
    Halt,
}

impl Hash for Decided {
    fn hash<H: Hasher>(&self, state: &mut H) {
        match self {
            Self::Halt => 0.hash(state),
            Self::Act(Action::OpenWave(wave)) => (1, wave).hash(state),
            Self::Act(Action::Finish(end)) => (2, end).hash(state),
            Self::Act(Action::Sweep(wave)) => (3, wave).hash(state),
            // Its plan has no gates.
            Self::Act(Action::JudgeGate { .. } | Action::MeasuredGate { .. }) => 6.hash(state),
            Self::Act(Action::Wait) => 4.hash(state),
            Self::Act(Action::EndHolds) => 5.hash(state),
            // No limit of time is set in the model, which has no clock.
            Self::Act(Action::Halt(_)) => 7.hash(state),
        }
    }
}

/// One tenant's database.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Place {
    /// The committed number.
    pub(crate) fence: Number,
    /// Versions with a ledger row of ours.
    pub(crate) ledger: Versions,
    /// Versions with a ledger row of somebody else's.
    pub(crate) strange: Versions,
    /// How often each version took effect.
    pub(crate) effects: [u8; 2],
    /// Whether a message's transaction holds lock and fence.
    pub(crate) running: bool,
    /// Numbers whose message began while the rollout did not run, a bit each.
    pub(crate) begun: u16,
}

/// A migration on its way to a tenant, or running there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Message {
    pub(crate) tenant: TenantNo,
    pub(crate) number: Number,
    pub(crate) version: u8,
    /// Its connection is lost or its sender dead: nobody hears the answer.
    pub(crate) orphan: bool,
    pub(crate) running: bool,
    /// Granted when the rollout did not run.
    pub(crate) granted_late: bool,
}

/// One claimed tenant in a worker's hands.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Job {
    pub(crate) tenant: TenantNo,
    pub(crate) number: Number,
    pub(crate) resolves: bool,
    pub(crate) attempts: BTreeMap<ErrorClass, u32>,
    pub(crate) granted_late: bool,
    /// Whether it is the last try of its wave's sweep.
    pub(crate) sweep: bool,
    /// Whether nothing of this claim or an older one can still be on its way.
    pub(crate) settled: bool,
    /// Whether the next connection needs a new number first.
    pub(crate) spent: bool,
    /// By this rollout.
    pub(crate) applied: Versions,
    /// By others: not ours to report.
    pub(crate) found: Versions,
    pub(crate) at: At,
}

/// What a job does next, or waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum At {
    /// Ask the store whether the rollout runs, before this version.
    Ask(u8),
    /// Send this version (under a new number, where the last one is spent).
    Send(u8),
    /// The answer to this version.
    Waiting(u8),
    /// Commit the fence and read the ledger; the bits were read too early by a flaw.
    Settle(Then, Option<Versions>),
    /// Report this.
    Report(Ending),
    /// The receipt.
    Reported,
}

/// Why a job settles.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Then {
    /// The rollout does not run: say what is there.
    Resolve,
    /// This version failed so.
    Fail(u8, ErrorClass),
    /// The connection was lost while this version was under way.
    Lost(u8),
    /// The process drains.
    Release,
    /// Too many workers were lost here.
    GiveUp,
}

/// What a worker reports.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Ending {
    Ended(Outcome, Option<ErrorClass>),
    Retry(ErrorClass, bool),
    Released(bool),
}

/// A report on its way.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Report {
    pub(crate) tenant: TenantNo,
    pub(crate) number: Number,
    pub(crate) applied: Versions,
    pub(crate) ending: Ending,
}

/// The real rollout of `core`. Shared between states, because most steps do not touch it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Folded(pub(crate) Arc<Rollout>);

impl Hash for Folded {
    /// Everything that differs between two states of one rollout. Named one by one, so that a new field is thought of.
    fn hash<H: Hasher>(&self, hasher: &mut H) {
        let Rollout {
            state,
            waves,
            tally,
            causes,
            in_flight,
            halt,
            started_after_halt,
            hold_ends_at,
            submitted_at: _,
            ended_at,
            window_at: _,
            last_seq: _,
            id: _,
            bundle: _,
            target: _,
            direction: _,
            plan_hash: _,
            // Nobody amends in the model.
            amended: _,
            policy: _,
            left_out: _,
        } = &*self.0;
        (
            state,
            started_after_halt,
            halt.is_some(),
            hold_ends_at,
            ended_at,
        )
            .hash(hasher);
        for Wave {
            opened_at,
            swept_at,
            moved_at: _,
            counts,
            in_flight,
            tally,
            name: _,
            planned: _,
            concurrency: _,
            strict: _,
            limits: _,
            max_in_flight: _,
            // Follow from its counts, or from the clock; and its plan has no gates.
            reopened_at: _,
            ended_at: _,
            gates: _,
        } in waves
        {
            (
                opened_at,
                swept_at,
                in_flight,
                tally.failed,
                tally.consecutive,
                &tally.by_cause,
            )
                .hash(hasher);
            for outcome in Outcome::ALL {
                counts.get(outcome).hash(hasher);
            }
        }
        (tally.failed, tally.consecutive, &tally.by_cause).hash(hasher);
        for (cause, group) in causes {
            (cause, group.tenants, group.moved).hash(hasher);
        }
        for (tenant, claim) in in_flight {
            (tenant, claim.wave, claim.epoch).hash(hasher);
        }
    }
}
