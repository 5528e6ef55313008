//! Plans, claims and reports as tests need them.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use sanderling_core::halt::Limits;
use sanderling_core::plan::{Path, Plan, PlannedTarget, PlannedWave};
use sanderling_core::policy::{Atomic, Policy};
use sanderling_core::rollout::Action;
use sanderling_core::{
    BundleHash, Direction, ErrorClass, Failure, HostName, Nonce, Outcome, Place, Rollout,
    RolloutId, Serves, TenantId, Version, WorkerId,
};
use sanderling_store::{
    Budget, Grant, Held, Receipt, Report, RolloutRecord, Store, Submission, TargetFilter,
    TargetRecord, TargetRef, TargetResult, Wanted,
};

pub(crate) const LEASE: Duration = Duration::from_secs(60);
/// A lease that has expired when the answer arrives.
pub(crate) const TINY: Duration = Duration::from_micros(1);
pub(crate) const DEADLINE: Duration = Duration::from_secs(20);

pub(crate) fn tenant(n: usize) -> TenantId {
    TenantId::new(format!("t{n:05}"))
}

pub(crate) fn worker(name: &str) -> WorkerId {
    WorkerId::new(name)
}

pub(crate) fn host(name: &str) -> HostName {
    HostName::new(name)
}

pub(crate) fn place(host_name: &str, tenant: &TenantId) -> Place {
    Place {
        host: host(host_name),
        database: None,
        schema: Some(tenant.to_string()),
        file: None,
    }
}

/// Waves of these sizes on host `eu1`, without limits.
pub(crate) fn plan(fleet: &str, waves: &[usize]) -> Plan {
    let mut targets = Vec::new();
    for (wave, size) in waves.iter().enumerate() {
        for position in 0..*size {
            let tenant = tenant(targets.len());
            targets.push(PlannedTarget {
                place: place("eu1", &tenant),
                tenant,
                wave,
                position: position as u32,
                path: 0,
                has_ledger: true,
                missing: false,
            });
        }
    }
    let planned = |(wave, size): (usize, &usize)| PlannedWave {
        name: format!("wave {wave}"),
        tenants: *size as u32,
        concurrency: None,
        strict: false,
        limits: Limits::default(),
        max_in_flight: 1_000,
        gates: Vec::new(),
    };
    Plan {
        fleet: fleet.to_owned(),
        bundle: BundleHash::new("b1"),
        target: Version::new("2"),
        direction: Direction::Up,
        policy: Policy {
            concurrency: 1_000,
            atomic: Atomic::Version,
            lock_timeout_ms: 1_000,
            statement_timeout_ms: 0,
            host_patience_ms: sanderling_core::policy::HOST_PATIENCE_MS,
            create_missing: false,
            limits: Limits::default(),
            retry: BTreeMap::new(),
        },
        waves: waves.iter().enumerate().map(planned).collect(),
        paths: vec![Path {
            from: None,
            versions: vec![Version::new("1"), Version::new("2")],
        }],
        targets,
        left_out: Vec::new(),
        accepted: Default::default(),
    }
}

/// The same plan over other tenants.
pub(crate) fn shifted(mut plan: Plan, by: usize) -> Plan {
    for (n, target) in plan.targets.iter_mut().enumerate() {
        target.tenant = tenant(n + by);
    }
    plan
}

pub(crate) fn submission(plan: Plan) -> Submission {
    Submission {
        id: RolloutId::new(uuid::Uuid::now_v7().to_string()),
        plan,
        actor: "tester".to_owned(),
        hosts: BTreeMap::new(),
        labels: BTreeMap::new(),
    }
}

pub(crate) type AnyStore = Arc<dyn Store>;

/// Submits a plan and opens its first wave.
pub(crate) async fn running(store: &AnyStore, plan: Plan) -> RolloutId {
    let submitted = store.submit(&submission(plan)).await.unwrap();
    assert!(!submitted.joined);
    act(store, &submitted.rollout, Action::OpenWave(0)).await;
    submitted.rollout
}

/// Acts as the leader, whoever led before.
pub(crate) async fn act(store: &AnyStore, id: &RolloutId, action: Action) {
    let leader = store.lead(&worker("leader"), LEASE).await.unwrap();
    let seq = rollout(store, id).await.last_seq;
    store.act(&leader.unwrap(), id, seq, &action).await.unwrap();
}

pub(crate) async fn record(store: &AnyStore, id: &RolloutId) -> RolloutRecord {
    store.rollout(id).await.unwrap().unwrap()
}

pub(crate) async fn rollout(store: &AnyStore, id: &RolloutId) -> Rollout {
    record(store, id).await.rollout
}

pub(crate) fn want(id: &RolloutId, n: usize) -> Wanted {
    Wanted {
        target: TargetRef {
            rollout: id.clone(),
            tenant: tenant(n),
        },
        nonce: Nonce::new(format!("{:032x}", rand::random::<u128>())),
    }
}

/// A generous budget for the hosts that tests use.
pub(crate) fn budgets() -> BTreeMap<HostName, Budget> {
    ["eu1", "eu2"]
        .map(|name| (host(name), 10_000.into()))
        .into()
}

pub(crate) async fn start(
    store: &AnyStore,
    id: &RolloutId,
    tenants: impl IntoIterator<Item = usize>,
    lease: Duration,
) -> Vec<Grant> {
    let wanted: Vec<_> = tenants.into_iter().map(|n| want(id, n)).collect();
    store
        .start(
            &worker("w1"),
            &wanted,
            &budgets(),
            &Serves::everyone(),
            lease,
        )
        .await
        .unwrap()
}

/// Starts one target, which must be granted.
pub(crate) async fn start_one(
    store: &AnyStore,
    id: &RolloutId,
    n: usize,
    lease: Duration,
) -> Grant {
    let mut grants = start(store, id, [n], lease).await;
    assert_eq!(grants.len(), 1, "{} is not granted", tenant(n));
    grants.remove(0)
}

pub(crate) fn held(grant: &Grant) -> Held {
    Held {
        target: grant.target.clone(),
        epoch: grant.epoch,
    }
}

pub(crate) fn failure(class: ErrorClass) -> Failure {
    Failure::new(class, "XX000", "it broke")
}

pub(crate) fn ended(outcome: Outcome) -> TargetResult {
    let fails = matches!(outcome, Outcome::Failed | Outcome::Dirty);
    let versions = match outcome {
        Outcome::Succeeded => vec![Version::new("1"), Version::new("2")],
        Outcome::Partial => vec![Version::new("1")],
        _ => Vec::new(),
    };
    TargetResult::Ended {
        outcome,
        applied: versions,
        failure: fails.then(|| failure(ErrorClass::MigrationSql)),
    }
}

pub(crate) fn retry(class: ErrorClass, after: Duration, fenced: bool) -> TargetResult {
    TargetResult::Retry {
        failure: failure(class),
        after,
        applied: Vec::new(),
        fenced,
    }
}

pub(crate) fn released(fenced: bool) -> TargetResult {
    TargetResult::Released {
        applied: Vec::new(),
        fenced,
    }
}

pub(crate) fn report_of(grant: &Grant, result: TargetResult) -> Report {
    Report {
        held: held(grant),
        result,
        kept: None,
    }
}

pub(crate) async fn report(store: &AnyStore, grant: &Grant, result: TargetResult) -> Receipt {
    store.report(&[report_of(grant, result)]).await.unwrap()[0]
}

pub(crate) async fn targets(store: &AnyStore, id: &RolloutId) -> Vec<TargetRecord> {
    store
        .targets(id, TargetFilter::All, None, 100_000)
        .await
        .unwrap()
}

pub(crate) async fn outcome_of(store: &AnyStore, id: &RolloutId, n: usize) -> Outcome {
    let all = targets(store, id).await;
    all.iter()
        .find(|t| t.target.tenant == tenant(n))
        .unwrap()
        .outcome
}
