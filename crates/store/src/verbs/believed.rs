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

/// The newest target of each tenant that makes older ones needless: the tenant got where that one led, upwards. The way down
/// says nothing of what stays in effect. One number for each tenant, and no question for each target: asked so, a server
/// that knows nothing yet of the table's size takes some 20 s for 520 tenants.
const SETTLED: &str = "SELECT t.tenant, MAX(t.number) AS number FROM page
    JOIN targets AS t ON t.fleet = $1 AND t.tenant = page.tenant
    JOIN rollouts AS above ON above.fleet = $1 AND above.id = t.rollout AND above.direction = 'up'
    WHERE t.outcome IN ('succeeded', 'up_to_date')";

#[async_trait]
impl Verb for Beliefs {
    type Out = Vec<Believed>;
    const NAME: &str = "believed";
    const MODE: Mode = Mode::Single;

    async fn run(&self, tx: &mut Tx<'_>) -> Result<Vec<Believed>, Fault> {
        // Both lists are read in the order of an index and end at the limit. Not every tenant is in both: one that was
        // always up to date was never numbered, one whose number was raised by hand may have no target.
        let sql = format!(
            "WITH page AS MATERIALIZED (
                SELECT both_lists.tenant FROM (
                    SELECT tenant FROM (SELECT tenant FROM tenants
                        WHERE fleet = $1 AND tenant > $2 ORDER BY tenant LIMIT $3) AS numbered
                    UNION SELECT tenant FROM (SELECT DISTINCT t.tenant FROM targets AS t
                        WHERE t.fleet = $1 AND t.tenant > $2 AND {SPEAKS} ORDER BY t.tenant LIMIT $3) AS targeted
                ) AS both_lists ORDER BY both_lists.tenant LIMIT $3
             ), settled AS MATERIALIZED ({SETTLED} AND {SPEAKS} GROUP BY t.tenant)
             SELECT {RECORD}, page.tenant, COALESCE(n.epoch, 0) FROM page
             LEFT JOIN tenants AS n ON n.fleet = $1 AND n.tenant = page.tenant
             LEFT JOIN settled ON settled.tenant = page.tenant
             LEFT JOIN targets AS t ON t.fleet = $1 AND t.tenant = page.tenant AND {SPEAKS}
                AND (t.in_flight = 1 OR settled.number IS NULL OR t.number >= settled.number)
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
