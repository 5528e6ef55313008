//! `value < 0.01`: what a measured value is held against.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::Number;

/// A comparison of the measured value with a number, written `value < 0.01`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct Condition {
    compare: Compare,
    bound: Number,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Compare {
    Less,
    AtMost,
    Greater,
    AtLeast,
    Equal,
    Different,
}

impl Compare {
    /// Longer signs first: `<=` begins with `<`.
    const ALL: [(&'static str, Self); 6] = [
        ("<=", Self::AtMost),
        (">=", Self::AtLeast),
        ("==", Self::Equal),
        ("!=", Self::Different),
        ("<", Self::Less),
        (">", Self::Greater),
    ];

    fn sign(self) -> &'static str {
        let found = Self::ALL.iter().find(|(_, compare)| *compare == self);
        found.map_or("", |(sign, _)| sign)
    }
}

/// A condition that cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{0}` is no condition; write `value`, one of < <= > >= == != and a number, as in `value < 0.01`"
)]
pub struct ConditionError(String);

impl Condition {
    /// Reads `value < 0.01`.
    ///
    /// # Errors
    /// Text that is no such comparison with a finite number.
    pub fn parse(text: &str) -> Result<Self, ConditionError> {
        let refuse = || ConditionError(text.to_owned());
        let rest = text.trim().strip_prefix("value").ok_or_else(refuse)?;
        let rest = rest.trim_start();
        let (compare, bound) = Compare::ALL
            .into_iter()
            .find_map(|(sign, compare)| Some((compare, rest.strip_prefix(sign)?)))
            .ok_or_else(refuse)?;
        let bound = Number::parse(bound)
            .filter(|n| n.is_finite())
            .ok_or_else(refuse)?;
        Ok(Self { compare, bound })
    }

    /// Whether it holds. Nothing holds for NaN, `!=` included: it is no evidence.
    #[expect(
        clippy::float_cmp,
        reason = "`==` in a condition is what was written: exact"
    )]
    pub fn holds(self, value: f64) -> bool {
        let bound = self.bound.get();
        match self.compare {
            Compare::Less => value < bound,
            Compare::AtMost => value <= bound,
            Compare::Greater => value > bound,
            Compare::AtLeast => value >= bound,
            Compare::Equal => value == bound,
            Compare::Different => !value.is_nan() && value != bound,
        }
    }
}

impl fmt::Display for Condition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "value {} {}", self.compare.sign(), self.bound)
    }
}

impl From<Condition> for String {
    fn from(condition: Condition) -> Self {
        condition.to_string()
    }
}

impl TryFrom<String> for Condition {
    type Error = ConditionError;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        Self::parse(&text)
    }
}
