//! What an operator asks for: waves by selector, with limits in counts and percentages.

mod coverage;
mod default;
mod error;
mod halt_spec;
mod parse;
mod share;
mod strangers;
mod validate;

pub use coverage::{Amount, Coverage, ENGINE, ENGINE_MAJOR, FINGERPRINT, HOST};
pub use default::default_waves;
pub use error::WaveError;
pub use halt_spec::HaltSpec;
pub use parse::parse;
pub use share::{share_down, share_up};
pub use strangers::strangers;
pub use validate::validate;

use crate::gate::Gate;
use crate::selector::{Glob, Selector};

/// The wave of tenants that failed before with this bundle; it comes after all others, and no other has its name.
pub const KNOWN_FAILURES: &str = "known-failures";

/// One wave as configured (`[[rollout.waves]]` or a part of `--waves`).
#[derive(Clone, Debug, PartialEq)]
pub struct WaveSpec {
    /// Its name, unique in the rollout.
    pub name: String,
    /// Whom it takes of those that no wave before it took.
    pub select: Select,
    /// Its own concurrency; that of the rollout holds as well.
    pub concurrency: Option<u32>,
    /// Whether permits shrink with failures, so that at most `tolerated + 1` tenants fail. Where absent: the canary
    /// is strict, the others are not.
    pub strict: Option<bool>,
    /// Its own limits.
    pub halt: HaltSpec,
    /// What must be seen after it before the next wave opens, in order.
    pub gates: Vec<Gate>,
}

/// Whom a wave takes. The first wave that wants a tenant has it.
#[derive(Clone, Debug, PartialEq)]
pub enum Select {
    /// So many, in the order of a wave.
    Count(u32),
    /// So many per cent of all planned tenants, not of what is left; rounded up.
    Percent(f64),
    /// Those that match.
    Labels(Selector),
    /// Those whose id fits one of these.
    Tenants(Vec<Glob>),
    /// A few that between them have every value of some keys.
    Coverage(Coverage),
    /// All that is left. Exactly one wave, the last.
    Rest,
}

impl WaveSpec {
    /// A wave without limits of its own.
    pub fn new(name: impl Into<String>, select: Select) -> Self {
        Self {
            name: name.into(),
            select,
            concurrency: None,
            strict: None,
            halt: HaltSpec::default(),
            gates: Vec::new(),
        }
    }

    /// Whether it is the canary, as the wave of this number (from 0): the first one, unless it is everybody.
    pub fn is_canary(&self, index: usize) -> bool {
        index == 0 && !matches!(self.select, Select::Rest)
    }

    /// Whether it is strict, as the wave of this number (from 0).
    pub fn is_strict(&self, index: usize) -> bool {
        self.strict.unwrap_or_else(|| self.is_canary(index))
    }

    /// Its limits as the wave of this number (from 0). The canary counts equal causes from the start (2 tolerated),
    /// and where it is chosen by count, by coverage or by name and sets no limit of failures it tolerates none.
    pub fn limits(&self, index: usize) -> HaltSpec {
        let mut halt = self.halt.clone();
        if self.is_canary(index) {
            halt.same_cause = halt.same_cause.or(Some(2));
            let few = matches!(
                self.select,
                Select::Count(_) | Select::Tenants(_) | Select::Coverage(_)
            );
            if few && halt.max_failures.is_none() && halt.max_failure_percent.is_none() {
                halt.max_failures = Some(0);
            }
        }
        halt
    }
}
