//! A leader over a real control store: what stands still for a reason is not stalled.

#![expect(clippy::unwrap_used, reason = "a test stops where something is amiss")]

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use sanderling_claims::connect;
use sanderling_coordinator::{Coordinator, CoordinatorOptions, Providers};
use sanderling_core::halt::{Limits, Rule};
use sanderling_core::plan::{Path, Plan, PlannedTarget, PlannedWave};
use sanderling_core::policy::{Atomic, HOST_PATIENCE_MS, Policy};
use sanderling_core::{
    BundleHash, HostName, Micros, Nonce, Place, RolloutId, RolloutState, TenantId, Version,
    WorkerId,
};
use sanderling_store::{Away, Budget, RolloutRecord, Store, Submission, TargetRef, Wanted};
use sanderling_testkit::{scratch, unique, until_async};
use tokio_util::sync::CancellationToken;

const DEADLINE: Duration = Duration::from_secs(60);
const LEASE: Duration = Duration::from_secs(60);
/// What is allowed, and for how long something else is in the way: several times as long.
const ALLOWED_MS: u64 = 400;
const IN_THE_WAY_MS: u64 = 2_000;

/// One wave of one tenant.
fn plan(fleet: &str, tenant: &str, stall_after_ms: Option<u64>, host_patience_ms: u64) -> Plan {
    Plan {
        fleet: fleet.to_owned(),
        bundle: BundleHash::new("b"),
        accepted: Default::default(),
        target: Version::new("1"),
        direction: Default::default(),
        policy: Policy {
            concurrency: 4,
            atomic: Atomic::Version,
            lock_timeout_ms: 1_000,
            statement_timeout_ms: 0,
            host_patience_ms,
            create_missing: false,
            limits: Limits::default(),
            retry: BTreeMap::new(),
        },
        waves: vec![PlannedWave {
            name: "all".into(),
            tenants: 1,
            concurrency: None,
            strict: false,
            limits: Limits {
                stall_after_ms,
                ..Limits::default()
            },
            max_in_flight: 4,
            gates: Vec::new(),
        }],
        paths: vec![Path {
            from: None,
            versions: vec![Version::new("1")],
        }],
        targets: vec![PlannedTarget {
            tenant: TenantId::new(tenant),
            place: Place {
                host: HostName::new("eu1"),
                database: None,
                schema: Some(tenant.to_owned()),
                file: None,
            },
            wave: 0,
            position: 0,
            path: 0,
            has_ledger: true,
            missing: false,
        }],
        left_out: Vec::new(),
    }
}

struct Scene {
    store: Arc<dyn Store>,
    fleet: String,
    drain: CancellationToken,
    leading: Option<tokio::task::JoinHandle<()>>,
    _dir: tempfile::TempDir,
}

impl Scene {
    async fn new() -> Self {
        let (dir, fleet) = (scratch(), unique("f"));
        let store = sanderling_store::open("sqlite://control.db", &fleet, dir.path());
        Self {
            store: store.await.unwrap(),
            fleet,
            drain: CancellationToken::new(),
            leading: None,
            _dir: dir,
        }
    }

    async fn submit(&self, tenant: &str, stall_after_ms: Option<u64>) -> RolloutId {
        let plan = plan(&self.fleet, tenant, stall_after_ms, HOST_PATIENCE_MS);
        self.submit_plan(plan).await
    }

    async fn submit_plan(&self, plan: Plan) -> RolloutId {
        let submission = Submission {
            id: RolloutId::new(unique("r")),
            plan,
            actor: "test".into(),
            hosts: BTreeMap::new(),
            labels: BTreeMap::new(),
        };
        self.store.submit(&submission).await.unwrap().rollout
    }

    fn lead(&mut self) {
        let options = CoordinatorOptions {
            id: WorkerId::new("leader"),
            lease: Duration::from_secs(3),
            poll: Duration::from_millis(50),
        };
        let claims = connect("memory://", &self.fleet, LEASE).unwrap();
        let leader = Coordinator::new(options, self.store.clone(), claims, Providers::default());
        self.leading = Some(tokio::spawn(leader.run(self.drain.clone())));
    }

    async fn record(&self, id: &RolloutId) -> RolloutRecord {
        self.store.rollout(id).await.unwrap().unwrap()
    }

    /// Waits until the wave has been open for so long, in the store's time, and it runs still.
    async fn runs_for(&self, id: &RolloutId, ms: u64) {
        until_async(DEADLINE, "the wave to be open for long", async || {
            let record = self.record(id).await;
            assert_eq!(record.rollout.state, RolloutState::Running, "{record:?}");
            let opened = record.rollout.waves[0].opened_at;
            opened
                .filter(|at| record.now.millis_since(*at) >= ms)
                .map(|_| ())
        })
        .await;
    }

    /// Grants a claim on it to the worker `w`.
    async fn start(&self, id: &RolloutId, tenant: &str) {
        let wanted = Wanted {
            target: TargetRef {
                rollout: id.clone(),
                tenant: TenantId::new(tenant),
            },
            nonce: Nonce::new("n"),
        };
        let hosts = BTreeMap::from([(HostName::new("eu1"), Budget::from(4))]);
        let worker = WorkerId::new("w");
        let granted = self
            .store
            .start(&worker, &[wanted], &hosts, &Default::default(), LEASE)
            .await
            .unwrap();
        assert_eq!(granted.len(), 1);
    }

    /// Waits until it is halted; when, and for what.
    async fn halted(&self, id: &RolloutId) -> (Micros, Rule) {
        let halt = until_async(DEADLINE, "the halt", async || {
            self.record(id).await.rollout.halt
        })
        .await;
        let events = self.store.events(id, 0, 100).await.unwrap();
        let halted = events.iter().find(|e| e.kind.as_str() == "halted");
        (halted.unwrap().at, halt.rule)
    }

    async fn end(self) {
        self.drain.cancel();
        self.leading.unwrap().await.unwrap();
    }
}

/// A worker of which one host is away from now on, with claims that cannot be settled.
async fn losing_its_host(store: &dyn Store, cut_off: &[(&TargetRef, Micros)]) -> WorkerId {
    let worker = WorkerId::new("w");
    let hosts = BTreeMap::from([(HostName::new("eu1"), Default::default())]);
    let all = Default::default();
    store.beat(&worker, &hosts, &all, LEASE).await.unwrap();
    let of =
        |(target, granted): &(&TargetRef, Micros)| ((*target).clone(), *granted, Duration::ZERO);
    let away = [Away {
        host: HostName::new("eu1"),
        age: Duration::ZERO,
        reason: "is away: connection refused".to_owned(),
        cut_off: cut_off.iter().map(of).collect(),
    }];
    store.away(&worker, &away).await.unwrap();
    worker
}

/// Only a claim whose worker says so is cut off: one beside it may be at work on a connection that holds.
#[tokio::test]
async fn a_claim_that_is_cut_off_counts_when_patience_is_over() {
    let mut scene = Scene::new().await;
    let mut rollouts = Vec::new();
    for tenant in ["t1", "t2"] {
        let mut plan = plan(&scene.fleet, tenant, None, IN_THE_WAY_MS);
        plan.waves[0].limits.max_failures = Some(0);
        rollouts.push(scene.submit_plan(plan).await);
    }
    scene.lead();
    for (id, tenant) in rollouts.iter().zip(["t1", "t2"]) {
        scene.runs_for(id, 0).await;
        scene.start(id, tenant).await;
    }
    let lost = TargetRef {
        rollout: rollouts[0].clone(),
        tenant: TenantId::new("t1"),
    };
    let in_flight = scene.record(&rollouts[0]).await.rollout.in_flight;
    let granted = in_flight[&lost.tenant].since;
    let before = scene.store.now().await.unwrap();
    losing_its_host(&*scene.store, &[(&lost, granted)]).await;
    let (at, rule) = scene.halted(&rollouts[0]).await;
    assert_eq!(rule, Rule::MaxFailures);
    let waited = at.millis_since(before);
    assert!(waited >= IN_THE_WAY_MS, "{waited} ms");
    scene.runs_for(&rollouts[1], 2 * IN_THE_WAY_MS).await;
    scene.end().await;
}

#[tokio::test]
async fn a_host_that_nobody_waits_for_any_more_is_no_excuse() {
    let mut scene = Scene::new().await;
    losing_its_host(&*scene.store, &[]).await;
    let lost = scene.store.now().await.unwrap();
    let plan = plan(&scene.fleet, "t", Some(ALLOWED_MS), IN_THE_WAY_MS);
    let id = scene.submit_plan(plan).await;
    scene.lead();
    let (at, rule) = scene.halted(&id).await;
    assert_eq!(rule, Rule::StallAfter);
    // The note of the worker came a moment before.
    let waited = at.millis_since(lost);
    assert!(waited >= IN_THE_WAY_MS, "{waited} ms");
    scene.end().await;
}

#[tokio::test]
async fn a_host_that_is_away_is_no_stall() {
    let mut scene = Scene::new().await;
    let worker = losing_its_host(&*scene.store, &[]).await;
    let id = scene.submit("t", Some(ALLOWED_MS)).await;
    scene.lead();
    scene.runs_for(&id, IN_THE_WAY_MS).await;
    let back = scene.record(&id).await.now;
    scene.store.away(&worker, &[]).await.unwrap();
    let (at, rule) = scene.halted(&id).await;
    assert_eq!(rule, Rule::StallAfter);
    assert!(at > back, "halted while the host was away");
    scene.end().await;
}

#[tokio::test]
async fn a_rollout_behind_another_is_no_stall() {
    let mut scene = Scene::new().await;
    let first = scene.submit("t1", None).await;
    scene.lead();
    scene.runs_for(&first, 0).await;
    scene.start(&first, "t1").await;
    let second = scene.submit("t2", Some(ALLOWED_MS)).await;
    scene.runs_for(&second, IN_THE_WAY_MS).await;
    scene.end().await;
}

#[tokio::test]
async fn nobody_led_is_no_stall() {
    let mut scene = Scene::new().await;
    let id = scene.submit("t", Some(ALLOWED_MS)).await;
    let leader = WorkerId::new("earlier");
    let lease = Duration::from_millis(100);
    let leads = scene.store.lead(&leader, lease).await.unwrap().unwrap();
    let open = sanderling_core::rollout::Action::OpenWave(0);
    let seq = scene.record(&id).await.rollout.last_seq;
    scene.store.act(&leads, &id, seq, &open).await.unwrap();
    scene.runs_for(&id, IN_THE_WAY_MS).await;
    let led_from = scene.record(&id).await.now;
    scene.lead();
    let (at, rule) = scene.halted(&id).await;
    assert_eq!(rule, Rule::StallAfter);
    assert!(
        at.millis_since(led_from) >= ALLOWED_MS,
        "{at:?} {led_from:?}"
    );
    scene.end().await;
}
