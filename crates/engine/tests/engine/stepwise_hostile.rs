//! Files with `transaction=off` whose statements, or whose tenants, work against what protects them.

use sanderling_engine::{FenceRefusal, StepOutcome};
use sanderling_testkit::{Fault, Message};

use crate::stepwise::{INDEX, SOON, apart, behind_a_proxy, index, taken_over};
use crate::support::{applied, claim, claim_of};

/// While a bare statement of a dead worker is on its way, a role that owns the schema puts a ledger of its own in the
/// place of the one that says so.
#[tokio::test(flavor = "multi_thread")]
async fn a_forged_ledger_does_not_hide_a_statement_that_may_still_arrive() {
    let (fleet, place, proxy) = behind_a_proxy().await;
    let migration = apart("2", INDEX);
    let trap = proxy.trap(
        Message::to_server().containing("CREATE INDEX CONCURRENTLY"),
        Fault::Hold,
    );
    let dying = claim(2);
    let (outcome, ()) = tokio::join!(fleet.apply(&place, &dying, &migration), async {
        trap.wait_async(SOON).await;
        trap.kill_client();
    });
    assert!(matches!(outcome, StepOutcome::Lost(_)), "{outcome:?}");
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
