//! Epochs of tenants, across rollouts, and whether a message of an earlier claim may still be on its way.

use std::collections::{BTreeMap, BTreeSet};

use sanderling_core::{Epoch, TenantId};

use crate::link::{Fault, Tx, each};

/// What is known of a tenant's claims.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Claims {
    /// The last number given out; 0 before the first.
    pub(crate) epoch: Epoch,
    /// Whether a claim was granted whose end did not prove that nothing of it can still arrive.
    pub(crate) unresolved: bool,
}

/// Makes the rows of tenants that have none, in order of id; `tenants` is a part that one statement takes.
pub(crate) async fn known(tx: &mut Tx<'_>, tenants: &BTreeSet<&TenantId>) -> Result<(), Fault> {
    let keys: Vec<_> = tenants.iter().map(|tenant| [tenant]).collect();
    let sql = "INSERT INTO tenants (fleet, tenant, epoch, unresolved)
        SELECT $1, v ->> 0, 0, 0 FROM {each} WHERE $1 <> '' ON CONFLICT DO NOTHING";
    tx.exec(sql, vec![each(&keys)?]).await?;
    Ok(())
}

/// Locks tenants in order of id. `submit` made the rows.
pub(crate) async fn lock(
    tx: &mut Tx<'_>,
    tenants: &BTreeSet<&TenantId>,
) -> Result<BTreeMap<TenantId, Claims>, Fault> {
    let keys: Vec<_> = tenants.iter().map(|tenant| [tenant]).collect();
    let sql = "SELECT tenants.tenant, epoch, unresolved FROM {each} JOIN tenants
        ON tenants.fleet = f AND tenants.tenant = v ->> 0 ORDER BY tenants.tenant {lock_tenants}";
    let rows = tx.rows(sql, vec![each(&keys)?]).await?;
    rows.iter()
        .map(|row| {
            let claims = Claims {
                epoch: Epoch(row.int(1)?),
                unresolved: row.flag(2)?,
            };
            Ok((TenantId::new(row.text(0)?), claims))
        })
        .collect()
}

/// Writes new epochs of locked tenants; each is a claim of which nothing is proved yet.
pub(crate) async fn granted(tx: &mut Tx<'_>, epochs: &[(&TenantId, Epoch)]) -> Result<(), Fault> {
    let sql = "UPDATE tenants SET epoch = CAST(v ->> 1 AS bigint), unresolved = 1
        FROM {each} WHERE tenants.fleet = f AND tenants.tenant = v ->> 0";
    tx.exec(sql, vec![each(epochs)?]).await?;
    Ok(())
}

/// Notes that nothing of any claim up to these can still arrive. It says nothing of a tenant whose number is greater by
/// now: a person raised it, because of claims that the store has forgotten.
pub(crate) async fn resolved(
    tx: &mut Tx<'_>,
    tenants: &BTreeMap<TenantId, Epoch>,
) -> Result<(), Fault> {
    if tenants.is_empty() {
        return Ok(());
    }
    // Two rollouts can report on two claims of one tenant, so the order of locking is kept here too.
    lock(tx, &tenants.keys().collect()).await?;
    let rows: Vec<_> = tenants.iter().collect();
    let sql = "UPDATE tenants SET unresolved = 0 FROM {each} WHERE tenants.fleet = f AND tenants.tenant = v ->> 0
        AND tenants.epoch <= CAST(v ->> 1 AS bigint)";
    tx.exec(sql, vec![each(&rows)?]).await?;
    Ok(())
}
