//! Halt policy: how many failures a scope tolerates, and the one question that stops it.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::cause::{Cause, ErrorClass};

/// Limits of a scope (the rollout or one wave), resolved to counts of tenants. `None` is no limit.
///
/// A limit is what is *tolerated*: the rule trips when the count is greater.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Limits {
    /// Failed tenants tolerated, from `max_failures`.
    pub max_failures: Option<u32>,
    /// Failed tenants tolerated, from `max_failure_percent` of the planned size, rounded down.
    pub max_failure_percent: Option<u32>,
    /// Failed tenants in a row tolerated, in the order of their reports.
    pub max_consecutive: Option<u32>,
    /// Tenants with one and the same deterministic cause tolerated.
    pub same_cause: Option<u32>,
    /// Failed tenants of one class of error tolerated. Left out where empty, so that the hash of a plan without it is
    /// what it was before there were any.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub class_limits: BTreeMap<ErrorClass, u32>,
    /// How long nothing may move while there is something to do, in milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stall_after_ms: Option<u64>,
    /// How long the scope may take from its opening to its end, in milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_duration_ms: Option<u64>,
}

impl Limits {
    /// Failed tenants tolerated by both count and percentage: the smaller one. `None` is no limit.
    pub fn tolerated(&self) -> Option<u32> {
        match (self.max_failures, self.max_failure_percent) {
            (Some(a), Some(b)) => Some(a.min(b)),
            (a, b) => a.or(b),
        }
    }
}

/// The rule that stopped a rollout.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Rule {
    /// More failed tenants than the count allows.
    MaxFailures,
    /// More failed tenants than the percentage allows.
    MaxFailurePercent,
    /// Too many failed tenants in a row.
    MaxConsecutive,
    /// Too many tenants failed for one and the same cause.
    SameCause,
    /// Too many tenants failed with errors of one class.
    ClassLimits,
    /// Nothing moved for too long, though there was something to do. Judged by the leader.
    StallAfter,
    /// A wave, or the rollout, took too long. Judged by the leader.
    MaxDuration,
    /// A gate after a wave said no.
    Gate,
}

impl Rule {
    /// Every rule, in the order of this enum.
    pub const ALL: [Self; 8] = [
        Self::MaxFailures,
        Self::MaxFailurePercent,
        Self::MaxConsecutive,
        Self::SameCause,
        Self::ClassLimits,
        Self::StallAfter,
        Self::MaxDuration,
        Self::Gate,
    ];

    /// The name used in configuration and JSON.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::MaxFailures => "max_failures",
            Self::MaxFailurePercent => "max_failure_percent",
            Self::MaxConsecutive => "max_consecutive",
            Self::SameCause => "same_cause",
            Self::ClassLimits => "class_limits",
            Self::StallAfter => "stall_after",
            Self::MaxDuration => "max_duration",
            Self::Gate => "gate",
        }
    }
}

/// What a scope has counted so far. A cache: it can be rebuilt from the targets.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tally {
    /// Failed tenants since the last acknowledgement.
    pub failed: u64,
    /// Failed tenants in a row, in the order of their reports.
    pub consecutive: u64,
    /// Failed tenants by deterministic cause (the cause's text form).
    pub by_cause: BTreeMap<String, u64>,
    /// Failed tenants by class of error; absent in what older versions stored.
    #[serde(default)]
    pub by_class: BTreeMap<ErrorClass, u64>,
}

impl Tally {
    /// Counts one failed tenant.
    pub(crate) fn fail(&mut self, cause: &Cause) {
        self.failed += 1;
        self.consecutive += 1;
        *self.by_class.entry(cause.class).or_default() += 1;
        if cause.class.is_deterministic() {
            *self.by_cause.entry(cause.to_string()).or_default() += 1;
        }
    }

    /// What it would be if so many more had failed, of causes that nobody knows yet.
    pub(crate) fn with_more(&self, failed: u64) -> Self {
        Self {
            failed: self.failed + failed,
            consecutive: self.consecutive + failed,
            ..self.clone()
        }
    }

    /// Takes tenants out again that are retried; never below 0, because an acknowledgement may have come between.
    pub(crate) fn forgive(&mut self, cause: &str, tenants: u64) {
        self.failed = self.failed.saturating_sub(tenants);
        if let Some(n) = self.by_cause.get_mut(cause) {
            *n = n.saturating_sub(tenants);
            if *n == 0 {
                self.by_cause.remove(cause);
            }
        }
        let class = ErrorClass::of_cause(cause);
        if let Some((class, n)) = class.and_then(|c| Some((c, self.by_class.get_mut(&c)?))) {
            *n = n.saturating_sub(tenants);
            if *n == 0 {
                self.by_class.remove(&class);
            }
        }
    }
}

/// A rule that was crossed, with the numbers that crossed it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trip {
    /// The rule.
    pub rule: Rule,
    /// What it tolerates.
    pub tolerated: u64,
    /// What was counted; greater than `tolerated`.
    pub failures: u64,
    /// The cause that repeated, for `same_cause`.
    pub cause: Option<String>,
}

/// The first rule of a scope that its tally crosses: more than is tolerated, in the order of [`Rule`].
pub fn judge(limits: &Limits, tally: &Tally) -> Option<Trip> {
    let counted = [
        (Rule::MaxFailures, limits.max_failures, tally.failed),
        (
            Rule::MaxFailurePercent,
            limits.max_failure_percent,
            tally.failed,
        ),
        (
            Rule::MaxConsecutive,
            limits.max_consecutive,
            tally.consecutive,
        ),
    ];
    for (rule, tolerated, failures) in counted {
        let Some(tolerated) = tolerated.map(u64::from) else {
            continue;
        };
        if failures > tolerated {
            return Some(Trip {
                rule,
                tolerated,
                failures,
                cause: None,
            });
        }
    }
    same_cause(limits, tally).or_else(|| class_limits(limits, tally))
}

fn same_cause(limits: &Limits, tally: &Tally) -> Option<Trip> {
    let tolerated = u64::from(limits.same_cause?);
    let (cause, &failures) = tally.by_cause.iter().max_by_key(|(_, n)| **n)?;
    (failures > tolerated).then(|| Trip {
        rule: Rule::SameCause,
        tolerated,
        failures,
        cause: Some(cause.clone()),
    })
}

/// The failure that crosses one is of its class, so its own cause says which.
fn class_limits(limits: &Limits, tally: &Tally) -> Option<Trip> {
    limits.class_limits.iter().find_map(|(class, tolerated)| {
        let (tolerated, failures) = (u64::from(*tolerated), *tally.by_class.get(class)?);
        (failures > tolerated).then_some(Trip {
            rule: Rule::ClassLimits,
            tolerated,
            failures,
            cause: None,
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cause::ErrorClass;

    fn cause(class: ErrorClass, code: &str) -> Cause {
        Cause {
            class,
            code: code.into(),
            version: None,
            statement: None,
        }
    }

    #[test]
    fn a_rule_has_one_name_everywhere() {
        for (rule, name) in [
            (Rule::MaxFailures, "max_failures"),
            (Rule::MaxFailurePercent, "max_failure_percent"),
            (Rule::MaxConsecutive, "max_consecutive"),
            (Rule::SameCause, "same_cause"),
            (Rule::Gate, "gate"),
        ] {
            assert_eq!(rule.as_str(), name);
            assert_eq!(serde_json::to_value(rule).unwrap(), name);
        }
    }

    #[test]
    fn a_limit_is_what_is_tolerated() {
        let limits = Limits {
            max_failures: Some(1),
            ..Limits::default()
        };
        let mut tally = Tally::default();
        tally.fail(&cause(ErrorClass::Timeout, "57014"));
        assert_eq!(judge(&limits, &tally), None);
        tally.fail(&cause(ErrorClass::Timeout, "57014"));
        let trip = judge(&limits, &tally).unwrap();
        assert_eq!(
            (trip.rule, trip.failures, trip.tolerated),
            (Rule::MaxFailures, 2, 1)
        );
    }

    #[test]
    fn the_same_cause_counts_only_what_the_next_tenant_would_meet_too() {
        let limits = Limits {
            same_cause: Some(1),
            ..Limits::default()
        };
        let mut tally = Tally::default();
        for _ in 0..5 {
            tally.fail(&cause(ErrorClass::Connection, "08006"));
        }
        tally.fail(&cause(ErrorClass::MigrationSql, "42703"));
        assert_eq!(judge(&limits, &tally), None);
        tally.fail(&cause(ErrorClass::MigrationSql, "42703"));
        let trip = judge(&limits, &tally).unwrap();
        assert_eq!(trip.cause.as_deref(), Some("migration_sql/42703"));
        assert_eq!((trip.rule, trip.failures), (Rule::SameCause, 2));
    }

    #[test]
    fn a_class_has_a_limit_of_its_own() {
        let limits = Limits {
            class_limits: [(ErrorClass::Connection, 1), (ErrorClass::MigrationSql, 0)].into(),
            ..Limits::default()
        };
        let mut tally = Tally::default();
        for _ in 0..9 {
            tally.fail(&cause(ErrorClass::LockTimeout, "55P03"));
        }
        tally.fail(&cause(ErrorClass::Connection, "08006"));
        assert_eq!(judge(&limits, &tally), None);
        tally.fail(&cause(ErrorClass::Connection, "08001"));
        let trip = judge(&limits, &tally).unwrap();
        assert_eq!(
            (trip.rule, trip.failures, trip.tolerated),
            (Rule::ClassLimits, 2, 1)
        );
        tally.forgive("connection/08001", 1);
        assert_eq!(judge(&limits, &tally), None);
        tally.fail(&cause(ErrorClass::MigrationSql, "42703"));
        assert_eq!(judge(&limits, &tally).unwrap().tolerated, 0);
    }

    #[test]
    fn limits_of_older_plans_are_read_and_written_as_they_were() {
        let old = r#"{"max_failures":1,"max_failure_percent":null,"max_consecutive":null,"same_cause":2}"#;
        let limits: Limits = serde_json::from_str(old).unwrap();
        assert_eq!(serde_json::to_string(&limits).unwrap(), old);
    }

    #[test]
    fn no_limit_never_trips_and_the_smaller_of_two_holds() {
        let mut tally = Tally::default();
        for _ in 0..99 {
            tally.fail(&cause(ErrorClass::Permission, "42501"));
        }
        assert_eq!(judge(&Limits::default(), &tally), None);
        let both = Limits {
            max_failures: Some(3),
            max_failure_percent: Some(2),
            ..Limits::default()
        };
        assert_eq!(both.tolerated(), Some(2));
        assert_eq!(Limits::default().tolerated(), None);
    }

    #[test]
    fn forgiving_never_goes_below_zero() {
        let mut tally = Tally::default();
        tally.fail(&cause(ErrorClass::Permission, "42501"));
        tally.forgive("permission/42501", 3);
        assert_eq!((tally.failed, tally.by_cause.len()), (0, 0));
    }
}
