//! The fault matrix: one test per fault, each on the same scene, at the moments and with the choices that a seed picks.
//!
//! A case strikes at what it sees (a process at a failpoint, targets in flight), proves that it hit, and is judged by
//! the same verdict: everything applied exactly once, a history without contradiction, never more connections than
//! the budget, `verify` clean. `scripts/chaos` runs all of them under many seeds.

mod nemesis;
mod scene;
mod verdict;
mod watch;

mod adversary;
mod coordinators;
mod locks;
mod network;
mod servers;
mod store;
mod workers;

/// The binary under test has every failpoint of the sources. `.ci/run` asks the opposite of a release build, in the
/// same words: so a renamed failpoint cannot make that question empty.
#[test]
fn the_binary_under_test_has_every_failpoint() {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/../../scripts/no-failpoints");
    let output = std::process::Command::new(script)
        .args(["--all-there", env!("CARGO_BIN_EXE_sanderling")])
        .output()
        .unwrap();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
}
