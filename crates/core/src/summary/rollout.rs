//! The summary of a rollout: the last line of `up --json`, and what `rollout show --json` prints.

use serde::{Deserialize, Serialize};

use crate::cause::ErrorClass;
use crate::direction::Direction;
use crate::gate::Evidence;
use crate::halt::Rule;
use crate::ids::{Micros, RolloutId, TenantId, Version};
use crate::outcome::{Outcome, OutcomeCounts};
use crate::rollout::{CauseGroup, Rollout, RolloutState, Wave};

/// How many of those in flight the document names.
const LONGEST: usize = 10;

/// The document of one rollout.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RolloutSummary {
    /// The rollout; null where there was nothing to do, so that none was made.
    pub rollout: Option<RolloutId>,
    /// Its state.
    pub state: RolloutState,
    /// The version it leads to.
    pub target: Version,
    /// Which way: `up`, or `down`.
    #[serde(default)]
    pub direction: Direction,
    /// Its tenants, those with nothing to do included.
    pub tenants: u64,
    /// One count per outcome; they sum to `tenants`.
    #[serde(flatten)]
    pub outcomes: OutcomeSummary,
    /// The most in flight at once that its limits allow.
    pub max_in_flight: u32,
    /// How many others were in flight when it halted; null unless it is halted.
    pub in_flight_at_halt: Option<u64>,
    /// Claims granted after the halt. The protocol keeps it at 0.
    pub started_after_halt: u64,
    /// From its submission to its end, or to now, in milliseconds.
    pub duration_ms: u64,
    /// Targets ended per second of that time, to three decimals.
    pub tenants_per_second: f64,
    /// Why it is halted; null unless it is.
    pub halt: Option<HaltSummary>,
    /// Why tenants failed, most tenants first.
    pub causes: Vec<CauseSummary>,
    /// Its gates with their evidence, in order of waves.
    pub gates: Vec<GateSummary>,
    /// The ten targets that have been in flight the longest, the longest first: a slow one halts nothing, and is seen.
    pub longest_in_flight: Vec<InFlightSummary>,
}

/// A target in flight.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct InFlightSummary {
    /// The tenant.
    pub tenant: TenantId,
    /// Its wave.
    pub wave: String,
    /// When its claim was granted, in microseconds since 1970.
    pub since: Micros,
    /// How long ago that is, in milliseconds.
    pub ms: u64,
}

/// The longest in flight.
fn longest(rollout: &Rollout, now: Micros) -> Vec<InFlightSummary> {
    let mut all: Vec<_> = rollout.in_flight.iter().collect();
    all.sort_by_key(|(_, claim)| claim.since);
    let wave = |index: usize| rollout.waves.get(index).map(|wave| wave.name.clone());
    all.into_iter()
        .take(LONGEST)
        .map(|(tenant, claim)| InFlightSummary {
            tenant: tenant.clone(),
            wave: wave(claim.wave).unwrap_or_default(),
            since: claim.since,
            ms: now.millis_since(claim.since),
        })
        .collect()
}

/// One count per outcome, by name.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct OutcomeSummary {
    /// See [`Outcome::Succeeded`].
    pub succeeded: u64,
    /// See [`Outcome::UpToDate`].
    pub up_to_date: u64,
    /// See [`Outcome::Partial`].
    pub partial: u64,
    /// See [`Outcome::Failed`].
    pub failed: u64,
    /// See [`Outcome::Dirty`].
    pub dirty: u64,
    /// See [`Outcome::Deferred`].
    pub deferred: u64,
    /// See [`Outcome::Held`].
    pub held: u64,
    /// See [`Outcome::Skipped`].
    pub skipped: u64,
    /// See [`Outcome::Cancelled`].
    pub cancelled: u64,
    /// See [`Outcome::Unreachable`].
    pub unreachable: u64,
    /// See [`Outcome::Pending`].
    pub pending: u64,
}

/// Why a rollout is halted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HaltSummary {
    /// The rule that was crossed.
    pub rule: Rule,
    /// The wave whose limit it was; null when it was the whole rollout's.
    pub wave: Option<String>,
    /// The cause of the failure that crossed it, as in `causes`; null where no failure did.
    pub cause: Option<String>,
    /// What was counted.
    pub failures: u64,
    /// What is tolerated.
    pub tolerated: u64,
    /// What no number says: which gate failed and on what evidence, or which limit of time was reached; null for other
    /// rules.
    pub detail: Option<String>,
}

/// A gate between two waves, with what it has seen.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct GateSummary {
    /// The wave that it comes after.
    pub wave: String,
    /// Its name.
    pub gate: String,
    /// What it asks, in words.
    pub asks: String,
    /// `waiting` for its wave, `open`, `skipped`, or its verdict.
    pub state: String,
    /// Which evaluation this is, from 1.
    pub evaluation: u32,
    /// When the evaluation began, in microseconds since 1970.
    pub since: Option<Micros>,
    /// Why it said what it said, or who skipped it and why.
    pub reason: Option<String>,
    /// Measurements in this evaluation.
    pub measured: u32,
    /// The last of them.
    pub measurements: Vec<Evidence>,
}

fn gates(rollout: &Rollout) -> Vec<GateSummary> {
    let of_wave = |wave: &'_ Wave| -> Vec<GateSummary> {
        wave.gates
            .iter()
            .map(|gate| GateSummary {
                wave: wave.name.clone(),
                gate: gate.gate.name.clone(),
                asks: gate.gate.kind.to_string(),
                state: gate.state().into(),
                evaluation: gate.evaluation,
                since: gate.since,
                reason: gate.why(),
                measured: gate.tally.total(),
                measurements: gate.measurements.clone(),
            })
            .collect()
    };
    rollout.waves.iter().flat_map(of_wave).collect()
}

/// Tenants that failed alike.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CauseSummary {
    /// Class, code, version and statement in one word: `migration_sql/42703@20260101120000#2`.
    pub cause: String,
    /// The kind of error.
    pub class: ErrorClass,
    /// The database's code, or a word of ours.
    pub code: String,
    /// The first message seen.
    pub message: String,
    /// The migration, if one was being applied.
    pub version: Option<Version>,
    /// The number of the failing statement, from 1.
    pub statement: Option<u32>,
    /// The migration file, if the failure points into one.
    pub file: Option<String>,
    /// Line in it, from 1.
    pub line: Option<u32>,
    /// How many tenants.
    pub tenants: u64,
    /// One of them.
    pub example: Option<TenantId>,
}

impl RolloutSummary {
    /// The document of a rollout as it stands. `now` is the control store's time of the reading.
    pub fn new(rollout: &Rollout, now: Micros) -> Self {
        let outcomes = rollout.outcomes();
        let until = rollout.ended_at.unwrap_or(now);
        let duration_ms = rollout
            .submitted_at
            .map_or(0, |since| until.millis_since(since));
        Self {
            rollout: Some(rollout.id.clone()),
            state: rollout.state,
            target: rollout.target.clone(),
            direction: rollout.direction,
            tenants: outcomes.total(),
            outcomes: OutcomeSummary::from(&outcomes),
            max_in_flight: rollout.max_in_flight(),
            in_flight_at_halt: rollout.halt.as_ref().map(|halt| halt.in_flight),
            started_after_halt: rollout.started_after_halt,
            duration_ms,
            tenants_per_second: per_second(ended_here(rollout), duration_ms),
            halt: rollout.halt.as_ref().map(|halt| HaltSummary {
                rule: halt.rule,
                wave: halt.wave.clone(),
                cause: halt.cause.clone(),
                failures: halt.failures,
                tolerated: halt.tolerated,
                detail: halt.detail.clone(),
            }),
            gates: gates(rollout),
            longest_in_flight: longest(rollout, now),
            causes: causes(rollout),
        }
    }
}

impl From<&OutcomeCounts> for OutcomeSummary {
    fn from(counts: &OutcomeCounts) -> Self {
        Self {
            succeeded: counts.get(Outcome::Succeeded),
            up_to_date: counts.get(Outcome::UpToDate),
            partial: counts.get(Outcome::Partial),
            failed: counts.get(Outcome::Failed),
            dirty: counts.get(Outcome::Dirty),
            deferred: counts.get(Outcome::Deferred),
            held: counts.get(Outcome::Held),
            skipped: counts.get(Outcome::Skipped),
            cancelled: counts.get(Outcome::Cancelled),
            unreachable: counts.get(Outcome::Unreachable),
            pending: counts.get(Outcome::Pending),
        }
    }
}

/// Targets that ended by a claim of this rollout.
fn ended_here(rollout: &Rollout) -> u64 {
    let idle = |outcome| {
        matches!(
            outcome,
            Outcome::Pending | Outcome::Deferred | Outcome::Cancelled
        )
    };
    rollout
        .waves
        .iter()
        .flat_map(|wave| {
            Outcome::ALL
                .into_iter()
                .filter(move |o| !idle(*o))
                .map(|o| wave.counts.get(o))
        })
        .sum()
}

#[expect(
    clippy::cast_precision_loss,
    reason = "a rate for people: 52 bits of tenants and milliseconds are plenty"
)]
fn per_second(tenants: u64, duration_ms: u64) -> f64 {
    if duration_ms == 0 {
        return 0.0;
    }
    let rate = tenants as f64 * 1000.0 / duration_ms as f64;
    (rate * 1000.0).round() / 1000.0
}

fn causes(rollout: &Rollout) -> Vec<CauseSummary> {
    let mut causes: Vec<CauseSummary> = rollout
        .causes
        .iter()
        .map(|(cause, group)| CauseSummary::new(cause, group))
        .collect();
    causes.sort_by(|a, b| {
        b.tenants
            .cmp(&a.tenants)
            .then_with(|| a.cause.cmp(&b.cause))
    });
    causes
}

impl CauseSummary {
    fn new(cause: &str, group: &CauseGroup) -> Self {
        let failure = &group.failure;
        Self {
            cause: cause.to_owned(),
            class: failure.cause.class,
            code: failure.cause.code.clone(),
            message: failure.message.clone(),
            version: failure.cause.version.clone(),
            statement: failure.cause.statement,
            file: failure.file.clone(),
            line: failure.line,
            tenants: group.tenants,
            example: group.examples.first().cloned(),
        }
    }
}
