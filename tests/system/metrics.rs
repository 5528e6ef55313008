//! What processes answer over HTTP and write into files, held against the catalogue and against plain facts.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use sanderling_telemetry::catalogue::ALL;
use sanderling_telemetry::reference;
use sanderling_testkit::{Postgres, Process, Redis, Signal, until};

use crate::cluster::drain;
use crate::fleet::{DEADLINE, Fleet};

/// A rollout that halts, seen from outside: every number is what `status` and `rollout show` say as well.
#[test]
fn a_halted_rollout_is_in_the_metrics_of_leader_and_worker() {
    let fleet = Fleet::cluster(Postgres::shared(), Redis::shared())
        .schemas(40)
        .settings("[coordinator]\nsurvey = \"1s\"")
        .written();
    fleet.migration(
        "0001",
        "first",
        "CREATE TABLE t (id integer);",
        "DROP TABLE t;",
    );
    let coordinator = fleet.spawn(&["coordinator", "--listen", "127.0.0.1:0"]);
    let worker = fleet.spawn(&["worker", "--listen", "127.0.0.1:0"]);
    let (leader, hands) = (address(&coordinator), address(&worker));
    ready(&leader);
    ready(&hands);
    fleet.expect(0, &["up", "--yes"]);
    let broken = "SELECT 1 / (CASE current_schema() WHEN 't0007' THEN 0 ELSE 1 END);";
    fleet.migration("0002", "breaks", broken, "SELECT 1;");
    fleet.expect(3, &["up", "--yes"]);

    let rollout = fleet.newest_rollout();
    let of = format!("rollout=\"{rollout}\"");
    let halted = until(
        DEADLINE,
        "the halt in the leader's metrics, and a look at the fleet after it",
        || {
            let text = get(&leader, "/metrics").1;
            let seen = value(&text, "sanderling_rollout_halted", &of) == Some(1.0)
                && value(&text, "sanderling_tenants_by_state", "state=\"behind\"") > Some(0.0);
            seen.then(|| text.clone()).ok_or(text)
        },
    );
    let sum = |name: &str, labels: &str| -> f64 {
        samples(&halted)
            .filter(|(n, l, _)| *n == name && l.contains(labels))
            .map(|(_, _, v)| v)
            .sum()
    };
    assert_eq!(value(&halted, "sanderling_leader", ""), Some(1.0));
    assert_eq!(sum("sanderling_tenants", "engine=\"postgres\""), 40.0);
    assert_eq!(sum("sanderling_tenants_by_state", ""), 40.0);
    assert_eq!(sum("sanderling_tenants_by_version", ""), 40.0);
    let (planned, left_out) = ("sanderling_rollout_targets", "sanderling_rollout_left_out");
    assert_eq!(
        sum(planned, &of) + sum(left_out, &of),
        40.0,
        "outcomes sum to the tenants"
    );
    assert_eq!(sum("sanderling_rollout_failed", &of), 1.0);
    assert_eq!(sum("sanderling_halts_total", ""), 1.0, "{halted}");
    assert_eq!(
        sum("sanderling_rollout_state", &of),
        1.0,
        "one state at a time"
    );
    assert!(halted.contains("harm=\"clean\""), "{halted}");
    assert_known(&halted);

    let text = get(&hands, "/metrics").1;
    assert_known(&text);
    let failures = value(
        &text,
        "sanderling_failures_total",
        "class=\"migration_sql\"",
    );
    assert_eq!(failures, Some(1.0), "{text}");
    let first = "sanderling_target_duration_seconds_count";
    let succeeded: f64 = samples(&text)
        .filter(|(n, l, _)| *n == first && l.contains("outcome=\"succeeded\""))
        .map(|(_, _, v)| v)
        .sum();
    let status = fleet.json(0, &["rollout", "show"]);
    let in_second = status["succeeded"].as_f64().unwrap();
    assert_eq!(succeeded, 40.0 + in_second, "what ended in both rollouts");
    promtool(&halted);
    promtool(&text);
    drain(&mut [coordinator, worker]);
}

/// A follower shows nothing that only a leader knows; when the leader goes, it does.
#[test]
fn only_the_leader_shows_rollouts() {
    let fleet = Fleet::cluster(Postgres::shared(), Redis::shared())
        .schemas(3)
        .written();
    fleet.migration(
        "0001",
        "first",
        "CREATE TABLE t (id integer);",
        "DROP TABLE t;",
    );
    let mut first = fleet.spawn(&["coordinator", "--listen", "127.0.0.1:0"]);
    let leader = address(&first);
    until(DEADLINE, "a leader", || {
        value(&get(&leader, "/metrics").1, "sanderling_leader", "").filter(|v| *v == 1.0)
    });
    let second = fleet.spawn(&["coordinator", "--listen", "127.0.0.1:0"]);
    let worker = fleet.spawn(&["worker"]);
    let follower = address(&second);
    ready(&follower);
    fleet.expect(0, &["up", "--yes"]);
    let has_rollouts = |text: &str| text.contains("sanderling_rollout_state{");
    until(DEADLINE, "the rollout in the leader's metrics", || {
        has_rollouts(&get(&leader, "/metrics").1).then_some(())
    });
    let text = get(&follower, "/metrics").1;
    assert!(!has_rollouts(&text), "{text}");
    assert_eq!(value(&text, "sanderling_leader", ""), Some(0.0), "{text}");

    first.signal(Signal::Kill);
    until(DEADLINE, "the follower to lead and to show it", || {
        has_rollouts(&get(&follower, "/metrics").1).then_some(())
    });
    drain(&mut [second, worker]);
}

/// `/readyz` says what is wrong, `/livez` that the process is there.
#[test]
fn a_worker_without_its_store_is_alive_and_not_ready() {
    let (postgres, redis) = (Postgres::private(), Redis::private());
    let fleet = Fleet::cluster(&postgres, &redis).schemas(1).written();
    let mut worker = fleet.spawn(&["worker", "--listen", "127.0.0.1:0"]);
    let at = address(&worker);
    ready(&at);
    postgres.kill();
    let why = until(DEADLINE, "the worker to say that it is not ready", || {
        let (code, said) = get(&at, "/readyz");
        if code == 503 { Ok(said) } else { Err(said) }
    });
    assert!(why.contains("the control store has not answered"), "{why}");
    assert_eq!(get(&at, "/livez").0, 200);
    assert_eq!(get(&at, "/").0, 404);
    postgres.restart();
    ready(&at);
    worker.signal(Signal::Term);
    worker.wait_with_deadline(DEADLINE);
}

/// An address that is taken is an error before anything begins.
#[test]
fn an_address_that_is_taken_is_refused() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let fleet = Fleet::cluster(Postgres::shared(), Redis::shared())
        .schemas(1)
        .written();
    let ended = fleet.expect(1, &["worker", "--listen", &address]);
    assert!(
        ended.stderr.contains(&address) && ended.stderr.contains("--listen"),
        "{}",
        ended.stderr
    );
}

/// A command that ends by itself leaves its numbers in a file.
#[test]
fn up_and_status_write_a_metrics_file() {
    let fleet = Fleet::embedded().files(6).written();
    fleet.migration(
        "0001",
        "first",
        "CREATE TABLE t (id integer);",
        "DROP TABLE t;",
    );
    let file = fleet.path("sanderling.prom");
    let path = file.to_str().unwrap();
    fleet.expect(0, &["up", "--metrics-file", path]);
    let text = read(&file);
    assert_known(&text);
    let succeeded: f64 = samples(&text)
        .filter(|(n, l, _)| {
            *n == "sanderling_rollout_targets" && l.contains("outcome=\"succeeded\"")
        })
        .map(|(_, _, v)| v)
        .sum();
    assert_eq!(succeeded, 6.0, "{text}");
    assert_eq!(
        value(&text, "sanderling_rollout_state", "state=\"succeeded\""),
        Some(1.0),
        "{text}"
    );
    promtool(&text);

    fleet.expect(0, &["status", "--metrics-file", path]);
    let text = read(&file);
    assert_eq!(
        value(&text, "sanderling_tenants_by_state", "state=\"up_to_date\""),
        Some(6.0),
        "{text}"
    );
    // A part of the fleet would pass for the whole of it.
    let part = ["status", "--tenants", "file000", "--metrics-file", path];
    assert!(fleet.expect(2, &part).stderr.contains("--metrics-file"));
    let discover = ["--discover", "postgres://127.0.0.1/x", "--schemas", "t%"];
    let part = [
        &["status"][..],
        &discover,
        &["--migrations", ".", "--metrics-file", path],
    ];
    assert!(
        fleet
            .expect(2, &part.concat())
            .stderr
            .contains("--metrics-file")
    );
    let nowhere = fleet.path("no/such/dir.prom");
    let ended = fleet.expect(1, &["up", "--metrics-file", nowhere.to_str().unwrap()]);
    assert!(
        ended.stderr.contains("no/such/dir.prom"),
        "{}",
        ended.stderr
    );
}

/// The page of the reference has every metric as the catalogue has it.
#[test]
fn the_reference_lists_the_catalogue() {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/reference/metrics.md");
    let text = read(&page);
    let (before, _) = text.split_once("| name | kind |").expect("the table");
    let (_, after) = text
        .split_once("<!-- end of the table -->")
        .expect("the table's end");
    let expected = format!("{before}{}<!-- end of the table -->{after}", reference());
    if std::env::var_os("UPDATE").is_some() {
        std::fs::write(&page, &expected).unwrap();
        return;
    }
    assert!(
        text == expected,
        "docs/reference/metrics.md is not as the catalogue; UPDATE=1 writes it anew"
    );
}

/// The address that a process says it answers on.
pub(crate) fn address(process: &Process) -> String {
    until(DEADLINE, "a process to say where it answers", || {
        let log = process.stderr();
        let (_, rest) = log.split_once("127.0.0.1:").ok_or_else(|| log.clone())?;
        let port: String = rest.chars().take_while(char::is_ascii_digit).collect();
        Ok::<_, String>(format!("127.0.0.1:{port}"))
    })
}

fn ready(address: &str) {
    until(DEADLINE, "a process to be ready", || {
        let (code, said) = get(address, "/readyz");
        if code == 200 { Ok(()) } else { Err(said) }
    });
}

/// The code and body of an answer.
pub(crate) fn get(address: &str, path: &str) -> (u16, String) {
    let mut stream = TcpStream::connect(address).unwrap();
    stream
        .set_read_timeout(Some(Duration::from_secs(20)))
        .unwrap();
    write!(
        stream,
        "GET {path} HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n"
    )
    .unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    let code = head.split(' ').nth(1).unwrap().parse().unwrap();
    (code, body.to_owned())
}

fn read(path: &Path) -> String {
    std::fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// Every sample of a text: name, labels as written, value.
fn samples(text: &str) -> impl Iterator<Item = (&str, &str, f64)> {
    let lines = text
        .lines()
        .filter(|line| !line.starts_with('#') && !line.is_empty());
    lines.map(|line| {
        let (name, rest) = line.split_once('{').unwrap();
        let (labels, value) = rest.rsplit_once("} ").unwrap();
        (name, labels, value.parse().unwrap())
    })
}

/// The first sample of a name whose labels contain this.
fn value(text: &str, name: &str, labels: &str) -> Option<f64> {
    let found = samples(text).find(|(n, l, v)| *n == name && l.contains(labels) && *v != 0.0);
    let any = samples(text).find(|(n, l, _)| *n == name && l.contains(labels));
    found.or(any).map(|(_, _, value)| value)
}

/// Each sample is of the catalogue and has the labels that it says, no more and no fewer.
#[track_caller]
fn assert_known(text: &str) {
    let about: BTreeMap<_, _> = ALL.iter().map(|about| (about.name, about)).collect();
    for (name, labels, _) in samples(text) {
        let base = ["_bucket", "_sum", "_count"]
            .iter()
            .find_map(|suffix| {
                name.strip_suffix(suffix)
                    .filter(|base| about.contains_key(base))
            })
            .unwrap_or(name);
        let about = about
            .get(base)
            .unwrap_or_else(|| panic!("{name} is not in the catalogue"));
        let labels = labels
            .split("\",")
            .filter_map(|pair| pair.split_once('='))
            .map(|(label, _)| label);
        let own: BTreeSet<_> = labels
            .filter(|label| !["fleet", "le"].contains(label))
            .collect();
        assert_eq!(own, about.labels.iter().copied().collect(), "{name}");
    }
}

/// `promtool check metrics` finds nothing to say.
#[track_caller]
fn promtool(text: &str) {
    assert!(text.len() > 500, "there is something to check: {text}");
    let mut child = Command::new("promtool")
        .args(["check", "metrics"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("promtool is installed; scripts/test installs it");
    child
        .stdin
        .take()
        .unwrap()
        .write_all(text.as_bytes())
        .unwrap();
    let output = child.wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && said.trim().is_empty(), "{said}");
}
