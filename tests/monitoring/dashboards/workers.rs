//! Workers and databases: how busy each is, how long things take, what fails.

use serde_json::Value;

use super::page::Page;
use super::panel::{COUNT, PER_SECOND, Panel, SECONDS, SHARE};

/// Of the chosen workers.
const OF: &str = "{fleet=\"$fleet\", instance=~\"$instance\"";
/// Of all processes of the fleet.
const ALL: &str = "{fleet=\"$fleet\"";
/// Of the chosen hosts.
const HOST: &str = "{fleet=\"$fleet\", host=~\"$host\"";

pub(super) fn dashboard() -> Value {
    let instances = "label_values(sanderling_worker_slots{fleet=\"$fleet\"}, instance)";
    let hosts = "label_values(sanderling_host_connections_limit{fleet=\"$fleet\"}, host)";
    let open = format!("max by (host) (sanderling_host_circuit_open{HOST}}}) == 1");
    Page::new(
        "sanderling-workers",
        "Sanderling / Workers and databases",
        "How busy workers, hosts, control store and Redis are, how long things take, and what fails.",
    )
    .variable("instance", "Worker", instances, 1, true)
    .variable("host", "Host", hosts, 1, true)
    .annotation("Host pauses", "orange", &open, "host {{host}} pauses")
    .row("Workers", workers())
    .row("Tenants", tenants())
    .row("Hosts", hosts_row())
    .row("Control store and Redis", dependencies())
    .json()
}

fn rate(by: &str, metric: &str, of: &str) -> String {
    format!("sum by ({by}) (rate({metric}{of}}}[$__rate_interval]))")
}

fn quantile(q: &str, by: &str, metric: &str, of: &str) -> String {
    format!(
        "histogram_quantile({q}, {})",
        rate(&format!("{by}, le"), &format!("{metric}_bucket"), of)
    )
}

fn workers() -> Vec<Panel> {
    let counted = |metric: &str| format!("sum(increase({metric}{OF}}}[$__range]))");
    let slots = |metric: &str| format!("sum by (instance) ({metric}{OF}}})");
    vec![
        Panel::stat("Slots in use", "The share of all workers' slots that have a tenant in hand.", SHARE)
            .query("max(fleet:worker_slots_in_use:ratio{fleet=\"$fleet\"})", "in use"),
        Panel::stat("Workers", "Workers that Prometheus sees.", COUNT)
            .query(&format!("count(sanderling_worker_slots{OF}}})"), "workers"),
        Panel::stat("Leases not renewed", "Within the time shown. The control store or Redis was slow or away.", COUNT)
            .query(&counted("sanderling_renew_failures_total"), "not renewed")
            .coloured(&[(1.0, "orange")]),
        Panel::stat("Claims lost", "Within the time shown: tenants that another worker has taken over meanwhile.", COUNT)
            .query(&counted("sanderling_stale_claims_total"), "lost")
            .coloured(&[(1.0, "orange")]),
        Panel::stat("Fenced", "Within the time shown: late messages that a tenant's fence refused. Nothing was applied twice.", COUNT)
            .query(&counted("sanderling_fenced_total"), "fenced")
            .coloured(&[(1.0, "orange")]),
        Panel::stat("Oldest heartbeat", "How long ago the control store last heard of the quietest worker.", SECONDS)
            .query(&format!("time() - min(sanderling_worker_heartbeat_timestamp_seconds{OF}}})"), "age")
            .coloured(&[(60.0, "orange"), (120.0, "red")]),
        Panel::lines("Slots in use, by worker", "Tenants in hand.", COUNT)
            .query(&slots("sanderling_worker_slots_in_use"), "{{instance}}"),
        Panel::lines("Slots, by worker", "Tenants that a worker may have in hand at once.", COUNT)
            .query(&slots("sanderling_worker_slots"), "{{instance}}"),
    ]
}

fn tenants() -> Vec<Panel> {
    let lasts = "sanderling_target_duration_seconds";
    vec![
        Panel::lines("Starts a second", "Claims that were granted.", PER_SECOND)
            .query(&rate("engine", "sanderling_starts_total", OF), "{{engine}}"),
        Panel::stacked("Ends a second", "By outcome; `retry` and `released` come again.", PER_SECOND)
            .query(&rate("outcome", "sanderling_target_duration_seconds_count", OF), "{{outcome}}"),
        Panel::lines("What a tenant takes", "From the grant to the report's acceptance.", SECONDS)
            .query(&quantile("0.5", "engine", lasts, OF), "{{engine}} half")
            .query(&quantile("0.95", "engine", lasts, OF), "{{engine}} 95 in 100")
            .query(&quantile("0.99", "engine", lasts, OF), "{{engine}} 99 in 100"),
        Panel::heat("How long tenants take", "The same, all of it.", SECONDS)
            .query(&format!("sum by (le) (increase({lasts}_bucket{OF}}}[$__rate_interval]))"), "{{le}}"),
        Panel::lines("What a message takes", "95 in 100 messages to a tenant's database: a whole migration, or one statement of a `transaction=off` file.", SECONDS)
            .query(&quantile("0.95", "engine, kind", "sanderling_message_duration_seconds", OF), "{{engine}} {{kind}}"),
        Panel::lines("Waiting for a tenant's lock", "95 in 100 jobs that had to poll for it.", SECONDS)
            .query(&quantile("0.95", "engine", "sanderling_lock_wait_seconds", OF), "{{engine}}"),
        Panel::stacked("Retries by class", "Attempts that will be repeated.", PER_SECOND)
            .query(&rate("class", "sanderling_retries_total", OF), "{{class}}"),
        Panel::stacked("Failures by class", "Tenants that failed for good.", PER_SECOND)
            .query(&rate("class", "sanderling_failures_total", OF), "{{class}}"),
    ]
}

fn hosts_row() -> Vec<Panel> {
    vec![
        Panel::stacked("Connections", "To each host, over all workers: busy, and kept idle for the next tenant.", COUNT)
            .query(&format!("sum by (host, state) (sanderling_host_connections{HOST}}})"), "{{host}} {{state}}"),
        Panel::lines("Share of the budget", "Connections by `hosts.NAME.connections`. It is never exceeded; near 100 % it sets the pace.", SHARE)
            .query("max by (host) (fleet_host:connections:ratio{fleet=\"$fleet\", host=~\"$host\"})", "{{host}}")
            .coloured(&[(0.9, "orange")])
            .whole(),
        Panel::timeline("Hosts that pause", "A host that is away, full, or takes no writes: its tenants wait.")
            .query(&format!("max by (host) (sanderling_host_circuit_open{HOST}}})"), "{{host}}")
            .mapped(&[("works", "green"), ("pauses", "orange")]),
        Panel::lines("Workers that cannot work there", "By host. `sanderling status` says what they lack.", COUNT)
            .query(&format!("max by (host) (sanderling_workers_away{HOST}}})"), "{{host}}")
            .none("every worker can work everywhere"),
        Panel::table("Budgets", "`hosts.NAME.connections`.", COUNT)
            .query(&format!("max by (host) (sanderling_host_connections_limit{HOST}}})"), "connections")
            .sized(24, 5),
    ]
}

fn dependencies() -> Vec<Panel> {
    vec![
        Panel::lines("What the control store takes", "95 in 100 requests, by verb, over all processes.", SECONDS)
            .query(&quantile("0.95", "op", "sanderling_store_request_duration_seconds", ALL), "{{op}}"),
        Panel::stacked("Requests to the control store", "A second, by verb.", PER_SECOND)
            .query(&rate("op", "sanderling_store_request_duration_seconds_count", ALL), "{{op}}"),
        Panel::stacked("Errors of the control store", "A second. `stale` and `conflict` are answers; `unavailable` is an outage.", PER_SECOND)
            .query(&rate("op, kind", "sanderling_store_errors_total", ALL), "{{op}} {{kind}}")
            .none("no errors"),
        Panel::lines("What Redis takes", "95 in 100 requests, by operation.", SECONDS)
            .query(&quantile("0.95", "backend, op", "sanderling_claims_request_duration_seconds", ALL), "{{backend}} {{op}}"),
        Panel::stacked("Locks", "A second. `refused` is somebody else's; `error` is Redis away, which costs time and nothing else.", PER_SECOND)
            .query(&rate("op, result", "sanderling_claims_locks_total", ALL), "{{op}} {{result}}"),
    ]
}
