//! `sanderling rollout …`

mod amend;
mod list;
mod show;
mod verbs;
mod watch;

pub(crate) use verbs::said;

use sanderling_core::RolloutId;
use sanderling_store::{RolloutRecord, Store, StoreError};

use crate::cli::Rollout;
use crate::exit::{Exit, UsageError};
use crate::wiring::Wiring;

/// Runs one of them.
pub(crate) async fn run(wiring: &Wiring, args: &Rollout) -> anyhow::Result<Exit> {
    match args {
        Rollout::List { all } => list::run(wiring, *all).await,
        Rollout::Show { id } => show::run(wiring, id.as_deref()).await,
        Rollout::Watch { id, from_start } => watch::run(wiring, id, *from_start).await,
        Rollout::Pause { id, reason } => verbs::pause(wiring, id, reason.as_deref()).await,
        Rollout::Resume {
            id,
            acknowledge,
            reason,
        } => verbs::resume(wiring, id, *acknowledge, reason.as_deref()).await,
        Rollout::Retry {
            id,
            class,
            not_started,
            amend,
            reason,
            ..
        } => match (amend, reason.as_deref()) {
            (Some(version), Some(reason)) => amend::run(wiring, id, version, reason).await,
            (_, reason) if *not_started => verbs::retry_not_started(wiring, id, reason).await,
            (_, reason) => verbs::retry(wiring, id, class.as_deref(), reason).await,
        },
        Rollout::Skip { id, what, reason } => match (&what.tenant, &what.gate) {
            (Some(tenant), _) => verbs::skip(wiring, id, tenant, reason).await,
            (None, Some(gate)) => verbs::skip_gate(wiring, id, gate, reason).await,
            (None, None) => Err(UsageError("say which --tenant or --gate".into()).into()),
        },
        Rollout::Cancel { id, reason } => verbs::cancel(wiring, id, reason).await,
    }
}

/// The rollout of that id.
async fn find(store: &dyn Store, id: &str) -> Result<RolloutRecord, StoreError> {
    let id = RolloutId::new(id);
    store.rollout(&id).await?.ok_or(StoreError::NoRollout(id))
}

fn no_store(wiring: &Wiring) {
    wiring
        .printer
        .talk("there is no control store yet; `sanderling up` makes it");
}
