//! Values in, rows out. The control store speaks two types: text and 64-bit integers, each or absent.

use sanderling_core::{
    BundleHash, Epoch, HostName, Micros, Nonce, RolloutId, TenantId, Version, WorkerId,
};
use serde::de::DeserializeOwned;

use super::fault::{Fault, corrupt};

/// A parameter or a column. The variant is the SQL type, also where the value is absent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Value {
    /// `text`.
    Text(Option<String>),
    /// `bigint`.
    Int(Option<i64>),
}

impl From<i64> for Value {
    fn from(n: i64) -> Self {
        Self::Int(Some(n))
    }
}

impl From<String> for Value {
    fn from(text: String) -> Self {
        Self::Text(Some(text))
    }
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Self::Text(Some(text.to_owned()))
    }
}

impl From<Micros> for Value {
    fn from(at: Micros) -> Self {
        at.0.into()
    }
}

impl From<Epoch> for Value {
    fn from(epoch: Epoch) -> Self {
        epoch.0.into()
    }
}

macro_rules! text_values {
    ($($id:ty),*) => {$(
        impl From<&$id> for Value {
            fn from(id: &$id) -> Self {
                id.as_str().into()
            }
        }
    )*};
}

text_values!(
    BundleHash, HostName, Nonce, RolloutId, TenantId, Version, WorkerId
);

/// The parameters after the fleet: `values![a, b]` are `$2` and `$3`.
macro_rules! values {
    ($($value:expr),* $(,)?) => {
        vec![$($crate::link::Value::from($value)),*]
    };
}
pub(crate) use values;

/// One row, read by the number of its column.
#[derive(Clone, Debug)]
pub(crate) struct Row(pub(super) Vec<Value>);

impl Row {
    /// The text of a column that may be absent.
    pub(crate) fn text_or_none(&self, column: usize) -> Result<Option<&str>, Fault> {
        match self.0.get(column) {
            Some(Value::Text(text)) => Ok(text.as_deref()),
            Some(Value::Int(None)) => Ok(None),
            other => Err(corrupt(format!("column {column} is {other:?}, not text"))),
        }
    }

    /// The number in a column that may be absent.
    pub(crate) fn int_or_none(&self, column: usize) -> Result<Option<i64>, Fault> {
        match self.0.get(column) {
            Some(Value::Int(n)) => Ok(*n),
            Some(Value::Text(None)) => Ok(None),
            other => Err(corrupt(format!(
                "column {column} is {other:?}, not a number"
            ))),
        }
    }

    /// The text of a column.
    pub(crate) fn text(&self, column: usize) -> Result<&str, Fault> {
        self.text_or_none(column)?
            .ok_or_else(|| corrupt(format!("column {column} is empty")))
    }

    /// The number in a column.
    pub(crate) fn int(&self, column: usize) -> Result<i64, Fault> {
        self.int_or_none(column)?
            .ok_or_else(|| corrupt(format!("column {column} is empty")))
    }

    /// A count, or another number that cannot be negative.
    pub(crate) fn count(&self, column: usize) -> Result<u64, Fault> {
        let n = self.int(column)?;
        u64::try_from(n).map_err(|_| corrupt(format!("column {column} is {n}, below 0")))
    }

    /// A column that holds 0 or 1.
    pub(crate) fn flag(&self, column: usize) -> Result<bool, Fault> {
        Ok(self.int(column)? != 0)
    }

    /// What a column holds as JSON.
    pub(crate) fn json<T: DeserializeOwned>(&self, column: usize) -> Result<T, Fault> {
        Ok(serde_json::from_str(self.text(column)?)?)
    }
}
