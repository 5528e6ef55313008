//! Nothing to do: many schemas that are up to date, in several databases, and what it costs to find that out.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use sanderling_testkit::Postgres;

use crate::asked::Asked;
use crate::ours::{Ours, Setting};
use crate::schemas::{FIVE, SERVER};
use crate::table::{Series, rates, ratio};
use crate::wire::Wire;

/// Ledgers that the floor reads with one statement.
const TOGETHER: usize = 50;
/// How often each is measured.
const REPEATS: usize = 3;

/// W3, which is show a of the benchmarks: `up` on a fleet where nothing is pending.
pub(crate) fn run(asked: &Asked) {
    let n = asked.n.unwrap_or(10_000);
    let databases = 10;
    let mut settings = SERVER.to_vec();
    settings.push(("shared_preload_libraries", "pg_stat_statements"));
    let postgres = Postgres::private_with(&settings);
    let mut admin = Wire::connect(postgres.url());
    admin.ask("CREATE EXTENSION pg_stat_statements");
    let names: Vec<_> = (0..databases).map(|d| format!("shard{d}")).collect();
    for name in &names {
        admin.ask(&format!("CREATE DATABASE {name}"));
    }
    let all: Vec<_> = (0..n)
        .map(|i| (i % databases, format!("t{i:05}")))
        .collect();
    let rows: Vec<_> = all
        .iter()
        .map(|(d, schema)| format!("{schema},tenants,{},{schema},", names[*d]))
        .collect();
    let setting = Setting {
        control: "sqlite://control.db",
        claims: "memory://",
        host: postgres.url(),
        k: asked.k,
        in_flight: asked.in_flight,
        atomic: "version",
    };
    let fleet = Ours::new(&setting, &rows);
    for (version, body) in FIVE {
        fleet.migration(version, &format!("{body};"));
    }
    let (plan, _) = fleet.json(&["plan"]);
    assert_eq!(plan["unreachable"], n, "no schema is there yet: {plan}");
    ledgers(&postgres, &names, &all, &fleet);

    let mut ours = Series::new("`up` with nothing to do");
    let mut together = Series::new("one UNION ALL per 50 tenants");
    let mut apart = Series::new("one query per tenant");
    let urls: Vec<_> = names.iter().map(|name| postgres.url_of(name)).collect();
    let schemas = by_database(&all, databases);
    for repeat in 0..REPEATS {
        for turn in 0..3 {
            match (turn + repeat) % 3 {
                0 => {
                    admin.ask("SELECT pg_stat_statements_reset()");
                    let (said, took) = fleet.json(&["up", "--yes"]);
                    ours.seconds.push(took);
                    assert_eq!(said["tenants"], n, "{said}");
                    assert_eq!(said["up_to_date"], n, "{said}");
                    if repeat == 0 {
                        statements(&mut admin, n / databases);
                    }
                }
                1 => together
                    .seconds
                    .push(read(&urls, &schemas, asked.k, TOGETHER)),
                _ => apart.seconds.push(read(&urls, &schemas, asked.k, 1)),
            }
        }
    }
    println!(
        "W3: {n} up-to-date schemas in {databases} databases, {} connections, {REPEATS} repeats",
        asked.k
    );
    rates(&[&ours, &together, &apart], n);
    println!("ratios: the floor's seconds by ours (the whole process), within each repeat");
    ratio(&ours, &together, Some(0.80));
    ratio(&ours, &apart, None);
}

/// Makes every schema with the ledger that `up` would have left there: the first by `up` itself, the others by copying.
fn ledgers(postgres: &Postgres, names: &[String], all: &[(usize, String)], fleet: &Ours) {
    let first = &all[0].1;
    let mut wire = Wire::connect(&postgres.url_of(&names[0]));
    wire.ask(&format!("CREATE SCHEMA {first}"));
    let (summary, _) = fleet.json(&["up", "--yes", "--tenants", &format!("id={first}")]);
    assert_eq!(summary["state"], "succeeded", "{summary}");
    let rows = wire.ask(&format!(
        "SELECT string_agg(format('(%L,%L,%L,%L,%s,%L,%L,%s,%L)', version, name, checksum, state, epoch, rollout, applied_at, duration_ms, applied_by), ',') \
         FROM {first}.sanderling_migrations"
    ));
    let places = by_database(all, names.len());
    for (name, schemas) in names.iter().zip(places) {
        let mut wire = Wire::connect(&postgres.url_of(name));
        for some in schemas.chunks(100) {
            let mut sql = String::new();
            for schema in some.iter().filter(|schema| *schema != first) {
                let _ = write!(
                    sql,
                    "CREATE SCHEMA {schema}; CREATE TABLE {schema}.sanderling_migrations (
                     version text COLLATE \"C\" PRIMARY KEY, name text NOT NULL, checksum text NOT NULL, state text NOT NULL,
                     step integer NOT NULL DEFAULT 0, steps integer NOT NULL DEFAULT 0, epoch bigint NOT NULL, rollout text,
                     applied_at timestamptz NOT NULL, duration_ms bigint NOT NULL, applied_by text NOT NULL);
                     INSERT INTO {schema}.sanderling_migrations
                     (version, name, checksum, state, epoch, rollout, applied_at, duration_ms, applied_by) VALUES {};",
                    rows[0]
                );
            }
            wire.ask(&sql);
        }
        wire.ask("ANALYZE");
    }
}

fn by_database(all: &[(usize, String)], databases: usize) -> Vec<Vec<String>> {
    let mut schemas = vec![Vec::new(); databases];
    for (d, schema) in all {
        schemas[*d].push(schema.clone());
    }
    schemas
}

/// Prints what each database was asked since the last reset.
fn statements(admin: &mut Wire, tenants: usize) {
    let said = admin.ask(
        "SELECT d.datname, sum(s.calls) FROM pg_stat_statements s JOIN pg_database d ON d.oid = s.dbid \
         WHERE d.datname LIKE 'shard%' GROUP BY d.datname ORDER BY d.datname",
    );
    let counts: BTreeMap<_, usize> = said
        .iter()
        .filter_map(|row| row.split_once('|'))
        .map(|(name, calls)| (name.to_owned(), calls.parse().unwrap()))
        .collect();
    let (least, most) = (counts.values().min(), counts.values().max());
    println!(
        "statements per database of {tenants} tenants, by pg_stat_statements: {} to {} in {} databases",
        least.unwrap_or(&0),
        most.unwrap_or(&0),
        counts.len()
    );
}

/// Reads every ledger on kept connections, `k` databases at a time, so many ledgers with each statement.
fn read(urls: &[String], schemas: &[Vec<String>], k: usize, together: usize) -> f64 {
    let (begun, next, rows) = (Instant::now(), AtomicUsize::new(0), AtomicUsize::new(0));
    std::thread::scope(|scope| {
        for _ in 0..k {
            scope.spawn(|| {
                loop {
                    let at = next.fetch_add(1, Ordering::Relaxed);
                    let Some((url, schemas)) = urls.get(at).zip(schemas.get(at)) else {
                        break;
                    };
                    let mut wire = Wire::connect(url);
                    for some in schemas.chunks(together) {
                        let one = |schema: &String| {
                            format!("SELECT '{schema}', version, checksum, state FROM {schema}.sanderling_migrations")
                        };
                        let sql: Vec<_> = some.iter().map(one).collect();
                        rows.fetch_add(wire.ask(&sql.join(" UNION ALL ")).len(), Ordering::Relaxed);
                    }
                }
            });
        }
    });
    let tenants: usize = schemas.iter().map(Vec::len).sum();
    assert_eq!(
        rows.into_inner(),
        tenants * FIVE.len(),
        "every row was read"
    );
    begun.elapsed().as_secs_f64()
}
