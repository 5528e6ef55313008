//! Redis fails over to a replica that never heard of the locks.

use sanderling_testkit::{Fault, Postgres, Proxy, Redis, until};

use super::{a_probe, drains};
use crate::cluster::{drain, start_cluster};
use crate::fleet::{DEADLINE, Fleet};

/// One worker holds its locks in the old master, the other takes the same ones in the new: the control store decides.
#[test]
fn two_masters_hand_out_every_lock_and_nothing_starts_twice() {
    let (master, replica) = (Redis::private(), Redis::private());
    let link = Proxy::raw(master.url());
    let port = link.port().to_string();
    replica.command(&["REPLICAOF", "127.0.0.1", &port]);
    until(DEADLINE, "the replica to follow", || {
        let said = replica.command(&["INFO", "replication"]);
        said.contains("master_link_status:up")
            .then_some(())
            .ok_or(said)
    });
    link.blackhole();
    let fleet = Fleet::cluster(Postgres::shared(), &master)
        .schemas(30)
        .written();
    fleet.probe_migrations(2);
    let mut others = start_cluster(&fleet, 1, 0);
    let (proxy, one) = fleet.worker_through();
    let trap = proxy.trap(a_probe(), Fault::Hold);
    let mut up = fleet.spawn(&["--json", "up", "--yes"]);
    trap.wait(DEADLINE);
    assert_ne!(master.command(&["DBSIZE"]), "0", "the worker holds a lock");
    replica.command(&["REPLICAOF", "NO", "ONE"]);
    assert_eq!(
        replica.command(&["DBSIZE"]),
        "0",
        "the new master knows of none"
    );
    let two = fleet.spawn_with(&[("SANDERLING_CLAIMS__URL", replica.url())], &["worker"]);
    until(DEADLINE, "the other worker to ask the new master", || {
        let said = replica.command(&["INFO", "commandstats"]);
        said.contains("cmdstat_eval").then_some(()).ok_or(said)
    });
    trap.release();
    fleet.assert_well(&mut up, 2);
    drains(one);
    drains(two);
    drain(&mut others);
}
