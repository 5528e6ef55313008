//! What the leader shows of rollouts.

use std::collections::BTreeMap;

use sanderling_core::gate::GateState;
use sanderling_core::outcome::OutcomeCounts;
use sanderling_core::rollout::Wave;
use sanderling_core::{ErrorClass, Micros, Outcome, Rollout, RolloutState};

use crate::board::Samples;
use crate::catalogue::{
    GATE_STATE, ROLLOUT_ENDED, ROLLOUT_ETA, ROLLOUT_FAILED, ROLLOUT_HALTED, ROLLOUT_IN_FLIGHT,
    ROLLOUT_LEFT_OUT, ROLLOUT_MAX_IN_FLIGHT, ROLLOUT_OLDEST_START, ROLLOUT_PROGRESS, ROLLOUT_STATE,
    ROLLOUT_SUBMITTED, ROLLOUT_TARGET_ESTIMATE, ROLLOUT_TARGETS, ROLLOUT_TOLERATED,
    WAVE_MAX_IN_FLIGHT, WAVE_STATE, WAVE_TARGETS, WAVE_TOLERATED,
};

/// Active rollouts that are shown; the newest, where there are more.
pub const ACTIVE_ROLLOUTS: usize = 10;
/// Rollouts that are shown after they have ended: the last ones.
pub const ENDED_ROLLOUTS: usize = 5;

const WAVE_STATES: [&str; 4] = ["closed", "open", "gated", "ended"];

/// What one target takes, in milliseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pace {
    /// The median.
    pub p50_ms: u64,
    /// Nine of ten take less.
    pub p90_ms: u64,
}

impl Pace {
    /// Of measured times; `None` where there are none.
    pub fn of(mut millis: Vec<u64>) -> Option<Self> {
        millis.sort_unstable();
        let last = millis.len().checked_sub(1)?;
        let at = |tenths: usize| millis[(last * tenths).div_ceil(10).min(last)];
        Some(Self {
            p50_ms: at(5),
            p90_ms: at(9),
        })
    }

    fn estimates(self) -> [(&'static str, u64); 2] {
        [("p50", self.p50_ms), ("p90", self.p90_ms)]
    }
}

/// The values of one rollout at a moment of the control store's clock.
pub fn rollout(rollout: &Rollout, now: Micros, pace: Option<Pace>) -> Samples {
    let id = rollout.id.as_str();
    let mut samples = Samples::default();
    let states = RolloutState::ALL.map(RolloutState::as_str);
    samples.choose(
        &ROLLOUT_STATE,
        |state| [id, state],
        &states,
        rollout.state.as_str(),
    );
    let mut at = |gauge, at: Option<Micros>| {
        if let Some(at) = at {
            samples.set(gauge, [id], seconds(at));
        }
    };
    at(&ROLLOUT_SUBMITTED, rollout.submitted_at);
    at(
        &ROLLOUT_ENDED,
        rollout.ended_at.filter(|_| !rollout.state.is_active()),
    );
    at(&ROLLOUT_PROGRESS, progress(rollout, now));
    at(
        &ROLLOUT_OLDEST_START,
        rollout.in_flight.values().map(|claim| claim.since).min(),
    );
    for (estimate, millis) in pace.into_iter().flat_map(Pace::estimates) {
        samples.set(
            &ROLLOUT_TARGET_ESTIMATE,
            [id, estimate],
            to_f64(millis) / 1_000.0,
        );
        if let Some(eta) = rollout.eta(now, millis) {
            samples.set(&ROLLOUT_ETA, [id, estimate], seconds(eta));
        }
    }
    samples.set(
        &ROLLOUT_MAX_IN_FLIGHT,
        [id],
        f64::from(rollout.max_in_flight()),
    );
    if let Some(tolerated) = rollout.policy.limits.tolerated() {
        samples.set(&ROLLOUT_TOLERATED, [id], f64::from(tolerated));
    }
    if let Some(halt) = rollout
        .halt
        .as_ref()
        .filter(|_| rollout.state == RolloutState::Halted)
    {
        samples.set(
            &ROLLOUT_HALTED,
            [id, halt.rule.as_str(), harm(rollout)],
            1.0,
        );
    }
    failed(&mut samples, rollout);
    counts(&rollout.left_out, |outcome, count| {
        samples.set(&ROLLOUT_LEFT_OUT, [id, outcome], count);
    });
    for (index, wave) in rollout.waves.iter().enumerate() {
        self::wave(&mut samples, rollout, index, wave);
    }
    samples
}

fn wave(samples: &mut Samples, rollout: &Rollout, index: usize, wave: &Wave) {
    let (id, name) = (rollout.id.as_str(), wave.name.as_str());
    let now = state_of(rollout, index, wave);
    samples.choose(&WAVE_STATE, |state| [id, name, state], &WAVE_STATES, now);
    counts(&wave.counts, |outcome, count| {
        samples.set(&ROLLOUT_TARGETS, [id, name, outcome], count);
    });
    samples.set(&ROLLOUT_IN_FLIGHT, [id, name], to_f64(wave.in_flight));
    samples.set(&WAVE_TARGETS, [id, name], to_f64(wave.planned));
    samples.set(
        &WAVE_MAX_IN_FLIGHT,
        [id, name],
        f64::from(wave.max_in_flight),
    );
    if let Some(tolerated) = wave.limits.tolerated() {
        samples.set(&WAVE_TOLERATED, [id, name], f64::from(tolerated));
    }
    for gate in &wave.gates {
        let labels = |state| [id, name, gate.gate.name.as_str(), state];
        samples.choose(&GATE_STATE, labels, &GateState::STATES, gate.state());
    }
}

fn state_of(rollout: &Rollout, index: usize, wave: &Wave) -> &'static str {
    match wave.opened_at {
        None => "closed",
        Some(_) if !wave.has_ended() => "open",
        Some(_) if rollout.at_gate().is_some_and(|(at, _)| at == index) => "gated",
        Some(_) => "ended",
    }
}

/// Whether a tenant was left half way: a person must look before anything else.
fn harm(rollout: &Rollout) -> &'static str {
    match rollout.outcomes().get(Outcome::Dirty) {
        0 => "clean",
        _ => "dirty",
    }
}

fn failed(samples: &mut Samples, rollout: &Rollout) {
    let mut by_class: BTreeMap<ErrorClass, u64> = ErrorClass::ALL.map(|class| (class, 0)).into();
    for group in rollout.causes.values() {
        *by_class.entry(group.failure.cause.class).or_default() += group.tenants;
    }
    for (class, tenants) in by_class {
        let labels = [rollout.id.as_str(), class.as_str()];
        samples.set(&ROLLOUT_FAILED, labels, to_f64(tenants));
    }
}

/// When something last moved. What is due later (a retry) has not.
fn progress(rollout: &Rollout, now: Micros) -> Option<Micros> {
    let waves = rollout
        .waves
        .iter()
        .map(|wave| wave.moved_at.map(|at| at.min(now)));
    waves
        .chain([rollout.submitted_at, rollout.window_at])
        .flatten()
        .max()
}

fn counts(counts: &OutcomeCounts, mut each: impl FnMut(&'static str, f64)) {
    for outcome in Outcome::ALL {
        each(outcome.as_str(), to_f64(counts.get(outcome)));
    }
}

/// A moment as Prometheus writes it.
pub(crate) fn seconds(at: Micros) -> f64 {
    at.0 as f64 / 1e6
}

/// A count; exact up to 2^53.
pub(crate) fn to_f64(count: u64) -> f64 {
    count as f64
}
