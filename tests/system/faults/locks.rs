//! Redis wiped again and again, killed, frozen, restarted, promoted without what it should know.

use std::collections::BTreeSet;

use sanderling_testkit::{Redis, until};

use super::nemesis::{Nemesis, under_seeds};
use super::scene::Scene;
use crate::fleet::DEADLINE;

/// Wiped each time something has ended since the last time.
#[test]
fn redis_wiped() {
    under_seeds("redis_wiped", Scene::on_shared, |nemesis, scene| {
        scene.begin();
        let mut done = 0;
        while let Some(ended) = until_more_ended(scene, done) {
            let keys = scene.redis.command(&["DBSIZE"]);
            assert_eq!(scene.redis.command(&["FLUSHALL"]), "OK");
            if scene.in_flight() > 0 {
                nemesis.struck(format!("wiped {keys} keys after {ended} ended"));
            }
            done = ended;
        }
    });
}

/// Killed for good.
#[test]
fn redis_killed() {
    under_seeds("redis_killed", Scene::on_shared, |nemesis, scene| {
        under_way(nemesis, scene);
        scene.redis.kill();
        nemesis.struck("killed for good");
    });
}

/// Frozen until the rollout has gone on for a while without it.
#[test]
fn redis_frozen() {
    under_seeds("redis_frozen", Scene::on_shared, |nemesis, scene| {
        let ended = under_way(nemesis, scene);
        scene.redis.stop();
        nemesis.struck("frozen");
        let more = scene.until_ended(ended + 4 + nemesis.below(6) as u64);
        nemesis.note(format!("{more} ended meanwhile; thawed"));
        scene.redis.cont();
    });
}

/// Killed and started again, empty, twice.
#[test]
fn redis_restarted_empty() {
    under_seeds(
        "redis_restarted_empty",
        Scene::on_shared,
        |nemesis, scene| {
            let ended = under_way(nemesis, scene);
            scene.redis.restart();
            nemesis.struck("restarted empty");
            scene.until_ended(ended + 2);
            scene.redis.restart();
            if scene.in_flight() > 0 {
                nemesis.struck("restarted empty again");
            }
        },
    );
}

/// A replica that was cut off is promoted, and some workers use it while others still use the old primary: both
/// sides hold the lock of one tenant.
#[test]
fn redis_replica_promoted() {
    under_seeds(
        "redis_replica_promoted",
        Scene::on_shared,
        |nemesis, scene| {
            let replica = cut_off_replica(scene);
            let hold = scene.fleet.path("hold");
            std::fs::write(&hold, "").unwrap();
            // Holds its lock in the old primary, and asks the store only later.
            let before = nemesis.below(4);
            let asked = format!(
                "worker.after_lock={before}*off->1*return(hold:{})",
                hold.display()
            );
            nemesis.note(format!("FAILPOINTS={asked}"));
            let pid = scene.add_worker(&[("FAILPOINTS", &asked)]);
            for _ in 0..2 {
                scene.add_worker(&[("SANDERLING_CLAIMS__URL", replica.url())]);
            }
            scene.begin();
            scene.until_reached(pid, "worker.after_lock");
            let both = until(DEADLINE, "one lock held on both sides", || {
                let there = keys(&replica);
                let both: Vec<_> = keys(&scene.redis).intersection(&there).cloned().collect();
                (!both.is_empty()).then_some(both)
            });
            nemesis.struck(format!("{} locks held on both sides", both.len()));
            std::fs::remove_file(hold).unwrap();
            scene.keep(replica);
        },
    );
}

fn cut_off_replica(scene: &Scene) -> Redis {
    let replica = Redis::private();
    let (_, port) = scene.redis.url().rsplit_once(':').unwrap();
    replica.command(&["REPLICAOF", "127.0.0.1", port]);
    until(DEADLINE, "the replica to follow", || {
        let said = replica.command(&["INFO", "replication"]);
        said.contains("master_link_status:up")
            .then_some(())
            .ok_or(said)
    });
    replica.command(&["REPLICAOF", "NO", "ONE"]);
    replica
}

fn keys(redis: &Redis) -> BTreeSet<String> {
    redis
        .command(&["KEYS", "*:lock:*"])
        .lines()
        .map(str::to_owned)
        .filter(|key| !key.is_empty())
        .collect()
}

/// Begins, and waits until some targets have ended and others are in flight; how many have ended.
pub(super) fn under_way(nemesis: &mut Nemesis, scene: &mut Scene) -> u64 {
    let ended = nemesis.below(16) as u64;
    scene.begin();
    scene.until_under_way(ended);
    nemesis.note(format!("{ended} ended, {} in flight", scene.in_flight()));
    ended
}

/// Waits until more than `done` have ended; none when the rollout is over.
fn until_more_ended(scene: &Scene, done: u64) -> Option<u64> {
    until(DEADLINE, "the rollout to go on", || {
        let ended = scene.events("ended");
        let over = scene.events("finished") > 0;
        (over || ended > done)
            .then_some((!over).then_some(ended))
            .ok_or_else(|| format!("{ended} ended"))
    })
}
