//! One circuit, met by failures and successes.

use super::*;
use sanderling_core::{ErrorClass, Micros, RolloutId, TenantId};
use sanderling_testkit::until;

const LONG: Duration = Duration::from_secs(3_600);

fn target(tenant: &str) -> TargetRef {
    TargetRef {
        rollout: RolloutId::new("r"),
        tenant: TenantId::new(tenant),
    }
}

fn refused() -> Failure {
    Failure::new(ErrorClass::Connection, "io", "connection refused")
}

fn seen<'a>(host: &'a HostName, target: &'a TargetRef, failure: &'a Failure) -> Seen<'a> {
    Seen {
        host,
        target,
        fault: HostFault::Away,
        failure,
        at_the_door: true,
        over: false,
        probe: false,
        patience: LONG,
    }
}

fn meet(circuits: &Circuits, tenant: &str, fault: HostFault, patience: Duration) -> Verdict {
    circuits.blame(&Seen {
        fault,
        at_the_door: fault == HostFault::Away,
        patience,
        ..seen(&HostName::new("pg"), &target(tenant), &refused())
    })
}

fn probe(circuits: &Arc<Circuits>, host: &HostName) -> Probe {
    until(PROBES_LONG, "the probe's turn", || {
        match circuits.admit(host) {
            Admission::Probe(probe) => Ok(probe),
            Admission::Wait => Err("wait"),
            Admission::Free => Err("free"),
        }
    })
}

/// Full jitter from half a second: the first probe may wait as long as that.
const PROBES_LONG: Duration = Duration::from_secs(30);

#[test]
fn one_probe_at_a_time_until_one_gets_through() {
    let (circuits, host) = (Arc::new(Circuits::default()), HostName::new("pg"));
    assert!(matches!(circuits.admit(&host), Admission::Free));
    meet(&circuits, "a", HostFault::Away, LONG);
    let first = probe(&circuits, &host);
    assert!(matches!(circuits.admit(&host), Admission::Wait));
    assert!(matches!(
        circuits.admit(&HostName::new("other")),
        Admission::Free
    ));
    drop(first);
    assert!(matches!(circuits.admit(&host), Admission::Probe(_)));
    circuits.reached(&host);
    assert!(matches!(circuits.admit(&host), Admission::Free));
    assert!(circuits.away().is_empty());
}

/// Of the claims on a host only those are said that said so themselves: others may be at work on connections that hold.
#[test]
fn claims_say_that_they_are_cut_off() {
    let (circuits, host) = (Arc::new(Circuits::default()), HostName::new("pg"));
    meet(&circuits, "a", HostFault::Away, LONG);
    let said = || {
        let away = circuits.away();
        let claims = away[0].cut_off.iter().map(|(of, ..)| of.tenant.to_string());
        claims.collect::<Vec<_>>()
    };
    assert!(said().is_empty());
    let one = circuits.cut_off(&host, &target("b"), Micros(1));
    let _elsewhere = circuits.cut_off(&HostName::new("other"), &target("c"), Micros(2));
    assert_eq!(said(), ["b"]);
    drop(one);
    assert!(said().is_empty());
}

#[test]
fn a_right_ends_with_its_circuit() {
    let (circuits, host) = (Arc::new(Circuits::default()), HostName::new("pg"));
    meet(&circuits, "a", HostFault::Away, LONG);
    let former = probe(&circuits, &host);
    circuits.reached(&host);
    meet(&circuits, "b", HostFault::ReadOnly, LONG);
    let latter = probe(&circuits, &host);
    assert!(latter.holds() && !former.holds());
    drop(former);
    assert!(latter.holds());
    assert!(matches!(circuits.admit(&host), Admission::Wait));
}

#[test]
fn each_fault_is_over_when_that_very_thing_works_again() {
    let (circuits, host) = (Arc::new(Circuits::default()), HostName::new("pg"));
    let works: [fn(&Circuits, &HostName); 3] = [
        |circuits, host| circuits.reached(host),
        |circuits, host| circuits.wrote_fence(host),
        |circuits, host| circuits.applied(host, &target("a")),
    ];
    for (fault, first) in [
        (HostFault::Away, 0),
        (HostFault::Crowded, 0),
        (HostFault::ReadOnly, 1),
        (HostFault::Full, 2),
    ] {
        meet(&circuits, &format!("{fault:?}"), fault, LONG);
        for (n, works) in works.iter().enumerate() {
            works(&circuits, &host);
            assert_eq!(circuits.away().is_empty(), n >= first, "{fault:?} {n}");
        }
    }
}

/// A server that died comes back as a standby: what it lacks is another thing now.
#[test]
fn an_open_circuit_says_what_its_host_lacks_now() {
    let circuits = Circuits::default();
    meet(&circuits, "a", HostFault::Away, LONG);
    meet(&circuits, "a", HostFault::ReadOnly, LONG);
    assert!(circuits.away()[0].reason.starts_with("takes no writes"));
    circuits.reached(&HostName::new("pg"));
    assert_eq!(circuits.away().len(), 1, "a connection proves no write");
}

/// Many claims meet the same outage: that is one failure of the host, and puts its probe off once.
#[test]
fn only_probes_put_the_next_one_off() {
    let (circuits, host) = (Arc::new(Circuits::default()), HostName::new("pg"));
    for n in 0..100 {
        meet(&circuits, &n.to_string(), HostFault::Away, LONG);
    }
    let (_, wait) = circuits.why(&host).unwrap();
    assert!(wait <= Duration::from_millis(PROBES.base_ms), "{wait:?}");
    for _ in 0..100 {
        let (target, failure) = (target("a"), refused());
        circuits.blame(&Seen {
            probe: true,
            ..seen(&host, &target, &failure)
        });
    }
    assert_eq!(circuits.state().open[&host].probes, 100);
}

#[test]
fn a_host_is_waited_for_and_one_tenant_alone_is_not() {
    let circuits = Circuits::default();
    let back = |verdict| matches!(verdict, Verdict::GiveBack(_));
    for fault in [HostFault::Away, HostFault::ReadOnly] {
        for _ in 0..20 {
            assert!(back(meet(&circuits, "a", fault, LONG)));
        }
    }
    let over = meet(&circuits, "a", HostFault::Away, Duration::ZERO);
    assert!(matches!(over, Verdict::GiveUp(_)), "{over:?}");
    circuits.applied(&HostName::new("pg"), &target("c"));
    assert!(back(meet(&circuits, "b", HostFault::ReadOnly, LONG)));
    assert!(circuits.doubts(&target("b")));
    circuits.applied(&HostName::new("pg"), &target("c"));
    let again = meet(&circuits, "b", HostFault::ReadOnly, LONG);
    assert_eq!(again, Verdict::Own, "others could write meanwhile");
    assert!(circuits.away().is_empty(), "and it bothers nobody");
    circuits.applied(&HostName::new("pg"), &target("b"));
    assert!(back(meet(&circuits, "b", HostFault::ReadOnly, LONG)));
}
