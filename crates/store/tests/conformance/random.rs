//! Random verbs in random order: what the rollout has counted is what its targets say.

use std::collections::BTreeMap;

use rand::rngs::SmallRng;
use rand::{RngExt, SeedableRng};
use sanderling_core::plan::Plan;
use sanderling_core::{
    ErrorClass, Micros, Outcome, OutcomeCounts, Rollout, RolloutId, decide, fold,
};
use sanderling_store::{Command, Grant, Submission, TargetResult};

use crate::backend::Backend;
use crate::fleet::{
    AnyStore, LEASE, TINY, ended, failure, held, plan, record, released, report_of, retry, rollout,
    start, submission, targets, tenant, worker,
};
use crate::holds::{hold, let_go, pin};

const TENANTS: usize = 14;

pub(crate) async fn tallies_agree_with_targets(backend: Backend) {
    for seed in 0..6 {
        let store = backend.open().await;
        let mut random = SmallRng::seed_from_u64(seed);
        let mut planned = plan(&backend.fleet, &[4, 10]);
        planned.bundle = sanderling_core::BundleHash::new(format!("b{seed}"));
        planned.policy.concurrency = 6;
        planned.policy.limits.max_failures = Some(4);
        planned.waves[0].limits.max_failures = Some(1);
        let submission = submission(planned);
        store.submit(&submission).await.unwrap();
        let mut life = Life {
            store: &store,
            id: submission.id.clone(),
            grants: Vec::new(),
        };
        for _ in 0..60 {
            life.step(&mut random).await;
            agree(&store, &submission).await;
        }
        let cancel = Command::Cancel {
            reason: "over".to_owned(),
        };
        let _ = store.command(&life.id, &cancel, "tester").await;
        agree(&store, &submission).await;
        life.drain().await;
        agree(&store, &submission).await;
        let_go(&store, 0..TENANTS).await;
        let spent = backend.sql("SELECT SUM(in_flight) || '' FROM hosts").await;
        assert_eq!(spent, "0", "seed {seed}: nothing is in flight on any host");
    }
}

struct Life<'s> {
    store: &'s AnyStore,
    id: RolloutId,
    grants: Vec<Grant>,
}

impl Life<'_> {
    async fn step(&mut self, random: &mut SmallRng) {
        match random.random_range(0..14) {
            0 => self.lead().await,
            1 | 10 | 11 => self.command(random).await,
            12 => self.tenants(random).await,
            2 => self.reissue(random).await,
            3..6 => {
                let wanted: Vec<_> = (0..3).map(|_| random.random_range(0..TENANTS)).collect();
                let lease = if random.random_ratio(1, 4) {
                    TINY
                } else {
                    LEASE
                };
                let grants = start(self.store, &self.id, wanted, lease).await;
                self.grants.extend(grants);
            }
            _ => self.report(random).await,
        }
    }

    async fn lead(&self) {
        let record = record(self.store, &self.id).await;
        let leader = self.store.lead(&worker("leader"), LEASE).await.unwrap();
        if let Some(action) = decide(&record.rollout, record.now).actions.first() {
            let seen = record.rollout.last_seq;
            let leader = leader.unwrap();
            self.store
                .act(&leader, &self.id, seen, action)
                .await
                .unwrap();
        }
    }

    async fn command(&self, random: &mut SmallRng) {
        let command = match random.random_range(0..6) {
            0 => Command::Retry {
                class: Some(ErrorClass::Timeout),
                reason: Some("random".to_owned()),
            },
            1 => Command::Retry {
                class: None,
                reason: None,
            },
            2 => Command::Pause { reason: None },
            3 => Command::RetryNotStarted { reason: None },
            4 => Command::Skip {
                tenant: tenant(random.random_range(0..TENANTS)),
                reason: "random".to_owned(),
            },
            _ => Command::Resume {
                acknowledge: true,
                reason: None,
            },
        };
        // Some are refused in the state at hand; then nothing may have changed.
        let _ = self.store.command(&self.id, &command, "tester").await;
    }

    /// Holds and releases; now and then a hold that ends while the test runs.
    async fn tenants(&self, random: &mut SmallRng) {
        let some: Vec<_> = (0..3).map(|_| random.random_range(0..TENANTS)).collect();
        match random.random_range(0..4) {
            0 => {
                let soon = Micros(self.store.now().await.unwrap().0 + 5_000);
                // Refused where the store was slower than that.
                let _ = self.store.hold(&hold(some, Some(soon)), "tester").await;
            }
            1 => {
                pin(self.store, some).await;
            }
            2 => {
                let_go(self.store, some).await;
            }
            _ => {
                let some: Vec<_> = some.into_iter().map(tenant).collect();
                let _ = self.store.cancel_tenants(&some, "random", "tester").await;
            }
        }
    }

    async fn reissue(&mut self, random: &mut SmallRng) {
        if self.grants.is_empty() {
            return;
        }
        let n = random.random_range(0..self.grants.len());
        let grant = &mut self.grants[n];
        let nonce = sanderling_core::Nonce::new(format!("{:x}", random.random::<u64>()));
        let held = held(grant);
        if let Ok(epoch) = self.store.reissue(&held, held.epoch, &nonce, LEASE).await {
            grant.epoch = epoch;
        }
    }

    async fn report(&mut self, random: &mut SmallRng) {
        let mut reports = Vec::new();
        for _ in 0..random.random_range(0..4) {
            if self.grants.is_empty() {
                break;
            }
            let grant = self
                .grants
                .remove(random.random_range(0..self.grants.len()));
            reports.push(report_of(&grant, result(random)));
            if random.random_ratio(1, 5) {
                reports.push(report_of(&grant, result(random)));
            }
        }
        self.store.report(&reports).await.unwrap();
    }

    /// Ends everything in flight, taken over claims too.
    async fn drain(&mut self) {
        let renewed: Vec<_> = self.grants.iter().map(held).collect();
        self.store
            .renew(&worker("w1"), &renewed, TINY)
            .await
            .unwrap();
        for grant in start(self.store, &self.id, 0..TENANTS, LEASE).await {
            let report = report_of(&grant, ended(Outcome::Succeeded));
            self.store.report(&[report]).await.unwrap();
        }
    }
}

fn result(random: &mut SmallRng) -> TargetResult {
    match random.random_range(0..10) {
        9 => TargetResult::Ended {
            outcome: Outcome::Deferred,
            applied: Vec::new(),
            failure: Some(failure(ErrorClass::LockTimeout)),
        },
        0 => TargetResult::Ended {
            outcome: Outcome::Failed,
            applied: Vec::new(),
            failure: Some(failure(ErrorClass::Timeout)),
        },
        1 => ended(Outcome::Failed),
        2 => ended(Outcome::Partial),
        3 => released(random.random()),
        4 => retry(ErrorClass::Deadlock, TINY, random.random()),
        5 => ended(Outcome::UpToDate),
        _ => ended(Outcome::Succeeded),
    }
}

/// The stored rollout is what its events fold to, and its counts are what its targets say.
async fn agree(store: &AnyStore, submission: &Submission) {
    let Submission { id, plan, .. } = submission;
    let stored = rollout(store, id).await;
    let mut folded = Rollout::new(id, plan);
    for event in store.events(id, 0, 100_000).await.unwrap() {
        fold(&mut folded, &event).unwrap();
    }
    assert_eq!(folded, stored);
    let (counts, in_flight) = counted(store, id, plan).await;
    let known: Vec<_> = stored.waves.iter().map(|w| w.counts.clone()).collect();
    assert_eq!(counts, known);
    let flying: BTreeMap<_, _> = stored
        .in_flight
        .iter()
        .map(|(tenant, claim)| (tenant.clone(), claim.epoch))
        .collect();
    assert_eq!(in_flight, flying);
}

async fn counted(
    store: &AnyStore,
    id: &RolloutId,
    plan: &Plan,
) -> (
    Vec<OutcomeCounts>,
    BTreeMap<sanderling_core::TenantId, sanderling_core::Epoch>,
) {
    let mut counts = vec![OutcomeCounts::default(); plan.waves.len()];
    let mut in_flight = BTreeMap::new();
    for target in targets(store, id).await {
        counts[target.wave.unwrap()].add(target.outcome, 1);
        if target.owner.is_some() {
            in_flight.insert(target.target.tenant, target.epoch);
        }
    }
    (counts, in_flight)
}
