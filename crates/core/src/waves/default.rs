//! The waves of a fleet that configures none.

use super::{Coverage, HaltSpec, Select, WaveSpec};

/// A canary with every engine of the fleet, of at least 5, that tolerates nothing, then 10 %, then the rest, which tolerates 1 % of itself.
pub fn default_waves() -> Vec<WaveSpec> {
    let mut canary = WaveSpec::new("canary", Select::Coverage(Coverage::default()));
    canary.strict = Some(true);
    canary.halt.max_failures = Some(0);
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
