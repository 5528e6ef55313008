//! Workers that are frozen, killed or cut off with a message under way.

use sanderling_testkit::{Fault, Postgres, Proxy, Redis, Signal, until};

use super::{CONTROL, TENANTS, a_probe, drains};
use crate::chaos::events;
use crate::cluster::{drain, start_cluster};
use crate::fleet::{DEADLINE, Fleet};

const REFUSED: &str = "claim is no longer ours";

fn fleet() -> Fleet {
    let fleet = Fleet::cluster(Postgres::shared(), Redis::shared())
        .schemas(8)
        .written();
    fleet.probe_migrations(2);
    fleet
}

/// Frozen before its message arrived, thawed after another worker had done its work.
#[test]
fn a_worker_that_slept_through_its_lease_is_refused() {
    let fleet = fleet();
    let mut others = start_cluster(&fleet, 1, 0);
    let (proxy, mut frozen) = fleet.worker_through();
    let trap = proxy.trap(a_probe(), Fault::Hold);
    let mut up = fleet.spawn(&["--json", "up", "--yes"]);
    trap.wait(DEADLINE);
    frozen.signal(Signal::Stop);
    others.extend(start_cluster(&fleet, 0, 1));
    fleet.assert_well(&mut up, 2);
    let taken = events(&up.stdout());
    assert!(taken.iter().any(|e| e["takeover"] == true), "{taken:?}");

    trap.release();
    frozen.signal(Signal::Cont);
    until(
        DEADLINE,
        "the worker to learn that it was overtaken",
        || {
            let said = frozen.stderr();
            (trap.is_delivered() && said.contains(REFUSED))
                .then_some(())
                .ok_or(said)
        },
    );
    drains(frozen);
    fleet.assert_exactly_once(2);
    drain(&mut others);
}

/// Killed or frozen after COMMIT and before its answer: whoever takes over counts the tenant as succeeded.
#[test]
fn a_worker_lost_between_commit_and_answer_leaves_a_success() {
    for signal in [Signal::Kill, Signal::Stop] {
        let fleet = fleet();
        let mut others = start_cluster(&fleet, 1, 0);
        let (proxy, mut lost) = fleet.worker_through();
        let trap = proxy.trap(a_probe(), Fault::HoldAnswer);
        let mut up = fleet.spawn(&["--json", "up", "--yes"]);
        assert!(trap.wait_answer(DEADLINE).contains("COMMIT"));
        lost.signal(signal);
        others.extend(start_cluster(&fleet, 0, 1));
        fleet.assert_well(&mut up, 2);
        trap.release();
        if signal == Signal::Stop {
            lost.signal(Signal::Cont);
            drains(lost);
        }
        fleet.assert_exactly_once(2);
        drain(&mut others);
    }
}

/// Alive, but its renewals do not get through: it is overtaken, and what it had sent is refused.
#[test]
fn a_worker_that_cannot_renew_is_overtaken_and_refused() {
    let fleet = fleet();
    let mut others = start_cluster(&fleet, 1, 0);
    let (tenants, control) = (
        Proxy::postgres(fleet.tenants_url()),
        Proxy::postgres(fleet.control_url()),
    );
    let settings = [(TENANTS, tenants.url()), (CONTROL, control.url())];
    let alone = fleet.spawn_with(&settings, &["worker"]);
    let trap = tenants.trap(a_probe(), Fault::Hold);
    let mut up = fleet.spawn(&["--json", "up", "--yes"]);
    trap.wait(DEADLINE);
    control.blackhole();
    others.extend(start_cluster(&fleet, 0, 1));
    fleet.assert_well(&mut up, 2);

    trap.release();
    control.heal();
    until(
        DEADLINE,
        "the worker to learn that it was overtaken",
        || {
            let said = alone.stderr();
            (trap.is_delivered() && said.contains(REFUSED))
                .then_some(())
                .ok_or(said)
        },
    );
    drains(alone);
    fleet.assert_exactly_once(2);
    drain(&mut others);
}
