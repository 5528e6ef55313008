#![doc = include_str!("../README.md")]

pub mod migrations;
mod nearest;
mod problem;
pub mod tenants;

pub use migrations::Migrations;
pub use nearest::nearest;
pub use problem::{Problem, RegistryError};
pub use tenants::{HostKind, Tenants};
