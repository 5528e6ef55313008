//! What a tenant costs beside its own change, in messages, connections, transactions of the control store and calls to
//! Redis. Counted, never timed.

use sanderling_testkit::{Postgres, Proxy, Redis};

use crate::fleet::Fleet;

const TENANTS: usize = 200;
const CONNECTIONS: usize = 8;
/// Queries that are about a host, not about a tenant: surveys, who answers there, the fence's table.
const PER_CONNECTION: usize = 4;

/// The steady path sends one message per tenant and version, on connections that are kept.
#[test]
fn one_message_per_tenant_and_version() {
    let postgres = Postgres::private();
    let fleet = Fleet::embedded()
        .with_postgres(&postgres)
        .schemas(TENANTS)
        .pg_connections(8)
        .rollout("[[rollout.waves]]\nname = \"all\"\nrest = true")
        .written();
    fleet.probe_migrations(1);
    fleet.expect(0, &["up", "--yes"]);
    // What is there need not be made.
    let toml = std::fs::read_to_string(fleet.path("sanderling.toml")).unwrap();
    let proxy = Proxy::postgres(fleet.tenants_url());
    let toml = toml
        .replace("create_missing = true", "create_missing = false")
        .replace(fleet.tenants_url(), proxy.url())
        .replace("connections = 8\n", "connections = 8\nin_flight = 16\n");
    fleet.write("sanderling.toml", &toml);
    fleet.probe_migrations(2);
    // Long enough that whoever may have a connection has one.
    fleet.migration(
        "0003",
        "seen",
        "CREATE TABLE seen AS SELECT count(*) AS sessions FROM pg_stat_activity \
         WHERE datname = current_database() AND application_name LIKE 'sanderling/%'; SELECT pg_sleep(0.02);",
        "DROP TABLE seen;",
    );
    let summary = fleet.json(0, &["up", "--yes"]);
    let (queries, connections) = (proxy.queries(), proxy.connections());
    assert_eq!(summary["succeeded"], TENANTS, "{summary}");
    let messages = 2 * TENANTS;
    assert!(
        (messages..=messages + PER_CONNECTION * connections).contains(&queries),
        "{queries} queries on {connections} connections, for {messages} versions of tenants"
    );
    // A busy machine lets some of them stay idle for so long that they are closed.
    assert!(
        connections <= TENANTS / 4,
        "{connections} connections for {TENANTS} tenants"
    );
    assert_eq!(summary["max_in_flight"], 16, "{summary}");
    let seen: Vec<_> = fleet
        .schema_names()
        .iter()
        .map(|schema| format!("SELECT sessions FROM \"{schema}\".seen"))
        .collect();
    let most = format!("SELECT max(sessions) FROM ({}) s", seen.join(" UNION ALL "));
    let most: usize = postgres.sql(fleet.tenants_url(), &most).parse().unwrap();
    // One whose backend has not quite ended may be seen beside them.
    assert!(
        (CONNECTIONS..=CONNECTIONS + 1).contains(&most),
        "{most} sessions at one time, and {CONNECTIONS} may be"
    );
}

/// Without any setting too: claims that were granted together use the connections that are kept, and none closes what
/// another is about to use.
#[test]
fn claims_that_begin_together_keep_their_connections() {
    let postgres = Postgres::private();
    let fleet = Fleet::embedded()
        .with_postgres(&postgres)
        .schemas(TENANTS)
        .pg_connections(4)
        .rollout("[[rollout.waves]]\nname = \"all\"\nrest = true")
        .written();
    fleet.probe_migrations(1);
    let proxy = Proxy::postgres(fleet.tenants_url());
    let toml = std::fs::read_to_string(fleet.path("sanderling.toml")).unwrap();
    let toml = toml.replace(fleet.tenants_url(), proxy.url());
    fleet.write("sanderling.toml", &toml);
    let summary = fleet.json(0, &["up", "--yes"]);
    assert_eq!(summary["succeeded"], TENANTS, "{summary}");
    assert_eq!(summary["max_in_flight"], 4, "{summary}");
    let connections = proxy.connections();
    // A busy machine lets some of them stay idle for so long that they are closed.
    assert!(
        connections <= TENANTS / 8,
        "{connections} connections for {TENANTS} tenants, and 4 at one time"
    );
}

/// Claims, reports and locks go in batches: what is in flight above the connections gives them company.
#[test]
fn batches_of_claims_reports_and_locks() {
    let settings = [("shared_preload_libraries", "pg_stat_statements")];
    let (postgres, redis) = (Postgres::private_with(&settings), Redis::private());
    let fleet = Fleet::cluster(&postgres, &redis)
        .schemas(TENANTS)
        .pg_connections(8)
        .rollout("[[rollout.waves]]\nname = \"all\"\nrest = true")
        .written();
    let toml = std::fs::read_to_string(fleet.path("sanderling.toml")).unwrap();
    let toml = toml
        .replace("slots = 16", "slots = 32")
        .replace("concurrency = 16", "concurrency = 32")
        .replace("connections = 8\n", "connections = 8\nin_flight = 32\n");
    fleet.write("sanderling.toml", &toml);
    fleet.probe_migrations(1);
    let control = fleet.control_url().to_owned();
    postgres.sql(&control, "CREATE EXTENSION pg_stat_statements");
    let _coordinator = fleet.spawn(&["coordinator"]);
    let _worker = fleet.spawn(&["worker"]);
    let summary = fleet.json(0, &["up", "--yes"]);
    assert_eq!(summary["succeeded"], TENANTS, "{summary}");
    assert_eq!(summary["max_in_flight"], 32, "{summary}");

    // Without batches each tenant is one start and one report.
    let sql = "SELECT sum(calls) FROM pg_stat_statements s JOIN pg_database d ON d.oid = s.dbid AND d.datname = current_database() \
        WHERE query LIKE 'UPDATE targets SET in_flight%'";
    let writes: usize = postgres.sql(&control, sql).parse().unwrap();
    assert!(
        (1..=TENANTS / 2).contains(&writes),
        "{writes} starts and reports in the control store for {TENANTS} tenants"
    );
    // And one lock taken and one released.
    let said = redis.command(&["INFO", "commandstats"]);
    let calls = said
        .lines()
        .find_map(|line| line.strip_prefix("cmdstat_eval:calls="))
        .and_then(|rest| rest.split(',').next()?.parse::<usize>().ok())
        .unwrap();
    assert!(
        calls <= TENANTS / 2,
        "{calls} calls to Redis for {TENANTS} tenants"
    );
    fleet.verified_clean();
}
