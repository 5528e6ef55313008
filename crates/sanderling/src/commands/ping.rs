//! `sanderling ping [--wait DURATION]`: for scripts that begin before their servers do.

use std::time::{Duration, Instant};

use super::doctor::{Check, claims, control, greet};
use crate::exit::{Exit, UsageError};
use crate::settings;
use crate::wiring::Wiring;

/// Between two rounds of asking.
const PAUSE: Duration = Duration::from_millis(500);

/// Asks everything that a rollout needs once, or until all answer.
pub(crate) async fn run(wiring: &Wiring, wait: Option<&str>) -> anyhow::Result<Exit> {
    let wait = match wait {
        None => Duration::ZERO,
        Some(text) => settings::duration(text).ok_or_else(|| {
            UsageError(format!(
                "--wait: `{text}` is no duration; write 30s, 5m or 1h"
            ))
        })?,
    };
    let until = Instant::now() + wait;
    let mut silent = Vec::new();
    let checks = loop {
        let checks = ask(wiring).await?;
        let now: Vec<&str> = checks
            .iter()
            .filter(|c| !c.ok)
            .map(|c| c.check.as_str())
            .collect();
        if now.is_empty() || Instant::now() >= until {
            break checks;
        }
        if silent != now {
            wiring
                .printer
                .talk(&format!("waiting for {}", now.join(", ")));
            silent = now.into_iter().map(str::to_owned).collect();
        }
        tokio::time::sleep(PAUSE).await;
    };
    wiring.printer.json(&checks)?;
    for check in &checks {
        wiring.printer.result(&check.line());
    }
    Ok(match checks.iter().all(|check| check.ok) {
        true => Exit::Done,
        false => Exit::Error,
    })
}

async fn ask(wiring: &Wiring) -> anyhow::Result<Vec<Check>> {
    let hosts = wiring.hosts()?;
    let mut checks = vec![control(wiring).await, claims(wiring).await];
    for host in hosts.budgets().into_keys() {
        let greeted = greet(&hosts, &host).await;
        checks.push(Check::new(format!("host {host}"), greeted));
    }
    Ok(checks)
}
