//! The tenants of a fleet, from CSV, YAML and JSON files.

mod check;
mod delimited;
mod files;
mod list;
mod load;
mod reach;
mod row;
mod twins;

pub use check::HostKind;
pub use load::{Tenants, load, load_for};
pub use reach::ImplicitHost;
