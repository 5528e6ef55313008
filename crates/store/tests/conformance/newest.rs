//! What became of tenants last.

use sanderling_core::{Outcome, RolloutState};
use sanderling_store::Command;

use crate::backend::Backend;
use crate::fleet::{LEASE, ended, plan, report, running, start_one, submission, tenant};
use crate::verbs::does;

pub(crate) async fn the_newest_target_of_each_tenant(backend: Backend) {
    let store = backend.open().await;
    let asked = [7, 1, 0].map(tenant);
    assert_eq!(store.newest_targets(&asked).await.unwrap(), []);

    let first = running(&store, plan(&backend.fleet, &[2])).await;
    let grant = start_one(&store, &first, 0, LEASE).await;
    report(&store, &grant, ended(Outcome::Failed)).await;
    let reason = "enough".to_owned();
    does(&store, &first, Command::Cancel { reason }).await;
    let second = running(&store, plan(&backend.fleet, &[1])).await;
    start_one(&store, &second, 0, LEASE).await;
    let other = backend.open_as("another").await;
    let elsewhere = submission(plan("another", &[8]));
    other.submit(&elsewhere).await.unwrap();

    let newest = store.newest_targets(&asked).await.unwrap();
    let seen: Vec<_> = newest
        .iter()
        .map(|n| {
            let target = &n.record.target;
            (
                &target.tenant,
                &target.rollout,
                n.record.outcome,
                n.state,
                n.in_flight,
            )
        })
        .collect();
    let running = (
        &asked[2],
        &second,
        Outcome::Pending,
        RolloutState::Running,
        true,
    );
    let cancelled = (
        &asked[1],
        &first,
        Outcome::Cancelled,
        RolloutState::Cancelled,
        false,
    );
    assert_eq!(seen, [running, cancelled]);
    assert_eq!(store.newest_targets(&[]).await.unwrap(), []);
}
