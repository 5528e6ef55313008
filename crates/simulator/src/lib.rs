#![doc = include_str!("../README.md")]

mod claims;
mod conditions;
mod fleet;
mod measured;
mod person;
mod queue;
mod run;
mod simulate;
mod target;

pub use conditions::{Conditions, Person};
pub use fleet::Shape;
pub use measured::Measured;
pub use simulate::{Ended, Simulated, simulate};
