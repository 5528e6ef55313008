//! The compose stack by hand: the same files, the same processes, without Docker.

use sanderling_testkit::{Postgres, Process, Redis};

use crate::fleet::DEADLINE;

/// `scripts/stack` rolls the sample fleet, and Prometheus has seen all of it.
#[test]
fn the_stack_rolls_its_sample_fleet_and_prometheus_sees_it() {
    let (postgres, redis) = (Postgres::private(), Redis::private());
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let mut command = Process::command("bash");
    command
        .args(["scripts/stack", env!("CARGO_BIN_EXE_sanderling")])
        .env("SANDERLING_TEST_POSTGRES", postgres.url())
        .env("SANDERLING_TEST_REDIS", redis.url())
        .current_dir(root);

    let ended = Process::spawn(command).wait_with_deadline(DEADLINE);

    let said = format!("{}\n{}", ended.stdout, ended.stderr);
    assert_eq!(ended.code(), Some(0), "{said}");
    for line in [
        "succeeded at version 20251103120000: 300 succeeded",
        "{process=\"coordinator\"} => 2",
        "{process=\"worker\"} => 3",
        "{state=\"up_to_date\"} => 300",
        "{outcome=\"succeeded\", wave=\"canary\"} => 5",
        "{gate=\"bake\", state=\"pass\", wave=\"canary\"} => 1",
        "{gate=\"failures\", state=\"pass\", wave=\"canary\"} => 1",
        "{outcome=\"succeeded\"} => 300",
        "{host=\"shops\"} => 16",
        "are gone.",
    ] {
        assert!(said.contains(line), "{line} is missing in {said}");
    }
    let rows = "SELECT count(*) FROM pg_tables WHERE schemaname LIKE 'shop\\_%' AND tablename = 'audit_log'";
    assert_eq!(postgres.sql(&postgres.url_of("shops"), rows).trim(), "300");
    assert!(!said.contains("\"error\""), "{said}");
}
