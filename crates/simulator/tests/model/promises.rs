//! What must hold in every state, and what must be possible at all.

use sanderling_core::{ErrorClass, Outcome, OutcomeCounts, RolloutState};
use stateright::Property;

use crate::setup::Setup;
use crate::world::{Message, Target, World};

pub(crate) const ONCE: &str = "an effect at most once per tenant and version";
pub(crate) const QUIET: &str = "nothing takes effect on a tenant that is not in flight";
pub(crate) const HALT: &str = "nothing starts once a limit is crossed";
pub(crate) const AFTER: &str =
    "after the halt a claim in flight begins at most the version at hand";
pub(crate) const PERMITS: &str = "never more in flight than printed, in the tenants neither";
pub(crate) const WAVES: &str = "a wave opens after those in front of it have ended";
pub(crate) const EVIDENCE: &str = "what is reported is what the ledger says";
pub(crate) const LEADER: &str = "nobody acts who does not lead";
pub(crate) const COUNTS: &str = "the rollout's counts are the targets'";

/// All properties.
pub(crate) fn all() -> Vec<Property<Setup>> {
    vec![
        Property::always(ONCE, |_, w: &World| {
            w.places.iter().all(|p| p.effects.iter().all(|&n| n <= 1))
        }),
        Property::always(QUIET, |_, w: &World| !w.seen.late_effect),
        Property::always(HALT, |_, w: &World| {
            !w.seen.start_beyond_limit && w.control.rollout().started_after_halt == 0
        }),
        Property::always(AFTER, |_, w: &World| !w.seen.body_after_halt),
        Property::always(PERMITS, |_, w: &World| in_bounds(w)),
        Property::always(WAVES, |_, w: &World| !w.seen.early_wave),
        Property::always(EVIDENCE, evidence),
        Property::always(LEADER, |_, w: &World| !w.seen.stale_leader),
        Property::always(COUNTS, |_, w: &World| counts_agree(w)),
        Property::sometimes("it succeeds", |_, w: &World| is(w, RolloutState::Succeeded)),
        Property::sometimes("it completes with failures", |s: &Setup, w: &World| {
            s.verbs == 0 && s.tolerated == Some(0) || is(w, RolloutState::CompletedWithFailures)
        }),
        Property::sometimes("it is cancelled", |s: &Setup, w: &World| {
            s.verbs == 0 || is(w, RolloutState::Cancelled)
        }),
        Property::sometimes("it halts", |s: &Setup, w: &World| {
            s.tolerated.is_none() || is(w, RolloutState::Halted)
        }),
        Property::sometimes("a dead worker's message is overtaken", |_, w: &World| {
            let newer = |m: &Message| w.control.targets[m.tenant].number > m.number;
            w.messages.iter().any(|m| m.orphan && newer(m))
        }),
        Property::sometimes("a takeover succeeds", |_, w: &World| {
            let taken = |t: &Target| t.attempts.contains_key(&ErrorClass::WorkerLost);
            let succeeded = |t: &Target| t.outcome == Outcome::Succeeded;
            w.control.targets.iter().any(|t| taken(t) && succeeded(t))
        }),
    ]
}

fn is(world: &World, state: RolloutState) -> bool {
    world.control.rollout().state == state
}

fn in_bounds(world: &World) -> bool {
    let rollout = world.control.rollout();
    let most = rollout.max_in_flight() as usize;
    let running = world.places.iter().filter(|place| place.running).count();
    rollout.in_flight.len() <= most && running <= most
}

/// Where nothing is in flight the store says what the ledger says. Strangers are reported as found, not as ours.
fn evidence(setup: &Setup, world: &World) -> bool {
    let targets = world.control.targets.iter().zip(&world.places);
    targets
        .filter(|(t, _)| t.claim.is_none())
        .all(|(target, place)| {
            let all = setup.all_versions();
            let there = place.ledger | place.strange;
            let told = match target.outcome {
                Outcome::Succeeded => there == all && target.applied != 0,
                Outcome::UpToDate => there == all && target.applied == 0,
                Outcome::Failed | Outcome::Deferred => setup.strangers || there != all,
                Outcome::Partial => target.applied != 0 && (setup.strangers || there != all),
                Outcome::Cancelled => place.ledger == 0,
                _ => true,
            };
            // A retried or released claim of ours knows what it applied.
            told && (setup.strangers || target.applied == place.ledger)
        })
}

fn counts_agree(world: &World) -> bool {
    let control = &world.control;
    control
        .rollout()
        .waves
        .iter()
        .enumerate()
        .all(|(index, wave)| {
            let mut counts = OutcomeCounts::default();
            let mut flying = 0;
            for target in control.targets.iter().filter(|t| t.wave == index) {
                counts.add(target.outcome, 1);
                flying += u64::from(target.claim.is_some());
            }
            wave.counts == counts && wave.in_flight == flying
        })
}
