//! A worker whose clock jumps.

use std::path::PathBuf;

use sanderling_testkit::{Fault, Postgres, Process, Proxy, Redis};

use super::{TENANTS, a_probe, drains};
use crate::cluster::{drain, start_cluster};
use crate::fleet::{DEADLINE, Fleet};

/// An hour ahead from the start, then two back, then three forward, each with a message under way: leases are compared by the store's clock alone,
/// and what a worker waits for it measures by a clock that cannot be set.
#[test]
fn a_worker_whose_clock_jumps_keeps_its_claims() {
    let fleet = Fleet::cluster(Postgres::shared(), Redis::shared())
        .schemas(20)
        .written();
    fleet.probe_migrations(2);
    let proxy = Proxy::postgres(fleet.tenants_url());
    let (first, second) = (
        proxy.trap(a_probe().nth(3), Fault::Hold),
        proxy.trap(a_probe().nth(12), Fault::Hold),
    );
    fleet.write("clock", "+1h");
    let mut others = start_cluster(&fleet, 1, 0);
    let mut command = fleet.command(&["worker"]);
    command
        .env(TENANTS, proxy.url())
        .env("LD_PRELOAD", libfaketime())
        .env("FAKETIME_TIMESTAMP_FILE", fleet.path("clock"))
        .env("FAKETIME_NO_CACHE", "1")
        .env("FAKETIME_DONT_FAKE_MONOTONIC", "1");
    let worker = Process::spawn(command);
    let mut up = fleet.spawn(&["--json", "up", "--yes"]);
    first.wait(DEADLINE);
    fleet.write("clock", "-1h");
    first.release();
    second.wait(DEADLINE);
    fleet.write("clock", "+2h");
    second.release();

    fleet.assert_well(&mut up, 2);

    assert!(
        !up.stdout().contains("\"takeover\":true"),
        "a jump of its own clock cost the worker a claim"
    );
    let said = worker.stderr();
    let stamp = said.split(' ').next().unwrap();
    let sql = format!("SELECT '{stamp}'::timestamptz > now() + interval '50 min'");
    let ahead = Postgres::shared().sql(fleet.tenants_url(), &sql);
    assert_eq!(ahead, "t", "the worker has the real clock: {said}");
    drains(worker);
    drain(&mut others);
}

/// Gives a program another clock. It is made for this, so nothing of ours stands between the program and its time.
fn libfaketime() -> PathBuf {
    let places = std::fs::read_dir("/usr/lib")
        .into_iter()
        .flatten()
        .flatten();
    places
        .map(|place| place.path().join("faketime/libfaketimeMT.so.1"))
        .find(|library| library.is_file())
        .expect("libfaketime is installed; scripts/test installs it")
}
