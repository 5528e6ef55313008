//! `believed`: what is known of tenants over all rollouts, page by page.

use async_trait::async_trait;
use sanderling_core::{Epoch, TenantId};

use super::list::{COLUMNS, RECORD, record};
use crate::link::{Fault, Tx, values};
use crate::perform::{Mode, Verb};
use crate::port::Believed;

/// The arguments of `Store::believed`.
pub(crate) struct Beliefs {
    pub(crate) after: Option<TenantId>,
    pub(crate) limit: u32,
}

/// Targets that say something about their tenant: it was claimed, or was found to be there already.
const SPEAKS: &str = "(t.epoch > 0 OR t.outcome = 'up_to_date')";

/// Newer targets that make older ones needless: the tenant got where they led, upwards. The way down says nothing of what
/// stays in effect.
const SETTLES: &str = "EXISTS (SELECT 1 FROM targets AS newer
    JOIN rollouts AS above ON above.fleet = $1 AND above.id = newer.rollout AND above.direction = 'up'
    WHERE newer.fleet = $1 AND newer.tenant = t.tenant AND newer.number > t.number
    AND newer.outcome IN ('succeeded', 'up_to_date') AND (newer.epoch > 0 OR newer.outcome = 'up_to_date'))";

#[async_trait]
impl Verb for Beliefs {
    type Out = Vec<Believed>;
    const MODE: Mode = Mode::Single;

    async fn run(&self, tx: &mut Tx<'_>) -> Result<Vec<Believed>, Fault> {
        // Both lists are read in the order of an index and end at the limit. Not every tenant is in both: one that was
        // always up to date was never numbered, one whose number was raised by hand may have no target.
        let sql = format!(
            "SELECT {RECORD}, page.tenant, COALESCE(n.epoch, 0) FROM (
                SELECT both_lists.tenant FROM (
                    SELECT tenant FROM (SELECT tenant FROM tenants
                        WHERE fleet = $1 AND tenant > $2 ORDER BY tenant LIMIT $3) AS numbered
                    UNION SELECT tenant FROM (SELECT DISTINCT t.tenant FROM targets AS t
                        WHERE t.fleet = $1 AND t.tenant > $2 AND {SPEAKS} ORDER BY t.tenant LIMIT $3) AS targeted
                ) AS both_lists ORDER BY both_lists.tenant LIMIT $3
             ) AS page
             LEFT JOIN tenants AS n ON n.fleet = $1 AND n.tenant = page.tenant
             LEFT JOIN targets AS t ON t.fleet = $1 AND t.tenant = page.tenant AND {SPEAKS}
                AND (t.in_flight = 1 OR NOT {SETTLES})
             LEFT JOIN rollouts AS r ON r.fleet = $1 AND r.id = t.rollout
             ORDER BY page.tenant, t.number DESC"
        );
        let after = self.after.as_ref().map_or("", TenantId::as_str);
        let mut believed: Vec<Believed> = Vec::new();
        for row in tx.rows(&sql, values![after, i64::from(self.limit)]).await? {
            let tenant = TenantId::new(row.text(COLUMNS)?);
            if believed.last().is_none_or(|last| last.tenant != tenant) {
                believed.push(Believed {
                    tenant,
                    issued: Epoch(row.int(COLUMNS + 1)?),
                    targets: Vec::new(),
                });
            }
            if let (Some(last), Some(_)) = (believed.last_mut(), row.text_or_none(0)?) {
                last.targets.push(record(&row)?);
            }
        }
        Ok(believed)
    }
}
