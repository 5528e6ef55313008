//! Which active rollouts own some tenants: a tenant is in at most one.

use std::collections::BTreeSet;

use sanderling_core::{Rollout, RolloutId, TenantId};

use crate::link::{Fault, Tx, each, values};
use crate::port::StoreError;

/// How many tenants one statement asks about.
const CHUNK: usize = 5_000;

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
    let mut owned: Vec<(i64, RolloutId, TenantId)> = Vec::new();
    let sql = "SELECT targets.number, targets.rollout, targets.tenant FROM {each} JOIN targets
        ON targets.fleet = $1 AND targets.tenant = v ->> 0 AND targets.active = 1
        WHERE targets.rollout <> $3";
    for chunk in tenants.chunks(CHUNK) {
        let keys: Vec<_> = chunk.iter().map(|tenant| [tenant]).collect();
        let mut args = vec![each(&keys)?];
        args.extend(values![except]);
        for row in tx.rows(sql, args).await? {
            let id = RolloutId::new(row.text(1)?);
            owned.push((row.int(0)?, id, TenantId::new(row.text(2)?)));
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
