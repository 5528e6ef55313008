//! Rollouts that take versions back.

use sanderling_core::plan::{LeftOut, Plan};
use sanderling_core::{Direction, Outcome, RolloutState, Version};
use sanderling_store::{StoreError, refuses_amendment};

use crate::backend::Backend;
use crate::fleet::{
    LEASE, ended, place, plan, record, report, running, start_one, submission, targets, tenant,
};
use sanderling_core::rollout::Action;

/// Versions 2 and 1 of the sample taken back, to nothing.
fn down(backend: &Backend, tenants: usize) -> Plan {
    let mut plan = plan(&backend.fleet, &[tenants]);
    plan.direction = Direction::Down;
    plan.target = Version::nothing();
    plan.paths[0].from = Some(Version::new("2"));
    plan.paths[0].versions.reverse();
    plan
}

async fn finished(store: &crate::fleet::AnyStore, plan: Plan, outcome: Outcome) {
    let id = running(store, plan).await;
    let grant = start_one(store, &id, 0, LEASE).await;
    report(store, &grant, ended(outcome)).await;
    let state = match outcome {
        Outcome::Succeeded => RolloutState::Succeeded,
        _ => RolloutState::CompletedWithFailures,
    };
    crate::fleet::act(store, &id, Action::Finish(state)).await;
}

pub(crate) async fn a_rollout_knows_its_direction(backend: Backend) {
    let store = backend.open().await;
    let planned = down(&backend, 2);
    let id = running(&store, planned.clone()).await;
    let record = record(&store, &id).await;
    assert_eq!(record.rollout.direction, Direction::Down);
    assert_eq!(record.rollout.plan_hash, planned.hash());
    assert_eq!(record.plan.direction, Direction::Down);
    assert_eq!(targets(&store, &id).await[0].direction, Direction::Down);
    let grant = start_one(&store, &id, 0, LEASE).await;
    assert_eq!(grant.direction, Direction::Down);
    assert_eq!(grant.versions, ["2", "1"].map(Version::new));
    let why = refuses_amendment(&record.rollout).unwrap();
    assert!(why.contains("takes versions back"), "{why}");
    // The other way to the same version is another rollout: it does not join.
    let mut up = plan(&backend.fleet, &[2]);
    up.target = Version::nothing();
    let refused = store.submit(&submission(up)).await.unwrap_err();
    assert!(matches!(refused, StoreError::Overlap { .. }), "{refused}");
    let joined = store.submit(&submission(down(&backend, 3))).await.unwrap();
    assert_eq!((&joined.rollout, joined.joined), (&id, true));
}

/// The way down does not hide what the way up proved, and the next way up hides both.
pub(crate) async fn what_was_proved_before_the_way_down_is_believed(backend: Backend) {
    let store = backend.open().await;
    finished(&store, plan(&backend.fleet, &[1]), Outcome::Succeeded).await;
    finished(&store, down(&backend, 1), Outcome::Succeeded).await;
    let mut below = down(&backend, 0);
    below.targets.clear();
    below.left_out.push(LeftOut {
        tenant: tenant(0),
        place: place("eu1", &tenant(0)),
        outcome: Outcome::UpToDate,
        failure: None,
    });
    store.submit(&submission(below)).await.unwrap();
    let words = async || {
        let believed = store.believed(None, 9).await.unwrap();
        let newest_first = believed[0].targets.iter();
        newest_first
            .map(|t| format!("{} {} {}", t.direction, t.version, t.outcome))
            .collect::<Vec<_>>()
    };
    assert_eq!(
        words().await,
        ["down 0 up_to_date", "down 0 succeeded", "up 2 succeeded"]
    );
    finished(&store, plan(&backend.fleet, &[1]), Outcome::Failed).await;
    assert_eq!(words().await.len(), 4);
    finished(&store, plan(&backend.fleet, &[1]), Outcome::Succeeded).await;
    assert_eq!(words().await, ["up 2 succeeded"]);
}
