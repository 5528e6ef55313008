//! A real worker on a real PostgreSQL: what a claim may do when an older one may still have a message on its way.

#![expect(
    clippy::unwrap_used,
    reason = "a test that cannot go on panics with what it saw"
)]

mod cancel;
mod late;
mod scene;

use std::sync::Arc;
use std::time::Duration;

use sanderling_core::{Outcome, RolloutState};
use sanderling_engine::{FenceRefusal, Step, StepOutcome};
use sanderling_store::{Command, TargetResult};
use sanderling_testkit::until_async;

use scene::{DEADLINE, Scene, TINY};

/// A worker dies before it sent anything; its successor meets a transient error; the rollout halts. What the dead one
/// still sends must find the fence raised, although the successor reported no failure.
#[tokio::test(flavor = "multi_thread")]
async fn a_takeover_that_is_retried_leaves_nothing_behind_that_could_arrive() {
    let body = "DO $$ BEGIN RAISE EXCEPTION 'not now' USING ERRCODE = '55P03'; END $$;";
    let scene = Scene::new(2, body).await;
    let dead = scene.claim(0, TINY).await;
    let worker = scene.work();
    let target = until_async(DEADLINE, "a retry by the successor", async || {
        let target = scene.target(0).await;
        (target.owner.is_none() && target.epoch.0 > dead.epoch.0).then_some(target)
    })
    .await;
    assert_eq!(target.outcome, Outcome::Pending);
    worker.end().await;

    let mut late = scene.open(&dead).await;
    let arrived = late.step(&scene.harmless()).await;
    assert!(
        matches!(arrived, StepOutcome::Fenced(FenceRefusal::Ahead { .. })),
        "{arrived:?}"
    );
    assert_eq!(scene.rows("SELECT count(*) FROM t0.probe").await, "0");
}

/// The same where the successor fails for good: what it says of the tenant must stay true.
#[tokio::test(flavor = "multi_thread")]
async fn a_takeover_that_fails_leaves_nothing_behind_that_could_arrive() {
    let body = "DO $$ BEGIN RAISE EXCEPTION 'never' USING ERRCODE = '22012'; END $$;";
    let scene = Scene::new(1, body).await;
    let dead = scene.claim(0, TINY).await;
    let worker = scene.work();
    until_async(DEADLINE, "a failure", async || {
        (scene.target(0).await.outcome == Outcome::Failed).then_some(())
    })
    .await;
    worker.end().await;

    let mut late = scene.open(&dead).await;
    let arrived = late.step(&scene.harmless()).await;
    assert!(
        matches!(arrived, StepOutcome::Fenced(FenceRefusal::Ahead { .. })),
        "{arrived:?}"
    );
    assert_eq!(scene.rows("SELECT count(*) FROM t0.probe").await, "0");
}

/// A successor waits for a tenant that is locked; the rollout halts meanwhile. When the lock goes, nothing begins.
#[tokio::test(flavor = "multi_thread")]
async fn no_body_begins_after_a_halt_however_long_the_tenant_was_busy() {
    let scene = Scene::new(2, "INSERT INTO probe (version) VALUES (1);").await;
    let dead = scene.claim(0, TINY).await;
    let lock = scene.hold_the_fence(0);
    let worker = scene.work();
    until_async(DEADLINE, "a takeover", async || {
        let target = scene.target(0).await;
        (target.owner.is_some() && target.epoch.0 > dead.epoch.0).then_some(())
    })
    .await;
    let other = scene.claim_elsewhere(1).await;
    scene
        .report(
            &other,
            TargetResult::Ended {
                outcome: Outcome::Failed,
                applied: vec![],
                failure: Some(scene::failure()),
            },
        )
        .await;
    assert_eq!(scene.rollout().await.state, RolloutState::Halted);

    // A message that was under way at the halt is in flight and may end as it likes; a new number is taken only
    // after it has been answered.
    let at_halt = scene.target(0).await.epoch;
    until_async(DEADLINE, "a number taken after the halt", async || {
        let target = scene.target(0).await;
        (target.epoch > at_halt)
            .then_some(())
            .ok_or(format!("{target:?}"))
    })
    .await;
    tokio::task::spawn_blocking(|| lock.let_go()).await.unwrap();
    until_async(DEADLINE, "the claim to end", async || {
        let target = scene.target(0).await;
        target
            .owner
            .is_none()
            .then_some(())
            .ok_or(format!("{target:?}"))
    })
    .await;
    assert_eq!(
        scene.rows("SELECT count(*) FROM t0.probe").await,
        "0",
        "a body ran after the halt"
    );
    assert_eq!(scene.target(0).await.outcome, Outcome::Pending);
    worker.end().await;
}

/// The place of a tenant whose worker died is gone: nothing can arrive there, so the claim ends.
#[tokio::test(flavor = "multi_thread")]
async fn a_claim_on_a_place_that_is_gone_ends() {
    let scene = Scene::new(1, "INSERT INTO probe (version) VALUES (1);").await;
    scene.claim(0, TINY).await;
    scene.rows("DROP SCHEMA t0 CASCADE; SELECT 1").await;
    let worker = scene.work();
    let target = until_async(DEADLINE, "an end", async || {
        let target = scene.target(0).await;
        (target.outcome == Outcome::Failed).then_some(target)
    })
    .await;
    assert_eq!(target.failure.unwrap().cause.code, "missing");
    worker.end().await;
}

/// A migration that kills its workers is not handed on for ever.
#[tokio::test(flavor = "multi_thread")]
async fn a_tenant_that_loses_its_workers_fails() {
    let scene = Scene::new(1, "INSERT INTO probe (version) VALUES (1);").await;
    for _ in 0..5 {
        scene.claim(0, TINY).await;
    }
    let worker = scene.work();
    let target = until_async(DEADLINE, "an end", async || {
        let target = scene.target(0).await;
        (target.outcome == Outcome::Failed).then_some(target)
    })
    .await;
    assert_eq!(target.failure.unwrap().cause.code, "worker_lost");
    assert_eq!(scene.rows("SELECT count(*) FROM t0.probe").await, "0");
    worker.end().await;
}

/// The first of the lost workers had done it: nobody is given up without a look at what is there.
#[tokio::test(flavor = "multi_thread")]
async fn a_tenant_that_lost_its_workers_after_the_change_has_succeeded() {
    let scene = Scene::new(1, "INSERT INTO probe (version) VALUES (1);").await;
    let first = scene.claim(0, TINY).await;
    let mut session = scene.open(&first).await;
    let applied = session.step(&scene.real_step()).await;
    assert!(matches!(applied, StepOutcome::Applied(_)), "{applied:?}");
    session.close().await;
    for _ in 0..4 {
        scene.claim(0, TINY).await;
    }
    let worker = scene.work();
    let target = until_async(DEADLINE, "an end", async || {
        let target = scene.target(0).await;
        (target.outcome != Outcome::Pending).then_some(target)
    })
    .await;
    assert_eq!(
        (target.outcome, target.applied.len()),
        (Outcome::Succeeded, 1),
        "{target:?}"
    );
    assert_eq!(scene.rows("SELECT count(*) FROM t0.probe").await, "1");
    worker.end().await;
}

/// A worker drains while the dead one's change is still running. It waits for it at the fence; what it then gives
/// back, it gives back with what it saw (or it lets go of a claim that stays in flight, where it was told to end before
/// it could reach the tenant).
#[tokio::test(flavor = "multi_thread")]
async fn a_drained_takeover_says_what_it_saw() {
    let scene = Arc::new(Scene::new(1, "INSERT INTO probe (version) VALUES (1);").await);
    let lock = scene.hold_the_table(0);
    let dead = scene.claim(0, TINY).await;
    let running = tokio::spawn({
        let (scene, dead) = (scene.clone(), dead.clone());
        async move {
            let mut session = scene.open(&dead).await;
            let step = Step {
                lock_timeout_ms: Some(60_000),
                ..scene.real_step()
            };
            session.step(&step).await
        }
    });
    until_async(DEADLINE, "the change to wait for the table", async || {
        let waiting = "SELECT count(*) FROM pg_locks WHERE NOT granted AND database =
            (SELECT oid FROM pg_database WHERE datname = current_database())";
        (scene.rows(waiting).await == "1").then_some(())
    })
    .await;
    let worker = scene.work();
    until_async(DEADLINE, "a takeover", async || {
        (scene.target(0).await.epoch > dead.epoch).then_some(())
    })
    .await;
    let ended = tokio::spawn(worker.end());
    tokio::task::spawn_blocking(|| lock.let_go()).await.unwrap();
    let applied = running.await.unwrap();
    assert!(matches!(applied, StepOutcome::Applied(_)), "{applied:?}");
    ended.await.unwrap();
    let target = scene.target(0).await;
    assert!(
        target.lease_until.is_some() || target.outcome == Outcome::Succeeded,
        "{target:?}"
    );
}

/// A claim that is resolved after a cancel says what its dead worker did.
#[tokio::test(flavor = "multi_thread")]
async fn a_resolving_claim_reports_what_the_ledger_has() {
    let scene = Scene::new(1, "INSERT INTO probe (version) VALUES (1);").await;
    let dead = scene.claim(0, Duration::from_millis(500)).await;
    let mut session = scene.open(&dead).await;
    let applied = session.step(&scene.real_step()).await;
    assert!(matches!(applied, StepOutcome::Applied(_)), "{applied:?}");
    session.close().await;
    let cancel = Command::Cancel {
        reason: "wrong night".into(),
    };
    scene
        .store
        .command(&scene.id, &cancel, "anna")
        .await
        .unwrap();

    let worker = scene.work();
    until_async(DEADLINE, "the dead worker's success", async || {
        let target = scene.target(0).await;
        (target.outcome == Outcome::Succeeded)
            .then_some(())
            .ok_or(format!("{target:?}"))
    })
    .await;
    assert_eq!(scene.rows("SELECT count(*) FROM t0.probe").await, "1");
    worker.end().await;
}
