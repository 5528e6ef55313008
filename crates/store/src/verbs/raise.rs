//! `raise_epochs`: numbers that a restored store has forgotten, taken back from the tenants' fences.

use std::collections::BTreeSet;

use async_trait::async_trait;
use sanderling_core::{Epoch, TenantId};

use crate::link::{Fault, Tx, each, values};
use crate::perform::{Mode, Verb};
use crate::rows::tenants;

/// The arguments of `Store::raise_epochs`.
pub(crate) struct RaiseEpochs {
    pub(crate) epochs: Vec<(TenantId, Epoch)>,
    pub(crate) actor: String,
    pub(crate) reason: String,
}

#[async_trait]
impl Verb for RaiseEpochs {
    type Out = Vec<TenantId>;
    const NAME: &str = "raise_epochs";
    const MODE: Mode = Mode::Write;

    async fn run(&self, tx: &mut Tx<'_>) -> Result<Vec<TenantId>, Fault> {
        let names: BTreeSet<&TenantId> = self.epochs.iter().map(|(tenant, _)| tenant).collect();
        tenants::known(tx, &names).await?;
        let before = tenants::lock(tx, &names).await?;
        let epoch = |tenant| before.get(tenant).map_or(Epoch(0), |claims| claims.epoch);
        let raised: Vec<(&TenantId, Epoch)> = self
            .epochs
            .iter()
            .map(|(tenant, wanted)| (tenant, *wanted))
            .filter(|(tenant, wanted)| epoch(tenant) < *wanted)
            .collect();
        if raised.is_empty() {
            return Ok(Vec::new());
        }
        // As a grant would: of the claims that the store has forgotten nothing is proved.
        tenants::granted(tx, &raised).await?;
        let details: Vec<(String,)> = raised
            .iter()
            .map(|(tenant, wanted)| {
                let from = epoch(tenant);
                (format!(
                    "tenant {tenant}, from epoch {from} to {wanted}: {}",
                    self.reason
                ),)
            })
            .collect();
        let sql =
            "INSERT INTO audit (fleet, at, actor, verb, rollout, state_before, state_after, detail)
            SELECT $1, {now}, $3, 'repair_epochs', '', '', '', v ->> 0 FROM {each}";
        let mut args = vec![each(&details)?];
        args.extend(values![self.actor.as_str()]);
        tx.exec(sql, args).await?;
        Ok(raised
            .into_iter()
            .map(|(tenant, _)| tenant.clone())
            .collect())
    }
}
