//! Messages that are late, halved, or whose answer is lost, between a real worker and a real PostgreSQL.

use std::time::Duration;

use sanderling_core::{Outcome, RolloutState};
use sanderling_engine::StepOutcome;
use sanderling_store::TargetResult;
use sanderling_testkit::{Fault, Message, until_async};

use crate::scene::{DEADLINE, Scene, TINY, failure};

const INSERT: &str = "INSERT INTO probe (version) VALUES (1);";

fn the_insert() -> Message {
    Message::to_server().containing("INSERT INTO probe")
}

impl Scene {
    async fn until_outcome(&self, wanted: Outcome) {
        until_async(DEADLINE, "an end", async || {
            let target = self.target(0).await;
            (target.outcome == wanted)
                .then_some(())
                .ok_or(format!("{target:?}"))
        })
        .await;
    }

    async fn probes(&self) -> String {
        self.rows("SELECT count(*) FROM t0.probe").await
    }
}

/// A worker dies with its message on the way, whole or by half. Its successor fails, and that halts the rollout. Then
/// the message arrives. Without the fence the tenant would be changed after it was reported as failed and unchanged.
#[tokio::test(flavor = "multi_thread")]
async fn a_message_that_arrives_after_its_successor_failed_is_fenced() {
    for fault in [Fault::Hold, Fault::HoldAfter(200)] {
        let scene = Scene::new(1, "SELECT no_such_function();").await;
        let late = scene.proxy.trap(the_insert(), fault);
        let dead = scene.claim(0, TINY).await;
        let mut session = scene.open(&dead).await;
        let harmless = scene.harmless();
        let sending = tokio::spawn(async move { session.step(&harmless).await });
        late.wait_async(DEADLINE).await;
        late.kill_client();
        let lost = sending.await.unwrap();
        assert!(matches!(lost, StepOutcome::Lost(_)), "{lost:?}");

        let worker = scene.work();
        scene.until_outcome(Outcome::Failed).await;
        assert_eq!(scene.rollout().await.state, RolloutState::Halted);
        late.release();
        let answer = late.wait_answer_async(DEADLINE).await;

        assert!(answer.contains("SDFNC"), "{fault:?}: {answer}");
        assert_eq!(scene.probes().await, "0");
        assert_eq!(scene.target(0).await.outcome, Outcome::Failed);
        worker.end().await;
    }
}

/// The same, and the successor succeeds: the late message finds the fence ahead, not only the ledger's row.
#[tokio::test(flavor = "multi_thread")]
async fn a_message_that_arrives_after_its_successor_succeeded_is_fenced() {
    for scene in Scene::both_ways(1, INSERT).await {
        let late = scene.proxy.trap(the_insert(), Fault::Hold);
        let dead = scene.claim(0, TINY).await;
        let mut session = scene.open(&dead).await;
        let harmless = scene.harmless();
        let sending = tokio::spawn(async move { session.step(&harmless).await });
        late.wait_async(DEADLINE).await;
        let worker = scene.work();
        scene.until_outcome(Outcome::Succeeded).await;
        late.release();
        let outcome = sending.await.unwrap();
        assert!(matches!(outcome, StepOutcome::Fenced(_)), "{outcome:?}");
        assert_eq!(scene.probes().await, "1");
        worker.end().await;
    }
}

/// COMMIT is done, its answer is lost. A new number, the fence and the ledger say that the version was applied here.
#[tokio::test(flavor = "multi_thread")]
async fn a_lost_answer_to_commit_is_resolved_and_counts_as_succeeded() {
    for scene in Scene::both_ways(1, INSERT).await {
        let lost = scene.proxy.trap(the_insert(), Fault::HoldAnswer);
        let worker = scene.work();
        let answer = lost.wait_answer_async(DEADLINE).await;
        assert!(answer.contains("COMMIT"), "{answer}");
        let before = scene.target(0).await;
        assert_eq!(before.outcome, Outcome::Pending);
        lost.kill_client();
        scene.until_outcome(Outcome::Succeeded).await;
        assert!(
            scene.target(0).await.epoch > before.epoch,
            "a lost connection takes a new number"
        );
        let counts = &scene.rollout().await.waves[0].counts;
        assert_eq!(counts.get(Outcome::Succeeded), 1);
        assert_eq!(scene.probes().await, "1");
        worker.end().await;
    }
}

/// The connection breaks in the middle of the message: nothing took effect, and the version is tried again.
#[tokio::test(flavor = "multi_thread")]
async fn a_message_that_broke_off_is_sent_again_under_a_new_number() {
    for fault in [Fault::Reset(200), Fault::Cut(200)] {
        for scene in Scene::both_ways(1, INSERT).await {
            let broken = scene.proxy.trap(the_insert(), fault);
            let worker = scene.work();
            scene.until_outcome(Outcome::Succeeded).await;
            assert!(broken.is_sprung());
            assert!(scene.target(0).await.epoch.0 > 1);
            assert_eq!(scene.probes().await, "1");
            worker.end().await;
        }
    }
}

/// A dead worker had committed and not reported. Who takes over finds the row, and the tenant counts as succeeded in
/// this rollout, not as up to date before it.
#[tokio::test(flavor = "multi_thread")]
async fn a_takeover_of_a_tenant_that_was_committed_counts_as_succeeded() {
    for scene in Scene::both_ways(1, INSERT).await {
        let dead = scene.claim(0, TINY).await;
        let mut session = scene.open(&dead).await;
        let applied = session.step(&scene.real_step()).await;
        assert!(matches!(applied, StepOutcome::Applied(_)), "{applied:?}");
        drop(session);
        let worker = scene.work();
        scene.until_outcome(Outcome::Succeeded).await;
        assert_eq!(scene.target(0).await.applied.len(), 1);
        assert_eq!(scene.probes().await, "1");
        worker.end().await;
    }
}

/// A worker dies while its statement runs in the server, which knows nothing of that. The successor waits for its end.
#[tokio::test(flavor = "multi_thread")]
async fn a_message_that_still_runs_is_waited_for() {
    let body = format!("{INSERT} SELECT pg_sleep(3);");
    let scene = Scene::new(1, &body).await;
    let running = scene.proxy.trap(the_insert(), Fault::HoldAnswer);
    let dead = scene.claim(0, TINY).await;
    let mut session = scene.open(&dead).await;
    let step = scene.real_step();
    // The answer is held, so this ends only by being given up.
    let sent = tokio::time::timeout(Duration::from_millis(200), session.step(&step)).await;
    assert!(sent.is_err());
    running.kill_client();
    until_async(DEADLINE, "the statement to run", async || {
        let sql = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event = 'PgSleep'";
        (scene.rows(sql).await == "1").then_some(())
    })
    .await;
    let worker = scene.work();
    scene.until_outcome(Outcome::Succeeded).await;
    assert!(scene.target(0).await.epoch > dead.epoch);
    assert_eq!(scene.probes().await, "1");
    worker.end().await;
}

/// Everybody is woken all the time, also when there is nothing to do: a wake-up only says when to look.
#[tokio::test(flavor = "multi_thread")]
async fn wake_ups_that_come_too_often_change_nothing() {
    let scene = Scene::new(6, INSERT).await;
    let claims = scene.claims();
    let (worker, other) = (
        scene.work_with(claims.clone()),
        scene.work_with(claims.clone()),
    );
    until_async(DEADLINE, "all ends", async || {
        for _ in 0..50 {
            claims.wake().await.unwrap();
        }
        let ended = scene.rollout().await.waves[0]
            .counts
            .get(Outcome::Succeeded);
        (ended == 6).then_some(()).ok_or(format!("{ended} of 6"))
    })
    .await;
    for n in 0..6 {
        let sql = format!("SELECT count(*) FROM t{n}.probe");
        assert_eq!(scene.rows(&sql).await, "1");
        assert_eq!(scene.target(n).await.epoch.0, 1, "nobody claimed it twice");
    }
    worker.end().await;
    other.end().await;
}

/// A tenant was busy; the rollout is halted before its claim tries again, and no renewal has told it so. It asks.
#[tokio::test(flavor = "multi_thread")]
async fn a_claim_that_waited_asks_before_it_tries_again() {
    let scene = Scene::new(2, INSERT).await;
    let other = scene.claim_elsewhere(1).await;
    let lock = scene.hold_the_fence(0);
    let first = scene.proxy.trap(the_insert(), Fault::HoldAnswer);
    let worker = scene.work_untold();
    let answer = first.wait_answer_async(DEADLINE).await;
    assert!(
        answer.contains("SDBSY") || answer.contains("55P03"),
        "{answer}"
    );
    let failed = TargetResult::Ended {
        outcome: Outcome::Failed,
        applied: vec![],
        failure: Some(failure()),
    };
    scene.report(&other, failed).await;
    assert_eq!(scene.rollout().await.state, RolloutState::Halted);
    tokio::task::spawn_blocking(|| lock.let_go()).await.unwrap();
    first.release();
    until_async(DEADLINE, "the claim to end", async || {
        let target = scene.target(0).await;
        let ended = target.owner.is_none();
        ended.then_some(()).ok_or(format!("{target:?}"))
    })
    .await;
    assert_eq!(scene.probes().await, "0", "a body began after the halt");
    assert_eq!(scene.target(0).await.outcome, Outcome::Pending);
    worker.end().await;
}
