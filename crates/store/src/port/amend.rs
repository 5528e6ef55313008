//! Correcting a migration that failed somewhere.

use sanderling_core::amend::{Accepted, Amendment};
use sanderling_core::{Bundle, BundleHash, Rollout, RolloutState};

/// What a rollout goes on with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Amend {
    /// The bundle that the rollout must have now.
    pub from: BundleHash,
    /// The bundle it has from here on; kept by the same transaction.
    pub bundle: Bundle,
    /// Which text takes the place of which.
    pub amendment: Amendment,
    /// Every text that is right besides the new bundle's own, this amendment included.
    pub accepted: Accepted,
    /// Why.
    pub reason: String,
}

/// Why a rollout may not be amended as it stands, and what to type; `None` where it may.
pub fn refuses_amendment(rollout: &Rollout) -> Option<String> {
    let (id, state) = (&rollout.id, rollout.state);
    if !rollout.direction.is_up() {
        return Some(format!(
            "rollout {id} takes versions back: their texts are in effect and stay as they are. Mend the tenants and \
             `sanderling rollout retry {id} --failed`, or cancel it and write a new migration that undoes them \
             (`sanderling new NAME`)"
        ));
    }
    if matches!(state, RolloutState::Running | RolloutState::Waiting) {
        return Some(format!(
            "rollout {id} is {state}: `sanderling rollout pause {id}` first, so that no tenant begins with the text before"
        ));
    }
    if !rollout.may_be_amended() {
        return Some(format!(
            "rollout {id} has ended ({state}) and has nothing to amend; `sanderling up` starts a new one"
        ));
    }
    let (tenant, _) = rollout.in_flight.first_key_value()?;
    Some(format!(
        "{} in flight in rollout {id}, with the text before (for example {tenant}): type this again when \
         `sanderling rollout show {id}` names none; where no worker is alive, `sanderling worker` settles them",
        match rollout.in_flight.len() {
            1 => "1 tenant is".to_owned(),
            n => format!("{n} tenants are"),
        }
    ))
}
