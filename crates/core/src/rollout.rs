//! The state of a rollout: never one entry per tenant, so that deciding stays cheap at a million tenants.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};

use crate::cause::Failure;
use crate::direction::Direction;
use crate::gate::{GateState, Measurement};
use crate::halt::{Limits, Rule, Tally};
use crate::ids::{BundleHash, Epoch, HostName, Micros, RolloutId, TenantId, Version};
use crate::outcome::{Outcome, OutcomeCounts};
use crate::plan::{Plan, PlannedWave};
use crate::policy::Policy;

/// The state of a rollout as a whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RolloutState {
    /// Waves open, targets start.
    Running,
    /// A person stopped starts.
    Paused,
    /// Policy stopped starts; only a person can let it go on.
    Halted,
    /// What remains is held, deferred or outside windows.
    Waiting,
    /// Every target is at the target version.
    Succeeded,
    /// Every target ended, and some failed.
    CompletedWithFailures,
    /// A person ended it.
    Cancelled,
}

impl RolloutState {
    /// Every state.
    pub const ALL: [Self; 7] = [
        Self::Running,
        Self::Paused,
        Self::Halted,
        Self::Waiting,
        Self::Succeeded,
        Self::CompletedWithFailures,
        Self::Cancelled,
    ];

    /// The name used in JSON and the store.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Running => "running",
            Self::Paused => "paused",
            Self::Halted => "halted",
            Self::Waiting => "waiting",
            Self::Succeeded => "succeeded",
            Self::CompletedWithFailures => "completed_with_failures",
            Self::Cancelled => "cancelled",
        }
    }

    /// The state of that name.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|s| s.as_str() == name)
    }

    /// Whether the rollout still owns its tenants: a tenant is in at most one active rollout.
    pub fn is_active(self) -> bool {
        matches!(
            self,
            Self::Running | Self::Paused | Self::Halted | Self::Waiting
        )
    }
}

impl fmt::Display for RolloutState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// Everything that deciding needs to know about a rollout. Built by `fold` from events.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rollout {
    /// The rollout.
    pub id: RolloutId,
    /// The bundle whose migrations it applies.
    pub bundle: BundleHash,
    /// The version it takes its targets to; on the way down see [`Plan::target`].
    pub target: Version,
    /// Which way; absent on the way up.
    #[serde(default, skip_serializing_if = "Direction::is_up")]
    pub direction: Direction,
    /// The hash of its plan.
    pub plan_hash: String,
    /// Its state.
    pub state: RolloutState,
    /// Its policy.
    pub policy: Policy,
    /// Its waves, in order.
    pub waves: Vec<Wave>,
    /// Targets that the plan put in no wave.
    pub left_out: OutcomeCounts,
    /// Failures of the whole rollout.
    pub tally: Tally,
    /// Failed targets grouped by cause (the cause's text form).
    pub causes: BTreeMap<String, CauseGroup>,
    /// Granted claims that have not ended.
    pub in_flight: BTreeMap<TenantId, InFlight>,
    /// Why it was halted, while it is.
    pub halt: Option<Halt>,
    /// Claims granted after the halt that holds; the protocol keeps it at 0.
    pub started_after_halt: u64,
    /// When the first hold on one of its targets ends by itself; absent where none does, and in what older versions stored.
    #[serde(default)]
    pub hold_ends_at: Option<Micros>,
    /// Versions whose text was amended in this rollout, and how often. Absent in what older versions stored.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub amended: BTreeMap<Version, u32>,
    /// When it was submitted.
    pub submitted_at: Option<Micros>,
    /// When its state last became final.
    pub ended_at: Option<Micros>,
    /// When it last went on after it had stood still, or was retried: limits of time count from here. Absent in what older versions stored.
    #[serde(default)]
    pub window_at: Option<Micros>,
    /// The number of the last event folded in; 0 before the first.
    pub last_seq: i64,
}

impl Rollout {
    /// The rollout of a plan, before its first event. Failures that the plan itself found (tenants that are
    /// unreachable, dirty or ahead) are grouped under their causes, but count to no limit: nothing was tried there.
    pub fn new(id: &RolloutId, plan: &Plan) -> Self {
        let mut left_out = OutcomeCounts::default();
        let mut causes = BTreeMap::new();
        for left in &plan.left_out {
            left_out.add(left.outcome, 1);
            if let Some(failure) = left.failure.as_ref().filter(|_| left.outcome.is_failure()) {
                CauseGroup::add_to(&mut causes, &left.tenant, failure, false);
            }
        }
        Self {
            id: id.clone(),
            bundle: plan.bundle.clone(),
            target: plan.target.clone(),
            direction: plan.direction,
            plan_hash: plan.hash(),
            state: RolloutState::Running,
            policy: plan.policy.clone(),
            waves: plan.waves.iter().map(Wave::new).collect(),
            left_out,
            tally: Tally::default(),
            causes,
            in_flight: BTreeMap::new(),
            halt: None,
            started_after_halt: 0,
            hold_ends_at: None,
            amended: BTreeMap::new(),
            submitted_at: None,
            ended_at: None,
            window_at: None,
            last_seq: 0,
        }
    }

    /// Tenants by outcome, those in no wave included. Their sum is the number of tenants of the plan, always.
    pub fn outcomes(&self) -> OutcomeCounts {
        let mut all = self.left_out.clone();
        for wave in &self.waves {
            all.merge(&wave.counts);
        }
        all
    }

    /// The final state that its outcomes earn once every target has ended.
    pub fn final_state(&self) -> RolloutState {
        let outcomes = self.outcomes();
        let failed = Outcome::ALL
            .into_iter()
            .any(|o| o.is_failure() && outcomes.get(o) > 0);
        if failed {
            RolloutState::CompletedWithFailures
        } else {
            RolloutState::Succeeded
        }
    }

    /// Targets that a hold keeps from starting.
    pub fn held(&self) -> u64 {
        self.waves.iter().map(Wave::held).sum()
    }

    /// Whether it waits for nothing but holds: every wave is open, and what is left of them is held.
    pub fn waits_for_holds(&self) -> bool {
        self.state == RolloutState::Waiting
            && self.waves.iter().all(|wave| wave.opened_at.is_some())
    }

    /// Whether a migration may be corrected now, once nothing is in flight: it stands still, by a halt, a pause or at its
    /// end, and something is left to do.
    pub fn may_be_amended(&self) -> bool {
        matches!(
            self.state,
            RolloutState::Halted | RolloutState::Paused | RolloutState::CompletedWithFailures
        )
    }

    /// Whether a target of this wave may be deferred: its sweep is still to come.
    pub fn may_defer(&self, wave: usize) -> bool {
        let swept = self.waves.get(wave).is_some_and(|w| w.swept_at.is_some());
        !swept && self.state.is_active()
    }

    /// What a target that has applied nothing becomes when its claim is released now: pending, or cancelled where the
    /// rollout is (nothing would ever start it again). The store writes the same to its target.
    pub fn outcome_of_release(&self) -> Outcome {
        if self.state == RolloutState::Cancelled {
            Outcome::Cancelled
        } else {
            Outcome::Pending
        }
    }
}

/// One wave of a rollout.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Wave {
    /// The wave's name.
    pub name: String,
    /// How many targets the plan gave it: the denominator of its percentages.
    pub planned: u64,
    /// Its own concurrency limit.
    pub concurrency: Option<u32>,
    /// Whether permits shrink with failures.
    pub strict: bool,
    /// Its own limits.
    pub limits: Limits,
    /// The most of its targets in flight at once, as the plan printed it.
    pub max_in_flight: u32,
    /// When the leader opened it.
    pub opened_at: Option<Micros>,
    /// When its last target ended; absent while some are left, and in what older versions stored. Kept where targets
    /// were put back into it while the rollout stands still, until it runs.
    #[serde(default)]
    pub ended_at: Option<Micros>,
    /// When it last got targets again after all of them had ended; absent where it did not, and in what older versions
    /// stored.
    #[serde(default)]
    pub reopened_at: Option<Micros>,
    /// When its deferred targets were put back for their last try; absent in what older versions stored.
    #[serde(default)]
    pub swept_at: Option<Micros>,
    /// When something of it last moved, or is due to move: opened, started, ended, given back to be tried again (then
    /// the moment from which it may be). Absent before, and in what older versions stored.
    #[serde(default)]
    pub moved_at: Option<Micros>,
    /// Its targets by outcome; those in flight count as pending.
    pub counts: OutcomeCounts,
    /// How many of its targets are in flight.
    pub in_flight: u64,
    /// Its failures.
    pub tally: Tally,
    /// What must be seen before the next wave opens, and what was.
    #[serde(default)]
    pub gates: Vec<GateState>,
}

impl Wave {
    /// Something of it moved, or may move from then on.
    pub(crate) fn moves(&mut self, at: Micros) {
        self.moved_at = self.moved_at.max(Some(at));
    }

    fn new(planned: &PlannedWave) -> Self {
        let mut counts = OutcomeCounts::default();
        counts.add(Outcome::Pending, u64::from(planned.tenants));
        Self {
            name: planned.name.clone(),
            planned: u64::from(planned.tenants),
            concurrency: planned.concurrency,
            strict: planned.strict,
            limits: planned.limits.clone(),
            max_in_flight: planned.max_in_flight,
            opened_at: None,
            ended_at: None,
            reopened_at: None,
            swept_at: None,
            moved_at: None,
            counts,
            in_flight: 0,
            tally: Tally::default(),
            gates: planned.gates.iter().map(GateState::new).collect(),
        }
    }
}

/// Failed targets with one cause.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CauseGroup {
    /// The first failure seen: message, file and line to show.
    pub failure: Failure,
    /// How many tenants.
    pub tenants: u64,
    /// Up to three of them.
    pub examples: Vec<TenantId>,
    /// How many of them had applied an earlier version in this rollout before they failed.
    pub moved: u64,
}

impl CauseGroup {
    /// How many tenants a group names.
    const EXAMPLES: usize = 3;

    /// Adds one tenant to the group of its failure's cause.
    pub(crate) fn add_to(
        causes: &mut BTreeMap<String, Self>,
        tenant: &TenantId,
        failure: &Failure,
        moved: bool,
    ) {
        let group = causes
            .entry(failure.cause.to_string())
            .or_insert_with(|| Self {
                failure: failure.clone(),
                tenants: 0,
                examples: Vec::new(),
                moved: 0,
            });
        group.tenants += 1;
        group.moved += u64::from(moved);
        if group.examples.len() < Self::EXAMPLES && !group.examples.contains(tenant) {
            group.examples.push(tenant.clone());
        }
    }
}

/// A granted claim.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct InFlight {
    /// Its wave.
    pub wave: usize,
    /// Its host.
    pub host: HostName,
    /// The claim's number.
    pub epoch: Epoch,
    /// When it was granted.
    pub since: Micros,
    /// Whether a person cancelled the target meanwhile. Absent in what older versions stored.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub cancelling: bool,
    /// Whether a person let the halted rollout go on while it was in flight: that it is cut off counts no more, whoever
    /// takes it over. Absent in what older versions stored.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub acknowledged: bool,
}

/// A halt: which rule, where, for what, and the numbers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Halt {
    /// The rule that was crossed.
    pub rule: Rule,
    /// The wave whose limit it was; absent when it was the whole rollout's.
    pub wave: Option<String>,
    /// The text form of the cause of the failure that crossed it; absent where no failure did.
    #[serde(default)]
    pub cause: Option<String>,
    /// Failed tenants counted.
    pub failures: u64,
    /// Failed tenants tolerated; 0 for a rule that counts none.
    pub tolerated: u64,
    /// Other targets in flight when it halted.
    pub in_flight: u64,
    /// The tenant whose failure crossed it; absent where no failure did.
    #[serde(default)]
    pub tenant: Option<TenantId>,
    /// What no number says: which gate failed and on what evidence, or which limit of time was reached.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
}

/// What the leader does next.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Action {
    /// Open this wave.
    OpenWave(usize),
    /// Put the deferred targets of this wave back to pending, once, for their last try.
    Sweep(usize),
    /// Halt: a rule that waits for the leader was crossed.
    Halt(Halt),
    /// Nothing is left but held targets: wait for them.
    Wait,
    /// The time of a hold is over: its targets are pending again.
    EndHolds,
    /// Close the rollout in this final state.
    Finish(RolloutState),
    /// Give this gate of this wave the verdict that it has earned by time.
    JudgeGate {
        /// Index of the wave.
        wave: usize,
        /// Index of the gate in it.
        gate: usize,
    },
    /// Write down what a gate measured. Never decided by itself: it is the answer to a `Question`.
    MeasuredGate {
        /// Index of the wave.
        wave: usize,
        /// Index of the gate in it.
        gate: usize,
        /// The evaluation that it was measured for.
        evaluation: u32,
        /// What was measured.
        measurement: Measurement,
    },
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{broken, plan};

    #[test]
    fn states_are_read_as_they_are_written() {
        for state in RolloutState::ALL {
            assert_eq!(RolloutState::parse(state.as_str()), Some(state));
        }
        assert_eq!(RolloutState::parse("asleep"), None);
        let ended = |state: &RolloutState| !state.is_active();
        let ended: Vec<_> = RolloutState::ALL.into_iter().filter(ended).collect();
        assert_eq!(
            ended,
            [
                RolloutState::Succeeded,
                RolloutState::CompletedWithFailures,
                RolloutState::Cancelled
            ]
        );
    }

    #[test]
    fn only_failures_earn_the_end_with_failures() {
        for outcome in Outcome::ALL {
            let mut rollout = Rollout::new(&RolloutId::new("r1"), &plan(&[(1, None)]));
            rollout.waves[0].counts = OutcomeCounts::default();
            rollout.waves[0].counts.add(outcome, 1);
            let state = match outcome.is_failure() {
                true => RolloutState::CompletedWithFailures,
                false => RolloutState::Succeeded,
            };
            assert_eq!(rollout.final_state(), state, "{outcome:?}");
        }
    }

    #[test]
    fn a_cause_counts_all_its_tenants_and_names_a_few_of_them_once() {
        let mut causes = BTreeMap::new();
        let name = |n: usize| TenantId::new(format!("t{n}"));
        for n in [0, 0].into_iter().chain(1..=CauseGroup::EXAMPLES) {
            CauseGroup::add_to(&mut causes, &name(n), &broken(), n == 1);
        }
        let group = causes.values().next().unwrap();
        assert_eq!(group.tenants, CauseGroup::EXAMPLES as u64 + 2);
        assert_eq!(group.moved, 1);
        let named: Vec<_> = (0..CauseGroup::EXAMPLES).map(name).collect();
        assert_eq!(group.examples, named);
    }
}
