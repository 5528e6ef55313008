#![doc = include_str!("../README.md")]

mod probes;
mod server;

pub use probes::Ready;
pub use server::{ListenError, Listening, Server, upkeep};
