//! `bake` and `gates` of a wave.

use std::collections::BTreeSet;
use std::time::Duration;

use sanderling_core::gate::{
    Bake, Baseline, Condition, Gate, GateKind, Number, OnNoData, Promql, Reduce, Samples,
};
use sanderling_registry::nearest;

use super::providers::PROVIDERS;
use super::reader::{Path, Reader, below, path};

/// Shorter pauses would only load the provider.
const LEAST_INTERVAL: Duration = Duration::from_millis(100);
/// More measurements than this say no more.
const MOST_MEASUREMENTS: u32 = 1_000;

/// The gates of a wave in order: its bake first.
pub(super) fn read(reader: &mut Reader<'_>, wave: &Path) -> Vec<Gate> {
    let mut gates = Vec::new();
    gates.extend(bake(reader, &below(wave, "bake")));
    let list = below(wave, "gates");
    let mut names = BTreeSet::new();
    for element in reader.names(&list) {
        let at = below(&list, &element);
        if element.parse::<usize>().is_err() {
            reader.problem(
                &list,
                "must be a list: write [[rollout.waves.gates]] for each gate",
            );
            break;
        }
        let Some(gate) = promql(reader, &at) else {
            continue;
        };
        if gate.name == Gate::BAKE || !names.insert(gate.name.clone()) {
            let why = format!(
                "a second gate is called {:?}; names must be unique in a wave",
                gate.name
            );
            reader.problem(&at, why);
        }
        if let Err(error) = gate.validate() {
            reader.problem(&at, error.to_string());
        }
        gates.push(gate);
    }
    gates
}

/// `bake = "10m"`, or a table with `duration` and `min_samples`.
fn bake(reader: &mut Reader<'_>, at: &Path) -> Option<Gate> {
    if !reader.has(at) {
        return None;
    }
    if reader.names(at).is_empty() {
        let duration = reader.duration(at, Duration::ZERO)?;
        return Some(baked(duration, None));
    }
    let key = below(at, "duration");
    if !reader.has(&key) {
        reader.problem(at, "has no `duration`, as in { duration = \"10m\" }");
    }
    let duration = reader.duration(&key, Duration::ZERO)?;
    let (least, query) = (below(at, "min_samples"), below(at, "samples"));
    if reader.has(&least) != reader.has(&query) {
        reader.problem(
            at,
            "`min_samples` and `samples` go together: how many there must be, and the query that counts them",
        );
        return None;
    }
    let samples = if reader.has(&query) {
        Some(Samples {
            provider: provider(reader, at)?,
            query: reader.text(&query)?,
            at_least: reader.number(&least).map(Number::new)?,
            interval_ms: millis(reader, at, "interval", LEAST_INTERVAL, 30_000),
            timeout_ms: millis(reader, at, "timeout", LEAST_INTERVAL, 10_000),
            give_up_after_ms: millis(
                reader,
                at,
                "give_up_after",
                LEAST_INTERVAL,
                u64::try_from(duration.as_millis())
                    .unwrap_or(u64::MAX)
                    .saturating_mul(3),
            ),
        })
    } else {
        for key in ["provider", "interval", "timeout", "give_up_after"] {
            if reader.has(&below(at, key)) {
                reader.problem(&below(at, key), "is for `min_samples`, which is not there");
            }
        }
        None
    };
    let gate = baked(duration, samples);
    if let Err(error) = gate.validate() {
        reader.problem(at, error.to_string());
    }
    Some(gate)
}

fn baked(duration: Duration, samples: Option<Samples>) -> Gate {
    Gate {
        name: Gate::BAKE.into(),
        kind: GateKind::Bake(Bake {
            duration_ms: u64::try_from(duration.as_millis()).unwrap_or(u64::MAX),
            samples,
        }),
    }
}

fn promql(reader: &mut Reader<'_>, at: &Path) -> Option<Gate> {
    for key in ["name", "promql"] {
        if !reader.has(&below(at, key)) {
            let why = format!("a gate needs a `{key}`; this one has none");
            reader.problem(at, why);
        }
    }
    let (name, query) = (
        reader.text(&below(at, "name")),
        reader.text(&below(at, "promql")),
    );
    let provider = provider(reader, at);
    let baseline = baseline(reader, at);
    let (pass, fail) = (
        condition(reader, &below(at, "pass")),
        condition(reader, &below(at, "fail")),
    );
    let reduce = choice(
        reader,
        &below(at, "reduce"),
        &[
            ("max", Reduce::Max),
            ("all", Reduce::All),
            ("any", Reduce::Any),
        ],
    );
    let on_no_data = choice(
        reader,
        &below(at, "on_no_data"),
        &[
            ("inconclusive", OnNoData::Inconclusive),
            ("fail", OnNoData::Fail),
        ],
    );
    let count = reader.count(&below(at, "count"), 1).unwrap_or(5);
    if count > MOST_MEASUREMENTS {
        let why = format!("must be at most {MOST_MEASUREMENTS}");
        reader.problem(&below(at, "count"), why);
    }
    let mut limit = |key: &str, default: u32| reader.count(&below(at, key), 0).unwrap_or(default);
    let (failure_limit, inconclusive_limit, error_limit) = (
        limit("failure_limit", 0),
        limit("inconclusive_limit", 0),
        limit("error_limit", 4),
    );
    let unread = [
        ("pass", pass.is_none()),
        ("fail", fail.is_none()),
        ("baseline", baseline.is_none()),
    ];
    if unread
        .iter()
        .any(|(key, none)| *none && reader.has(&below(at, key)))
    {
        // What is wrong with it has been said; that nothing passes is not the matter.
        return None;
    }
    let spec = Promql {
        provider: provider?,
        query: query?,
        baseline,
        pass,
        fail,
        reduce,
        on_no_data: on_no_data.unwrap_or_default(),
        initial_delay_ms: millis(reader, at, "initial_delay", Duration::ZERO, 0),
        interval_ms: millis(reader, at, "interval", LEAST_INTERVAL, 60_000),
        count,
        timeout_ms: millis(reader, at, "timeout", LEAST_INTERVAL, 10_000),
        failure_limit,
        inconclusive_limit,
        error_limit,
    };
    Some(Gate {
        name: name?,
        kind: GateKind::Promql(spec),
    })
}

fn baseline(reader: &mut Reader<'_>, at: &Path) -> Option<Baseline> {
    let (query, ratio, least) = (
        below(at, "baseline"),
        below(at, "max_ratio"),
        below(at, "min_abs"),
    );
    if !reader.has(&query) {
        for key in [ratio, least] {
            if reader.has(&key) {
                reader.problem(&key, "is for `baseline`, which is not there");
            }
        }
        return None;
    }
    if !reader.has(&ratio) {
        reader.problem(
            at,
            "`baseline` needs `max_ratio`: the value may be at most so many times the baseline",
        );
    }
    let min_abs = reader.number(&least).unwrap_or(0.0);
    Some(Baseline {
        query: reader.text(&query)?,
        max_ratio: reader.number(&ratio).map(Number::new)?,
        min_abs: Number::new(min_abs),
    })
}

/// The provider that is named; the only one where none is.
fn provider(reader: &mut Reader<'_>, at: &Path) -> Option<String> {
    let known = reader.names(&path(PROVIDERS));
    let key = below(at, "provider");
    if !reader.has(&key) {
        if let [only] = &known[..] {
            return Some(only.clone());
        }
        let why = if known.is_empty() {
            "asks a provider, and none is configured; add [gates.providers.main] with a `url`"
                .to_owned()
        } else {
            format!("needs a `provider`: one of {}", known.join(", "))
        };
        reader.problem(at, why);
        return None;
    }
    let name = reader.text(&key)?;
    if known.contains(&name) {
        return Some(name);
    }
    let hint = nearest(&name, known.iter().map(String::as_str))
        .map(|meant| format!("; did you mean {meant:?}?"))
        .unwrap_or_default();
    let why = format!("there is no [gates.providers.{name}]{hint}");
    reader.problem(&key, why);
    None
}

fn condition(reader: &mut Reader<'_>, at: &Path) -> Option<Condition> {
    let text = reader.text(at)?;
    Condition::parse(&text)
        .map_err(|error| reader.problem(at, error.to_string()))
        .ok()
}

fn choice<T: Copy>(reader: &mut Reader<'_>, at: &Path, choices: &[(&str, T)]) -> Option<T> {
    let text = reader.text(at)?;
    let found = choices.iter().find(|(name, _)| *name == text);
    if found.is_none() {
        let names: Vec<_> = choices
            .iter()
            .map(|(name, _)| format!("{name:?}"))
            .collect();
        reader.problem(at, format!("must be one of {}", names.join(", ")));
    }
    found.map(|(_, choice)| *choice)
}

fn millis(reader: &mut Reader<'_>, at: &Path, key: &str, least: Duration, default: u64) -> u64 {
    reader
        .duration(&below(at, key), least)
        .map_or(default, |d| {
            u64::try_from(d.as_millis()).unwrap_or(u64::MAX)
        })
}

#[cfg(test)]
mod tests {
    use super::super::tests::{more, problem};
    use super::*;

    const MAIN: &str = "[gates.providers.main]\nurl = \"http://u:hunter2@prom:9090\"\n";
    const REST: &str = "[[rollout.waves]]\nrest = true\n";

    /// The gates of a canary with these lines.
    fn gates(wave: &str) -> Vec<Gate> {
        let text = format!("{MAIN}[[rollout.waves]]\ncount = 5\n{wave}\n{REST}");
        more(&text).rollout.waves[0].gates.clone()
    }

    #[test]
    fn a_bake_is_a_time_and_may_want_samples() {
        let [gate] = &gates("bake = '10m'")[..] else {
            panic!("one gate");
        };
        assert_eq!((gate.name.as_str(), gate.least_ms()), ("bake", 600_000));
        let text = "bake = { duration = '1m', min_samples = 100, samples = 'sum(requests)' }";
        let GateKind::Bake(bake) = gates(text)[0].kind.clone() else {
            panic!("a bake");
        };
        let samples = bake.samples.unwrap();
        assert_eq!(samples.provider, "main", "the only one");
        assert_eq!(samples.at_least, Number::new(100.0));
        assert_eq!(
            (samples.interval_ms, samples.give_up_after_ms),
            (30_000, 180_000)
        );
    }

    #[test]
    fn a_query_has_conditions_and_defaults() {
        let gate = gates("gates = [{ name = 'errors', promql = 'e', pass = 'value < 0.01' }]");
        let GateKind::Promql(promql) = &gate[0].kind else {
            panic!("a query");
        };
        assert_eq!(promql.on_no_data, OnNoData::Inconclusive);
        assert_eq!(
            (promql.count, promql.interval_ms, promql.timeout_ms),
            (5, 60_000, 10_000)
        );
        let limits = (
            promql.failure_limit,
            promql.inconclusive_limit,
            promql.error_limit,
        );
        assert_eq!(limits, (0, 0, 4));
        let gate = gates(
            "bake = '1s'\n[[rollout.waves.gates]]\nname = 'a'\npromql = 'e'\nbaseline = 'e offset 1d'\nmax_ratio = 1.2\n\
             [[rollout.waves.gates]]\nname = 'b'\npromql = 'e'\npass = 'value == 0'\nreduce = 'max'\non_no_data = 'fail'\n",
        );
        let names: Vec<_> = gate.iter().map(|gate| gate.name.as_str()).collect();
        assert_eq!(names, ["bake", "a", "b"]);
    }

    #[test]
    fn what_is_wrong_with_a_gate_is_said_where_it_stands() {
        let gate = |keys: &str| {
            format!("{MAIN}[[rollout.waves]]\ncount = 5\ngates = [{{ {keys} }}]\n{REST}")
        };
        for (text, says) in [
            (
                gate("name = 'e', promql = 'e'"),
                "neither `pass` nor `baseline`",
            ),
            (gate("promql = 'e', pass = 'value < 1'"), "needs a `name`"),
            (gate("name = 'e', pass = 'value < 1'"), "needs a `promql`"),
            (
                gate("name = 'e', promql = 'e', pass = 'errors < 1'"),
                "is no condition",
            ),
            (
                gate("name = 'bake', promql = 'e', pass = 'value < 1'"),
                "a second gate",
            ),
            (
                gate("name = 'e', promql = 'e', pass = 'value < 1', provider = 'mian'"),
                "did you mean \"main\"?",
            ),
            (
                gate("name = 'e', promql = 'e', pass = 'value < 1', reduce = 'min'"),
                "must be one of",
            ),
            (
                gate("name = 'e', promql = 'e', pass = 'value < 1', cuont = 1"),
                "did you mean `count`?",
            ),
            (
                gate("name = 'e', promql = 'e{{tenant}}', pass = 'value < 1'"),
                "stands for nothing",
            ),
            (
                gate("name = 'e', promql = 'e', pass = 'value < 1', failure_limit = 5"),
                "less than `count`",
            ),
            (
                gate("name = 'e', promql = 'e', pass = 'value < 1', max_ratio = 5"),
                "is for `baseline`",
            ),
            (
                format!(
                    "[[rollout.waves]]\ncount = 5\nbake = {{ duration = '1s', min_samples = 1, samples = 'e' }}\n{REST}"
                ),
                "none is configured",
            ),
            (
                format!(
                    "[[rollout.waves]]\ncount = 5\nbake = {{ duration = '1s', min_samples = 1 }}\n{REST}"
                ),
                "go together",
            ),
            (
                format!("[[rollout.waves]]\ncount = 5\nbake = 'soon'\n{REST}"),
                "must be a duration",
            ),
            (
                "[[rollout.waves]]\nrest = true\nbake = '1m'\n".to_owned(),
                "a gate stands between two",
            ),
        ] {
            let said = problem(&text);
            assert!(said.contains(says), "{text}: {said}");
            assert!(!said.contains("hunter2"), "{said}");
        }
    }
}
