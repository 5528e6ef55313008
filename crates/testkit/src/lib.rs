#![doc = include_str!("../README.md")]

mod certificates;
mod home;
mod names;
mod pgbouncer;
mod postgres;
mod process;
mod prometheus;
mod proxy;
mod redis;
mod server;
mod spawn;
mod until;

pub use certificates::{Authority, Signed};
pub use names::{free_port, scratch, unique};
pub use pgbouncer::Pgbouncer;
pub use postgres::Postgres;
pub use process::{Ended, Process, Signal};
pub use prometheus::{App, Prometheus};
pub use proxy::{Fault, Message, Proxy, Trap};
pub use redis::{Redis, Sentinels};
pub use until::{Observation, until, until_async};
