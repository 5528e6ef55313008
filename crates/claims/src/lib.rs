#![doc = include_str!("../README.md")]

mod access;
mod bell;
mod connect;
mod memory;
mod metered;
mod port;
mod redis;

pub use access::{Access, Identity};
pub use connect::{Pong, connect, ping};
pub use port::{Claims, ClaimsError, LockKey};
