//! A person cancels a target that is in flight.

use std::time::Duration;

use sanderling_core::{ErrorClass, Outcome, RolloutId, TenantId, Version};
use sanderling_store::{ClaimMode, Grant, RenewedClaim, TargetResult, TenantsReceipt};

use crate::backend::Backend;
use crate::fleet::{
    AnyStore, LEASE, TINY, ended, held, outcome_of, plan, released, report, retry, rollout,
    running, start, start_one, tenant, worker,
};

async fn cancel(store: &AnyStore, n: usize) -> TenantsReceipt {
    let tenants = [tenant(n)];
    let receipt = store.cancel_tenants(&tenants, "leaves", "anna").await;
    receipt.unwrap()
}

fn told(n: usize) -> TenantsReceipt {
    let tenants: Vec<TenantId> = vec![tenant(n)];
    TenantsReceipt {
        changed: tenants.clone(),
        targets: 1,
        in_flight: Vec::new(),
        stopping: tenants,
    }
}

async fn renewed(store: &AnyStore, grant: &Grant) -> RenewedClaim {
    let held = [held(grant)];
    store.renew(&worker("w1"), &held, LEASE).await.unwrap()[0]
}

/// A rollout of so many, all in flight, and all cancelled.
async fn cancelled(backend: &Backend, n: usize) -> (AnyStore, RolloutId, Vec<Grant>) {
    let store = backend.open().await;
    let id = running(&store, plan(&backend.fleet, &[n])).await;
    let grants = start(&store, &id, 0..n, LEASE).await;
    for n in 0..n {
        assert_eq!(cancel(&store, n).await, told(n));
    }
    (store, id, grants)
}

pub(crate) async fn a_claim_is_told_that_its_target_is_cancelled(backend: Backend) {
    let store = backend.open().await;
    let id = running(&store, plan(&backend.fleet, &[2])).await;
    let grants = start(&store, &id, 0..2, LEASE).await;
    assert_eq!(renewed(&store, &grants[0]).await, RenewedClaim::Live);
    assert_eq!(cancel(&store, 0).await, told(0));
    let again = cancel(&store, 0).await;
    assert_eq!((again.changed, again.stopping), (vec![], vec![tenant(0)]));
    assert_eq!(renewed(&store, &grants[0]).await, RenewedClaim::Cancel);
    let asked = store.may_continue(&held(&grants[0])).await.unwrap();
    assert_eq!(asked, RenewedClaim::Cancel);
    assert_eq!(renewed(&store, &grants[1]).await, RenewedClaim::Live);
    assert!(rollout(&store, &id).await.in_flight[&tenant(0)].cancelling);
    let audited = "SELECT actor || ':' || detail FROM audit WHERE verb = 'cancel_tenant'";
    assert_eq!(backend.sql(audited).await, "anna:tenant t00000: leaves");
}

pub(crate) async fn what_a_cancelled_claim_says_counts(backend: Backend) {
    let applied = vec![Version::new("1")];
    let half = TargetResult::Released {
        applied: applied.clone(),
        fenced: true,
    };
    let away = TargetResult::HostAway {
        failure: crate::fleet::failure(ErrorClass::Connection),
        after: Duration::from_secs(60),
        applied: Vec::new(),
        fenced: true,
    };
    let table = [
        (released(true), Outcome::Cancelled),
        (
            retry(ErrorClass::Cancelled, LEASE, true),
            Outcome::Cancelled,
        ),
        (away, Outcome::Cancelled),
        (half, Outcome::Partial),
        (ended(Outcome::Partial), Outcome::Partial),
        (ended(Outcome::Succeeded), Outcome::Succeeded),
        (ended(Outcome::Failed), Outcome::Failed),
        (ended(Outcome::Dirty), Outcome::Dirty),
    ];
    let (store, id, grants) = cancelled(&backend, table.len()).await;
    for (n, (result, outcome)) in table.into_iter().enumerate() {
        report(&store, &grants[n], result.clone()).await;
        assert_eq!(outcome_of(&store, &id, n).await, outcome, "{result:?}");
    }
    assert!(rollout(&store, &id).await.in_flight.is_empty());
    // Whoever is put back by a person begins anew.
    let command = sanderling_store::Command::RetryNotStarted { reason: None };
    store.command(&id, &command, "anna").await.unwrap();
    assert_eq!(
        start_one(&store, &id, 0, LEASE).await.mode,
        ClaimMode::Apply
    );
}

/// Something may still be on its way: the next claim only settles that, and then it has ended.
pub(crate) async fn a_cancelled_claim_that_settled_nothing_has_not_ended(backend: Backend) {
    let unsettled = [
        released(false),
        retry(ErrorClass::Connection, Duration::ZERO, false),
        TargetResult::Ended {
            outcome: Outcome::Deferred,
            applied: Vec::new(),
            failure: Some(crate::fleet::failure(ErrorClass::LockTimeout)),
        },
    ];
    let (store, id, grants) = cancelled(&backend, unsettled.len()).await;
    for (n, result) in unsettled.into_iter().enumerate() {
        report(&store, &grants[n], result).await;
        assert_eq!(outcome_of(&store, &id, n).await, Outcome::Pending);
        let grant = start_one(&store, &id, n, LEASE).await;
        assert_eq!(grant.mode, ClaimMode::Resolve);
        report(&store, &grant, released(true)).await;
        assert_eq!(outcome_of(&store, &id, n).await, Outcome::Cancelled);
    }
}

/// Its worker dies: whoever takes over applies nothing.
pub(crate) async fn a_takeover_of_a_cancelled_target_only_resolves(backend: Backend) {
    let store = backend.open().await;
    let id = running(&store, plan(&backend.fleet, &[2])).await;
    let dead = start(&store, &id, 0..2, TINY).await;
    cancel(&store, 0).await;
    let grants = start(&store, &id, 0..2, LEASE).await;
    assert_eq!(grants[0].mode, ClaimMode::Resolve);
    assert_eq!(grants[1].mode, ClaimMode::Apply, "the other goes on");
    assert_eq!(renewed(&store, &dead[0]).await, RenewedClaim::Stale);
    assert_eq!(renewed(&store, &grants[0]).await, RenewedClaim::Cancel);
    report(&store, &grants[0], ended(Outcome::Succeeded)).await;
    assert_eq!(outcome_of(&store, &id, 0).await, Outcome::Succeeded);
}
