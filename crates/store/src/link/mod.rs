//! The thin seam under the verbs: a connection, values in and out, and the few words in which dialects differ.

mod connection;
mod dialect;
mod fault;
mod local;
mod pool;
mod postgres;
mod sqlite;
mod statement;
mod tx;
mod value;

pub(crate) use connection::Connector;
pub(crate) use fault::{Fault, corrupt};
pub(crate) use pool::Pool;
pub(crate) use postgres::PostgresConnector;
pub(crate) use sqlite::SqliteConnector;
pub(crate) use tx::{Tx, each};
pub(crate) use value::{Row, Value, values};
