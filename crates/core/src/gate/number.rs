//! A number that survives JSON as it was read, NaN and infinities included.

use std::fmt;

use serde::{Deserialize, Serialize};

/// A number of a query's answer or of a condition, kept as its text in JSON.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct Number(f64);

impl Number {
    /// Wraps it.
    pub fn new(value: f64) -> Self {
        Self(value)
    }

    /// Reads it as Prometheus and people write it: `0.5`, `1e-3`, `NaN`, `+Inf`.
    pub fn parse(text: &str) -> Option<Self> {
        text.trim().parse().ok().map(Self)
    }

    /// The value.
    pub fn get(self) -> f64 {
        self.0
    }

    /// Whether it is neither NaN nor infinite.
    pub fn is_finite(self) -> bool {
        self.0.is_finite()
    }
}

impl PartialEq for Number {
    /// As evidence: NaN equals NaN.
    fn eq(&self, other: &Self) -> bool {
        self.0.total_cmp(&other.0).is_eq()
    }
}

impl Eq for Number {}

impl From<Number> for String {
    fn from(number: Number) -> Self {
        number.to_string()
    }
}

impl TryFrom<String> for Number {
    type Error = String;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        Self::parse(&text).ok_or_else(|| format!("`{text}` is no number"))
    }
}

impl fmt::Display for Number {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}
