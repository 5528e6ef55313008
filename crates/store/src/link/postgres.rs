//! PostgreSQL: connections whose defaults are set at start-up, so that no role setting changes what a verb means.

use std::str::FromStr;
use std::time::Duration;

use async_trait::async_trait;
use sqlx::postgres::{PgArguments, PgConnectOptions, PgConnection, PgRow, Postgres};
use sqlx::query::Query;
use sqlx::{ConnectOptions, Connection as _, Row as _, TypeInfo as _, ValueRef as _};

use super::connection::{Connection, Connector};
use super::dialect::{Dialect, POSTGRES};
use super::fault::{Fault, corrupt};
use super::statement::ours;
use super::value::{Row, Value};
use crate::port::StoreError;

/// The schema that holds the store's tables.
const SCHEMA: &str = "sanderling_control";

/// How long to wait for a connection.
const CONNECT: Duration = Duration::from_secs(10);

/// Opens connections to a PostgreSQL control store.
pub(crate) struct PostgresConnector {
    options: PgConnectOptions,
    place: String,
}

impl PostgresConnector {
    /// From `postgres://user:password@host:port/database`. A store that is only looked at cannot write.
    pub(crate) fn new(url: &str, looking: bool) -> Result<Self, StoreError> {
        // The parser's own words may quote the URL, and with it the password.
        let options = PgConnectOptions::from_str(url).map_err(|_| {
            StoreError::Refused(
                "the control store's URL is not of the form postgres://user@host:5432/database; \
                 characters like @ : / in a password must be percent-encoded"
                    .to_owned(),
            )
        })?;
        let place = format!(
            "postgres://{}:{}/{}",
            options.get_host(),
            options.get_port(),
            options.get_database().unwrap_or_default()
        );
        let options = options
            .application_name("sanderling control")
            .statement_cache_capacity(256)
            .disable_statement_logging()
            .options([
                ("search_path", SCHEMA),
                ("default_transaction_isolation", "read committed"),
                ("default_transaction_deferrable", "off"),
                (
                    "default_transaction_read_only",
                    if looking { "on" } else { "off" },
                ),
                ("standard_conforming_strings", "on"),
                // A process that was stopped in the middle of a transaction must not hold a rollout's lock for long.
                ("idle_in_transaction_session_timeout", "10s"),
                ("statement_timeout", "60s"),
                // Every statement is a handful of keys, or a page, against an index. A fresh table has no statistics,
                // and the planner would rather read all of it; the cost of what is switched off would start the JIT.
                ("enable_hashjoin", "off"),
                ("enable_mergejoin", "off"),
                ("enable_material", "off"),
                ("enable_bitmapscan", "off"),
                ("enable_seqscan", "off"),
                ("jit", "off"),
            ]);
        Ok(Self { options, place })
    }
}

#[async_trait]
impl Connector for PostgresConnector {
    async fn connect(&self) -> Result<Box<dyn Connection>, Fault> {
        let connecting = PgConnection::connect_with(&self.options);
        match tokio::time::timeout(CONNECT, connecting).await {
            Ok(connection) => Ok(Box::new(PostgresLink(connection?))),
            Err(_) => Err(Fault::Link(format!("no connection within {CONNECT:?}"))),
        }
    }

    fn dialect(&self) -> &'static Dialect {
        &POSTGRES
    }

    fn place(&self) -> &str {
        &self.place
    }
}

struct PostgresLink(PgConnection);

type Bound = Query<'static, Postgres, PgArguments>;

fn bound(sql: &str, args: Vec<Value>) -> Bound {
    args.into_iter()
        .fold(sqlx::query(ours(sql)), |query, value| match value {
            Value::Text(text) => query.bind(text),
            Value::Int(n) => query.bind(n),
        })
}

#[async_trait]
impl Connection for PostgresLink {
    async fn batch(&mut self, sql: &str) -> Result<(), Fault> {
        sqlx::raw_sql(ours(sql)).execute(&mut self.0).await?;
        Ok(())
    }

    async fn exec(&mut self, sql: &str, args: Vec<Value>) -> Result<u64, Fault> {
        Ok(bound(sql, args).execute(&mut self.0).await?.rows_affected())
    }

    async fn rows(&mut self, sql: &str, args: Vec<Value>) -> Result<Vec<Row>, Fault> {
        let rows = bound(sql, args).fetch_all(&mut self.0).await?;
        rows.iter().map(read).collect()
    }
}

fn read(row: &PgRow) -> Result<Row, Fault> {
    let value = |column| {
        let kind = row.try_get_raw(column)?.type_info().name().to_owned();
        match kind.as_str() {
            "TEXT" => Ok(Value::Text(row.try_get(column)?)),
            "INT8" => Ok(Value::Int(row.try_get(column)?)),
            other => Err(corrupt(format!("column {column} has type {other}"))),
        }
    };
    Ok(Row((0..row.len()).map(value).collect::<Result<_, _>>()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_place_and_the_refusal_keep_the_password_to_themselves() {
        let connector = PostgresConnector::new("postgres://me:s3cret@eu1:6432/app", false).unwrap();
        assert_eq!(connector.place(), "postgres://eu1:6432/app");
        let refused = PostgresConnector::new("postgres://me:s3cret@eu1:port/app", false).err();
        assert!(!refused.unwrap().to_string().contains("s3cret"));
    }
}
