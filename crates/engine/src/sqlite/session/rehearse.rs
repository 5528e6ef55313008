//! A rehearsal: migrations in a transaction that is rolled back, and the catalog that they would leave.

use sanderling_core::{ErrorClass, Failure};
use sqlx::Connection as _;

use super::{Keys, SqliteSession, Stop, ask, failure_of, is_busy};
use crate::ledger::{Found, at_step, find};
use crate::port::{Step, StepOutcome};
use crate::sqlite::catalog;

impl SqliteSession {
    /// The lines of the catalog after these steps; `None` while somebody writes to the file. Neither fence nor ledger is
    /// written, and the connection is closed.
    pub(in crate::sqlite) async fn rehearse(
        mut self,
        steps: &[Step<'_>],
    ) -> Result<Option<Vec<String>>, Failure> {
        let begun = match self.begin(steps).await {
            Ok(begin) => {
                let mut begun = ask(&mut self.connection, &[&begin, "BEGIN IMMEDIATE"]).await;
                begun.completed(1)
            }
            Err(error) => Err(error),
        };
        let seen = match begun {
            Ok(_) => self.seen(steps).await,
            Err(error) => Err(Stop::Error(error)),
        };
        let seen = match seen {
            Ok(lines) => Ok(Some(lines)),
            Err(Stop::Error(error)) if is_busy(&error) => Ok(None),
            Err(Stop::Error(error)) => Err(failure_of(&error)),
            Err(Stop::Outcome(StepOutcome::Failed(failure))) => Err(failure),
            Err(Stop::Outcome(other)) => Err(Failure::new(
                ErrorClass::Internal,
                "rehearsal",
                format!("a rehearsal ended as {other:?}"),
            )),
        };
        self.watch.close_gate(false);
        // Where the transaction is gone already, there is none to end.
        let _ = sqlx::raw_sql("ROLLBACK")
            .execute(&mut self.connection)
            .await;
        let _ = self.connection.close().await;
        seen
    }

    async fn seen(&mut self, steps: &[Step<'_>]) -> Result<Vec<String>, Stop> {
        let rows = self.ledger().await?.map_err(Stop::failed)?;
        let mut keys = Keys::broken(&mut self.connection).await?;
        let mut former: Option<&Step<'_>> = None;
        for step in steps {
            if !matches!(find(&rows, step), Found::Open) {
                let failure = Failure::new(
                    ErrorClass::Precondition,
                    "already",
                    "the ledger has the version by now",
                );
                return Err(Stop::failed(at_step(failure, step)));
            }
            self.clear(former).await?;
            keys = self
                .statements(step, 0..step.statements.len(), keys)
                .await?;
            former = Some(step);
        }
        Ok(catalog::lines(&mut self.connection).await?)
    }
}
