//! `sanderling repair …`: what only a person can put right.

mod epochs;
mod step;

use crate::cli::Repair;
use crate::exit::Exit;
use crate::wiring::Wiring;

/// Runs the verb.
pub(crate) async fn run(wiring: &Wiring, repair: &Repair) -> anyhow::Result<Exit> {
    match repair {
        Repair::Step(args) => step::run(wiring, args).await,
        Repair::Epochs {
            tenants,
            reason,
            dry_run,
        } => epochs::run(wiring, tenants.as_deref(), reason.as_deref(), *dry_run).await,
    }
}
