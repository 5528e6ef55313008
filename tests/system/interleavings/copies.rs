//! Control stores and tenants that are restored from older copies, and a tenant that has two names.

use std::fs;
use std::path::Path;

use sanderling_testkit::{Fault, Postgres, Proxy, until};

use super::a_probe;
use crate::fleet::{DEADLINE, Fleet, sqlite};
use crate::history::assert_possible;

/// The control store's numbers go back; the fences do not. Claims are given numbers beyond the fence.
#[test]
fn a_control_store_restored_from_an_older_copy_goes_beyond_the_fence() {
    let fleet = Fleet::embedded().files(3).written();
    let (store, copy) = (fleet.path("control.db"), fleet.path("copy.db"));
    fleet.probe_migrations(1);
    fleet.expect(0, &["up"]);
    keep(&store, &copy);
    for versions in 2..=4 {
        fleet.probe_migrations(versions);
        fleet.expect(0, &["up"]);
    }
    let fence = |n: usize| -> i64 {
        let file = fleet.path(&format!("data/{}.db", fleet.file_names()[n]));
        let said = sqlite(&file, "SELECT epoch FROM sanderling_fence");
        said.trim().parse().unwrap()
    };
    let before = fence(0);
    restore(&copy, &store);

    fleet.probe_migrations(5);
    let summary = fleet.json(0, &["up"]);

    assert_eq!(summary["succeeded"], 3, "{summary}");
    assert!((0..3).all(|n| fence(n) > before), "the fence went back");
    fleet.assert_exactly_once(5);
    let history = fleet.history(summary["rollout"].as_str().unwrap());
    assert!(
        history.events.iter().any(|e| e.kind.as_str() == "reissued"),
        "no claim met the fence: the copy was not older"
    );
    assert_possible(&history);
}

/// A tenant is restored from a copy, or its replica is promoted without its last commits: ledger and tables went back
/// together, so it is behind, `verify` says so, and the next rollout takes it along.
#[test]
fn a_tenant_restored_from_an_older_copy_is_found_and_taken_along() {
    let fleet = Fleet::embedded().files(3).written();
    fleet.probe_migrations(1);
    fleet.expect(0, &["up"]);
    let (tenant, copy) = (fleet.path("data/file001.db"), fleet.path("copy.db"));
    keep(&tenant, &copy);
    fleet.probe_migrations(2);
    fleet.expect(0, &["up"]);
    restore(&copy, &tenant);

    let verdict = fleet.json(6, &["verify"]);
    assert_eq!(verdict["violations"][0]["tenant"], "file001", "{verdict}");
    let summary = fleet.json(0, &["up"]);

    assert_eq!(summary["succeeded"], 1, "{summary}");
    fleet.assert_exactly_once(2);
    fleet.expect(0, &["verify"]);
}

/// One schema is listed twice, under hosts whose names and ports differ. Both claims are at work at once.
#[test]
fn one_schema_under_two_names_is_changed_once() {
    let postgres = Postgres::shared();
    let fleet = Fleet::embedded().with_postgres(postgres);
    let proxy = Proxy::postgres(fleet.tenants_url());
    let alias = format!("[hosts.alias]\nurl = \"{}\"\n", proxy.url());
    let fleet = fleet.schemas(1).settings(&alias).written();
    fleet.write("tenants/alias.csv", "id,host,schema\ntwin,alias,t0000\n");
    fleet.probe_migrations(1);
    postgres.sql(fleet.tenants_url(), "CREATE SCHEMA t0000");
    let trap = proxy.trap(a_probe(), Fault::Hold);
    let mut up = fleet.spawn(&["--json", "up", "--waves", "all=rest"]);
    trap.wait(DEADLINE);
    until(DEADLINE, "the other name's end", || {
        let said = up.stdout();
        said.contains("\"type\":\"ended\"")
            .then_some(())
            .ok_or(said)
    });
    trap.release();

    let ended = up.wait_with_deadline(DEADLINE);

    assert_eq!(ended.code(), Some(0), "{}", ended.stderr);
    fleet.assert_exactly_once(1);
}

/// A copy of a SQLite file as a backup makes it, with what its log still holds.
fn keep(file: &Path, copy: &Path) {
    sqlite(file, &format!("VACUUM INTO '{}'", copy.display()));
}

/// Puts the copy in the file's place. The newer file's log would be replayed into it.
fn restore(copy: &Path, file: &Path) {
    for end in ["-wal", "-shm"] {
        let mut log = file.as_os_str().to_owned();
        log.push(end);
        // It is there only if the last process left it.
        let _ = fs::remove_file(log);
    }
    fs::copy(copy, file).unwrap();
}
