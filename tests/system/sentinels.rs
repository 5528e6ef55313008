//! Redis with sentinels and over TLS, under whole programs: the master dies in the middle of a rollout.

use std::collections::BTreeSet;

use sanderling_testkit::{Authority, Postgres, Process, Redis, Sentinels, until};

use crate::cluster::{drain, start_cluster};
use crate::fleet::{DEADLINE, Fleet, last_json};

/// Enough to be at work for longer than a failover takes.
const TENANTS: usize = 400;

fn ended(up: &Process, least: usize) {
    until(DEADLINE, "the rollout to move", || {
        let seen = up.stdout().matches("\"type\":\"ended\"").count();
        (seen >= least).then_some(()).ok_or(seen)
    });
}

/// The fleet's locks at a server.
fn locks(server: &Redis, fleet: &Fleet) -> BTreeSet<String> {
    let pattern = format!("{}:lock:*", fleet.name());
    let said = server.command(&["KEYS", &pattern]);
    let keys = said.lines().filter(|line| !line.is_empty());
    keys.map(str::to_owned).collect()
}

/// Two workers and a coordinator; the master is killed, and the sentinels promote a replica.
fn survives_a_failover(set: &Sentinels, ttl: &'static str, settings: &str) {
    let fleet = Fleet::cluster(Postgres::shared(), Redis::shared())
        .with_claims(&set.url(), settings)
        .ttl(ttl)
        .schemas(TENANTS)
        .written();
    fleet.migration(
        "0001",
        "slow",
        "CREATE TABLE probe (version integer); SELECT pg_sleep(0.5); INSERT INTO probe VALUES (1);",
        "DROP TABLE probe;",
    );
    let mut others = start_cluster(&fleet, 1, 2);
    let mut up = fleet.spawn(&["--json", "up", "--yes"]);
    ended(&up, 20);
    let said = |others: &[Process]| others.iter().map(Process::stderr).collect::<String>();
    until(DEADLINE, "locks at the first master", || {
        let there = set.master().map(|master| locks(master, &fleet));
        there
            .is_some_and(|there| !there.is_empty())
            .then_some(())
            .ok_or_else(|| said(&others))
    });

    let new = set.fail_over();

    // What had been copied from the old master in time proves nothing.
    let copied = locks(new, &fleet);
    let new = until(DEADLINE, "a lock that was taken at the new master", || {
        assert!(up.is_running(), "the master died too late to matter");
        let master = set.master().ok_or("the sentinels do not agree")?;
        let there = locks(master, &fleet);
        match there.difference(&copied).count() {
            0 => Err(said(&others)),
            _ => Ok(master),
        }
    });
    let asked = new.command(&["INFO", "commandstats"]);
    assert!(asked.contains("cmdstat_eval:"), "{asked}");

    let up = up.wait_with_deadline(DEADLINE);
    assert_eq!(up.code(), Some(0), "{}\n{}", up.stdout, up.stderr);
    let summary = last_json(&up.stdout);
    assert_eq!(summary["succeeded"], TENANTS, "{summary}");
    fleet.assert_exactly_once(1);
    fleet.verified_clean();
    let workers = said(&others);
    assert!(workers.contains("claims server is back"), "{workers}");
    drain(&mut others);
}

#[test]
fn a_rollout_outlives_its_redis_master() {
    survives_a_failover(&Sentinels::start(), "3s", "");
}

#[test]
fn a_rollout_outlives_its_redis_master_over_tls() {
    let authority = Authority::create();
    let set = Sentinels::start_tls(&authority.sign("127.0.0.1"));
    // Handshakes of a debug build with three sentinels and a server, on a loaded machine.
    let ca = format!("ca = \"{}\"", authority.ca().display());
    survives_a_failover(&set, "15s", &ca);
}

#[test]
fn ping_says_which_server_the_sentinels_name_and_what_is_wrong_with_an_authority() {
    let authority = Authority::create();
    let set = Sentinels::start_tls(&authority.sign("127.0.0.1"));
    let fleet = |authority: &Authority| {
        let ca = format!("ca = \"{}\"", authority.ca().display());
        Fleet::embedded().with_claims(&set.url(), &ca).written()
    };
    let master = set.master().unwrap().port();
    let said = fleet(&authority).expect(0, &["ping"]).stdout;
    let named = format!("at 127.0.0.1:{master}, which the sentinels name as master, answered in");
    assert!(said.contains(&named), "{said}");

    let said = fleet(&Authority::create()).expect(1, &["ping"]).stdout;
    assert!(said.contains("FAIL  claims: "), "{said}");
    assert!(said.contains("UnknownIssuer"), "{said}");
    assert!(
        said.contains("the authority that did in claims.ca"),
        "{said}"
    );
}

#[test]
fn redis_in_the_clear_is_refused_on_other_machines() {
    let url = "redis://:hunter2@redis.invalid:6379";
    let fleet = Fleet::embedded().files(1).with_claims(url, "").written();
    for process in ["worker", "coordinator"] {
        let said = fleet.expect(2, &[process]).stderr;
        assert!(said.contains("redis.invalid in the clear"), "{said}");
        assert!(said.contains("plaintext = true"), "{said}");
        assert!(!said.contains("hunter2"), "{said}");
    }
    let said = fleet.expect(1, &["ping"]).stdout;
    assert!(said.contains("redis.invalid in the clear"), "{said}");
    // What a verb writes holds without a word to anybody; that there was none is said.
    fleet.probe_migrations(1);
    let pin = ["tenants", "hold", "--tenants", "id=*", "--reason", "test"];
    fleet.expect(0, &pin);
    let said = fleet
        .expect(0, &["tenants", "release", "--tenants", "id=*"])
        .stderr;
    assert!(said.contains("workers are not woken"), "{said}");
    assert!(said.contains("redis.invalid in the clear"), "{said}");

    let fleet = Fleet::embedded()
        .with_claims(url, "plaintext = true")
        .written();
    let said = fleet.expect(1, &["ping"]).stdout;
    assert!(said.contains("FAIL  claims: "), "{said}");
    assert!(!said.contains("in the clear"), "{said}");
}
