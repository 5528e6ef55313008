//! PostgreSQL, a schema or a database per tenant: one message per tenant and version on a kept, dedicated connection.

mod budget;
mod catalog;
mod connect;
mod connections;
mod demand;
mod driver;
mod entries;
mod errors;
mod fence;
mod guard;
mod inspect;
mod message;
mod names;
mod normal;
mod ownership;
mod places;
mod rehearse;
mod role;
mod room;
mod session;
mod startup;
mod stepwise;
mod survey;
mod undo;
mod verdict;

pub(crate) use connections::Keeping;
pub(crate) use driver::PostgresDriver;
pub(crate) use errors::host_fault;
