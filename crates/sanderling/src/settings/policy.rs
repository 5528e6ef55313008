//! `[rollout]`, `halt` and `[retry]`.

use std::collections::BTreeMap;
use std::time::Duration;

use sanderling_core::ErrorClass;
use sanderling_core::policy::{Atomic, Backoff, HOST_PATIENCE_MS};
use sanderling_core::retry::defaults;
use sanderling_core::selector::Selector;
use sanderling_core::waves::{Amount, HaltSpec};
use sanderling_registry::nearest;

use super::model::RolloutSettings;
use super::reader::{Path, Reader, below, path};
use super::waves;

/// `[rollout]` and `[retry]`, with their defaults.
pub(super) fn read(reader: &mut Reader<'_>) -> RolloutSettings {
    let least = Duration::from_millis(1);
    RolloutSettings {
        concurrency: reader.count(&path("rollout.concurrency"), 1).unwrap_or(16),
        atomic: atomic(reader),
        lock_timeout: reader
            .duration(&path("rollout.lock_timeout"), least)
            .unwrap_or(Duration::from_secs(1)),
        statement_timeout: reader
            .duration(&path("rollout.statement_timeout"), Duration::ZERO)
            .unwrap_or(Duration::ZERO),
        host_patience: reader
            .duration(&path("rollout.host_patience"), Duration::ZERO)
            .unwrap_or(Duration::from_millis(HOST_PATIENCE_MS)),
        waves: waves::read(reader),
        halt: halt(reader, &path("rollout.halt")),
        canary_exclude: canary_exclude(reader),
        known_failures: halt(reader, &path("rollout.known_failures.halt")),
        retry: retry(reader),
    }
}

fn canary_exclude(reader: &mut Reader<'_>) -> Option<Selector> {
    let key = path("rollout.canary_exclude");
    match Selector::parse(&reader.text(&key)?) {
        Ok(selector) => Some(selector),
        Err(error) => {
            reader.problem(&key, error.to_string());
            None
        }
    }
}

fn atomic(reader: &mut Reader<'_>) -> Atomic {
    let key = path("rollout.atomic");
    match reader.text(&key).as_deref() {
        None | Some("version") => Atomic::Version,
        Some("tenant") => Atomic::Tenant,
        Some(_) => {
            reader.problem(&key, "must be \"version\" or \"tenant\"");
            Atomic::Version
        }
    }
}

/// The limits below a `halt` key.
pub(super) fn halt(reader: &mut Reader<'_>, at: &Path) -> HaltSpec {
    HaltSpec {
        max_failures: reader.count(&below(at, "max_failures"), 0),
        max_failure_percent: reader.percent(&below(at, "max_failure_percent")),
        max_consecutive: reader.count(&below(at, "max_consecutive"), 0),
        same_cause: reader.count(&below(at, "same_cause"), 0),
        class_limits: class_limits(reader, &below(at, "class_limits")),
        stall_after_ms: millis(reader, &below(at, "stall_after")),
        max_duration_ms: millis(reader, &below(at, "max_duration")),
    }
}

/// A limit of time. Less than a second would halt for a pause between two looks.
fn millis(reader: &mut Reader<'_>, at: &Path) -> Option<u64> {
    let found = reader.duration(at, Duration::from_secs(1))?;
    Some(u64::try_from(found.as_millis()).unwrap_or(u64::MAX))
}

fn class_limits(reader: &mut Reader<'_>, at: &Path) -> BTreeMap<ErrorClass, Amount> {
    let mut limits = BTreeMap::new();
    for name in reader.names(at) {
        let key = below(at, &name);
        match ErrorClass::ALL.into_iter().find(|c| c.as_str() == name) {
            Some(class) => {
                limits.extend(reader.amount(&key).map(|amount| (class, amount)));
            }
            None => {
                let meant = nearest(&name, ErrorClass::ALL.map(ErrorClass::as_str));
                let hint = meant
                    .map(|m| format!("; did you mean `{m}`?"))
                    .unwrap_or_default();
                reader.problem(&key, format!("unknown error class{hint}"));
            }
        }
    }
    limits
}

fn retry(reader: &mut Reader<'_>) -> BTreeMap<ErrorClass, Backoff> {
    let mut budgets = defaults();
    for name in reader.names(&path("retry")) {
        let at = below(&path("retry"), &name);
        let Some(class) = ErrorClass::ALL.into_iter().find(|c| c.as_str() == name) else {
            let meant = nearest(&name, budgets.keys().map(|c| c.as_str()));
            let hint = meant
                .map(|m| format!("; did you mean `{m}`?"))
                .unwrap_or_default();
            reader.problem(&at, format!("unknown error class{hint}"));
            continue;
        };
        if !budgets.contains_key(&class) {
            reader.problem(&at, "this class is not retried by itself: the same attempt would fail the same way; use `sanderling rollout retry`");
            continue;
        }
        if let Some(default) = budgets.get(&class).copied() {
            budgets.insert(class, budget(reader, &at, default));
        }
    }
    budgets
}

fn budget(reader: &mut Reader<'_>, at: &Path, default: Backoff) -> Backoff {
    let mut millis = |key: &str| {
        let found = reader.duration(&below(at, key), Duration::from_millis(1));
        found.map(|d| u64::try_from(d.as_millis()).unwrap_or(u64::MAX))
    };
    let (base, max) = (millis("base"), millis("max"));
    let attempts = reader
        .count(&below(at, "attempts"), 1)
        .unwrap_or(default.attempts);
    let base_ms = base.unwrap_or(default.base_ms.min(max.unwrap_or(u64::MAX)));
    let max_ms = max.unwrap_or(default.max_ms.max(base_ms));
    if max_ms < base_ms {
        reader.problem(at, "`max` is shorter than `base`");
    }
    Backoff {
        attempts,
        base_ms,
        max_ms,
    }
}
