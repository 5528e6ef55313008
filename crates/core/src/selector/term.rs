//! One term of a selector.

use std::fmt;

use super::glob::Glob;
use crate::tenant::Tenant;

/// One condition on a tenant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Term {
    /// A bare word: this id.
    Only(String),
    /// `id=GLOB` or `id!=GLOB`.
    Id {
        /// The pattern.
        glob: Glob,
        /// Whether it must fit (`=`) or must not (`!=`).
        equal: bool,
    },
    /// `host=NAME` or `host!=NAME`.
    Host {
        /// The host's alias.
        name: String,
        /// `=` or `!=`.
        equal: bool,
    },
    /// `label=value` or `label!=value`.
    Label {
        /// The label.
        key: String,
        /// The value, exactly.
        value: String,
        /// `=` or `!=`.
        equal: bool,
    },
}

/// Why a selector could not be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SelectorError {
    /// Nothing between two commas, or nothing at all.
    #[error("the selector has an empty term; write for example `plan=pro,region!=us`")]
    Empty,
    /// `=value`.
    #[error("`{0}` names no label; write `label=value`")]
    NoKey(String),
    /// `label=`.
    #[error("`{0}` has no value; write `label=value`")]
    NoValue(String),
    /// More than one operator.
    #[error("`{0}` has more than one `=`; a term is `label=value` or `label!=value`")]
    TwoOperators(String),
    /// A bare word with wildcards.
    #[error("`{0}` is a bare word, which is one id as it stands; for a pattern write `id={0}`")]
    BareGlob(String),
    /// An id where labels and hosts decide.
    #[error(
        "`{0}` names tenants by id, and a worker serves by labels and hosts; write for example `region=eu` or `host=eu1`"
    )]
    ServesIds(String),
    /// Two bare ids.
    #[error(
        "all terms must hold, and no tenant is both `{first}` and `{second}`; use a pattern or a label"
    )]
    TwoIds {
        /// One id.
        first: String,
        /// The other.
        second: String,
    },
}

impl Term {
    /// Parses one term without surrounding space.
    pub(super) fn parse(text: &str) -> Result<Self, SelectorError> {
        if text.is_empty() {
            return Err(SelectorError::Empty);
        }
        let Some((left, value)) = text.split_once('=') else {
            if Glob::has_wildcards(text) {
                return Err(SelectorError::BareGlob(text.into()));
            }
            return Ok(Self::Only(text.into()));
        };
        let (key, equal) = match left.strip_suffix('!') {
            Some(key) => (key.trim(), false),
            None => (left.trim(), true),
        };
        let value = value.trim();
        if key.is_empty() {
            return Err(SelectorError::NoKey(text.into()));
        }
        if value.is_empty() {
            return Err(SelectorError::NoValue(text.into()));
        }
        if value.contains('=') {
            return Err(SelectorError::TwoOperators(text.into()));
        }
        Ok(match key {
            "id" => Self::Id {
                glob: Glob::new(value),
                equal,
            },
            "host" => Self::Host {
                name: value.into(),
                equal,
            },
            _ => Self::Label {
                key: key.into(),
                value: value.into(),
                equal,
            },
        })
    }

    /// The one id that this term allows, if it is a bare word.
    pub(super) fn single_id(&self) -> Option<&str> {
        match self {
            Self::Only(id) => Some(id),
            _ => None,
        }
    }

    /// Whether it holds for the tenant.
    pub fn matches(&self, tenant: &Tenant) -> bool {
        match self {
            Self::Only(id) => tenant.id.as_str() == id,
            Self::Id { glob, equal } => glob.matches(tenant.id.as_str()) == *equal,
            Self::Host { name, equal } => (tenant.place.host.as_str() == name) == *equal,
            Self::Label { key, value, equal } => (tenant.labels.get(key) == Some(value)) == *equal,
        }
    }
}

impl fmt::Display for Term {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let operator = |equal: &bool| if *equal { "=" } else { "!=" };
        match self {
            Self::Only(id) => f.write_str(id),
            Self::Id { glob, equal } => write!(f, "id{}{glob}", operator(equal)),
            Self::Host { name, equal } => write!(f, "host{}{name}", operator(equal)),
            Self::Label { key, value, equal } => write!(f, "{key}{}{value}", operator(equal)),
        }
    }
}
