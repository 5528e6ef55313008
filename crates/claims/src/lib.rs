#![doc = include_str!("../README.md")]

mod bell;
mod connect;
mod memory;
mod metered;
mod port;
mod redis;

pub use connect::{Pong, connect, ping};
pub use port::{Claims, ClaimsError, LockKey};
