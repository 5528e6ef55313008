#![doc = include_str!("../README.md")]

mod migration;

pub use migration::{Dialect, Statement};
