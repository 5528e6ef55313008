//! What lies beside the ledgers of many schemas of one database: fence rows, held locks, broken indexes. Reading only,
//! two messages however many schemas.

use std::collections::HashMap;

use sanderling_core::{
    BrokenIndex, Epoch, Failure, FenceSight, Holder, Inspection, Place, StoreId,
};
use sqlx::postgres::PgRow;

use super::connect::{Connection, Key, text};
use super::connections::Connections;
use super::errors::Trouble;
use super::names::Schema;
use super::ownership::READABLE;

/// Since when a session (`a`, a row of `pg_stat_activity`) does what it does; null where this role may not see it.
const SINCE: &str = "CASE WHEN a.xact_start IS NOT NULL THEN 'in a transaction since ' ELSE 'connected since ' END || \
     pg_catalog.to_char(pg_catalog.timezone('UTC', coalesce(a.xact_start, a.backend_start)), 'YYYY-MM-DD\"T\"HH24:MI:SS\"Z\"')";

/// The inspections of places of one database, in their order.
pub(super) async fn database(
    connections: &Connections,
    key: &Key,
    places: &[&Place],
) -> Vec<Result<Inspection, Failure>> {
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
    let answer = |schema: Result<Schema, Failure>| {
        let schema = schema?;
        let found = read.as_ref().map_err(Clone::clone)?;
        Ok(found.get(&schema.name).cloned().unwrap_or_default())
    };
    schemas.into_iter().map(answer).collect()
}

async fn read(
    connection: &mut Connection,
    schemas: &[&Schema],
) -> Result<HashMap<String, Inspection>, Trouble> {
    let mut found: HashMap<String, Inspection> = schemas
        .iter()
        .map(|schema| (schema.name.clone(), Inspection::default()))
        .collect();
    if found.is_empty() {
        return Ok(found);
    }
    let keys: HashMap<i64, &str> = schemas
        .iter()
        .map(|schema| {
            (
                schema.lock_key(&connection.database_oid),
                schema.name.as_str(),
            )
        })
        .collect();
    let rows = connection.rows(query(connection, schemas, &keys)).await?;
    let mut fence = Vec::new();
    for row in &rows {
        let schema = match text(row, 0).as_deref() {
            Some("fence") => {
                fence.push(row);
                continue;
            }
            Some("key") => {
                let key = text(row, 1).and_then(|key| key.parse::<i64>().ok());
                key.and_then(|key| keys.get(&key))
                    .map(|name| (*name).to_owned())
            }
            _ => text(row, 1),
        };
        if let Some(inspection) = schema.and_then(|schema| found.get_mut(&schema)) {
            note(inspection, row, &connection.database);
        }
    }
    fences(connection, schemas, fence.first().copied(), &mut found).await?;
    Ok(found)
}

/// One message of four statements; the first column says what a row is, the second which schema or lock it is about.
fn query(connection: &Connection, schemas: &[&Schema], keys: &HashMap<i64, &str>) -> String {
    let names: Vec<_> = schemas
        .iter()
        .map(|schema| schema.literal.as_str())
        .collect();
    let keys: Vec<_> = keys.keys().map(ToString::to_string).collect();
    let (names, keys) = (names.join(", "), keys.join(","));
    let here = format!(
        "(l.database = {}::oid AND l.granted)",
        connection.database_oid
    );
    let key = "((l.classid::bigint << 32) | l.objid::bigint)";
    format!(
        "SELECT 'fence', pg_catalog.has_schema_privilege(n.oid, 'USAGE')::text, \
 pg_catalog.has_table_privilege(c.oid, 'SELECT')::text, {READABLE}::text
 FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
 WHERE n.nspname = 'sanderling' AND c.relname = 'fence' AND c.relkind = 'r';
SELECT 'key', {key}::text, l.pid::text, a.application_name, {SINCE}
 FROM pg_catalog.pg_locks l LEFT JOIN pg_catalog.pg_stat_activity a ON a.pid = l.pid
 WHERE l.locktype = 'advisory' AND l.objsubid = 1 AND {here} AND {key} = ANY ('{{{keys}}}'::bigint[]) ORDER BY l.pid;
SELECT DISTINCT 'session', n.nspname::text, a.pid::text, a.application_name, {SINCE}
 FROM pg_catalog.pg_locks l JOIN pg_catalog.pg_stat_activity a ON a.pid = l.pid
 JOIN pg_catalog.pg_class c ON c.oid = l.relation JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
 WHERE l.locktype = 'relation' AND {here} AND n.nspname = ANY (ARRAY[{names}]::name[])
 AND a.application_name LIKE 'sanderling/%' AND a.pid <> pg_catalog.pg_backend_pid()
 AND (l.mode <> 'AccessShareLock' OR a.state LIKE 'idle in transaction%');
SELECT 'index', n.nspname::text, pg_catalog.quote_ident(n.nspname) || '.' || pg_catalog.quote_ident(i.relname),
 CASE WHEN NOT x.indisvalid THEN 'is not valid' WHEN NOT x.indisready THEN 'is not kept up to date' ELSE 'is being dropped' END,
 CASE WHEN i.relkind = 'I' THEN 'part' WHEN i.relname ~ '_cc(new|old)[0-9]*$' OR NOT x.indislive THEN 'drop' END,
 (SELECT min(l.pid)::text FROM pg_catalog.pg_locks l LEFT JOIN pg_catalog.pg_stat_activity a ON a.pid = l.pid
 WHERE l.locktype = 'relation' AND l.relation = x.indrelid AND l.mode = 'ShareUpdateExclusiveLock' AND {here}
 AND a.backend_type IS DISTINCT FROM 'autovacuum worker')
 FROM pg_catalog.pg_index x JOIN pg_catalog.pg_class i ON i.oid = x.indexrelid
 JOIN pg_catalog.pg_namespace n ON n.oid = i.relnamespace
 WHERE NOT (x.indisvalid AND x.indisready AND x.indislive) AND n.nspname = ANY (ARRAY[{names}]::name[])
 ORDER BY i.relname"
    )
}

/// Adds what a row says about its schema.
fn note(inspection: &mut Inspection, row: &PgRow, database: &str) {
    match text(row, 0).as_deref() {
        Some("key") => inspection
            .holders
            .push(holder(row, database, "holds its advisory lock")),
        Some("session") => {
            let holder = holder(row, database, "holds locks on its tables");
            // Who has the tenant's lock has locks on its tables as well.
            let known = inspection.holders.iter().any(|h| h.remedy == holder.remedy);
            if !known {
                inspection.holders.push(holder);
            }
        }
        Some("index") => match text(row, 5) {
            Some(pid) => inspection.unseen.push(format!(
                "index {} {}, and pid {pid} is at work on its table: it may be building it",
                text(row, 2).unwrap_or_default(),
                text(row, 3).unwrap_or_default()
            )),
            None => inspection.broken_indexes.push(broken_index(row)),
        },
        _ => {}
    }
}

fn holder(row: &PgRow, database: &str, holds: &str) -> Holder {
    let Some(pid) = text(row, 2) else {
        return Holder {
            what: format!("a prepared transaction {holds}"),
            remedy: format!(
                "look for it in pg_prepared_xacts of database {database}, and ROLLBACK PREPARED it"
            ),
        };
    };
    let since = text(row, 4).unwrap_or_else(|| {
        "since when may not be seen: the login role is not a member of pg_read_all_stats".into()
    });
    Holder {
        what: format!(
            "pid {pid} (application_name '{}', {since}) {holds}",
            text(row, 3).unwrap_or_default()
        ),
        remedy: format!(
            "`SELECT pg_terminate_backend({pid})` on database {database} ends it and rolls back what it was doing"
        ),
    }
}

fn broken_index(row: &PgRow) -> BrokenIndex {
    let name = text(row, 2).unwrap_or_default();
    let remedy = match text(row, 4).as_deref() {
        Some("part") => {
            "a partition lacks its part: `ALTER INDEX … ATTACH PARTITION …` for each".to_owned()
        }
        Some(_) => format!("it is what a build left behind: `DROP INDEX CONCURRENTLY {name}`"),
        None => format!("`REINDEX INDEX CONCURRENTLY {name}`, or drop it and create it again"),
    };
    BrokenIndex {
        fault: text(row, 3).unwrap_or_default(),
        name,
        remedy,
    }
}

/// Reads the fence's rows where that is allowed and runs nobody's code.
async fn fences(
    connection: &mut Connection,
    schemas: &[&Schema],
    rights: Option<&PgRow>,
    found: &mut HashMap<String, Inspection>,
) -> Result<(), Trouble> {
    let database = connection.database.clone();
    let sight = match rights {
        None => Ok(Vec::new()),
        Some(row) if (1..=2).any(|column| text(row, column).as_deref() != Some("true")) => Err(
            "GRANT USAGE ON SCHEMA sanderling and SELECT ON sanderling.fence to the login role"
                .to_owned(),
        ),
        Some(row) if text(row, 3).as_deref() != Some("true") => Err(
            "it has columns of types that are not the server's own, so it is not ours".to_owned(),
        ),
        Some(_) => {
            let places: Vec<_> = schemas
                .iter()
                .map(|schema| format!("({}::text, {}::text)", schema.literal, schema.place))
                .collect();
            let sql = format!(
                "SELECT w.name, f.store_id::text, f.epoch::text FROM (VALUES {}) AS w (name, place) \
                 JOIN sanderling.fence f ON f.place::text = w.place",
                places.join(", ")
            );
            match connection.rows(sql).await {
                Ok(rows) => Ok(rows),
                Err(Trouble::Server(error)) => Err(error.message),
                Err(lost) => return Err(lost),
            }
        }
    };
    for (schema, inspection) in found.iter_mut() {
        match &sight {
            Err(why) => inspection.unseen.push(format!(
                "its fence (table sanderling.fence of database {database}) could not be read: {why}"
            )),
            Ok(rows) => {
                let row = rows
                    .iter()
                    .find(|row| text(row, 0).as_deref() == Some(schema));
                inspection.fence = row.and_then(held).unwrap_or(FenceSight::Absent);
            }
        }
    }
    Ok(())
}

fn held(row: &PgRow) -> Option<FenceSight> {
    Some(FenceSight::Held {
        store: StoreId::new(text(row, 1)?),
        epoch: Epoch(text(row, 2)?.parse().ok()?),
    })
}
