//! The demo: what it says is what the README shows, and what it leaves behind is what it says.

use std::path::Path;

use sanderling_testkit::{Ended, Process, scratch};
use serde_json::Value;

use crate::fleet::{DEADLINE, sqlite};
use crate::transcripts::mask;

/// Runs a line in a shell, with the program as `$0`; both outputs in the order in which they were written.
fn shell(directory: &Path, line: &str) -> Ended {
    let mut command = Process::command("bash");
    command
        .args(["-c", line, env!("CARGO_BIN_EXE_sanderling")])
        .current_dir(directory);
    Process::spawn(command).wait_with_deadline(DEADLINE)
}

#[test]
fn the_demo_does_what_the_readme_shows() {
    let here = scratch();
    let ended = shell(here.path(), "\"$0\" demo --no-color --directory shops 2>&1");
    assert_eq!(ended.code(), Some(0), "{}", ended.stdout);
    let readme = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../README.md");
    let readme = std::fs::read_to_string(readme).unwrap();
    let (_, shown) = readme.split_once("<!-- demo -->\n```\n").unwrap();
    let (shown, _) = shown.split_once("```\n<!-- /demo -->").unwrap();
    let (said, shown) = (shape(&ended.stdout), shape(shown));
    assert_eq!(
        said, shown,
        "where that is meant, scripts/demo writes it into the README:\n{}",
        ended.stdout
    );

    let shops = here.path().join("shops");
    for n in 1..=300 {
        let file = shops.join(format!("data/shop-{n:03}.db"));
        let done = "SELECT (SELECT count(*) FROM sanderling_migrations WHERE state = 'applied') || ' ' ||
            (SELECT count(*) FROM orders) || ' ' || (SELECT count(*) FROM orders WHERE currency = 'USD')";
        assert_eq!(sqlite(&file, done).trim(), "2 4000 1333", "shop-{n:03}");
    }
    let list = shell(&shops, "\"$0\" --json rollout list --all").stdout;
    let list: Value = serde_json::from_str(&list).unwrap();
    let id = list[0]["rollout"].as_str().unwrap();
    let watch = format!("\"$0\" --json rollout watch {id} --from-start");
    let events = shell(&shops, &watch).stdout;
    let of = |kind: &str| events.matches(&format!("\"type\":\"{kind}\"")).count();
    assert_eq!((of("halted"), of("finished")), (1, 1), "{events}");
    assert!(
        events.contains("\"takeover\":true"),
        "nothing of the killed worker's was taken over"
    );

    let again = shell(here.path(), "\"$0\" demo --directory shops");
    assert_eq!(again.code(), Some(1), "{}", again.stdout);
    assert!(again.stderr.contains("is not empty"), "{}", again.stderr);
}

/// The lines without what differs from run to run: ids, numbers, who ran it, who was in flight when the worker was
/// killed, and what was said by the time it was.
fn shape(text: &str) -> Vec<String> {
    let by_chance = |line: &str| {
        line.contains(" tenants done, ")
            || (line.starts_with("wave ") && line.contains(" opened: "))
            || line.starts_with("another process is at work")
            || line.starts_with("# The fleet is kept")
    };
    let cut = ["in flight: ", "estimate: ", "submitted by "];
    text.lines()
        .filter(|line| !line.is_empty() && !by_chance(line))
        .map(
            |line| match cut.into_iter().find(|begin| line.starts_with(begin)) {
                Some(begin) => begin.to_owned(),
                None => numbers(&mask::line(line)),
            },
        )
        .collect()
}

/// Every number is a number, and every unit of time one of time.
fn numbers(line: &str) -> String {
    let mut masked = String::with_capacity(line.len());
    for c in line.chars() {
        if !c.is_ascii_digit() {
            masked.push(c);
        } else if !masked.ends_with('N') {
            masked.push('N');
        }
    }
    masked.replace("N ms", "N s")
}
