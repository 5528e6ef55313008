//! A transaction as the verbs see it: statements whose `$1` is always the fleet.

use sanderling_core::Micros;
use serde::Serialize;

use super::connection::Connection;
use super::dialect::Dialect;
use super::fault::{Fault, corrupt};
use super::value::{Row, Value};

/// An open transaction. Who opened it commits it.
pub(crate) struct Tx<'c> {
    link: &'c mut dyn Connection,
    dialect: &'static Dialect,
    fleet: &'c str,
}

impl<'c> Tx<'c> {
    /// Over a connection on which a transaction was begun, or on which every statement is one.
    pub(crate) fn new(
        link: &'c mut dyn Connection,
        dialect: &'static Dialect,
        fleet: &'c str,
    ) -> Self {
        Self {
            link,
            dialect,
            fleet,
        }
    }

    /// The fleet whose rows every statement is about.
    pub(crate) fn fleet(&self) -> &str {
        self.fleet
    }

    /// Runs one statement; the number of rows it changed. `args` begin at `$2`.
    pub(crate) async fn exec(&mut self, sql: &str, args: Vec<Value>) -> Result<u64, Fault> {
        let args = self.with_fleet(args);
        self.link.exec(&self.dialect.render(sql), args).await
    }

    /// Runs one statement; its rows. `args` begin at `$2`.
    pub(crate) async fn rows(&mut self, sql: &str, args: Vec<Value>) -> Result<Vec<Row>, Fault> {
        let args = self.with_fleet(args);
        self.link.rows(&self.dialect.render(sql), args).await
    }

    /// Runs one statement that returns at most one row.
    pub(crate) async fn row(&mut self, sql: &str, args: Vec<Value>) -> Result<Option<Row>, Fault> {
        Ok(self.rows(sql, args).await?.into_iter().next())
    }

    /// Runs statements without parameters: our own DDL.
    pub(crate) async fn batch(&mut self, sql: &str) -> Result<(), Fault> {
        self.link.batch(&self.dialect.render(sql)).await
    }

    /// The database's time. Asked after the locks are taken, so that events carry times in their order.
    pub(crate) async fn now(&mut self) -> Result<Micros, Fault> {
        let row = self.row("SELECT {now} WHERE $1 <> ''", Vec::new()).await?;
        let row = row.ok_or_else(|| corrupt("the fleet has no name"))?;
        Ok(Micros(row.int(0)?))
    }

    fn with_fleet(&self, args: Vec<Value>) -> Vec<Value> {
        let mut all = Vec::with_capacity(args.len() + 1);
        all.push(Value::from(self.fleet));
        all.extend(args);
        all
    }
}

/// Rows as one parameter, for `{each}`: a JSON array of arrays, read by `v ->> 0` and so on.
pub(crate) fn each<T: Serialize>(rows: &[T]) -> Result<Value, Fault> {
    Ok(Value::from(serde_json::to_string(rows)?))
}
