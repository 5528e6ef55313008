//! One connection to the control store, and who opens them.

use async_trait::async_trait;

use super::dialect::Dialect;
use super::fault::Fault;
use super::value::{Row, Value};

/// One dedicated connection. Dropping it closes it, and the server rolls back what was open.
#[async_trait]
pub(crate) trait Connection: Send {
    /// Runs statements without parameters: BEGIN, COMMIT, ROLLBACK and our own DDL.
    async fn batch(&mut self, sql: &str) -> Result<(), Fault>;

    /// Runs one statement; the number of rows it changed.
    async fn exec(&mut self, sql: &str, args: Vec<Value>) -> Result<u64, Fault>;

    /// Runs one statement; its rows.
    async fn rows(&mut self, sql: &str, args: Vec<Value>) -> Result<Vec<Row>, Fault>;

    /// Whether it can serve another transaction.
    fn reusable(&self) -> bool {
        true
    }

    /// Whether somebody may have written under what it has just read, so that it must be read again.
    fn disturbed(&self) -> bool {
        false
    }
}

/// Opens connections to one store.
#[async_trait]
pub(crate) trait Connector: Send + Sync {
    /// A new connection.
    async fn connect(&self) -> Result<Box<dyn Connection>, Fault>;

    /// The dialect it speaks.
    fn dialect(&self) -> &'static Dialect;

    /// Where the store is, without credentials: for messages.
    fn place(&self) -> &str;
}
