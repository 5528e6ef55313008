//! Looking at many schemas of one database: a handful of statements on one connection, reading only.

use std::collections::HashMap;

use sanderling_core::{ErrorClass, Failure, Place, Standing};
use sqlx::postgres::PgRow;

use super::connect::{Connection, Key, text};
use super::connections::Connections;
use super::errors::{MISSING, Trouble};
use super::names::Schema;
use super::ownership::READABLE;
use crate::ledger::{self, RawRow, in_order};

/// Ledgers read by one statement. More would hold too many locks in one snapshot; fewer would be round trips.
const LEDGERS_PER_STATEMENT: usize = 500;
/// Ledgers that are planned together. The planner's work grows with their square; OFFSET keeps it from planning the groups
/// of a statement as one.
const LEDGERS_PER_GROUP: usize = 50;

/// A schema as the catalog shows it.
struct Seen {
    usable: bool,
    /// Whether reading the ledger runs nobody's code.
    plain: bool,
    /// Whether there is a ledger, and whether it may be read.
    ledger: Option<bool>,
}

/// The standing of places of one database, in their order.
pub(super) async fn database(
    connections: &Connections,
    key: &Key,
    places: &[&Place],
) -> Vec<Standing> {
    let schemas: Vec<_> = places.iter().map(|place| Schema::of(place)).collect();
    let wanted: Vec<&Schema> = schemas.iter().flatten().collect();
    let read = match connections.visit(key).await {
        Ok(mut connection) => {
            let read = read(&mut connection, &wanted).await;
            connection.close().await;
            read.map_err(|trouble| connections.named(trouble.failure()))
        }
        Err(failure) => Err(failure),
    };
    let answer = |schema: &Result<Schema, Failure>| match (schema, &read) {
        (Err(failure), _) => Standing::Unreachable(failure.clone()),
        (Ok(_), Err(failure)) if failure.cause.code == MISSING => Standing::Missing,
        (Ok(_), Err(failure)) => Standing::Unreachable(failure.clone()),
        (Ok(schema), Ok(standings)) => standings
            .get(&schema.name)
            .cloned()
            .unwrap_or(Standing::Missing),
    };
    schemas.iter().map(answer).collect()
}

async fn read(
    connection: &mut Connection,
    schemas: &[&Schema],
) -> Result<HashMap<String, Standing>, Trouble> {
    let seen = schemas_seen(connection, schemas).await?;
    let mut standings = HashMap::new();
    let mut readable = Vec::new();
    for schema in schemas {
        match seen.get(&schema.name) {
            None => {}
            Some(Seen { usable: false, .. }) => {
                standings.insert(schema.name.clone(), no_right(schema, "schema"));
            }
            Some(Seen { ledger: None, .. }) => {
                standings.insert(schema.name.clone(), empty(false));
            }
            Some(Seen {
                ledger: Some(false),
                ..
            }) => {
                standings.insert(schema.name.clone(), no_right(schema, "ledger of schema"));
            }
            Some(Seen { plain: false, .. }) => {
                standings.insert(schema.name.clone(), Standing::Unreachable(strange()));
            }
            Some(Seen {
                ledger: Some(true), ..
            }) => readable.push(*schema),
        }
    }
    readable.sort_by(|a, b| a.name.cmp(&b.name));
    readable.dedup_by(|a, b| a.name == b.name);
    for chunk in readable.chunks(LEDGERS_PER_STATEMENT) {
        ledgers(connection, chunk, &mut standings).await?;
    }
    Ok(standings)
}

/// Which of the schemas exist, and which have a ledger that we may read.
async fn schemas_seen(
    connection: &mut Connection,
    schemas: &[&Schema],
) -> Result<HashMap<String, Seen>, Trouble> {
    if schemas.is_empty() {
        return Ok(HashMap::new());
    }
    let names: Vec<_> = schemas
        .iter()
        .map(|schema| schema.literal.as_str())
        .collect();
    let rows = connection
        .rows(format!(
            "SELECT n.nspname::text, pg_catalog.has_schema_privilege(n.oid, 'USAGE')::text, \
             pg_catalog.has_table_privilege(c.oid, 'SELECT')::text, {READABLE}::text \
             FROM pg_catalog.pg_namespace n LEFT JOIN pg_catalog.pg_class c \
             ON c.relnamespace = n.oid AND c.relname = '{}' AND c.relkind = 'r' \
             WHERE n.nspname = ANY (ARRAY[{}]::name[])",
            ledger::TABLE,
            names.join(", ")
        ))
        .await?;
    let seen = rows.iter().filter_map(|row| {
        Some((
            text(row, 0)?,
            Seen {
                usable: text(row, 1).as_deref() == Some("true"),
                plain: text(row, 3).as_deref() == Some("true"),
                ledger: text(row, 2).map(|readable| readable == "true"),
            },
        ))
    });
    Ok(seen.collect())
}

/// Reads many ledgers by one statement; when that fails, one by one, so that only what is broken says so.
async fn ledgers(
    connection: &mut Connection,
    schemas: &[&Schema],
    standings: &mut HashMap<String, Standing>,
) -> Result<(), Trouble> {
    match one_statement(connection, schemas).await {
        Ok(found) => {
            for (schema, standing) in schemas.iter().zip(found) {
                standings.insert(schema.name.clone(), standing);
            }
        }
        Err(Trouble::Server(_)) => {
            for schema in schemas {
                let standing = match one_statement(connection, &[schema]).await {
                    Ok(mut found) => found.pop().unwrap_or_else(|| empty(true)),
                    // It was there a moment ago: the schema or its ledger has just been dropped.
                    Err(Trouble::Server(error)) if error.code == "42P01" => empty(false),
                    Err(Trouble::Server(error)) => Standing::Unreachable(error.failure()),
                    Err(lost) => return Err(lost),
                };
                standings.insert(schema.name.clone(), standing);
            }
        }
        Err(lost) => return Err(lost),
    }
    Ok(())
}

async fn one_statement(
    connection: &mut Connection,
    schemas: &[&Schema],
) -> Result<Vec<Standing>, Trouble> {
    let branches: Vec<_> = schemas
        .iter()
        .enumerate()
        .map(|(at, schema)| {
            format!(
                "SELECT '{at}'::text AS at, version::text, checksum::text, state::text, epoch::text, rollout::text FROM {}",
                schema.ledger()
            )
        })
        .collect();
    let group = |group: &[String]| {
        let together = group.join(" UNION ALL ");
        format!("SELECT * FROM ({together} OFFSET 0) g")
    };
    let groups: Vec<_> = branches.chunks(LEDGERS_PER_GROUP).map(group).collect();
    let rows = connection.rows(groups.join(" UNION ALL ")).await?;
    let mut ledgers: Vec<Vec<_>> = schemas.iter().map(|_| Vec::new()).collect();
    for row in &rows {
        let at = text(row, 0).and_then(|at| at.parse::<usize>().ok());
        if let Some(list) = at.and_then(|at| ledgers.get_mut(at)) {
            list.push(raw_row(row).ok_or_else(malformed).and_then(RawRow::parse));
        }
    }
    let standing = |rows: Vec<Result<_, Failure>>| match rows.into_iter().collect() {
        Ok(rows) => Standing::Present {
            has_ledger: true,
            rows: in_order(rows),
        },
        Err(failure) => Standing::Unreachable(failure),
    };
    Ok(ledgers.into_iter().map(standing).collect())
}

fn raw_row(row: &PgRow) -> Option<RawRow> {
    Some(RawRow {
        version: text(row, 1)?,
        checksum: text(row, 2)?,
        state: text(row, 3)?,
        epoch: text(row, 4)?.parse().ok()?,
        rollout: text(row, 5),
        applied_at: None,
    })
}

fn empty(has_ledger: bool) -> Standing {
    Standing::Present {
        has_ledger,
        rows: Vec::new(),
    }
}

pub(super) fn malformed() -> Failure {
    Failure::new(
        ErrorClass::Precondition,
        "ledger_row",
        format!(
            "{} holds a row that is not ours: a column is empty or of another type",
            ledger::TABLE
        ),
    )
}

/// The ledger's columns have types that somebody made.
pub(super) fn strange() -> Failure {
    Failure::new(
        ErrorClass::Precondition,
        "ledger_row",
        format!(
            "{} has columns of types that are not the server's own; reading it could run somebody's code: it is not a \
             ledger of ours, remove or rename it",
            ledger::TABLE
        ),
    )
}

fn no_right(schema: &Schema, what: &str) -> Standing {
    Standing::Unreachable(Failure::new(
        ErrorClass::Permission,
        "42501",
        format!(
            "the login role may not read the {what} {}; grant USAGE on the schema and SELECT on its tables",
            schema.name
        ),
    ))
}
