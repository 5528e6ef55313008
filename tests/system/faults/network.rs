//! The wire between workers and the tenants' PostgreSQL: cut, reset, half closed, slow, and bytes that arrive when
//! their sender is gone.

use std::time::Duration;

use sanderling_testkit::{Fault, Message, Proxy};

use super::locks::under_way;
use super::nemesis::{Nemesis, under_seeds};
use super::scene::Scene;
use crate::fleet::DEADLINE;

/// What becomes of one migration's message.
#[derive(Clone, Copy, Debug)]
enum Harm {
    /// Nothing of it passes.
    Cut,
    /// Some of it passes.
    ResetInside,
    /// All of it passes, and its answer is lost.
    AnswerLost,
    /// Half of it is kept back until its sender is gone and has been replaced.
    Late,
    /// It is the last that passes.
    HalfClose,
    /// It passes late, so that the claim may have moved on.
    Slow,
}

const HARMS: &[Harm] = &[
    Harm::AnswerLost,
    Harm::Late,
    Harm::Cut,
    Harm::ResetInside,
    Harm::HalfClose,
    Harm::Slow,
];

/// Messages with a migration are harmed one after the other, while others pass.
#[test]
fn network_harms_messages() {
    under_seeds(
        "network_harms_messages",
        Scene::on_shared,
        |nemesis, scene| {
            let proxy = through_a_proxy(scene);
            scene.begin();
            for round in 0..3 {
                let harm = if round == 0 {
                    nemesis.turn(HARMS)
                } else {
                    HARMS[nemesis.below(HARMS.len())]
                };
                harm_one(nemesis, scene, &proxy, harm);
            }
            scene.keep(proxy);
        },
    );
}

fn harm_one(nemesis: &mut Nemesis, scene: &Scene, proxy: &Proxy, harm: Harm) {
    let bytes = nemesis.below(400);
    let fault = match harm {
        Harm::Cut => Fault::Cut(0),
        Harm::ResetInside => Fault::Reset(bytes),
        Harm::AnswerLost => Fault::HoldAnswer,
        Harm::Late => Fault::HoldAfter(bytes),
        Harm::HalfClose => Fault::HalfClose,
        Harm::Slow => Fault::Delay(Duration::from_secs(3)),
    };
    let meant = Message::to_server()
        .containing("INSERT INTO probe")
        .nth(1 + nemesis.below(8));
    let trap = proxy.trap(meant, fault);
    trap.wait(DEADLINE);
    let busy = scene.in_flight();
    nemesis.struck(format!("{harm:?} ({fault:?}) with {busy} in flight"));
    match harm {
        Harm::AnswerLost => {
            trap.wait_answer(DEADLINE);
            trap.kill_client();
            trap.release();
        }
        Harm::Late => {
            trap.kill_client();
            scene.until_ended(scene.events("ended") + 1);
            trap.release();
            let answer = trap.wait_answer(DEADLINE);
            nemesis.note(format!("the late message was answered: {answer:.200}"));
        }
        _ => {}
    }
}

/// Every message in both directions waits, until some more have ended; then all connections break at once.
#[test]
fn network_slow_then_broken() {
    under_seeds(
        "network_slow_then_broken",
        Scene::on_shared,
        |nemesis, scene| {
            let proxy = through_a_proxy(scene);
            let ended = under_way(nemesis, scene);
            let latency = Duration::from_millis(50 + 50 * nemesis.below(6) as u64);
            proxy.delay(latency);
            nemesis.struck(format!(
                "{latency:?} each way, {} in flight",
                scene.in_flight()
            ));
            scene.until_ended(ended + 3);
            proxy.heal();
            let busy = scene.in_flight();
            if nemesis.below(2) == 0 {
                proxy.reset();
            } else {
                proxy.close();
            }
            nemesis.note(format!(
                "healed, then every connection broken with {busy} in flight"
            ));
            scene.keep(proxy);
        },
    );
}

fn through_a_proxy(scene: &mut Scene) -> Proxy {
    let proxy = Proxy::postgres(scene.fleet.tenants_url());
    let url = proxy.through(scene.fleet.tenants_url());
    scene.set("SANDERLING_HOSTS__PG__URL", &url);
    proxy
}
