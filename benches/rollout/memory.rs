//! The most memory that processes had: a coordinator, a worker, and `plan` over a large registry.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use sanderling_core::halt::Limits;
use sanderling_core::plan::{Path, Plan, PlannedTarget, PlannedWave};
use sanderling_core::policy::{Atomic, HOST_PATIENCE_MS, Policy};
use sanderling_core::{
    Bundle, BundleFile, Direction, HostName, Nonce, Outcome, Place, RolloutId, RolloutState,
    Serves, TenantId, Version, WorkerId,
};
use sanderling_store::{Budget, Grant, Held, Report, Store, Submission, TargetResult, Wanted};
use sanderling_testkit::{Postgres, Process, Redis, until};
use serde_json::Value;

use crate::asked::Asked;
use crate::ours::{Ours, Setting};
use crate::schemas::SERVER;
use crate::wire::Wire;

const LEASE: Duration = Duration::from_secs(60);
/// Targets that the driver of the coordinator's bench claims and ends at once.
const AT_ONCE: usize = 256;

/// The most memory that a process has had so far, in MB; none once it has ended.
fn most(pid: u32) -> Option<f64> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let line = status.lines().find(|line| line.starts_with("VmHWM:"))?;
    let kilobytes: f64 = line.split_whitespace().nth(1)?.parse().ok()?;
    Some(kilobytes / 1024.0)
}

/// `plan` over a registry of many rows, none of whose schemas is there yet, and all of which are to be created.
pub(crate) fn plan(asked: &Asked) {
    let n = asked.n.unwrap_or(1_000_000);
    let postgres = Postgres::private_with(SERVER);
    let rows: Vec<_> = (0..n)
        .map(|i| format!("t{i:07},tenants,shard{},t{i:07},", i % 10))
        .collect();
    let mut admin = Wire::connect(postgres.url());
    for d in 0..10 {
        admin.ask(&format!("CREATE DATABASE shard{d}"));
    }
    let fleet = Ours::new(
        &setting(asked, postgres.url(), "sqlite://control.db", "memory://"),
        &rows,
    );
    fleet.creating();
    fleet.migration("0001", "CREATE TABLE t (id integer);");
    let mut command = fleet.command(&["--json", "plan"]);
    command.env("NO_COLOR", "1");
    let begun = Instant::now();
    let mut process = Process::spawn(command);
    let mut high: f64 = 0.0;
    until(Duration::from_secs(900), "plan to end", || {
        high = most(process.pid()).unwrap_or(high).max(high);
        (!process.is_running()).then_some(())
    });
    let seconds = begun.elapsed().as_secs_f64();
    let ended = process.wait_with_deadline(Duration::from_secs(1));
    let plan: Value = serde_json::from_str(ended.stdout.lines().last().unwrap()).unwrap();
    assert_eq!(plan["pending"], n, "{}", ended.stderr);
    println!(
        "plan over {n} rows of CSV (schemas to be created in 10 databases): {seconds:.1} s, {high:.0} MB"
    );
}

/// A coordinator that leads a rollout over many targets, which a driver claims and ends through the store's own verbs.
pub(crate) fn coordinator(asked: &Asked) {
    let n = asked.n.unwrap_or(100_000);
    let (postgres, redis) = (Postgres::private_with(SERVER), Redis::private());
    let control = postgres.create_database();
    let fleet = Ours::new(&setting(asked, postgres.url(), &control, redis.url()), &[]);
    let coordinator = Process::spawn(fleet.command(&["coordinator"]));
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let (submitted, worked) = runtime.block_on(drive(&control, fleet.name(), n));
    let high = most(coordinator.pid()).unwrap();
    println!(
        "coordinator over a rollout of {n} targets: {high:.0} MB at most; submitted in {submitted:.1} s, claimed and ended {:.0} targets per second, {AT_ONCE} at once",
        n as f64 / worked
    );
}

/// Workers and coordinator of a cluster at 16 connections, after a rollout over real schemas.
pub(crate) fn worker(asked: &Asked) {
    let n = asked.n.unwrap_or(2_000);
    let (postgres, redis) = (Postgres::private_with(SERVER), Redis::private());
    let (url, control) = (postgres.create_database(), postgres.create_database());
    let mut wire = Wire::connect(&url);
    for i in 0..n {
        wire.ask(&format!("CREATE SCHEMA t{i:05}"));
    }
    let rows: Vec<_> = (0..n)
        .map(|i| format!("t{i:05},tenants,,t{i:05},"))
        .collect();
    let sixteen = Setting {
        k: 16,
        in_flight: 64,
        ..setting(asked, &url, &control, redis.url())
    };
    let mut fleet = Ours::new(&sixteen, &rows);
    for (version, body) in crate::schemas::FIVE {
        fleet.migration(version, &format!("{body};"));
    }
    fleet.start(1);
    let took = fleet.up();
    let [coordinator, worker] = [0, 1].map(|at| most(fleet.processes()[at].pid()).unwrap());
    println!(
        "worker at 16 connections, {n} schemas through five versions ({:.1} s): {worker:.0} MB at most; its coordinator {coordinator:.0} MB",
        took.rollout
    );
}

fn setting<'a>(asked: &Asked, host: &'a str, control: &'a str, claims: &'a str) -> Setting<'a> {
    Setting {
        control,
        claims,
        host,
        k: asked.k,
        in_flight: asked.in_flight,
        atomic: "version",
    }
}

/// Submits a rollout and works it off: the seconds of both.
async fn drive(control: &str, fleet: &str, n: usize) -> (f64, f64) {
    let base = std::path::Path::new("/");
    let store = sanderling_store::open(control, fleet, base).await.unwrap();
    let bundle = Bundle::new(vec![BundleFile {
        name: "0001_body.sql".into(),
        text: "-- +migrate Up\nSELECT 1;\n".into(),
    }]);
    store.put_bundle(&bundle).await.unwrap();
    let submission = Submission {
        id: RolloutId::new("0190b0b0-0000-7000-8000-000000000001"),
        plan: plan_of(fleet, &bundle, n),
        actor: "bench".into(),
        hosts: BTreeMap::new(),
        labels: BTreeMap::new(),
    };
    let begun = Instant::now();
    store.submit(&submission).await.unwrap();
    let submitted = begun.elapsed().as_secs_f64();
    let begun = Instant::now();
    let mut ended = 0;
    while ended < n {
        ended += some(&store).await;
    }
    let worked = begun.elapsed().as_secs_f64();
    let id = &submission.id;
    sanderling_testkit::until_async(LEASE, "the rollout to end", async || {
        let record = store.rollout(id).await.unwrap().unwrap();
        (record.rollout.state == RolloutState::Succeeded).then_some(())
    })
    .await;
    (submitted, worked)
}

/// Claims what may be claimed, and says that it succeeded.
async fn some(store: &Arc<dyn Store>) -> usize {
    let host = HostName::new("tenants");
    let (serves, worker) = (Serves::everyone(), WorkerId::new("worker-bench"));
    let limit = u32::try_from(AT_ONCE).unwrap();
    let found = store
        .candidates(std::slice::from_ref(&host), &serves, limit)
        .await
        .unwrap();
    let wanted: Vec<_> = found
        .into_iter()
        .map(|candidate| Wanted {
            nonce: Nonce::new(candidate.target.tenant.as_str()),
            target: candidate.target,
        })
        .collect();
    if wanted.is_empty() {
        // The leader has not opened the wave yet.
        tokio::task::yield_now().await;
        return 0;
    }
    let budgets = BTreeMap::from([(host, Budget::from(limit))]);
    let grants = store
        .start(&worker, &wanted, &budgets, &serves, LEASE)
        .await
        .unwrap();
    let reports: Vec<_> = grants.iter().map(succeeded).collect();
    store.report(&reports).await.unwrap();
    grants.len()
}

fn succeeded(grant: &Grant) -> Report {
    Report {
        held: Held {
            target: grant.target.clone(),
            epoch: grant.epoch,
        },
        result: TargetResult::Ended {
            outcome: Outcome::Succeeded,
            applied: grant.versions.clone(),
            failure: None,
        },
        kept: None,
    }
}

fn plan_of(fleet: &str, bundle: &Bundle, n: usize) -> Plan {
    let (size, most) = (u32::try_from(n).unwrap(), u32::try_from(AT_ONCE).unwrap());
    let target = |n: u32| PlannedTarget {
        tenant: TenantId::new(format!("t{n:06}")),
        place: Place {
            host: HostName::new("tenants"),
            database: None,
            schema: Some(format!("t{n:06}")),
            file: None,
        },
        wave: 0,
        position: n,
        path: 0,
        has_ledger: true,
        missing: false,
    };
    Plan {
        fleet: fleet.to_owned(),
        bundle: bundle.hash().clone(),
        target: Version::new("0001"),
        direction: Direction::Up,
        policy: Policy {
            concurrency: most,
            atomic: Atomic::Version,
            lock_timeout_ms: 1_000,
            statement_timeout_ms: 0,
            host_patience_ms: HOST_PATIENCE_MS,
            create_missing: false,
            limits: Limits::default(),
            retry: sanderling_core::retry::defaults(),
        },
        waves: vec![PlannedWave {
            name: "all".into(),
            tenants: size,
            concurrency: None,
            strict: false,
            limits: Limits::default(),
            max_in_flight: most,
            gates: Vec::new(),
        }],
        paths: vec![Path {
            from: None,
            versions: vec![Version::new("0001")],
        }],
        targets: (0..size).map(target).collect(),
        left_out: Vec::new(),
        accepted: BTreeMap::default(),
    }
}
