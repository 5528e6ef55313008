//! Whether a list of waves can be planned at all.

use std::collections::BTreeSet;

use super::{Amount, KNOWN_FAILURES, Select, WaveError, WaveSpec};

/// Checks a list of waves: at least one, names unique, exactly one `rest` and it is the last, numbers in range.
///
/// # Errors
/// The first thing that is wrong, with the wave it is in.
pub fn validate(waves: &[WaveSpec]) -> Result<(), WaveError> {
    if waves.is_empty() {
        return Err(WaveError::None);
    }
    let mut names = BTreeSet::new();
    for wave in waves {
        if !names.insert(wave.name.as_str()) {
            return Err(WaveError::SameName(wave.name.clone()));
        }
        if wave.name == "rest" && wave.select != Select::Rest {
            return Err(WaveError::RestInName);
        }
        if wave.name == KNOWN_FAILURES {
            return Err(WaveError::Reserved);
        }
        numbers(wave)?;
        gates(wave)?;
    }
    match waves.iter().position(|w| w.select == Select::Rest) {
        None => Err(WaveError::NoRest),
        Some(at) if at + 1 < waves.len() => Err(WaveError::RestNotLast(waves[at].name.clone())),
        Some(at) if !waves[at].gates.is_empty() => {
            Err(WaveError::GateAtTheEnd(waves[at].name.clone()))
        }
        Some(_) => Ok(()),
    }
}

fn gates(wave: &WaveSpec) -> Result<(), WaveError> {
    let mut names = BTreeSet::new();
    for gate in &wave.gates {
        if !names.insert(gate.name.as_str()) {
            return Err(WaveError::SameGate {
                wave: wave.name.clone(),
                gate: gate.name.clone(),
            });
        }
        gate.validate().map_err(|error| WaveError::Gate {
            name: wave.name.clone(),
            error,
        })?;
    }
    Ok(())
}

fn numbers(wave: &WaveSpec) -> Result<(), WaveError> {
    let refuse = |what, range, given: String| {
        Err(WaveError::Range {
            name: wave.name.clone(),
            what,
            range,
            given,
        })
    };
    match &wave.select {
        Select::Count(0) => return refuse("count", "1 or more", "0".into()),
        Select::Percent(p) if !(*p > 0.0 && *p <= 100.0) => {
            return refuse("percent", "more than 0 and at most 100", p.to_string());
        }
        Select::Tenants(ids) if ids.is_empty() => {
            return refuse("tenants", "at least one id or pattern", "none".into());
        }
        Select::Coverage(c) if c.keys.is_empty() => {
            return refuse("coverage.keys", "at least one key", "none".into());
        }
        Select::Coverage(c) if matches!(c.max, Amount::Count(0)) && c.min == 0 => {
            return refuse("coverage.max", "1 or more", "0".into());
        }
        _ => {}
    }
    if wave.concurrency == Some(0) {
        return refuse("concurrency", "1 or more", "0".into());
    }
    match wave.halt.max_failure_percent {
        Some(p) if !(0.0..=100.0).contains(&p) => refuse(
            "halt.max_failure_percent",
            "between 0 and 100",
            p.to_string(),
        ),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_fault_is_named() {
        let count = |n| WaveSpec::new(format!("c{n}"), Select::Count(n));
        let percent = |p| WaveSpec::new("p", Select::Percent(p));
        let rest = WaveSpec::new("rest", Select::Rest);
        for (waves, says) in [
            (vec![], "no waves"),
            (vec![count(1)], "add `rest`"),
            (vec![rest.clone(), count(1)], "put it last"),
            (
                vec![count(1), count(1), rest.clone()],
                "two waves are called c1",
            ),
            (
                vec![count(0), rest.clone()],
                "wave c0: count must be 1 or more, not 0",
            ),
            (
                vec![percent(0.0), rest.clone()],
                "percent must be more than 0",
            ),
            (vec![percent(f64::NAN), rest.clone()], "percent must be"),
        ] {
            let error = validate(&waves).unwrap_err().to_string();
            assert!(error.contains(says), "{error}");
        }
        let misnamed = WaveSpec::new("rest", Select::Count(1));
        assert_eq!(validate(&[misnamed]), Err(WaveError::RestInName));
        let mut still = rest.clone();
        still.concurrency = Some(0);
        assert!(validate(&[still]).is_err());
        assert_eq!(validate(&super::super::default_waves()), Ok(()));
        assert_eq!(validate(&[rest]), Ok(()));
    }
}
