//! Typed ids: a tenant id is never mistaken for a host, nor an epoch for a count.

use std::cmp::Ordering;
use std::fmt;

use serde::{Deserialize, Serialize};

/// Declares a newtype over text that prints as the text itself.
macro_rules! text_id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(String);

        impl $name {
            /// Wraps the text as it is; who reads it from an operator checks it first.
            pub fn new(text: impl Into<String>) -> Self {
                Self(text.into())
            }

            /// The text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(&self.0)
            }
        }
    };
}

text_id!(
    /// A tenant, as the registry names it. Unique in a fleet.
    TenantId
);
text_id!(
    /// One run that takes chosen tenants to a version (a UUID v7, so it sorts by time).
    RolloutId
);
text_id!(
    /// The content hash of a bundle: 64 hex digits of SHA-256.
    BundleHash
);
text_id!(
    /// The hash of one canonical migration file: 64 hex digits of SHA-256.
    Checksum
);
text_id!(
    /// The alias of a database server in `[hosts.<name>]`.
    HostName
);
text_id!(
    /// A worker or coordinator process: `<kind>-<host>-<pid>-<random>`.
    WorkerId
);
text_id!(
    /// The identity of one control store, made when it is created; a fence names it.
    StoreId
);
text_id!(
    /// 128 random bits in hex that tell one claim attempt from every other.
    Nonce
);

/// A migration's version: the leading digits of its file name, kept as written.
///
/// Ordered as a number (`9 < 0010`), equal only as text; a bundle refuses two spellings of one number.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Version(String);

impl Version {
    /// Wraps digits; the migration parser has checked that they are digits.
    pub fn new(digits: impl Into<String>) -> Self {
        Self(digits.into())
    }

    /// Below every version: where a tenant is in which none is in effect. A migration called so counts as one, too.
    pub fn nothing() -> Self {
        Self::new("0")
    }

    /// The digits as written.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The digits without leading zeros: what versions are ordered by, the shorter one first.
    pub fn significant(&self) -> &str {
        self.0.trim_start_matches('0')
    }
}

impl Ord for Version {
    fn cmp(&self, other: &Self) -> Ordering {
        let (a, b) = (self.significant(), other.significant());
        a.len()
            .cmp(&b.len())
            .then_with(|| a.cmp(b))
            .then_with(|| self.0.cmp(&other.0))
    }
}

impl PartialOrd for Version {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

/// The number of a claim. Only grows, per (store, tenant), across rollouts; the control store issues it.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct Epoch(pub i64);

impl fmt::Display for Epoch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A moment: microseconds since the Unix epoch, UTC, by the control store's clock unless said otherwise.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct Micros(pub i64);

impl Micros {
    /// This moment plus a number of milliseconds.
    pub fn plus_millis(self, millis: u64) -> Self {
        Self(
            self.0.saturating_add(
                i64::try_from(millis)
                    .unwrap_or(i64::MAX)
                    .saturating_mul(1000),
            ),
        )
    }

    /// Whole milliseconds from `earlier` to this moment; 0 when `earlier` is later.
    pub fn millis_since(self, earlier: Self) -> u64 {
        u64::try_from(self.0.saturating_sub(earlier.0) / 1000).unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_order_as_numbers_and_keep_their_spelling() {
        let mut versions: Vec<_> = ["0010", "9", "20260101120000", "0009"]
            .map(Version::new)
            .into();
        versions.sort();
        assert_eq!(
            versions.iter().map(Version::as_str).collect::<Vec<_>>(),
            ["0009", "9", "0010", "20260101120000"]
        );
    }

    #[test]
    fn moments_never_overflow() {
        assert_eq!(Micros(i64::MAX).plus_millis(u64::MAX), Micros(i64::MAX));
        assert_eq!(Micros(1_000).millis_since(Micros(5_000)), 0);
    }
}
