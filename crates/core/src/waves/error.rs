//! Why waves could not be read or do not fit together.

use crate::gate::GateError;
use crate::selector::SelectorError;

/// A list of waves that cannot be planned.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum WaveError {
    /// There is no wave.
    #[error("there are no waves; the shortest list is `rest`")]
    None,
    /// A part of `--waves` that is neither a number, nor a percentage, nor `rest`, nor `name:label=value`.
    #[error(
        "wave `{0}` is none of `N`, `N%`, `rest` (each may be named: `canary=5`) and `name:label=value`"
    )]
    Unreadable(String),
    /// A name without a selector, or the other way round.
    #[error("wave `{0}` has no name before `=` or `:`")]
    NoName(String),
    /// A wave by labels whose selector cannot be read.
    #[error("wave {name}: {error}")]
    Selector {
        /// The wave.
        name: String,
        /// What is wrong with it.
        error: SelectorError,
    },
    /// Two waves of one name.
    #[error("two waves are called {0}; names must differ")]
    SameName(String),
    /// The name of the wave that takes what is left, on another one.
    #[error("wave rest does not take the rest; give it another name, for reports would mislead")]
    RestInName,
    /// The name of the wave that planning adds by itself.
    #[error(
        "a wave is called known-failures; that is the name of the wave for tenants that failed before, so give it another"
    )]
    Reserved,
    /// An id or pattern in `tenants` that no tenant of the registry has.
    #[error("wave {wave}: tenants names `{id}`, which is no tenant of the registry{hint}")]
    NoTenant {
        /// The wave.
        wave: String,
        /// As it is written.
        id: String,
        /// What may have been meant; empty, or from `; ` on.
        hint: String,
    },
    /// A key of `coverage` that no tenant of the registry has a value for.
    #[error(
        "wave {wave}: coverage has the key `{key}`, and no tenant of the registry has such a label; besides labels there are engine, engine_major, host and fingerprint"
    )]
    NoKey {
        /// The wave.
        wave: String,
        /// The key.
        key: String,
    },
    /// No wave takes what is left.
    #[error(
        "no wave takes the rest, so some tenants would be in none; add `rest` as the last wave"
    )]
    NoRest,
    /// Something after the wave that takes all that is left.
    #[error("wave {0} takes the rest, so no wave can come after it; put it last")]
    RestNotLast(String),
    /// A gate that stands before nothing.
    #[error(
        "wave {0} is the last, and a gate stands between two waves; put `bake` and `gates` on an earlier one"
    )]
    GateAtTheEnd(String),
    /// Two gates of one name.
    #[error("wave {wave} has two gates called {gate}; names must differ")]
    SameGate {
        /// The wave.
        wave: String,
        /// The gate.
        gate: String,
    },
    /// A gate that could never be judged.
    #[error("wave {name}: {error}")]
    Gate {
        /// The wave.
        name: String,
        /// What is wrong with it.
        error: GateError,
    },
    /// A number out of its range.
    #[error("wave {name}: {what} must be {range}, not {given}")]
    Range {
        /// The wave.
        name: String,
        /// Which number.
        what: &'static str,
        /// What it may be.
        range: &'static str,
        /// What it is.
        given: String,
    },
}
