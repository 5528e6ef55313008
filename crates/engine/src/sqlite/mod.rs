//! SQLite, one file per tenant: statement by statement in one `BEGIN IMMEDIATE` transaction.

mod ask;
mod between;
mod catalog;
mod driver;
mod errors;
mod files;
mod inspect;
mod keys;
mod leftovers;
mod reader;
mod session;
mod tables;
mod tokens;
mod watch;

pub(crate) use driver::SqliteDriver;
pub(crate) use errors::host_fault;
