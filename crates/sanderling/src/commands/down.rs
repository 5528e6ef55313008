//! `sanderling down`: the same as `up`, the other way.

use sanderling_coordinator::PlanRequest;
use sanderling_core::Direction;

use super::{selection, up};
use crate::cli::{Down, Selection};
use crate::exit::{Exit, UsageError};
use crate::wiring::Wiring;

/// Takes versions back.
pub(crate) async fn run(wiring: &Wiring, args: &Down) -> anyhow::Result<Exit> {
    up::ride(wiring, &request(wiring, args)?, args.how, None).await
}

/// The request that flags and settings make together.
fn request(wiring: &Wiring, args: &Down) -> Result<PlanRequest, UsageError> {
    let selection = Selection {
        to: args.to.clone(),
        tenants: args.whom.tenants.clone(),
        waves: args.waves.clone(),
        max_failures: args.max_failures,
        concurrency: args.concurrency,
        allow_out_of_order: false,
    };
    Ok(PlanRequest {
        direction: Direction::Down,
        ..selection::request(wiring, &selection)?
    })
}
