//! Workers that are killed, frozen, or stop renewing, each at a chosen moment of its work.

use sanderling_testkit::{Signal, until};

use super::nemesis::{Nemesis, under_seeds};
use super::scene::Scene;
use crate::fleet::DEADLINE;

/// From the lock to its release.
const MOMENTS: &[&str] = &[
    "worker.before_message",
    "worker.after_grant",
    "worker.after_answer",
    "worker.before_report",
    "worker.after_report",
    "worker.after_lock",
    "store.before_commit",
];

/// Killed with the moment's work in hand; a fresh worker takes its place.
#[test]
fn worker_killed() {
    under_seeds("worker_killed", Scene::on_shared, kill);
}

/// The same while versions are taken back.
#[test]
fn worker_killed_on_the_way_down() {
    let stage = || Scene::on_shared().descending();
    under_seeds("worker_killed_on_the_way_down", stage, kill);
}

fn kill(nemesis: &mut Nemesis, scene: &mut Scene) {
    let moment = nemesis.turn(MOMENTS);
    let (pid, _) = begin_with_a_held_worker(nemesis, scene, moment);
    let held = scene.held_by(pid);
    strike(scene, pid, Signal::Kill);
    nemesis.struck(format!(
        "worker {pid} killed at {moment} with {held} in flight"
    ));
    scene.add_worker(&[]);
}

/// Frozen until others have taken over all it held, then thawed: it goes on in a world that has moved on.
#[test]
fn worker_frozen() {
    under_seeds("worker_frozen", Scene::on_shared, freeze);
}

/// The same while versions are taken back.
#[test]
fn worker_frozen_on_the_way_down() {
    let stage = || Scene::on_shared().descending();
    under_seeds("worker_frozen_on_the_way_down", stage, freeze);
}

fn freeze(nemesis: &mut Nemesis, scene: &mut Scene) {
    let moment = nemesis.turn(&MOMENTS[..4]);
    let (pid, hold) = begin_with_a_held_worker(nemesis, scene, moment);
    signal(scene, pid, Signal::Stop);
    let held = scene.held_by(pid);
    nemesis.struck(format!(
        "worker {pid} frozen at {moment} with {held} in flight"
    ));
    until_taken_over(scene, pid);
    std::fs::remove_file(hold).unwrap();
    signal(scene, pid, Signal::Cont);
    nemesis.note("thawed");
    until_refused(scene, pid);
}

/// Renews nothing while it is at work: its claims end under its hands.
#[test]
fn worker_stops_renewing() {
    under_seeds(
        "worker_stops_renewing",
        Scene::on_shared,
        |nemesis, scene| {
            let moment = nemesis.turn(&MOMENTS[..4]);
            let renewal = scene.fleet.path("hold-renewal");
            std::fs::write(&renewal, "").unwrap();
            let stalled = format!("worker.renew=2*off->return(hold:{})", renewal.display());
            let (pid, hold) = begin_with_held(nemesis, scene, moment, &stalled);
            scene.until_reached(pid, "worker.renew");
            let held = scene.held_by(pid);
            nemesis.struck(format!(
                "worker {pid} stopped renewing at {moment} with {held} in flight"
            ));
            until_taken_over(scene, pid);
            std::fs::remove_file(hold).unwrap();
            until_refused(scene, pid);
            std::fs::remove_file(renewal).unwrap();
        },
    );
}

fn begin_with_a_held_worker(
    nemesis: &mut Nemesis,
    scene: &mut Scene,
    moment: &str,
) -> (u32, std::path::PathBuf) {
    begin_with_held(nemesis, scene, moment, "")
}

/// Begins with one worker that stays at `moment` the n-th time it gets there; gives its process id, and the file that
/// keeps it there. The others come when it is there: they could be faster, and leave nothing for it.
fn begin_with_held(
    nemesis: &mut Nemesis,
    scene: &mut Scene,
    moment: &str,
    further: &str,
) -> (u32, std::path::PathBuf) {
    let hold = scene.fleet.path("hold");
    std::fs::write(&hold, "").unwrap();
    let before = nemesis.below(3);
    let asked = format!(
        "{moment}={before}*off->1*return(hold:{});{further}",
        hold.display()
    );
    nemesis.note(format!("FAILPOINTS={asked}"));
    let pid = scene.add_worker(&[("FAILPOINTS", &asked)]);
    scene.begin_alone();
    scene.until_reached(pid, moment);
    scene.fill_up();
    (pid, hold)
}

/// Every claim that the process held has another owner now, or has ended.
fn until_taken_over(scene: &Scene, pid: u32) {
    until(DEADLINE, "its claims to be taken over", || {
        let held = scene.held_by(pid);
        (held == 0)
            .then_some(())
            .ok_or_else(|| format!("{held} held; {}", scene.printed()))
    });
}

/// The stale process has found out.
fn until_refused(scene: &mut Scene, pid: u32) {
    let worker = scene
        .workers
        .iter()
        .find(|worker| worker.pid() == pid)
        .unwrap();
    until(DEADLINE, "the stale worker to be refused", || {
        let said = worker.stderr();
        ["no longer ours", "came too late", "ahead of this claim"]
            .iter()
            .any(|words| said.contains(words))
            .then_some(())
            .ok_or(said)
    });
}

fn signal(scene: &mut Scene, pid: u32, signal: Signal) {
    let worker = scene.workers.iter_mut().find(|worker| worker.pid() == pid);
    worker.unwrap().signal(signal);
}

/// Ends a worker by a signal and forgets it.
pub(super) fn strike(scene: &mut Scene, pid: u32, signal: Signal) {
    let at = scene.workers.iter().position(|worker| worker.pid() == pid);
    let mut worker = scene.workers.remove(at.unwrap());
    worker.signal(signal);
    worker.wait_with_deadline(DEADLINE);
}
