#![doc = include_str!("../README.md")]

mod canonical;
mod diagnostic;
mod diff;
mod directive;
mod header;
mod lex;
mod migration;
mod name;
mod nearest;
mod position;
pub mod quote;
mod reading;
mod refuse;
mod sending;
mod set;
mod split;
mod undo;

pub use canonical::{Canonical, canonical};
pub use diagnostic::Diagnostic;
pub use diff::diff;
pub use header::{Allow, Header, Kind, Phase};
pub use migration::{Dialect, Migration, Statement, parse};
pub use position::position;
pub use sending::{Alone, Sending, Trace};
pub use set::parse_set;
