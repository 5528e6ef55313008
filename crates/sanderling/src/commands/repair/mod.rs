//! `sanderling repair …`: what a person sets right, audited with a reason.

mod epochs;
mod step;

use crate::cli::Repair;
use crate::exit::Exit;
use crate::wiring::Wiring;

/// Runs one of them.
pub(crate) async fn run(wiring: &Wiring, args: &Repair) -> anyhow::Result<Exit> {
    match args {
        Repair::Step(args) => step::run(wiring, args).await,
        Repair::Epochs {
            tenants,
            reason,
            dry_run,
        } => epochs::run(wiring, tenants.as_deref(), reason.as_deref(), *dry_run).await,
    }
}
