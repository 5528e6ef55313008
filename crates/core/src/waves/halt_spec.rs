//! Limits as configured, before they are resolved to counts of tenants.

use std::collections::BTreeMap;

use super::coverage::Amount;
use super::share::share_down;
use crate::cause::ErrorClass;
use crate::halt::Limits;

/// Limits of a scope as an operator writes them. `None` is no limit; numbers are what is *tolerated*.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct HaltSpec {
    /// Failed tenants.
    pub max_failures: Option<u32>,
    /// Failed tenants in per cent of the planned size of the scope, rounded down.
    pub max_failure_percent: Option<f64>,
    /// Failed tenants in a row, in the order of their reports.
    pub max_consecutive: Option<u32>,
    /// Tenants with one and the same deterministic cause.
    pub same_cause: Option<u32>,
    /// Failed tenants of one class of error; a share is of the planned size of the scope, rounded down.
    pub class_limits: BTreeMap<ErrorClass, Amount>,
    /// How long nothing may move, in milliseconds.
    pub stall_after_ms: Option<u64>,
    /// How long the scope may take, in milliseconds.
    pub max_duration_ms: Option<u64>,
}

impl HaltSpec {
    /// The limits of a scope of so many tenants, in counts. 1 % of 80 tolerates none, as printed by `plan`.
    pub fn resolve(&self, planned: u64) -> Limits {
        Limits {
            max_failures: self.max_failures,
            max_failure_percent: self
                .max_failure_percent
                .map(|percent| share_down(percent, planned)),
            max_consecutive: self.max_consecutive,
            same_cause: self.same_cause,
            class_limits: self
                .class_limits
                .iter()
                .map(|(class, amount)| (*class, amount.down(planned)))
                .collect(),
            stall_after_ms: self.stall_after_ms,
            max_duration_ms: self.max_duration_ms,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentages_become_counts_rounded_down() {
        let spec = HaltSpec {
            max_failure_percent: Some(1.0),
            class_limits: [(ErrorClass::Timeout, Amount::Percent(1.0))].into(),
            ..HaltSpec::default()
        };
        for (planned, tolerated) in [(0, 0), (80, 0), (100, 1), (199, 1), (1000, 10)] {
            assert_eq!(
                spec.resolve(planned).max_failure_percent,
                Some(tolerated),
                "{planned}"
            );
            let by_class = spec.resolve(planned).class_limits;
            assert_eq!(by_class, [(ErrorClass::Timeout, tolerated)].into());
        }
    }
}
