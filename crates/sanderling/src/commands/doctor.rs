//! `sanderling doctor`: does everything answer that a rollout needs? And `--take-fence`.

use std::time::Duration;

use anyhow::bail;
use sanderling_coordinator::Fleet;
use sanderling_core::{HostName, Micros, Standing};
use sanderling_engine::{EngineError, Hosts, Lack};
use serde::Serialize;

use super::up::actor;
use crate::cli::Doctor;
use crate::exit::Exit;
use crate::render;
use crate::wiring::Wiring;

/// How long the claims server may take to answer.
const PATIENCE: Duration = Duration::from_secs(3);

/// Clocks that differ by less are the same: a question takes a moment.
const SKEW_MICROS: u64 = 2_000_000;

/// One thing that was looked at.
#[derive(Debug, Serialize)]
pub(super) struct Check {
    pub(super) check: String,
    pub(super) ok: bool,
    detail: String,
    /// What is not wrong, and should be looked at.
    warnings: Vec<String>,
}

impl Check {
    pub(super) fn new(check: impl Into<String>, result: Result<String, String>) -> Self {
        let ok = result.is_ok();
        Self {
            check: check.into(),
            ok,
            detail: result.unwrap_or_else(|problem| problem),
            warnings: Vec::new(),
        }
    }

    fn warning(mut self, of: impl IntoIterator<Item = String>) -> Self {
        self.warnings.extend(of);
        self
    }

    /// For a person.
    pub(super) fn line(&self) -> String {
        let word = if self.ok { "ok" } else { "FAIL" };
        let mut line = format!("{word:<5} {}: {}", self.check, self.detail);
        for warning in &self.warnings {
            line.push_str(&format!("\nwarn  {}: {warning}", self.check));
        }
        line
    }
}

/// Looks at everything, or takes a fence over.
pub(crate) async fn run(wiring: &Wiring, args: &Doctor) -> anyhow::Result<Exit> {
    if let (true, Some(tenant), Some(reason)) = (args.take_fence, &args.tenant, &args.reason) {
        return take_fence(wiring, tenant, reason).await;
    }
    let mut checks = vec![control(wiring).await, claims(wiring).await];
    checks.extend(hosts(wiring).await);
    wiring.printer.json(&checks)?;
    for check in &checks {
        wiring.printer.result(&check.line());
    }
    Ok(if checks.iter().all(|check| check.ok) {
        Exit::Done
    } else {
        Exit::Error
    })
}

pub(super) async fn control(wiring: &Wiring) -> Check {
    let looked = async {
        let Some(store) = wiring.store_if_any().await? else {
            return Ok(("not there yet; `sanderling up` makes it".to_owned(), None));
        };
        let skew = skew(store.now().await?);
        let (active, workers) = (
            store.rollouts(true, 1_000).await?.len(),
            store.workers().await?.len(),
        );
        let said = format!(
            "store {}, {active} active rollouts, {workers} live workers",
            store.id()
        );
        anyhow::Ok((said, skew))
    };
    match looked.await {
        Ok((said, skew)) => Check::new("control store", Ok(said)).warning(skew),
        Err(error) => Check::new("control store", Err(format!("{error:#}"))),
    }
}

/// What to say where this machine's clock and the store's differ. Leases go by the store's alone.
fn skew(store: Micros) -> Option<String> {
    let here = jiff::Timestamp::now().as_microsecond();
    let by = here.saturating_sub(store.0);
    let seconds = by.unsigned_abs() / 1_000_000;
    let way = if by > 0 { "ahead of" } else { "behind" };
    (by.unsigned_abs() > SKEW_MICROS).then(|| {
        format!(
            "this machine's clock is {seconds} s {way} the control store's: times in logs do not fit together; leases go by \
             the store's clock and are not harmed"
        )
    })
}

pub(super) async fn claims(wiring: &Wiring) -> Check {
    let looked = async {
        let claims = &wiring.settings.claims;
        let url = claims.url.resolve()?;
        let pong = claims.access.ping(url.expose(), PATIENCE).await?;
        let master = pong.at.map_or_else(String::new, |at| {
            format!(" at {at}, which the sentinels name as master,")
        });
        let said = format!(
            "{}{master} answered in {}",
            pong.server,
            render::duration(pong.round_trip)
        );
        let evicts = pong.evicts_by.map(|policy| {
            format!(
                "it drops keys by {policy} when its memory is full, and with them locks of tenants at work: nothing is applied \
                 twice, but work is refused and repeated; set maxmemory-policy to noeviction"
            )
        });
        anyhow::Ok((said, evicts))
    };
    match looked.await {
        Ok((said, evicts)) => Check::new("claims", Ok(said)).warning(evicts),
        Err(error) => Check::new("claims", Err(format!("{error:#}"))),
    }
}

/// The registry as a whole, then each host by its tenants' standings.
async fn hosts(wiring: &Wiring) -> Vec<Check> {
    let fleet = match wiring.fleet() {
        Ok(fleet) => fleet,
        Err(error) => return vec![Check::new("registry", Err(format!("{error:#}")))],
    };
    let found = format!(
        "{}, newest version {}",
        render::tenants(fleet.tenants.len() as u64),
        fleet
            .newest()
            .map_or_else(|| "none".into(), |v| v.to_string())
    );
    let standings = fleet.survey(&fleet.tenants).await;
    let mut checks = vec![Check::new("registry", Ok(found))];
    for (host, connections) in fleet.hosts.budgets() {
        let of_host = fleet
            .tenants
            .iter()
            .zip(&standings)
            .filter(|(tenant, _)| tenant.place.host == host)
            .map(|(_, s)| s);
        let mut greeted = greet(&fleet.hosts, &host).await;
        let lacks = match &greeted {
            Ok(_) => lacks(&fleet, &host, connections).await,
            Err(_) => Vec::new(),
        };
        let (blocks, lesser): (Vec<_>, Vec<_>) = lacks.into_iter().partition(|lack| lack.blocks);
        if let Some(lack) = blocks.into_iter().next() {
            greeted = Err(lack.what);
        }
        let check = host_check(&host, greeted, of_host, fleet.create_missing);
        checks.push(check.warning(lesser.into_iter().map(|lack| lack.what)));
    }
    checks
}

/// What a rollout would lack there. What cannot be asked is not known to be missing.
async fn lacks(fleet: &Fleet, host: &HostName, connections: u32) -> Vec<Lack> {
    let asked = match fleet.hosts.driver(host) {
        Ok(driver) => driver.lacks(connections, fleet.create_missing).await,
        Err(error) => Err(error),
    };
    asked.unwrap_or_else(|EngineError(failure)| {
        vec![Lack {
            blocks: false,
            what: format!(
                "its limits and rights could not be read: {}",
                failure.message
            ),
        }]
    })
}

/// What answers there. A host whose URL names a database that is not there may still have all of its tenants.
pub(super) async fn greet(hosts: &Hosts, host: &HostName) -> Result<String, String> {
    let greeted = match hosts.driver(host) {
        Ok(driver) => driver.greet().await,
        Err(error) => Err(error),
    };
    match greeted {
        Err(EngineError(failure)) if failure.cause.code == "missing" => Ok(failure.message),
        greeted => greeted.map_err(|EngineError(failure)| render::failure(&failure)),
    }
}

fn host_check<'a>(
    host: &HostName,
    greeted: Result<String, String>,
    standings: impl Iterator<Item = &'a Standing>,
    create_missing: bool,
) -> Check {
    let (mut present, mut missing, mut problem) = (0, 0, None);
    for standing in standings {
        match standing {
            Standing::Present { .. } => present += 1,
            Standing::Missing => missing += 1,
            Standing::Unreachable(failure) => problem = Some(render::failure(failure)),
        }
    }
    let found = format!(
        "{}; {} readable, {missing} not there yet",
        greeted.as_deref().unwrap_or("no answer"),
        render::tenants(present)
    );
    let result = match greeted.err().or(problem) {
        Some(problem) => Err(problem),
        None if missing > 0 && !create_missing => Err(format!(
            "{found}; create them, or set create_missing = true"
        )),
        None => Ok(found),
    };
    Check::new(format!("host {host}"), result)
}

async fn take_fence(wiring: &Wiring, tenant: &str, reason: &str) -> anyhow::Result<Exit> {
    let fleet = wiring.fleet()?;
    let Some(tenant) = fleet.tenants.iter().find(|t| t.id.as_str() == tenant) else {
        bail!(
            "tenant {tenant} is not in the registry; `--tenant` takes an id as it stands in the tenant files"
        );
    };
    let store = wiring.store().await?;
    let driver = fleet.hosts.driver(&tenant.place.host)?;
    let before =
        driver
            .take_fence(&tenant.place, store.id())
            .await
            .map_err(|EngineError(failure)| {
                anyhow::anyhow!("tenant {}: {}", tenant.id, failure.message)
            })?;
    let from = before
        .as_ref()
        .map_or_else(|| "nobody".to_owned(), ToString::to_string);
    store
        .note(
            &actor(),
            "take_fence",
            &format!(
                "tenant {}, from {from} to {}: {reason}",
                tenant.id,
                store.id()
            ),
        )
        .await?;
    wiring
        .printer
        .json(&serde_json::json!({ "tenant": tenant.id, "from": before, "to": store.id() }))?;
    wiring.printer.result(&format!(
        "the fence of tenant {} is now store {}'s; before it was {from}'s",
        tenant.id,
        store.id()
    ));
    Ok(Exit::Done)
}
