//! A session and files whose statements are sent one by one.

use sanderling_core::{LedgerRow, RowState};

use super::{PostgresSession, abandoned, text};
use crate::port::{Evidence, FenceRefusal, Step, StepOutcome};
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
            End::Failed(failure) => StepOutcome::Failed(*failure),
            End::Dead(failure) | End::Lost(failure) => {
                StepOutcome::Failed(self.shared.connections.named(*failure))
            }
        }
    }

    /// The ledger, once nothing of an older claim can still change what it speaks of. A stepwise file that stopped half
    /// way may have a statement at work that no fence reaches; its session holds the tenant's lock.
    pub(super) async fn settled_ledger(&mut self) -> Result<Vec<LedgerRow>, FenceRefusal> {
        let unavailable = FenceRefusal::Unavailable;
        let rows = self.read_ledger().await.map_err(unavailable)?;
        let half_way =
            |row: &LedgerRow| matches!(row.state, RowState::Applying | RowState::Reverting);
        if !rows.iter().any(half_way) {
            return Ok(rows);
        }
        let connection = self.connection().await.map_err(unavailable)?;
        let key = self.guard.schema.lock_key(&connection.database_oid);
        self.connection = Some(connection);
        let ask = format!("SELECT pg_catalog.pg_try_advisory_xact_lock({key}::bigint)::text");
        match self.ask(&ask).await {
            Ok(rows) if rows.last().and_then(|row| text(row, 0)).as_deref() == Some("true") => {
                self.read_ledger().await.map_err(unavailable)
            }
            Ok(_) => Err(FenceRefusal::Busy),
            Err(trouble) => Err(unavailable(
                self.shared.connections.named(trouble.failure()),
            )),
        }
    }
}
