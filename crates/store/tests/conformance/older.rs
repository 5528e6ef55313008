//! A store that an older program wrote, half-way through a rollout: opened, read, gone on with, finished.
//!
//! The dumps in `older/` were written by the program itself at the commit whose newest step was 3: a fleet of six SQLite
//! tenants, one rollout that succeeded and one that its canary halted.

use sanderling_core::rollout::{Action, RolloutState};
use sanderling_core::{Outcome, Version};
use sanderling_store::{Command, StoreError, TargetResult};

use crate::backend::Backend;
use crate::fleet::{LEASE, act, host, report, targets, want, worker};

/// The fleet that the dumps are of.
const FLEET: &str = "older";

pub(crate) async fn a_store_of_version_3_goes_on(mut backend: Backend) {
    backend.fleet = FLEET.to_owned();
    let dump = if backend.file().is_some() {
        include_str!("older/version3.sqlite.sql")
    } else {
        include_str!("older/version3.postgres.sql")
    };
    backend.load(dump).await;

    let looked = backend.look().await.err().unwrap();
    assert!(matches!(looked, StoreError::Refused(_)), "{looked:?}");
    assert!(looked.to_string().contains("version 3"), "{looked}");

    let store = backend.open().await;
    backend.look().await.unwrap().unwrap();
    let all = store.rollouts(false, 10).await.unwrap();
    let states: Vec<_> = all.iter().map(|r| r.rollout.state).collect();
    assert_eq!(states, [RolloutState::Halted, RolloutState::Succeeded]);
    let id = all[0].rollout.id.clone();
    let halt = all[0].rollout.halt.clone().unwrap();
    assert_eq!(halt.tenant.unwrap().as_str(), "t4");

    let retry = Command::Retry {
        class: None,
        reason: None,
    };
    let receipt = store.command(&id, &retry, "tester").await.unwrap();
    assert!(receipt.changed);
    // The canary is strict: one after the other.
    for (wave, tenants) in [&["t4", "t3"][..], &["t5", "t2", "t6", "t1"]]
        .iter()
        .enumerate()
    {
        if wave > 0 {
            act(&store, &id, Action::OpenWave(wave)).await;
        }
        for tenant in *tenants {
            let mut wanted = want(&id, 0);
            wanted.target.tenant = sanderling_core::TenantId::new(*tenant);
            let budgets = [(host("files"), 8.into())].into();
            let mut grants = store
                .start(
                    &worker("w1"),
                    &[wanted],
                    &budgets,
                    &sanderling_core::Serves::everyone(),
                    LEASE,
                )
                .await
                .unwrap();
            assert_eq!(grants.len(), 1, "{tenant} is not granted");
            let grant = grants.remove(0);
            let result = TargetResult::Ended {
                outcome: Outcome::Succeeded,
                applied: vec![Version::new("20260102000000")],
                failure: None,
            };
            report(&store, &grant, result).await;
        }
    }
    act(&store, &id, Action::Finish(RolloutState::Succeeded)).await;
    let outcomes = targets(&store, &id).await;
    assert_eq!(outcomes.len(), 6);
    assert!(outcomes.iter().all(|t| t.outcome == Outcome::Succeeded));
}
