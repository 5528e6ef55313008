//! The floors: what the same change costs without anybody who coordinates it.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use sanderling_core::{
    Checksum, Direction, Epoch, HostName, Nonce, Place, RolloutId, StoreId, TenantId, Version,
    WorkerId,
};
use sanderling_engine::{Claim, HostConfig, Hosts, Limits, SearchPath, Step, StepOutcome};
use sanderling_secrets::Reference;
use sanderling_sql::{Dialect, Statement};

use crate::wire::Wire;

/// Sends one message for each tenant on `k` kept connections, as fast as they go. Seconds, the connecting included.
pub(crate) fn naive(url: &str, k: usize, messages: &[String]) -> f64 {
    let (begun, next) = (Instant::now(), AtomicUsize::new(0));
    std::thread::scope(|scope| {
        for _ in 0..k {
            scope.spawn(|| {
                let mut wire = Wire::connect(url);
                while let Some(message) = messages.get(next.fetch_add(1, Ordering::Relaxed)) {
                    wire.ask(message);
                }
            });
        }
    });
    begun.elapsed().as_secs_f64()
}

/// Connects for each tenant, `k` at a time, and sends one message to each.
pub(crate) fn naive_connecting(urls: &[String], k: usize, message: &str) -> f64 {
    let (begun, next) = (Instant::now(), AtomicUsize::new(0));
    std::thread::scope(|scope| {
        for _ in 0..k {
            scope.spawn(|| {
                while let Some(url) = urls.get(next.fetch_add(1, Ordering::Relaxed)) {
                    Wire::connect(url).ask(message);
                }
            });
        }
    });
    begun.elapsed().as_secs_f64()
}

/// The message that a program would send which thinks of nothing but the change: each step in turn, one transaction.
pub(crate) fn naive_message(schema: &str, lock: usize, bodies: &[(String, String)]) -> String {
    let mut message =
        format!("BEGIN; SET LOCAL search_path TO {schema}; SELECT pg_advisory_xact_lock({lock}); ");
    for (version, body) in bodies {
        message.push_str(&format!(
            "{body}; INSERT INTO naive_ledger (version) VALUES ('{version}'); "
        ));
    }
    message.push_str("COMMIT");
    message
}

/// One migration, as the engine takes it.
pub(crate) struct Change {
    version: Version,
    checksum: Checksum,
    statements: Vec<Statement>,
}

impl Change {
    /// Of a version, with its statements.
    pub(crate) fn new(version: &str, body: &str, dialect: Dialect) -> Self {
        let text = format!("-- +migrate Up\n{body}\n");
        let migration = sanderling_sql::parse(&format!("{version}_change.sql"), &text).unwrap();
        Self {
            version: Version::new(version),
            checksum: Checksum::new(&migration.checksum),
            statements: migration.statements(dialect).unwrap(),
        }
    }

    fn step(&self, has_ledger: bool) -> Step<'_> {
        Step {
            version: &self.version,
            name: "change",
            checksum: &self.checksum,
            accepted: None,
            file: "change.sql",
            direction: Direction::Up,
            statements: &self.statements,
            lock_timeout_ms: None,
            statement_timeout_ms: None,
            has_ledger,
            stepwise: false,
        }
    }
}

/// What is changed, and where.
pub(crate) struct Tenants {
    /// Each on host `tenants`.
    pub(crate) places: Vec<Place>,
    /// In order, in one transaction.
    pub(crate) changes: Vec<Change>,
}

/// Runs the engine's own sessions, `k` at a time: the very message that a worker sends, and nobody who plans, claims or
/// reports. Seconds, from the first connection to the last row that came back.
pub(crate) fn guarded(
    url: &str,
    k: usize,
    tenants: &Arc<Tenants>,
    has_ledger: bool,
    epoch: i64,
) -> f64 {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .unwrap();
    let host = HostConfig {
        name: HostName::new("tenants"),
        url: Reference::new(url),
        direct_url: None,
        role: None,
        search_path: SearchPath::default(),
        connections: u32::try_from(k).unwrap(),
        in_flight: None,
        base_dir: Path::new("/").to_owned(),
    };
    let hosts = Arc::new(Hosts::new(vec![host]).unwrap());
    let next = Arc::new(AtomicUsize::new(0));
    let begun = Instant::now();
    runtime.block_on(async {
        let mut work = tokio::task::JoinSet::new();
        for _ in 0..k {
            work.spawn(one_after_the_other(
                hosts.clone(),
                next.clone(),
                tenants.clone(),
                has_ledger,
                epoch,
            ));
        }
        while let Some(done) = work.join_next().await {
            done.unwrap();
        }
        hosts.close().await;
    });
    begun.elapsed().as_secs_f64()
}

async fn one_after_the_other(
    hosts: Arc<Hosts>,
    next: Arc<AtomicUsize>,
    tenants: Arc<Tenants>,
    has_ledger: bool,
    epoch: i64,
) {
    let driver = hosts.driver(&HostName::new("tenants")).unwrap();
    let changes = tenants.changes.iter();
    let steps: Vec<_> = changes.map(|change| change.step(has_ledger)).collect();
    let limits = Limits {
        lock_timeout_ms: 1_000,
        statement_timeout_ms: 0,
        create_missing: !has_ledger,
        room: u32::MAX,
    };
    while let Some(place) = tenants.places.get(next.fetch_add(1, Ordering::Relaxed)) {
        let claim = Claim {
            store: StoreId::new("bench"),
            rollout: RolloutId::new("0123456789abcdef"),
            tenant: TenantId::new(place.to_string()),
            epoch: Epoch(epoch),
            nonce: Nonce::new(format!("{epoch:032x}")),
            worker: WorkerId::new("bench"),
        };
        let mut session = driver.open(place, &claim, &limits).await.unwrap();
        let outcome = match steps.as_slice() {
            [step] => session.step(step).await,
            steps => session.steps(steps).await,
        };
        assert!(
            matches!(outcome, StepOutcome::Applied(_)),
            "{place}: {outcome:?}"
        );
        session.close().await;
    }
}
