//! What the leader does next, and why.

use crate::ids::Micros;
use crate::rollout::{Action, Rollout, RolloutState};

/// What to do now, in words too, and when to ask again.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Decision {
    /// What to do, in order.
    pub actions: Vec<Action>,
    /// Why, or what is waited for: one sentence each.
    pub reasons: Vec<String>,
    /// When to decide again even if no event arrives; absent where only an event can change the answer.
    pub wake_at: Option<Micros>,
}

/// Decides what the leader does next. Costs O(waves), whatever the number of tenants.
///
/// `now` is the control store's time, as read with the rollout.
pub fn decide(rollout: &Rollout, now: Micros) -> Decision {
    let goes_on = matches!(rollout.state, RolloutState::Running | RolloutState::Waiting);
    let Some(at) = rollout.hold_ends_at.filter(|_| goes_on) else {
        return next(rollout);
    };
    if at <= now {
        let reason = "the time of a hold is over: its targets are pending again";
        return because(Some(Action::EndHolds), reason.into());
    }
    Decision {
        wake_at: Some(at),
        ..next(rollout)
    }
}

/// What is next, whatever the time.
fn next(rollout: &Rollout) -> Decision {
    if rollout.submitted_at.is_none() {
        return because(None, "it has not been submitted".into());
    }
    if rollout.state != RolloutState::Running {
        return because(None, standing_still(rollout));
    }
    if let Some((index, wave)) = (0..).zip(&rollout.waves).find(|(_, w)| w.awaits_sweep()) {
        let reason = format!(
            "nothing is left of wave {} but {} deferred targets: they get their last try",
            wave.name,
            wave.deferred()
        );
        return because(Some(Action::Sweep(index)), reason);
    }
    if let Some(wave) = rollout
        .waves
        .iter()
        .find(|w| w.opened_at.is_some() && !w.has_ended())
    {
        let reason = format!(
            "wave {} has {} targets to start and {} in flight",
            wave.name,
            wave.startable(),
            wave.in_flight
        );
        return because(None, reason);
    }
    match rollout.waves.iter().position(|w| w.opened_at.is_none()) {
        Some(0) => because(
            Some(Action::OpenWave(0)),
            format!("wave {} is the first", rollout.waves[0].name),
        ),
        Some(next) => because(
            Some(Action::OpenWave(next)),
            format!(
                "every target of wave {} has ended: wave {} is next",
                rollout.waves[next - 1].name,
                rollout.waves[next].name
            ),
        ),
        None if rollout.held() > 0 => because(
            Some(Action::Wait),
            format!("nothing is left but {} held targets", rollout.held()),
        ),
        None => because(
            Some(Action::Finish(rollout.final_state())),
            "every target has ended".into(),
        ),
    }
}

fn because(action: Option<Action>, reason: String) -> Decision {
    Decision {
        actions: action.into_iter().collect(),
        reasons: vec![reason],
        wake_at: None,
    }
}

fn standing_still(rollout: &Rollout) -> String {
    let in_flight = rollout.in_flight.len();
    match &rollout.halt {
        Some(halt) => format!(
            "it is halted: {} counted {} failed, {} tolerated; {in_flight} in flight drain",
            halt.rule.as_str(),
            halt.failures,
            halt.tolerated
        ),
        None if rollout.waits_for_holds() => {
            format!("it waits for {} held targets", rollout.held())
        }
        None => format!("it is {}; {in_flight} in flight drain", rollout.state),
    }
}
