//! `abandon`: a worker that ends lets go of claims that it cannot settle any more.

use async_trait::async_trait;

use crate::link::{Fault, Tx, values};
use crate::perform::{Mode, Verb};
use crate::port::Held;

/// The arguments of `Store::abandon`.
pub(crate) struct Abandon {
    pub(crate) held: Held,
}

#[async_trait]
impl Verb for Abandon {
    type Out = ();
    const NAME: &str = "abandon";
    const MODE: Mode = Mode::Write;

    /// The claim stays in flight: only the fence of the next one ends it. Without an owner nobody can renew it, and
    /// whoever takes it over does not hold the tenant for one that kills its workers.
    async fn run(&self, tx: &mut Tx<'_>) -> Result<(), Fault> {
        let now = tx.now().await?;
        let sql = "UPDATE targets SET owner = NULL, lease_until = $5 WHERE targets.fleet = $1
            AND targets.rollout = $2 AND targets.tenant = $3 AND targets.epoch = $4 AND targets.in_flight = 1";
        let Held { target, epoch } = &self.held;
        tx.exec(sql, values![&target.rollout, &target.tenant, *epoch, now])
            .await?;
        Ok(())
    }
}
