//! A claim that is not worked off to its end, because a person cancelled the tenant.

use sanderling_engine::Step;

use crate::found::is_done;
use crate::migrate::{Job, Stop};

impl Job<'_> {
    /// Whether the store has said that a person cancelled the target.
    pub(crate) fn is_cancelled(&self) -> bool {
        let said = self.context.held.cancelled(&self.held.target);
        said.is_some_and(|said| *said.borrow())
    }

    /// A step ended otherwise than applied, and the target is cancelled. Whether it was taken back or its commit was faster,
    /// only the ledger knows, once nothing of the claim can arrive any more.
    pub(crate) async fn after_cancel(&mut self, steps: &[Step<'_>]) -> Result<(), Stop> {
        let rows = self.settle().await?;
        if steps.iter().all(|step| is_done(&rows, step)) {
            return self.note_rows(&rows, steps);
        }
        tracing::info!(tenant = %self.held.target.tenant, "cancelled by a person; what was not committed is taken back");
        Err(Stop::end(self.resolved(&rows)))
    }
}
