//! Settings: defaults < `sanderling.toml` < `SANDERLING_*` < flags, typed and checked before anything is done.
//!
//! `keys` knows every key, `source` reads file and environment, `reader` turns values into types, `build` makes the
//! [`Settings`]. All that is wrong is reported at once, each with its line or its variable. Flags are the caller's:
//! it sets the fields.

mod build;
mod claims;
pub(crate) mod duration;
mod error;
mod gates;
mod keys;
mod locate;
mod model;
mod policy;
mod providers;
mod reader;
mod source;
mod url;
mod waves;

#[cfg(test)]
mod rollout_tests;
#[cfg(test)]
mod tests;

pub(crate) use duration::parse as duration;
pub(crate) use model::{HostSettings, Settings};
