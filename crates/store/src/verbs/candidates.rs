//! `candidates`: what could be started now. Locks nothing; `start` decides.

use std::collections::{BTreeMap, BTreeSet};

use async_trait::async_trait;
use sanderling_core::{HostName, Micros, Rollout, RolloutId, Serves, TenantId};

use crate::link::{Fault, Row, Tx, Value, each, values};
use crate::perform::{Mode, Verb};
use crate::port::{Candidate, TargetRef};

/// The arguments of `Store::candidates`.
pub(crate) struct Candidates {
    pub(crate) hosts: Vec<HostName>,
    pub(crate) serves: Serves,
    pub(crate) limit: u32,
}

/// A candidate with its place in the order: wave, position, number of the rollout.
type Ranked = ((i64, i64, i64), Candidate);

#[async_trait]
impl Verb for Candidates {
    type Out = Vec<Candidate>;
    const NAME: &str = "candidates";
    const MODE: Mode = Mode::Snapshot;

    async fn run(&self, tx: &mut Tx<'_>) -> Result<Vec<Candidate>, Fault> {
        if self.hosts().is_empty() || self.limit == 0 {
            return Ok(Vec::new());
        }
        let now = tx.now().await?;
        let mut all = self.expired(tx, now).await?;
        all.sort_by_key(|(rank, _)| *rank);
        let mut pending = Vec::new();
        for (id, waves) in open_waves(tx).await? {
            for wave in waves {
                pending.extend(self.pending(tx, &id, wave, now).await?);
            }
        }
        pending.sort_by_key(|(rank, _)| *rank);
        all.extend(self.spread(pending));
        all.truncate(self.limit as usize);
        Ok(all.into_iter().map(|(_, candidate)| candidate).collect())
    }
}

impl Candidates {
    /// The hosts of which anything may be served.
    fn hosts(&self) -> Vec<HostName> {
        let takes = |host: &&HostName| self.serves.takes_host(host);
        self.hosts.iter().filter(takes).cloned().collect()
    }

    /// Conditions on the labels, as text that both dialects read the same way, over arguments that are added. Asked here
    /// and not of what was read: what others serve must not hide what is served here.
    fn served(&self, args: &mut Vec<Value>) -> String {
        let mut conditions = String::new();
        for (pair, there) in self.serves.pairs() {
            args.push(Value::from(pair));
            // `$1` is the fleet.
            let number = args.len() + 1;
            let sign = if there { "<>" } else { "=" };
            conditions.push_str(&format!(
                " AND replace(labels, ${number}, '') {sign} labels"
            ));
        }
        conditions
    }

    async fn expired(&self, tx: &mut Tx<'_>, now: Micros) -> Result<Vec<Ranked>, Fault> {
        let mut args = vec![hosts(&self.hosts())?];
        args.extend(values![now, i64::from(self.limit)]);
        let served = self.served(&mut args);
        let sql = format!(
            "SELECT rollout, tenant, host, wave, position, number FROM targets
            WHERE fleet = $1 AND in_flight = 1 AND lease_until <= $3 AND host IN (SELECT v ->> 0 FROM {{each}}) {served}
            ORDER BY wave, position, number LIMIT $4"
        );
        ranked(&tx.rows(&sql, args).await?, true)
    }

    /// The first ones by position, then the first ones of the hosts that are not among them, and so on: hosts whose
    /// budgets are spent must not hide the others for as long as they have targets left.
    async fn pending(
        &self,
        tx: &mut Tx<'_>,
        id: &RolloutId,
        wave: usize,
        now: Micros,
    ) -> Result<Vec<Ranked>, Fault> {
        let mut wanted = self.hosts();
        let mut found = Vec::new();
        while !wanted.is_empty() {
            let mut args = vec![hosts(&wanted)?];
            let wave = i64::try_from(wave).unwrap_or(i64::MAX);
            args.extend(values![id, wave, now, i64::from(self.limit)]);
            let served = self.served(&mut args);
            let sql = format!(
                "SELECT rollout, tenant, host, wave, position, number FROM targets
                WHERE fleet = $1 AND rollout = $3 AND wave = $4 AND outcome = 'pending' AND in_flight = 0
                AND not_before <= $5 AND host IN (SELECT v ->> 0 FROM {{each}}) {served}
                AND NOT EXISTS (SELECT 1 FROM targets AS other WHERE other.fleet = $1 AND other.tenant = targets.tenant
                    AND other.in_flight = 1)
                ORDER BY position LIMIT $6"
            );
            let more = ranked(&tx.rows(&sql, args).await?, false)?;
            if more.len() < self.limit as usize {
                // These are all there are, of every host that was asked for.
                found.extend(more);
                break;
            }
            let seen: BTreeSet<_> = more.iter().map(|(_, c)| c.host.clone()).collect();
            wanted.retain(|host| !seen.contains(host));
            found.extend(more);
        }
        Ok(found)
    }

    /// At most `limit`, in order. Where that would leave hosts out, up to half of it goes to them.
    fn spread(&self, pending: Vec<Ranked>) -> Vec<Ranked> {
        let limit = self.limit as usize;
        if pending.len() <= limit {
            return pending;
        }
        let first: BTreeSet<HostName> = pending[..limit]
            .iter()
            .map(|(_, c)| c.host.clone())
            .collect();
        let (mut known, hidden): (Vec<_>, Vec<_>) = pending
            .into_iter()
            .partition(|(_, c)| first.contains(&c.host));
        let mut hidden = in_turn(hidden);
        hidden.truncate(limit / 2);
        known.truncate(limit - hidden.len());
        known.extend(hidden);
        known.sort_by_key(|(rank, _)| *rank);
        known
    }
}

/// One of each host, then the second of each, and so on.
fn in_turn(ranked: Vec<Ranked>) -> Vec<Ranked> {
    let mut seen: BTreeMap<HostName, usize> = BTreeMap::new();
    let turn = |one: Ranked| {
        let turn = seen.entry(one.1.host.clone()).or_default();
        *turn += 1;
        (*turn, one)
    };
    let mut turns: Vec<_> = ranked.into_iter().map(turn).collect();
    turns.sort_by_key(|(turn, (rank, _))| (*turn, *rank));
    turns.into_iter().map(|(_, one)| one).collect()
}

/// Running rollouts with the open waves that have a permit free.
async fn open_waves(tx: &mut Tx<'_>) -> Result<Vec<(RolloutId, Vec<usize>)>, Fault> {
    let sql = "SELECT body FROM rollouts WHERE fleet = $1 AND state = 'running' ORDER BY number";
    let rows = tx.rows(sql, Vec::new()).await?;
    rows.iter()
        .map(|row| {
            let rollout: Rollout = row.json(0)?;
            let open = (0..rollout.waves.len()).filter(|wave| rollout.permits(*wave) > 0);
            Ok((rollout.id.clone(), open.collect()))
        })
        .collect()
}

fn hosts(hosts: &[HostName]) -> Result<Value, Fault> {
    each(&hosts.iter().map(|host| [host]).collect::<Vec<_>>())
}

fn ranked(rows: &[Row], expired: bool) -> Result<Vec<Ranked>, Fault> {
    rows.iter()
        .map(|row| {
            let candidate = Candidate {
                target: TargetRef {
                    rollout: RolloutId::new(row.text(0)?),
                    tenant: TenantId::new(row.text(1)?),
                },
                host: HostName::new(row.text(2)?),
                expired,
            };
            Ok(((row.int(3)?, row.int(4)?, row.int(5)?), candidate))
        })
        .collect()
}
