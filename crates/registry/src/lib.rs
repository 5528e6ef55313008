#![doc = include_str!("../README.md")]

mod nearest;
mod problem;
pub mod tenants;

pub use nearest::nearest;
pub use problem::{Problem, RegistryError};
pub use tenants::{HostKind, Tenants};
