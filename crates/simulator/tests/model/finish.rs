//! A clean finish stays possible: from every state there is a way to an end with nothing in flight.

use std::collections::HashMap;

use stateright::Model;

use crate::setup::Setup;
use crate::world::World;

/// Walks all states, and back from those where everything has ended. Faults need not stop and nobody need help: a
/// person who types nothing, and messages that never arrive, must not be what an end depends on, so those steps do
/// not count as a way.
pub(crate) fn from_everywhere(setup: Setup) {
    let mut numbers: HashMap<World, usize> = HashMap::new();
    let mut worlds: Vec<World> = Vec::new();
    let mut into: Vec<Vec<usize>> = Vec::new();
    for world in setup.init_states() {
        numbers.insert(world.clone(), 0);
        worlds.push(world);
        into.push(Vec::new());
    }
    let mut next = 0;
    while next < worlds.len() {
        let world = worlds[next].clone();
        let mut actions = Vec::new();
        setup.actions(&world, &mut actions);
        for action in actions {
            let helps = action.needs_no_luck();
            let Some(then) = setup.next_state(&world, action) else {
                continue;
            };
            let number = *numbers.entry(then.clone()).or_insert_with(|| {
                worlds.push(then);
                into.push(Vec::new());
                worlds.len() - 1
            });
            if helps {
                into[number].push(next);
            }
        }
        next += 1;
    }
    let mut can_end = vec![false; worlds.len()];
    let mut found: Vec<usize> = (0..worlds.len())
        .filter(|n| has_ended(&worlds[*n]))
        .collect();
    assert!(!found.is_empty(), "it never ends");
    while let Some(number) = found.pop() {
        if !std::mem::replace(&mut can_end[number], true) {
            found.append(&mut into[number]);
        }
    }
    if let Some(stuck) = can_end.iter().position(|can| !can) {
        panic!("no way to an end from {:#?}", worlds[stuck]);
    }
    println!("an end can be reached from each of {} states", worlds.len());
}

/// Ended, or halted for a person to look at; and nothing in flight.
fn has_ended(world: &World) -> bool {
    let control = &world.control;
    let rests = control.targets.iter().all(|target| target.claim.is_none());
    rests && !control.runs()
}
