//! `sanderling repair …`: what only a person can put right.

mod step;

use crate::cli::Repair;
use crate::exit::Exit;
use crate::wiring::Wiring;

/// Runs the verb.
pub(crate) async fn run(wiring: &Wiring, repair: &Repair) -> anyhow::Result<Exit> {
    match repair {
        Repair::Step(args) => step::run(wiring, args).await,
    }
}
