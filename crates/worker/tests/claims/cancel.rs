//! A person cancels a tenant while a real worker has it in hand.

use sanderling_core::Outcome;
use sanderling_testkit::{Fault, Message, until_async};

use crate::scene::{AtWork, DEADLINE, Scene, TINY};

const INSERT: &str = "INSERT INTO probe (version) VALUES (1);";

fn the_insert() -> Message {
    Message::to_server().containing("INSERT INTO probe")
}

impl Scene {
    async fn cancel(&self) {
        let tenants = [self.target(0).await.target.tenant];
        let receipt = self.store.cancel_tenants(&tenants, "leaves", "anna").await;
        assert_eq!(receipt.unwrap().stopping, tenants);
    }

    async fn ends_as(&self, wanted: Outcome, worker: AtWork) {
        until_async(DEADLINE, "an end", async || {
            let target = self.target(0).await;
            (target.outcome == wanted)
                .then_some(())
                .ok_or(format!("{target:?}"))
        })
        .await;
        worker.end().await;
    }

    async fn count(&self) -> String {
        self.rows("SELECT count(*) FROM t0.probe").await
    }
}

/// The body runs for longer than anybody waits: it is taken back, long before its end.
#[tokio::test(flavor = "multi_thread")]
async fn what_runs_is_taken_back() {
    let scene = Scene::new(1, &format!("{INSERT} SELECT pg_sleep(600);")).await;
    let worker = scene.work();
    until_async(DEADLINE, "the body to run", async || {
        let sql = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event = 'PgSleep'";
        (scene.rows(sql).await == "1").then_some(())
    })
    .await;
    scene.cancel().await;
    scene.ends_as(Outcome::Cancelled, worker).await;
    assert_eq!(scene.count().await, "0");
    let sessions = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event = 'PgSleep'";
    assert_eq!(scene.rows(sessions).await, "0", "nothing runs on");
}

/// The message has not arrived when the tenant is cancelled. It arrives after the tenant was said to be unchanged.
#[tokio::test(flavor = "multi_thread")]
async fn a_message_that_arrives_after_the_cancel_is_fenced() {
    let scene = Scene::new(1, INSERT).await;
    let late = scene.proxy.trap(the_insert(), Fault::Hold);
    let worker = scene.work();
    late.wait_async(DEADLINE).await;
    scene.cancel().await;
    scene.ends_as(Outcome::Cancelled, worker).await;
    late.release();
    let answer = late.wait_answer_async(DEADLINE).await;
    assert!(answer.contains("SDFNC"), "{answer}");
    assert_eq!(scene.count().await, "0");
    assert_eq!(scene.target(0).await.outcome, Outcome::Cancelled);
}

/// The change is committed, and the word of it on its way, when the tenant is cancelled.
#[tokio::test(flavor = "multi_thread")]
async fn a_commit_that_was_faster_counts() {
    let scene = Scene::new(1, INSERT).await;
    let committed = scene.proxy.trap(the_insert(), Fault::HoldAnswer);
    let worker = scene.work();
    let answer = committed.wait_answer_async(DEADLINE).await;
    assert!(answer.contains("COMMIT"), "{answer}");
    scene.cancel().await;
    scene.ends_as(Outcome::Succeeded, worker).await;
    assert_eq!(scene.count().await, "1");
}

/// The worker dies right after the tenant was cancelled, with its message on the way.
#[tokio::test(flavor = "multi_thread")]
async fn a_worker_that_dies_after_the_cancel_leaves_nothing_behind() {
    let scene = Scene::new(1, INSERT).await;
    let late = scene.proxy.trap(the_insert(), Fault::Hold);
    let dead = scene.claim(0, TINY).await;
    let mut session = scene.open(&dead).await;
    let harmless = scene.harmless();
    let sending = tokio::spawn(async move { session.step(&harmless).await });
    late.wait_async(DEADLINE).await;
    scene.cancel().await;
    late.kill_client();
    drop(sending.await.unwrap());
    scene.ends_as(Outcome::Cancelled, scene.work()).await;
    late.release();
    let answer = late.wait_answer_async(DEADLINE).await;
    assert!(answer.contains("SDFNC"), "{answer}");
    assert_eq!(scene.count().await, "0");
}
