//! The text of `--waves`.

use super::{Select, WaveError, WaveSpec, validate};
use crate::selector::Selector;

/// Parses `[name=](N | N% | rest)` and `name:label=value`, separated by commas, and validates the list.
///
/// A wave without a name is called `canary` if it is the first, `rest` if it takes the rest, else `wave-<number>`.
/// The first wave is strict; where it is given by count it tolerates no failure (see [`WaveSpec::limits`]).
///
/// # Errors
/// The part that cannot be read, or what [`validate`] finds.
pub fn parse(text: &str) -> Result<Vec<WaveSpec>, WaveError> {
    let waves = text
        .split(',')
        .enumerate()
        .map(|(index, part)| wave(index, part.trim()))
        .collect::<Result<Vec<_>, _>>()?;
    validate(&waves)?;
    Ok(waves)
}

fn wave(index: usize, part: &str) -> Result<WaveSpec, WaveError> {
    if let Some((name, terms)) = part.split_once(':') {
        let name = named(part, name)?;
        return match Selector::parse(terms) {
            Ok(selector) => Ok(WaveSpec::new(name, Select::Labels(selector))),
            Err(error) => Err(WaveError::Selector { name, error }),
        };
    }
    let (name, amount) = match part.split_once('=') {
        Some((name, amount)) => (Some(named(part, name)?), amount.trim()),
        None => (None, part),
    };
    let select = amount_of(amount).ok_or_else(|| WaveError::Unreadable(part.into()))?;
    let name = name.unwrap_or_else(|| match select {
        Select::Rest => "rest".into(),
        _ if index == 0 => "canary".into(),
        _ => format!("wave-{}", index + 1),
    });
    Ok(WaveSpec::new(name, select))
}

fn named(part: &str, name: &str) -> Result<String, WaveError> {
    match name.trim() {
        "" => Err(WaveError::NoName(part.into())),
        name => Ok(name.into()),
    }
}

fn amount_of(text: &str) -> Option<Select> {
    if text == "rest" {
        return Some(Select::Rest);
    }
    let digits = |c: char| c.is_ascii_digit() || c == '.';
    match text.strip_suffix('%') {
        Some(percent) if percent.trim_end().chars().all(digits) => {
            percent.trim_end().parse().ok().map(Select::Percent)
        }
        Some(_) => None,
        None => text.parse().ok().map(Select::Count),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_percentages_labels_and_the_rest() {
        let waves = parse("5, beta:plan=beta, early=12.5%, 20%, rest").unwrap();
        let names: Vec<_> = waves.iter().map(|w| w.name.as_str()).collect();
        assert_eq!(names, ["canary", "beta", "early", "wave-4", "rest"]);
        assert_eq!(waves[0].select, Select::Count(5));
        assert_eq!(waves[2].select, Select::Percent(12.5));
        assert_eq!(
            waves[1].select,
            Select::Labels(Selector::parse("plan=beta").unwrap())
        );
        assert_eq!(waves[0].limits(0).max_failures, Some(0));
        assert!(waves[0].is_strict(0) && !waves[3].is_strict(3));
        assert_eq!(waves[3].limits(3).max_failures, None);
        assert_eq!(parse("rest").unwrap().len(), 1);
    }

    #[test]
    fn what_cannot_be_read_is_named() {
        for (text, says) in [
            ("", "wave `` is none of"),
            ("five,rest", "wave `five` is none of"),
            ("-5,rest", "wave `-5` is none of"),
            ("1e2%,rest", "wave `1e2%` is none of"),
            ("=5,rest", "wave `=5` has no name"),
            ("x:plan=,rest", "wave x: `plan=` has no value"),
            ("a=5,a=10%,rest", "two waves are called a"),
            ("5,10%", "add `rest`"),
            ("150%,rest", "percent must be"),
        ] {
            let error = parse(text).unwrap_err().to_string();
            assert!(error.contains(says), "{text}: {error}");
        }
    }
}
