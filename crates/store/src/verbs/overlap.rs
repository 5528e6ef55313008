//! Which active rollouts own some tenants: a tenant is in at most one.

use std::collections::BTreeSet;

use sanderling_core::{Rollout, RolloutId, TenantId};

use crate::link::{Fault, Tx, values};
use crate::port::StoreError;

/// An active rollout, and which of the tenants asked about it owns.
pub(crate) struct Owner {
    pub(crate) rollout: Rollout,
    pub(crate) tenants: BTreeSet<TenantId>,
}

impl Owner {
    /// The refusal that names it.
    pub(crate) fn refusal(&self) -> StoreError {
        StoreError::Overlap {
            rollout: self.rollout.id.clone(),
            state: self.rollout.state,
            tenants: self.tenants.len() as u64,
        }
    }
}

/// Active rollouts other than `except` that own some of the tenants, oldest first.
pub(crate) async fn owners(
    tx: &mut Tx<'_>,
    tenants: &[&TenantId],
    except: &RolloutId,
) -> Result<Vec<Owner>, Fault> {
    // Both sides can be a whole fleet: reading one of them and looking up here beats any join without statistics.
    let asked: BTreeSet<&TenantId> = tenants.iter().copied().collect();
    let sql = "SELECT number, rollout, tenant FROM targets WHERE fleet = $1 AND active = 1 AND rollout <> $2";
    let mut owned: Vec<(i64, RolloutId, TenantId)> = Vec::new();
    for row in tx.rows(sql, values![except]).await? {
        let tenant = TenantId::new(row.text(2)?);
        if asked.contains(&tenant) {
            owned.push((row.int(0)?, RolloutId::new(row.text(1)?), tenant));
        }
    }
    owned.sort();
    let mut owners: Vec<Owner> = Vec::new();
    for (_, id, tenant) in owned {
        if let Some(last) = owners.last_mut().filter(|o| o.rollout.id == id) {
            last.tenants.insert(tenant);
            continue;
        }
        let sql = "SELECT body FROM rollouts WHERE fleet = $1 AND id = $2";
        let row = tx.row(sql, values![&id]).await?;
        let row = row.ok_or(StoreError::NoRollout(id))?;
        owners.push(Owner {
            rollout: row.json(0)?,
            tenants: BTreeSet::from([tenant]),
        });
    }
    Ok(owners)
}
