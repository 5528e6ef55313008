//! A step whose tenant is cancelled while it runs.

use std::time::{Duration, Instant};

use sanderling_core::ErrorClass;
use sanderling_engine::StepOutcome;
use sanderling_sql::Dialect;
use sanderling_testkit::until_async;
use tokio::sync::watch;

use crate::conformance::conformance;
use crate::support::{Fleet, Migration, applied, claim, first, is_applied};

conformance!(
    a_step_ends_early_and_leaves_nothing,
    nothing_begins_once_it_is_cancelled,
    a_word_that_never_comes_changes_nothing,
);

const DEADLINE: Duration = Duration::from_secs(60);

fn endless(dialect: Dialect) -> Migration {
    let endless = match dialect {
        Dialect::Postgres => "SELECT pg_sleep(40)",
        Dialect::Sqlite => {
            "WITH RECURSIVE c (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c) SELECT count(*) FROM c"
        }
    };
    let mut endless = Migration::new("2", &["INSERT INTO t VALUES (2)", endless]);
    endless.has_ledger = true;
    endless
}

async fn a_step_ends_early_and_leaves_nothing(fleet: Fleet) {
    let place = fleet.create("t1").await;
    applied(fleet.apply(&place, &claim(1), &first()).await);
    let (say, said) = watch::channel(false);
    let mut session = fleet.open(&place, &claim(2)).await;
    session.end_when(said);
    let endless = endless(fleet.dialect());
    let step = endless.step();
    let begun = Instant::now();
    let saying = async {
        // Whoever is at work keeps a rehearsal away.
        until_async(DEADLINE, "the step to run", async || {
            let probe = Migration::new("3", &["SELECT 1"]);
            let limits = sanderling_engine::Limits {
                lock_timeout_ms: 20,
                ..crate::support::LIMITS
            };
            let rehearsed = fleet
                .driver()
                .rehearse(&place, &claim(0), &limits, &[probe.step()])
                .await;
            rehearsed.unwrap().is_none().then_some(())
        })
        .await;
        say.send_replace(true);
    };
    let working = async {
        loop {
            // The probe may have been faster.
            match session.step(&step).await {
                StepOutcome::Busy => tokio::task::yield_now().await,
                outcome => return outcome,
            }
        }
    };
    let (outcome, ()) = tokio::join!(working, saying);
    // Not by a limit of time, which would end it as well.
    match (&outcome, fleet.dialect()) {
        (StepOutcome::Lost(failure), Dialect::Postgres) => {
            assert_eq!(failure.cause.class, ErrorClass::Cancelled);
        }
        (StepOutcome::Failed(_), Dialect::Sqlite) => {}
        _ => panic!("{outcome:?}"),
    }
    session.close().await;
    assert!(begun.elapsed() < DEADLINE * 2);
    // Whoever comes with a newer number settles it.
    let rows = until_async(DEADLINE, "the fence", async || {
        let mut next = fleet.open(&place, &claim(3)).await;
        let fenced = next.fence().await;
        next.close().await;
        fenced.map_err(|refusal| format!("{refusal:?}"))
    })
    .await;
    assert_eq!(rows.len(), 1, "{rows:?}");
    assert_eq!(fleet.count(&place, "SELECT count(*) FROM t").await, 1);
}

async fn nothing_begins_once_it_is_cancelled(fleet: Fleet) {
    let place = fleet.create("t1").await;
    let (say, said) = watch::channel(false);
    say.send_replace(true);
    let mut session = fleet.open(&place, &claim(1)).await;
    session.end_when(said);
    let outcome = session.step(&first().step()).await;
    match outcome {
        StepOutcome::Failed(failure) => assert_eq!(failure.cause.code, "cancelled"),
        other => panic!("{other:?}"),
    }
    assert_eq!(session.fence().await, Ok(Vec::new()));
}

async fn a_word_that_never_comes_changes_nothing(fleet: Fleet) {
    let place = fleet.create("t1").await;
    let (say, said) = watch::channel(false);
    let mut session = fleet.open(&place, &claim(1)).await;
    session.end_when(said);
    // Whoever could have said it is gone.
    drop(say);
    let outcome = session.step(&first().step()).await;
    assert!(is_applied(&outcome), "{outcome:?}");
}
