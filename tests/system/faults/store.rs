//! The control store: killed, away, frozen, and its answers lost after it had done what was asked.

use std::fmt::Write as _;

use sanderling_testkit::{Postgres, until};

use super::locks::under_way;
use super::nemesis::under_seeds;
use super::scene::Scene;
use crate::fleet::DEADLINE;

/// Killed and started again, as after a power cut.
#[test]
fn store_restarted() {
    under_seeds(
        "store_restarted",
        Scene::with_own_control,
        |nemesis, scene| {
            let ended = under_way(nemesis, scene);
            for _ in 0..2 {
                let busy = until(DEADLINE, "targets in flight, or the end", || {
                    let busy = scene.in_flight();
                    (busy > 0 || scene.events("finished") > 0).then_some(busy)
                });
                scene.control.as_ref().unwrap().restart();
                if busy > 0 {
                    nemesis.struck(format!("killed with {busy} in flight, and restarted"));
                }
                scene.until_ended(ended + 4);
            }
        },
    );
}

/// Away until every worker has missed it, then back: what was in flight is reported, nothing started meanwhile.
#[test]
fn store_away() {
    under_seeds("store_away", Scene::with_own_control, |nemesis, scene| {
        under_way(nemesis, scene);
        let busy = scene.in_flight();
        scene.control.as_ref().unwrap().kill();
        nemesis.struck(format!("killed with {busy} in flight"));
        for worker in &scene.workers {
            until(DEADLINE, "a worker that misses the store", || {
                let said = worker.stderr();
                said.contains("WARN").then_some(()).ok_or(said)
            });
        }
        nemesis.note("every worker has missed it; back");
        scene.control.as_ref().unwrap().restart();
    });
}

/// Frozen until every lease has run out, then thawed: claims that ended under their holders' hands.
#[test]
fn store_frozen() {
    under_seeds("store_frozen", Scene::with_own_control, |nemesis, scene| {
        under_way(nemesis, scene);
        let (last, busy) = last_lease(scene);
        scene.control.as_ref().unwrap().stop();
        nemesis.struck(format!("frozen with {busy} in flight"));
        // One machine has one clock, so another server can say when the leases of this one are over.
        until(DEADLINE, "the leases to end", || {
            let now = "SELECT (extract(epoch FROM clock_timestamp()) * 1000000)::bigint";
            let now = Postgres::shared().sql(Postgres::shared().url(), now);
            (now.trim().parse::<u64>().unwrap() > last).then_some(())
        });
        scene.control.as_ref().unwrap().cont();
        nemesis.note("every lease has run out; thawed");
    });
}

/// Answers of transactions that were committed are lost, again and again, in every process.
#[test]
fn store_answers_lost() {
    under_seeds("store_answers_lost", Scene::on_shared, |nemesis, scene| {
        for kind in ["coordinator", "worker", "worker", "worker", "coordinator"] {
            // Opening the store comes first, and is not under test.
            let mut asked = String::from("store.answer=6*off");
            for _ in 0..24 {
                let _ = write!(asked, "->1*return(error)->{}*off", 1 + nemesis.below(7));
            }
            asked.push_str("->off");
            let process = scene.process(kind, &[("FAILPOINTS", &asked)]);
            let room = if kind == "worker" {
                &mut scene.workers
            } else {
                &mut scene.coordinators
            };
            room.push(process);
        }
        scene.begin();
        let lost = until(DEADLINE, "answers to be lost", || {
            let lost = scene.reached().matches("store.answer").count();
            let over = scene.events("finished") > 0;
            (lost >= 20 || over).then_some(lost).ok_or(lost)
        });
        assert!(lost >= 5, "only {lost} answers were lost");
        nemesis.struck(format!("{lost} answers lost so far"));
    });
}

/// The end of the last lease, microseconds, and how many are in flight.
fn last_lease(scene: &Scene) -> (u64, u64) {
    until(DEADLINE, "targets in flight", || {
        let sql = "SELECT max(lease_until) || ' ' || count(*) FROM sanderling_control.targets WHERE in_flight = 1";
        let seen = scene.store(sql);
        let (last, busy) = seen.trim().split_once(' ')?;
        Some((last.parse().ok()?, busy.parse().ok()?))
    })
}
