//! What the leader does next, and why.

mod cut_off;
mod limits;

pub use cut_off::CutOff;

use crate::gate::Question;
use crate::ids::Micros;
use crate::rollout::{Action, Rollout, RolloutState};

/// What to do now, in words too, and when to ask again.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Decision {
    /// What to do, in order.
    pub actions: Vec<Action>,
    /// Why, or what is waited for: one sentence each.
    pub reasons: Vec<String>,
    /// What to ask a provider before anything else; the answer comes back as [`Action::MeasuredGate`].
    pub ask: Option<Question>,
    /// When to decide again even if no event arrives; absent where only an event can change the answer.
    pub wake_at: Option<Micros>,
}

/// Decides what the leader does next. Costs O(waves), whatever the number of tenants; where claims are cut off, O(waves ×
/// claims) of these.
///
/// `now` is the control store's time, as read with the rollout. `wake_at` is the first moment at which time alone
/// changes the answer: a hold ends, a gate is due, a limit of time is reached.
pub fn decide(rollout: &Rollout, now: Micros) -> Decision {
    decide_seeing(rollout, now, &Outside::default())
}

/// What the leader sees of a rollout beside its events.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Outside {
    /// Only what stood still since then counts as a stall: before that moment nobody led, or something outside of the
    /// rollout (a host that is away, another rollout with all the connections) kept it from moving.
    pub watched: Micros,
    /// Claims whose workers cannot work on their hosts.
    pub cut_off: Vec<CutOff>,
}

/// As [`decide`], with what the leader sees beside the rollout's events.
pub fn decide_seeing(rollout: &Rollout, now: Micros, outside: &Outside) -> Decision {
    let goes_on = matches!(rollout.state, RolloutState::Running | RolloutState::Waiting);
    let hold = rollout.hold_ends_at.filter(|_| goes_on);
    if hold.is_some_and(|at| at <= now) {
        let reason = "the time of a hold is over: its targets are pending again";
        return because(Some(Action::EndHolds), reason.into());
    }
    let due = limits::due(rollout, outside.watched);
    let reached = due.as_ref().filter(|due| due.at <= now);
    let halt = reached.map(|due| due.halt(rollout, now));
    if let Some(halt) = halt.or_else(|| cut_off::halt(rollout, &outside.cut_off, now)) {
        let reason = halt.detail.clone().unwrap_or_default();
        return because(Some(Action::Halt(halt)), reason);
    }
    let next = next(rollout, now);
    let times = [next.wake_at, hold, due.map(|due| due.at)];
    Decision {
        wake_at: times.into_iter().flatten().min(),
        ..next
    }
}

/// What is next, where no limit of time is reached and no hold has ended.
fn next(rollout: &Rollout, now: Micros) -> Decision {
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
    if let Some(at) = rollout.at_gate() {
        return gate(rollout, at, now);
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

/// What the gate that it stands at needs: a measurement, a verdict, or time.
fn gate(rollout: &Rollout, (wave, index): (usize, usize), now: Micros) -> Decision {
    let (of, gate) = (&rollout.waves[wave], &rollout.waves[wave].gates[index]);
    let named = format!("wave {} has ended: gate {}", of.name, gate.gate.name);
    let Some(due) = gate.due().filter(|_| gate.verdict.is_none()) else {
        return because(None, format!("{named} keeps the next one shut"));
    };
    if now < due {
        let left = due.millis_since(now).div_ceil(1000);
        return Decision {
            wake_at: Some(due),
            ..because(None, format!("{named} is looked at again in {left} s"))
        };
    }
    match gate.question((wave, &of.name), index, &rollout.id) {
        Some(question) => Decision {
            ask: Some(question),
            ..because(None, format!("{named} is measured"))
        },
        None => {
            let judge = Action::JudgeGate { wave, gate: index };
            because(Some(judge), format!("{named} has had its time"))
        }
    }
}

fn because(action: Option<Action>, reason: String) -> Decision {
    Decision {
        actions: action.into_iter().collect(),
        reasons: vec![reason],
        ask: None,
        wake_at: None,
    }
}

fn standing_still(rollout: &Rollout) -> String {
    let in_flight = rollout.in_flight.len();
    match &rollout.halt {
        Some(halt) if halt.cause.is_none() => format!(
            "it is halted: {}: {}; {in_flight} in flight drain",
            halt.rule.as_str(),
            halt.detail.as_deref().unwrap_or("no details")
        ),
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::halt::Rule;
    use crate::ids::RolloutId;
    use crate::rollout::Halt;
    use crate::testing::{broken, plan};

    #[test]
    fn a_rollout_that_stands_still_says_why() {
        let mut rollout = Rollout::new(&RolloutId::new("r1"), &plan(&[(2, None)]));
        (rollout.submitted_at, rollout.state) = (Some(Micros(1)), RolloutState::Paused);
        let said = decide(&rollout, Micros(1)).reasons;
        assert_eq!(said, ["it is paused; 0 in flight drain"]);
        rollout.state = RolloutState::Halted;
        rollout.halt = Some(Halt {
            rule: Rule::SameCause,
            wave: None,
            failures: 3,
            tolerated: 2,
            cause: Some(broken().cause.to_string()),
            tenant: Some(crate::ids::TenantId::new("t")),
            in_flight: 0,
            detail: None,
        });
        let said = decide(&rollout, Micros(1)).reasons;
        assert_eq!(
            said,
            ["it is halted: same_cause counted 3 failed, 2 tolerated; 0 in flight drain"]
        );
    }
}
