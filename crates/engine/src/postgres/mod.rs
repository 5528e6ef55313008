//! PostgreSQL, one schema per tenant: one message per tenant and version on a kept, dedicated connection.

mod budget;
mod catalog;
mod connect;
mod connections;
mod driver;
mod errors;
mod guard;
mod message;
mod names;
mod normal;
mod ownership;
mod session;
mod survey;
mod verdict;

pub(crate) use driver::PostgresDriver;
