//! SQLite, one file per tenant: statement by statement in one `BEGIN IMMEDIATE` transaction.

mod catalog;
mod driver;
mod errors;
mod files;
mod reader;
mod session;
mod tokens;
mod watch;

pub(crate) use driver::SqliteDriver;
