//! What `up` and `plan` have in common: flags over settings.

use sanderling_coordinator::{PlanRequest, Planned, PlanningError};
use sanderling_core::policy::Policy;
use sanderling_core::selector::Selector;
use sanderling_core::{Direction, Version, waves};
use sanderling_store::Store;

use crate::cli::Selection;
use crate::exit::UsageError;
use crate::wiring::Wiring;

/// The selector that was typed; everyone if none was.
pub(crate) fn selector(text: Option<&str>) -> Result<Selector, UsageError> {
    text.map_or_else(|| Ok(Selector::everyone()), Selector::parse)
        .map_err(|error| UsageError(format!("--tenants: {error}")))
}

/// The request that flags and settings make together.
pub(crate) fn request(wiring: &Wiring, args: &Selection) -> Result<PlanRequest, UsageError> {
    let rollout = &wiring.settings.rollout;
    let waves = match &args.waves {
        Some(text) => {
            waves::parse(text).map_err(|error| UsageError(format!("--waves: {error}")))?
        }
        None => wiring.waves(),
    };
    let mut halt = wiring.settings.halt_spec();
    if let Some(tolerated) = args.max_failures {
        halt.max_failures = Some(tolerated);
    }
    let millis =
        |duration: std::time::Duration| u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
    Ok(PlanRequest {
        selector: selector(args.tenants.as_deref())?,
        only: None,
        direction: Direction::Up,
        to: args.to.as_ref().map(Version::new),
        waves,
        policy: Policy {
            concurrency: args.concurrency.unwrap_or(rollout.concurrency),
            atomic: rollout.atomic,
            lock_timeout_ms: millis(rollout.lock_timeout),
            host_patience_ms: millis(rollout.host_patience),
            statement_timeout_ms: millis(rollout.statement_timeout),
            create_missing: wiring.settings.create_missing,
            limits: sanderling_core::halt::Limits::default(),
            retry: rollout.retry.clone(),
        },
        halt,
        canary_exclude: rollout.canary_exclude.clone(),
        known_failures: rollout.known_failures.clone(),
        allow_out_of_order: args.allow_out_of_order,
    })
}

/// Plans, and sorts errors into those of usage and the rest.
pub(crate) async fn plan(
    fleet: &sanderling_coordinator::Fleet,
    request: &PlanRequest,
    store: Option<&dyn Store>,
) -> anyhow::Result<Planned> {
    sanderling_coordinator::plan(fleet, request, store)
        .await
        .map_err(|error: PlanningError| {
            if error.is_usage() {
                UsageError(error.to_string()).into()
            } else {
                error.into()
            }
        })
}

/// Sorts an error of looking into usage and the rest.
pub(crate) fn sort(error: sanderling_coordinator::LookingError) -> anyhow::Error {
    if error.is_usage() {
        UsageError(error.to_string()).into()
    } else {
        error.into()
    }
}
