//! The waves of a fleet that configures none.

use super::{Coverage, HaltSpec, Select, WaveSpec};
use crate::gate::{Bake, Gate, GateKind};

/// How long the canary of the default waves bakes, in milliseconds.
const BAKE_MS: u64 = 600_000;

/// A canary that covers engines, their major versions and catalogs, of at least 5, that tolerates nothing and bakes for
/// ten minutes; then 10 %, then the rest, each of which tolerates 1 % of itself. A fleet that is no larger than its
/// canary waits for nothing: the last wave has no gates.
pub fn default_waves() -> Vec<WaveSpec> {
    let mut canary = WaveSpec::new("canary", Select::Coverage(Coverage::default()));
    canary.strict = Some(true);
    canary.halt.max_failures = Some(0);
    canary.gates = vec![Gate {
        name: Gate::BAKE.into(),
        kind: GateKind::Bake(Bake {
            duration_ms: BAKE_MS,
            samples: None,
        }),
    }];
    let early = WaveSpec {
        halt: one_percent(),
        ..WaveSpec::new("early", Select::Percent(10.0))
    };
    let rest = WaveSpec {
        halt: one_percent(),
        ..WaveSpec::new("rest", Select::Rest)
    };
    vec![canary, early, rest]
}

fn one_percent() -> HaltSpec {
    HaltSpec {
        max_failure_percent: Some(1.0),
        ..HaltSpec::default()
    }
}
