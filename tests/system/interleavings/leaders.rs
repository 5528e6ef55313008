//! The leader is frozen; the control store goes away and comes back.

use sanderling_testkit::{Fault, Postgres, Proxy, Redis, Signal, until};

use super::{CONTROL, TENANTS, a_probe, drains};
use crate::chaos::{leading, number};
use crate::cluster::{drain, start_cluster};
use crate::fleet::{DEADLINE, Fleet};

const TERM: &str = "SELECT coalesce(max(epoch), 0) FROM sanderling_control.leaders";
const STARTS: &str =
    "SELECT count(*) FROM sanderling_control.events WHERE kind LIKE '%\"started\"%'";

fn fleet() -> Fleet {
    let fleet = Fleet::cluster(Postgres::shared(), Redis::shared())
        .schemas(20)
        .written();
    fleet.probe_migrations(1);
    fleet
}

/// The leader is frozen while a wave runs. Another leads and opens the next one; the first wakes up in its place.
#[test]
fn a_leader_that_slept_through_its_lease_opens_nothing() {
    let fleet = fleet();
    let mut coordinators = start_cluster(&fleet, 2, 0);
    let (proxy, worker) = fleet.worker_through();
    let trap = proxy.trap(a_probe(), Fault::Hold);
    let mut up = fleet.spawn(&["--json", "up", "--yes"]);
    trap.wait(DEADLINE);
    let at = leading(&fleet, &coordinators);
    let term = number(&fleet, TERM);
    coordinators[at].signal(Signal::Stop);
    trap.release();
    until(DEADLINE, "another leader", || {
        (number(&fleet, TERM) > term).then_some(())
    });
    coordinators[at].signal(Signal::Cont);
    fleet.assert_well(&mut up, 1);
    drains(worker);
    drain(&mut coordinators);
}

/// While the control store is away nothing starts and what runs ends; when it is back, what ended is reported.
#[test]
fn a_control_store_that_comes_back_finds_its_claims() {
    let fleet = fleet();
    let (tenants, control) = (
        Proxy::postgres(fleet.tenants_url()),
        Proxy::postgres(fleet.control_url()),
    );
    let settings = [(TENANTS, tenants.url()), (CONTROL, control.url())];
    let mut coordinators = vec![fleet.spawn_with(&settings, &["coordinator"])];
    let worker = fleet.spawn_with(&settings, &["worker"]);
    let trap = tenants.trap(a_probe(), Fault::HoldAnswer);
    let mut up = fleet.spawn(&["--json", "up", "--yes"]);
    trap.wait_answer(DEADLINE);
    control.refuse();
    control.reset();
    until(DEADLINE, "the worker to notice", || {
        let said = worker.stderr();
        said.contains("no claims from the control store")
            .then_some(())
            .ok_or(said)
    });
    let before = number(&fleet, STARTS);
    trap.release();
    until(DEADLINE, "the end of what runs", || {
        let sql = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND state = 'active' AND pid <> pg_backend_pid()";
        (Postgres::shared().sql(fleet.tenants_url(), sql) == "0").then_some(())
    });
    assert_eq!(
        number(&fleet, STARTS),
        before,
        "started without a control store"
    );
    control.heal();
    fleet.assert_well(&mut up, 1);
    drains(worker);
    drain(&mut coordinators);
}
