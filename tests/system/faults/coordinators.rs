//! Coordinators that are killed or frozen while they act, and a halt that workers die around.

use sanderling_testkit::{Process, Signal, until};

use super::nemesis::{Nemesis, under_seeds};
use super::scene::Scene;
use super::workers::strike;
use crate::fleet::DEADLINE;

const MOMENTS: &[&str] = &["coordinator.before_act", "coordinator.after_act"];

/// The leader is killed before or after one of its actions; the other goes on from there.
#[test]
fn leader_killed() {
    under_seeds("leader_killed", Scene::on_shared, |nemesis, scene| {
        let (moment, pid) = begin_with_a_held_leader(nemesis, scene);
        let mut leader = taken(scene, pid);
        leader.signal(Signal::Kill);
        leader.wait_with_deadline(DEADLINE);
        nemesis.struck(format!("leader {pid} killed at {moment}"));
        let new = until_another_leads(scene, pid);
        nemesis.note(format!("{new} leads"));
        std::fs::remove_file(scene.fleet.path("hold")).unwrap();
        scene.coordinators.push(scene.process("coordinator", &[]));
    });
}

/// The leader is frozen before it acts, thawed when another leads: its action does nothing.
#[test]
fn leader_frozen() {
    under_seeds("leader_frozen", Scene::on_shared, |nemesis, scene| {
        let (moment, pid) = begin_with_a_held_leader(nemesis, scene);
        let mut leader = taken(scene, pid);
        leader.signal(Signal::Stop);
        nemesis.struck(format!("leader {pid} frozen at {moment}"));
        let new = until_another_leads(scene, pid);
        nemesis.note(format!("{new} leads; {pid} thaws"));
        std::fs::remove_file(scene.fleet.path("hold")).unwrap();
        leader.signal(Signal::Cont);
        until(DEADLINE, "the old leader to step down", || {
            let said = leader.stderr();
            said.contains("another coordinator leads now")
                .then_some(())
                .ok_or(said)
        });
        scene.coordinators.push(leader);
    });
}

/// From the failure that halts to the halt's receipt.
const AROUND_A_HALT: &[&str] = &[
    "store.halting",
    "worker.before_fence",
    "worker.after_fence",
    "worker.after_halt",
];

/// A worker is killed while its failure halts the rollout. Nothing starts after the halt, and nothing stays in flight.
#[test]
fn worker_killed_around_a_halt() {
    let stage = || Scene::on_shared().halting();
    under_seeds("worker_killed_around_a_halt", stage, |nemesis, scene| {
        let moment = nemesis.turn(AROUND_A_HALT);
        // The only worker at first, so that the failure is its own.
        let pid = begin_at_the_halt(nemesis, scene, moment);
        strike(scene, pid, Signal::Kill);
        nemesis.struck(format!("worker {pid} killed at {moment}"));
        scene.add_worker(&[]);
        scene.add_worker(&[]);
    });
}

/// One worker does everything until it is at the moment; gives its process id.
fn begin_at_the_halt(nemesis: &mut Nemesis, scene: &mut Scene, moment: &str) -> u32 {
    let hold = scene.fleet.path("hold");
    std::fs::write(&hold, "").unwrap();
    let asked = format!("{moment}=1*return(hold:{})", hold.display());
    nemesis.note(format!("FAILPOINTS={asked}"));
    let pid = scene.add_worker(&[("FAILPOINTS", &asked)]);
    scene.begin_alone();
    scene.until_reached(pid, moment);
    pid
}

/// Both coordinators stay at the moment the n-th time they get there; only the leader does.
fn begin_with_a_held_leader(nemesis: &mut Nemesis, scene: &mut Scene) -> (&'static str, u32) {
    let moment = nemesis.turn(MOMENTS);
    let hold = scene.fleet.path("hold");
    std::fs::write(&hold, "").unwrap();
    let before = nemesis.below(3);
    let asked = format!("{moment}={before}*off->1*return(hold:{})", hold.display());
    nemesis.note(format!("FAILPOINTS={asked} for both"));
    for _ in 0..2 {
        let coordinator = scene.process("coordinator", &[("FAILPOINTS", &asked)]);
        scene.coordinators.push(coordinator);
    }
    scene.begin();
    let pid = until(DEADLINE, "the leader at its moment", || {
        let seen = scene.reached();
        let pid = seen.split_whitespace().next();
        pid.and_then(|pid| pid.parse::<u32>().ok())
            .ok_or_else(|| scene.printed())
    });
    assert_eq!(scene.leader(), Some(pid), "the one that acts leads");
    (moment, pid)
}

fn taken(scene: &mut Scene, pid: u32) -> Process {
    let at = scene.coordinators.iter().position(|c| c.pid() == pid);
    scene.coordinators.remove(at.unwrap())
}

fn until_another_leads(scene: &Scene, pid: u32) -> u32 {
    until(DEADLINE, "another leader", || {
        scene.leader().filter(|leader| *leader != pid)
    })
}
