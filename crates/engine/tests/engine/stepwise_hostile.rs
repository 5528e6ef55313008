//! Files with `transaction=off` whose statements, or whose tenants, work against what protects them.

use sanderling_engine::{FenceRefusal, StepOutcome};
use sanderling_testkit::until_async;
use sqlx::{Connection, Executor, PgConnection};

use crate::stepwise::{
    INDEX, SOON, apart, at_work, behind_a_proxy, dies_with_its_index_on_the_way, end_session,
    index, stands, taken_over, with_table,
};
use crate::support::{applied, claim, claim_of};

/// While a bare statement of a dead worker is on its way, a role that owns the schema puts a ledger of its own in the
/// place of the one that says so.
#[tokio::test(flavor = "multi_thread")]
async fn a_forged_ledger_does_not_hide_a_statement_that_may_still_arrive() {
    let (fleet, place, proxy) = behind_a_proxy().await;
    let migration = apart("2", INDEX);
    let trap = dies_with_its_index_on_the_way(&fleet, &place, &proxy, &migration).await;
    let forge = "ALTER TABLE sanderling_migrations RENAME TO away;
         CREATE TABLE sanderling_migrations AS SELECT * FROM away WHERE version = '1'";
    fleet.run(&place, forge).await;
    for alive in [claim_of("store-a", 3, "alive"), claim_of("store-b", 1, "n")] {
        // Nor does a fence of another store, which would end the claim.
        let mut session = fleet.open(&place, &alive).await;
        assert_eq!(session.fence().await, Err(FenceRefusal::Busy));
        session.close().await;
    }
    let back = "DROP TABLE sanderling_migrations; ALTER TABLE away RENAME TO sanderling_migrations";
    fleet.run(&place, back).await;
    trap.release();
    trap.wait_answer_async(SOON).await;
    applied(taken_over(&fleet, &place, 3, &migration).await);
    assert_eq!(index(&fleet).await, Some(true));
}

/// What an index calls gives the tenant's lock up: whoever has it now may be building that very index.
#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_dropped_or_sent_by_a_session_that_lost_the_lock() {
    let (fleet, place) = with_table().await;
    let unlocks = |then: &str| {
        format!(
            "CREATE OR REPLACE FUNCTION unlocks(n integer) RETURNS integer LANGUAGE plpgsql IMMUTABLE AS \
             $$ BEGIN PERFORM pg_catalog.pg_advisory_unlock_all(); {then}RETURN n; END $$"
        )
    };
    fleet.run(&place, &unlocks("RAISE 'no'; ")).await;
    let body = "CREATE INDEX CONCURRENTLY t_n ON t (unlocks(n));\nINSERT INTO t VALUES (2)";
    let migration = apart("2", body);
    let lost = |outcome: StepOutcome| match outcome {
        StepOutcome::Lost(failure) => failure.cause.code,
        other => panic!("{other:?}"),
    };
    let outcome = fleet.apply(&place, &claim(2), &migration).await;
    assert_eq!(lost(outcome), "lock_lost");
    let at = (index(&fleet).await, stands(&fleet).await);
    assert_eq!(at, (Some(false), "applying -1/2".to_owned()));
    fleet.run(&place, &unlocks("")).await;
    let outcome = taken_over(&fleet, &place, 3, &migration).await;
    assert_eq!(lost(outcome), "lock_lost");
    let at = (index(&fleet).await, stands(&fleet).await);
    assert_eq!(at, (Some(true), "applying -1/2".to_owned()));
    let harmless = unlocks("").replace("PERFORM pg_catalog.pg_advisory_unlock_all(); ", "");
    fleet.run(&place, &harmless).await;
    applied(taken_over(&fleet, &place, 4, &migration).await);
}

/// A rebuild of a partitioned table leaves its INVALID indexes at the partitions and at their TOAST tables.
#[tokio::test(flavor = "multi_thread")]
async fn a_rebuild_that_broke_off_leaves_nothing_at_partitions_and_toast() {
    let (fleet, place) = with_table().await;
    let parts = "CREATE TABLE p (n integer, long text) PARTITION BY LIST (n); CREATE TABLE p1 PARTITION OF p FOR VALUES IN (1); \
         CREATE INDEX p_n ON p (n)";
    fleet.run(&place, parts).await;
    let left = "SELECT count(*) FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid \
         WHERE c.relname ~ '_cc(new|old)[0-9]*$' AND NOT i.indisvalid";
    for (epoch, statement, leaves) in [
        (2, "REINDEX TABLE CONCURRENTLY p", 2),
        (4, "REINDEX INDEX CONCURRENTLY p_n", 1),
    ] {
        let migration = apart(&epoch.to_string(), statement);
        let mut holder = PgConnection::connect(fleet.url()).await.unwrap();
        let hold = "BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT count(*) FROM t1.p";
        holder.execute(hold).await.unwrap();
        let ending = async {
            let pid = at_work(&fleet, "REINDEX", 0.0).await;
            until_async(SOON, "indexes under way", async || {
                match fleet.count(&place, left).await {
                    n if n == leaves => Ok(()),
                    n => Err(format!("{n} of {leaves}")),
                }
            })
            .await;
            end_session(&fleet, pid).await;
        };
        let dying = claim(epoch);
        let (outcome, ()) = tokio::join!(fleet.apply(&place, &dying, &migration), ending);
        assert!(matches!(outcome, StepOutcome::Lost(_)), "{outcome:?}");
        assert_eq!(fleet.count(&place, left).await, leaves);
        holder.execute("COMMIT").await.unwrap();
        applied(taken_over(&fleet, &place, epoch + 1, &migration).await);
        assert_eq!(fleet.count(&place, left).await, 0, "{statement}");
    }
}
