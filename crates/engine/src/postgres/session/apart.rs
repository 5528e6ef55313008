//! A session and files whose statements are sent one by one.

use sanderling_core::{ErrorClass, LedgerRow};

use super::{PostgresSession, abandoned};
use crate::port::{Evidence, FenceRefusal, Step, StepOutcome};
use crate::postgres::errors::SEARCH_PATH;
use crate::postgres::guard::RESET;
use crate::postgres::stepwise::{self, End};

impl PostgresSession {
    /// A file whose statements are sent one by one; its connection serves nothing else afterwards.
    pub(super) async fn stepwise(&mut self, step: &Step<'_>) -> StepOutcome {
        let (mut connection, end) = loop {
            let kept = self.connection.is_some();
            let mut connection = match self.connection().await {
                Ok(connection) => connection,
                Err(failure) => return StepOutcome::Failed(failure),
            };
            self.lost = Some(abandoned());
            let end = stepwise::run(&mut connection, &self.guard, &self.limits, step).await;
            match end {
                End::Dead(_) if kept => self.lost = None,
                End::Lost(failure) => return self.lose(*failure),
                end => break (connection, end),
            }
        };
        self.lost = None;
        if let End::Failed(failure) = &end
            && matches!(failure.cause.code.as_str(), "42P01" | "3F000")
        {
            self.shared.forget_fence(&connection.database_oid);
        }
        // The locks go first: what is said next may be asked of this very claim by another session of it.
        let reset = connection.rows(RESET.join("; ")).await;
        match end {
            End::Busy | End::Queued if reset.is_ok() => self.connection = Some(connection),
            _ => connection.close().await,
        }
        match end {
            End::Applied(row) => StepOutcome::Applied(Evidence::from_ledger(*row)),
            End::Already(row) => StepOutcome::AlreadyApplied(Evidence::from_ledger(*row)),
            End::Busy => StepOutcome::Busy,
            End::Queued => StepOutcome::Queued,
            End::Fenced => StepOutcome::Fenced(self.who_fences().await),
            End::NotThere(failure) => StepOutcome::Failed(self.not_there(*failure).await),
            // What is wrong with the path is the host's, or its database's.
            End::Failed(failure)
                if failure.cause.code == SEARCH_PATH
                    && failure.cause.class == ErrorClass::Precondition =>
            {
                StepOutcome::Failed(self.shared.connections.named(*failure))
            }
            End::Failed(failure) => StepOutcome::Failed(*failure),
            End::Dead(failure) | End::Lost(failure) => {
                StepOutcome::Failed(self.shared.connections.named(*failure))
            }
        }
    }

    /// The ledger, once nothing of an older claim can still change what it speaks of. A stepwise file may have a statement
    /// at work that no fence reaches; its session holds the tenant's lock. The lock is asked for whatever the ledger
    /// says: while a bare statement runs, the tenant's own role could put another in the ledger's place.
    pub(super) async fn settled_ledger(&mut self) -> Result<Vec<LedgerRow>, FenceRefusal> {
        match self.read_ledger(true).await {
            Ok(Some(rows)) => Ok(rows),
            Ok(None) => Err(FenceRefusal::Busy),
            Err(failure) => Err(FenceRefusal::Unavailable(failure)),
        }
    }
}
