//! `[[rollout.waves]]`.

use std::collections::BTreeSet;

use sanderling_core::selector::{Glob, Selector};
use sanderling_core::waves::{Coverage, KNOWN_FAILURES, Select, WaveSpec};

use super::reader::{Path, Reader, below, path};
use super::{gates, policy};

/// What a wave may choose its tenants by.
const SELECTORS: [&str; 6] = ["count", "percent", "labels", "tenants", "coverage", "rest"];

/// The configured waves, in order.
pub(super) fn read(reader: &mut Reader<'_>) -> Vec<WaveSpec> {
    let list = path("rollout.waves");
    let elements = reader.names(&list);
    if elements.iter().any(|name| name.parse::<usize>().is_err()) {
        reader.problem(
            &list,
            "must be a list: write [[rollout.waves]] for each wave",
        );
        return Vec::new();
    }
    let last = elements.len().saturating_sub(1);
    let mut names = BTreeSet::new();
    let mut waves = Vec::new();
    for (position, element) in elements.iter().enumerate() {
        let at = below(&list, element);
        let Some(wave) = wave(reader, &at, position) else {
            continue;
        };
        if !names.insert(wave.name.clone()) {
            reader.problem(
                &at,
                format!(
                    "a second wave is called {:?}; names must be unique",
                    wave.name
                ),
            );
        }
        if (wave.select == Select::Rest) != (position == last) {
            reader.problem(
                &at,
                if position == last {
                    "the last wave must have `rest = true`, so that no tenant is forgotten"
                } else {
                    "`rest = true` takes every tenant that is left; it must be the last wave"
                },
            );
        }
        waves.push(wave);
    }
    waves
}

fn wave(reader: &mut Reader<'_>, at: &Path, position: usize) -> Option<WaveSpec> {
    let name = reader
        .text(&below(at, "name"))
        .unwrap_or_else(|| format!("wave-{}", position + 1));
    if name.is_empty() || name.contains(|c: char| c.is_control() || matches!(c, '=' | ',' | ':')) {
        reader.problem(
            at,
            "a wave's name must not be empty and not contain `=`, `,` or `:`",
        );
    }
    if name == KNOWN_FAILURES {
        reader.problem(
            at,
            "known-failures is the name of the wave for tenants that failed before; give this one another",
        );
    }
    let concurrency = reader.count(&below(at, "concurrency"), 1);
    let halt = policy::halt(reader, &below(at, "halt"));
    let gates = gates::read(reader, at);
    let select = selector(reader, at)?;
    if select == Select::Rest && !gates.is_empty() {
        reader.problem(
            at,
            "is the last wave, and a gate stands between two; put `bake` and `gates` on an earlier one",
        );
    }
    Some(WaveSpec {
        name,
        select,
        concurrency,
        strict: None,
        halt,
        gates,
    })
}

fn selector(reader: &mut Reader<'_>, at: &Path) -> Option<Select> {
    let given: Vec<_> = SELECTORS
        .into_iter()
        .filter(|s| reader.has(&below(at, s)))
        .collect();
    let [selector] = given[..] else {
        reader.problem(at, format!(
            "a wave has exactly one of `count`, `percent`, `labels`, `tenants`, `coverage` and `rest`; this one has {}",
            if given.is_empty() { "none".to_owned() } else { given.join(" and ") }
        ));
        return None;
    };
    let key = below(at, selector);
    match selector {
        "count" => reader.count(&key, 1).map(Select::Count),
        "percent" => {
            let percent = reader.percent(&key)?;
            if percent <= 0.0 {
                reader.problem(&key, "must be more than 0");
            }
            Some(Select::Percent(percent))
        }
        "labels" => labels(reader, &key),
        "tenants" => tenants(reader, &key),
        "coverage" => Some(Select::Coverage(coverage(reader, &key))),
        _ => {
            let rest = reader.flag(&key)?;
            if !rest {
                reader.problem(&key, "must be true, or be left out");
            }
            Some(Select::Rest)
        }
    }
}

fn tenants(reader: &mut Reader<'_>, at: &Path) -> Option<Select> {
    let ids = reader.list(at)?;
    if ids.is_empty() || ids.iter().any(String::is_empty) {
        reader.problem(
            at,
            "must name at least one tenant, as in [\"acme\", \"beta-*\"]",
        );
        return None;
    }
    Some(Select::Tenants(ids.into_iter().map(Glob::new).collect()))
}

fn coverage(reader: &mut Reader<'_>, at: &Path) -> Coverage {
    let default = Coverage::default();
    let keys = below(at, "keys");
    let coverage = Coverage {
        keys: reader.list(&keys).unwrap_or(default.keys),
        min: reader.count(&below(at, "min"), 0).unwrap_or(default.min),
        max: reader.amount(&below(at, "max")).unwrap_or(default.max),
    };
    if coverage.keys.is_empty() || coverage.keys.iter().any(String::is_empty) {
        reader.problem(
            &keys,
            "must name at least one key, as in [\"engine\", \"plan\"]",
        );
    }
    if coverage.min == 0 && coverage.max.up(u64::MAX) == 0 {
        reader.problem(at, "`max` and `min` are 0, so it would take nobody");
    }
    coverage
}

fn labels(reader: &mut Reader<'_>, at: &Path) -> Option<Select> {
    let mut terms = Vec::new();
    for name in reader.names(at) {
        let value = reader.text(&below(at, &name))?;
        terms.push(format!("{name}={value}"));
    }
    if terms.is_empty() {
        reader.problem(
            at,
            "must name at least one label, as in { plan = \"free\" }",
        );
        return None;
    }
    match Selector::parse(&terms.join(",")) {
        Ok(selector) => Some(Select::Labels(selector)),
        Err(error) => {
            reader.problem(at, error.to_string());
            None
        }
    }
}
