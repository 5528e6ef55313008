//! Tenants that bring their servers along, and workers that serve a part of a fleet.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::process::Command;

use sanderling_testkit::{Postgres, Process, Redis, until};
use serde_json::Value;

use crate::cluster::drain;
use crate::fleet::{DEADLINE, Fleet, last_json, sqlite};

/// The variable that passwords are referred to by, and a value that must be found nowhere.
const VARIABLE: &str = "SANDERLING_TEST_TENANT_PASSWORD";
const SECRET: &str = "hunter2-of-the-tenants";

/// Four schemas, two by rows with a `url` and two by a template; and a configuration for workers that names no server
/// and finds no tenant file.
fn travellers() -> Fleet {
    let fleet = Fleet::cluster(Postgres::shared(), Redis::shared());
    let url = fleet.tenants_url().to_owned();
    let (_, rest) = url.split_once('@').unwrap();
    let (address, database) = rest.split_once('/').unwrap();
    let (server, port) = address.rsplit_once(':').unwrap();
    let (server, port) = (server.to_owned(), port.to_owned());
    let at = |server: &str| format!("postgres://postgres:${{{VARIABLE}}}@{server}/{database}");
    let template = format!(
        "[hosts.shard]\nurl = \"{}\"\nconnections = 3\n",
        at("{{label.server}}:{{label.port}}")
    );
    let by_url = at(address);
    let fleet = fleet.settings(&template).written();
    let mut csv = String::from("id,host,url,schema,server,port\n");
    for id in ["u1", "u2"] {
        let _ = writeln!(csv, "{id},,{by_url},{id},,");
    }
    for id in ["s1", "s2"] {
        let _ = writeln!(csv, "{id},shard,,{id},{server},{port}");
    }
    fleet.write("tenants/fleet.csv", csv);
    fleet.probe_migrations(2);
    let toml = std::fs::read_to_string(fleet.path("sanderling.toml")).unwrap();
    let mut bare = String::new();
    let mut in_hosts = false;
    for line in toml.lines() {
        in_hosts = line.starts_with("[hosts.") || in_hosts && !line.starts_with('[');
        if !in_hosts {
            let _ = writeln!(bare, "{line}");
        }
    }
    assert!(!bare.contains(address) || fleet.control_url().contains(address));
    fleet.write(
        "bare/sanderling.toml",
        bare.replace("tenants/*.csv", "nowhere/*.csv"),
    );
    fleet
}

/// A process with the bare configuration.
fn bare(fleet: &Fleet, args: &[&str], secret: bool) -> Process {
    let mut command = Process::command(env!("CARGO_BIN_EXE_sanderling"));
    command
        .arg("--config")
        .arg(fleet.path("bare/sanderling.toml"))
        .args(args)
        .current_dir(fleet.path("bare"));
    with_secret(&mut command, secret);
    Process::spawn(command)
}

fn with_secret(command: &mut Command, there: bool) {
    match there {
        true => command.env(VARIABLE, SECRET),
        false => command.env_remove(VARIABLE),
    };
}

/// Processes without a registry migrate tenants of servers that stand in no configuration of theirs. The store knows how
/// those are reached, and no password. A worker that lacks the variable says so and leaves the tenants to others.
#[test]
fn a_cluster_reaches_servers_that_only_tenants_name() {
    let fleet = travellers();
    let mut processes = vec![
        bare(&fleet, &["coordinator"], false),
        bare(&fleet, &["worker"], false),
    ];
    let mut up = fleet.command(&["--json", "up", "--yes"]);
    with_secret(&mut up, true);
    let mut up = Process::spawn(up);
    until(
        DEADLINE,
        "the worker to say which variable it lacks",
        || {
            let lacks = format!("{VARIABLE} is not set");
            let away = fleet.run(&["--json", "status"]).stdout;
            let said = processes[1].stderr().contains(&lacks) && away.contains(&lacks);
            (said || !up.is_running()).then_some(())
        },
    );
    assert!(up.is_running(), "{}", up.stderr());
    processes.push(bare(&fleet, &["worker"], true));
    let ended = up.wait_with_deadline(DEADLINE);
    assert_eq!(ended.code(), Some(0), "{}\n{}", ended.stdout, ended.stderr);
    assert_eq!(last_json(&ended.stdout)["succeeded"], 4);

    let counts = ["u1", "u2", "s1", "s2"]
        .map(|s| format!("SELECT count(*), count(DISTINCT version) FROM {s}.probe"))
        .join(" UNION ALL ");
    let counts = Postgres::shared().sql(fleet.tenants_url(), &counts);
    assert_eq!(counts, "2|2\n2|2\n2|2\n2|2");

    let kept = "SELECT schema_to_xml('sanderling_control', true, false, '')";
    let kept = Postgres::shared().sql(fleet.control_url(), kept);
    assert!(
        kept.contains(&format!("postgres:${{{VARIABLE}}}@")),
        "{kept}"
    );
    assert!(!kept.contains(SECRET), "a password is in the control store");
    for process in &processes {
        assert!(!process.stderr().contains(SECRET));
    }
    drain(&mut processes);
}

/// Tenants by the workers that started them.
fn started(events: &[Value]) -> BTreeSet<(String, String)> {
    let started = events.iter().filter(|e| e["type"] == "started");
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    started
        .map(|e| (text(&e["worker"]), text(&e["tenant"])))
        .collect()
}

/// Each worker takes what it serves and nothing else; what nobody serves is not begun.
#[test]
fn workers_take_what_they_serve() {
    let fleet = Fleet::cluster(Postgres::shared(), Redis::shared())
        .schemas(24)
        .written();
    fleet.probe_migrations(1);
    let mut some = vec![
        fleet.spawn(&["coordinator"]),
        fleet.spawn(&["worker", "--serves", "ring=r0"]),
    ];
    until(DEADLINE, "the worker to be known", || {
        let refused = fleet.run(&["plan"]);
        (refused.code() == Some(1)).then_some(())
    });
    for args in [
        &["plan"][..],
        &["up", "--yes"],
        &["up", "--yes", "--dry-run"],
    ] {
        let refused = fleet.expect(1, args).stderr;
        for part in [
            "no live worker serves 18 tenants: t0001 (ring=r1, host=pg)",
            "live workers serve `ring=r0`",
            "and 8 more",
        ] {
            assert!(refused.contains(part), "{args:?}: {refused}");
        }
    }
    fleet.expect(0, &["plan", "--tenants", "ring=r0"]);
    let usage = fleet.expect(2, &["worker", "--serves", "t0001"]).stderr;
    assert!(
        usage.contains("--serves: `t0001` names tenants by id"),
        "{usage}"
    );

    // The other half, by its configuration.
    let toml = std::fs::read_to_string(fleet.path("sanderling.toml")).unwrap();
    let toml = toml.replace("[worker]\n", "[worker]\nserves = \"ring!=r0\"\n");
    fleet.write("other.toml", toml);
    let mut other = Process::command(env!("CARGO_BIN_EXE_sanderling"));
    other
        .arg("--config")
        .arg(fleet.path("other.toml"))
        .arg("worker");
    some.push(Process::spawn(other));
    until(DEADLINE, "a plan that all of it is served by", || {
        (fleet.run(&["plan"]).code() == Some(0)).then_some(())
    });
    let ended = fleet.expect(0, &["--json", "up", "--yes"]);
    let events: Vec<Value> = ended
        .stdout
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let first = some[1].pid().to_string();
    let started = started(&events);
    assert_eq!(started.len(), 24, "{started:?}");
    for (worker, tenant) in started {
        let number: usize = tenant[1..].parse().unwrap();
        let of_first = worker.contains(&format!("-{first}-"));
        assert_eq!(of_first, number.is_multiple_of(4), "{worker} took {tenant}");
    }
    fleet.assert_exactly_once(1);
    drain(&mut some);
}

/// A registry that changed while a rollout stood still: who came, who went and who moved is named; the rollout keeps its
/// plan, and the next one takes what the registry says then.
#[test]
fn a_registry_that_changed_is_told_when_up_joins() {
    let fleet = Fleet::embedded()
        .files(6)
        .rollout("[[rollout.waves]]\nname = \"canary\"\ncount = 1\n[[rollout.waves]]\nname = \"rest\"\nrest = true\n")
        .written();
    fleet.probe_migrations(1);
    let data = |file: &str| fleet.path(&format!("data/{file}.db"));
    for file in fleet.file_names() {
        sqlite(&data(file), "CREATE TABLE probe (x)");
    }
    let halted = fleet.json(3, &["up"]);
    let failed = halted["causes"][0]["example"].as_str().unwrap();
    let id = halted["rollout"].as_str().unwrap();
    for file in fleet.file_names() {
        sqlite(&data(file), "DROP TABLE probe");
    }
    let mut rest = fleet.file_names().iter().filter(|name| *name != failed);
    let (gone, moved) = (rest.next().unwrap(), rest.next().unwrap());
    let csv = std::fs::read_to_string(fleet.path("tenants/fleet.csv")).unwrap();
    let mut now = String::new();
    for line in csv.lines().filter(|line| !line.starts_with(gone)) {
        let _ = writeln!(now, "{}", line.replace(&format!("{moved}.db"), "moved.db"));
    }
    now.push_str("newcomer,files,,,newcomer.db,,rf\n");
    fleet.write("tenants/fleet.csv", now);

    let told = |stderr: &str| {
        for part in [
            "1 tenant not in this rollout, because they came after it began: newcomer".to_owned(),
            format!(
                "1 tenant no longer in the registry, and still in this rollout: {gone}; leave one out with `sanderling rollout skip {id} --tenant {gone}"
            ),
            format!(
                "1 tenant elsewhere by now, and still taken where they were when this rollout began: {moved}"
            ),
        ] {
            assert!(stderr.contains(&part), "{part}: {stderr}");
        }
    };
    told(&fleet.expect(3, &["up"]).stderr);
    fleet.expect(0, &["rollout", "retry", id, "--failed"]);
    let joined = fleet.expect(0, &["up"]);
    told(&joined.stderr);
    fleet.assert_exactly_once(1);
    assert!(!fleet.path("data/newcomer.db").exists() && !fleet.path("data/moved.db").exists());

    let next = fleet.json(0, &["up"]);
    assert_ne!(next["rollout"], halted["rollout"], "{next}");
    assert_eq!(next["succeeded"], 2, "{next}");
    for file in ["newcomer", "moved"] {
        assert_eq!(fleet.probes_in_file(file).len(), 1, "{file}");
    }
}
