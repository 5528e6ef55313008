//! From a provider's answer to what it says.

use serde::{Deserialize, Serialize};

use super::spec::{Baseline, OnNoData, Promql, Reduce};
use super::{Gate, GateKind, Number, Verdict};

/// What a provider answered to one query.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Reading {
    /// The values of its series: one, none or several.
    Values(Vec<Number>),
    /// An answer of another type than a number: a string, a range.
    WrongType(String),
    /// No answer: the provider is away or slow, refuses, or answers with what cannot be read. In words.
    Failed(String),
}

/// One measurement of a gate, with its evidence.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Measurement {
    /// Its number in this evaluation of the gate, from 1.
    pub number: u32,
    /// What it says.
    pub result: Verdict,
    /// The value that was judged, where there was exactly one.
    pub value: Option<Number>,
    /// Why, in words.
    pub why: String,
    /// The query as it was sent.
    pub query: String,
    /// The provider's answer as it came, cut short.
    pub answer: String,
}

type Said = (Verdict, Option<Number>, String);

/// What an answer says to a gate: verdict, value, reason.
///
/// Nothing but a finite number that meets the conditions passes.
pub fn measure(gate: &Gate, reading: &Reading, baseline: Option<&Reading>) -> Said {
    match &gate.kind {
        GateKind::Bake(bake) => match &bake.samples {
            Some(samples) => {
                // Too few is not bad: more may come.
                let enough = |value: f64| {
                    let verdict = if value >= samples.at_least.get() {
                        Verdict::Pass
                    } else {
                        Verdict::Inconclusive
                    };
                    (verdict, format!("{value} of at least {}", samples.at_least))
                };
                one(reading, None, OnNoData::Inconclusive, enough)
            }
            None => (Verdict::Pass, None, "time is enough".into()),
        },
        GateKind::Promql(promql) => match &promql.baseline {
            None => one(reading, promql.reduce, promql.on_no_data, |value| {
                conditions(promql, value)
            }),
            Some(against) => compared(promql, against, reading, baseline),
        },
    }
}

/// The finite values of an answer, or what an answer without them says.
fn values(reading: &Reading, on_no_data: OnNoData) -> Result<Vec<f64>, Said> {
    let nothing = |why: String| {
        let verdict = match on_no_data {
            OnNoData::Inconclusive => Verdict::Inconclusive,
            OnNoData::Fail => Verdict::Fail,
        };
        (verdict, None, why)
    };
    match reading {
        Reading::Failed(why) => Err((Verdict::Error, None, why.clone())),
        Reading::WrongType(what) => Err((
            Verdict::Error,
            None,
            format!("the answer is {what}, not a number"),
        )),
        Reading::Values(values) if values.is_empty() => Err(nothing("no data".into())),
        Reading::Values(values) => match values.iter().find(|v| !v.is_finite()) {
            Some(odd) => {
                let (verdict, _, why) = nothing(format!("the value is {odd}"));
                Err((verdict, Some(*odd), why))
            }
            None => Ok(values.iter().map(|v| v.get()).collect()),
        },
    }
}

/// Judges the one value that there is, or that `reduce` makes of several.
fn one(
    reading: &Reading,
    reduce: Option<Reduce>,
    on_no_data: OnNoData,
    says: impl Fn(f64) -> (Verdict, String),
) -> Said {
    let values = match values(reading, on_no_data) {
        Ok(values) => values,
        Err(said) => return said,
    };
    if values.len() > 1 && reduce.is_none() {
        return several(values.len(), on_no_data);
    }
    // The worst, or the best; `max` judges the greatest value alone.
    let rank = |value: f64| match says(value).0 {
        Verdict::Fail => 3,
        Verdict::Error => 2,
        Verdict::Inconclusive => 1,
        Verdict::Pass => 0,
    };
    let chosen = match reduce {
        None | Some(Reduce::Max) => values.iter().copied().max_by(f64::total_cmp),
        Some(Reduce::All) => values.iter().copied().max_by_key(|v| rank(*v)),
        Some(Reduce::Any) => values.iter().copied().min_by_key(|v| rank(*v)),
    };
    let Some(value) = chosen else {
        return (Verdict::Inconclusive, None, "no data".into());
    };
    let (verdict, why) = says(value);
    let why = match values.len() {
        1 => why,
        n => format!("{why} (of {n} series)"),
    };
    (verdict, Some(Number::new(value)), why)
}

fn several(series: usize, on_no_data: OnNoData) -> Said {
    let verdict = match on_no_data {
        OnNoData::Inconclusive => Verdict::Inconclusive,
        OnNoData::Fail => Verdict::Fail,
    };
    let why = format!(
        "{series} series where one was meant: aggregate in the query, as in `sum(…)`; a gate may set `reduce` instead"
    );
    (verdict, None, why)
}

/// A value against `pass` and `fail`. Where both hold, it fails.
fn conditions(promql: &Promql, value: f64) -> (Verdict, String) {
    let fails = promql.fail.filter(|fail| fail.holds(value));
    let passes = promql.pass.filter(|pass| pass.holds(value));
    match (fails, passes) {
        (Some(fail), _) => (Verdict::Fail, format!("{value} meets fail: {fail}")),
        (None, Some(pass)) => (Verdict::Pass, format!("{value} meets pass: {pass}")),
        (None, None) => match (promql.pass, promql.fail) {
            (Some(pass), None) => (Verdict::Fail, format!("{value} does not meet pass: {pass}")),
            _ => (
                Verdict::Inconclusive,
                format!("{value} meets neither pass nor fail"),
            ),
        },
    }
}

/// A value against its baseline, and against the conditions where there are any: the worse of the two.
fn compared(
    promql: &Promql,
    against: &Baseline,
    reading: &Reading,
    baseline: Option<&Reading>,
) -> Said {
    let missing = Reading::Failed("the baseline was not asked for".into());
    let base = one(
        baseline.unwrap_or(&missing),
        promql.reduce,
        promql.on_no_data,
        |value| (Verdict::Pass, value.to_string()),
    );
    let (Verdict::Pass, Some(base)) = (base.0, base.1) else {
        return (base.0, None, format!("baseline: {}", base.2));
    };
    let base = base.get();
    one(reading, promql.reduce, promql.on_no_data, |value| {
        let (verdict, why) = ratio(against, value, base);
        if promql.pass.is_none() && promql.fail.is_none() {
            return (verdict, why);
        }
        // Without `pass` the conditions only can fail; a value that they do not is left to the ratio.
        let (other, more) = conditions(promql, value);
        match (verdict, other) {
            (Verdict::Fail, _) => (verdict, why),
            (_, Verdict::Fail) => (other, more),
            (Verdict::Pass, Verdict::Pass) => (verdict, why),
            (Verdict::Pass, _) if promql.pass.is_none() => (verdict, why),
            (Verdict::Pass, _) => (other, more),
            _ => (verdict, why),
        }
    })
}

fn ratio(against: &Baseline, value: f64, base: f64) -> (Verdict, String) {
    let Baseline {
        max_ratio, min_abs, ..
    } = against;
    if value <= min_abs.get() {
        let why = format!("{value} is not above min_abs, {min_abs}");
        return (Verdict::Pass, why);
    }
    if base < 0.0 {
        let why = format!("the baseline is {base}: no ratio to a negative number says anything");
        return (Verdict::Inconclusive, why);
    }
    let most = base * max_ratio.get();
    if !most.is_finite() {
        let why = format!("{max_ratio} times the baseline, {base}, is no number");
        return (Verdict::Inconclusive, why);
    }
    if value <= most {
        let why = format!("{value} is at most {max_ratio} times the baseline, {base}");
        (Verdict::Pass, why)
    } else {
        let why = format!("{value} is more than {max_ratio} times the baseline, {base}");
        (Verdict::Fail, why)
    }
}
