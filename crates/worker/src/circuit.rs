//! One circuit per host: a host that is away pauses, not its tenants one by one.
//!
//! Closed, everything passes. A failure that is the host's opens it: from then on one probe at a time may try, with
//! full jitter between tries, until one gets through. What failed meanwhile is given back and spends no budget, within
//! limits, so that one tenant's own trouble cannot pass for its host's for ever.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use sanderling_core::policy::Backoff;
use sanderling_core::{Failure, HostName, retry};
use sanderling_engine::HostFault;
use sanderling_store::TargetRef;
use tokio::sync::Notify;

/// Between two probes of a host.
const PROBES: Backoff = Backoff {
    attempts: u32::MAX,
    base_ms: 500,
    max_ms: 15_000,
};

/// The circuits of a worker's hosts; shared by its loop and its jobs. Two workers see a host each for itself.
#[derive(Default)]
pub(crate) struct Circuits {
    state: Mutex<State>,
    /// A circuit opened or closed.
    changed: Notify,
}

#[derive(Default)]
struct State {
    open: BTreeMap<HostName, Open>,
    excused: HashMap<TargetRef, Excused>,
}

/// A host whose circuit is open.
struct Open {
    since: Instant,
    fault: HostFault,
    failure: Failure,
    probes: u32,
    /// The next probe is not to begin before.
    next: Instant,
    probing: bool,
}

/// A tenant that met nothing of its host's for so long meets another trouble. Longer than the pause between two probes,
/// and the time that a host takes to answer one.
const ANOTHER_TROUBLE: Duration = Duration::from_secs(60);

/// A tenant whose failures were put down to its host.
struct Excused {
    since: Instant,
    /// The last of them: after a pause it is another trouble.
    last: Instant,
    /// Failures that met a closed circuit and may have been the tenant's own.
    doubtful: u32,
}

/// Whether something may be tried on a host.
pub(crate) enum Admission {
    /// Its circuit is closed.
    Free,
    /// It is open, and this is the one that may try.
    Probe(Probe),
    /// It is open.
    Wait,
}

/// What a failure that looks like the host's means for the tenant that met it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// Nothing: it is given back, and may be started again after this time.
    GiveBack(Duration),
    /// It has failed: its host has been away for so long.
    GiveUp(Duration),
    /// It may be the tenant's own after all: the ordinary rules hold.
    Own,
}

/// The failure of one tenant, as its job saw it.
pub(crate) struct Seen<'a> {
    pub(crate) host: &'a HostName,
    pub(crate) target: &'a TargetRef,
    pub(crate) fault: HostFault,
    pub(crate) failure: &'a Failure,
    /// Whether it happened before anything of a migration was sent.
    pub(crate) at_the_door: bool,
    /// Whether its host has answered since.
    pub(crate) over: bool,
    /// Whether the job was a probe of an open circuit.
    pub(crate) probe: bool,
    /// How long its rollout waits for a host.
    pub(crate) patience: Duration,
}

/// The right to try a host whose circuit is open; given back on drop.
pub(crate) struct Probe {
    circuits: Arc<Circuits>,
    host: HostName,
}

impl Drop for Probe {
    fn drop(&mut self) {
        if let Some(open) = self.circuits.state().open.get_mut(&self.host) {
            open.probing = false;
        }
    }
}

impl Circuits {
    /// May something be tried on this host now?
    pub(crate) fn admit(self: &Arc<Self>, host: &HostName) -> Admission {
        let mut state = self.state();
        match state.open.get_mut(host) {
            None => Admission::Free,
            Some(open) if open.probing || Instant::now() < open.next => Admission::Wait,
            Some(open) => {
                open.probing = true;
                Admission::Probe(Probe {
                    circuits: Arc::clone(self),
                    host: host.clone(),
                })
            }
        }
    }

    /// Notes a failure that is the host's: opens its circuit, or puts off the next probe.
    pub(crate) fn failed(&self, host: &HostName, fault: HostFault, failure: &Failure) {
        let mut state = self.state();
        if let Some(open) = state.open.get_mut(host) {
            open.probes += 1;
            open.put_off();
            return;
        }
        let mut open = Open {
            since: Instant::now(),
            fault,
            failure: failure.clone(),
            probes: 0,
            next: Instant::now(),
            probing: false,
        };
        open.put_off();
        state.open.insert(host.clone(), open);
        drop(state);
        self.changed.notify_one();
        tracing::warn!(%host, error = %failure.message, code = failure.cause.code,
            "host {host} {}: its tenants wait, those of other hosts go on; bring the host back, the rest happens by \
             itself. After rollout.host_patience its tenants fail", fault.says());
    }

    /// Notes a failure, as [`Circuits::failed`], and says what it means for the tenant.
    ///
    /// A connection that could not be opened is the host's, so a tenant waits as long as its rollout's patience. A
    /// failure of a step that met a closed circuit may be the tenant's own (a file of its own that is read-only, a
    /// statement that crashes the server): it is put down to the host once.
    pub(crate) fn blame(&self, seen: &Seen<'_>) -> Verdict {
        if !seen.over {
            self.failed(seen.host, seen.fault, seen.failure);
        }
        let mut state = self.state();
        let now = Instant::now();
        let State { open, excused } = &mut *state;
        let since = open.get(seen.host).map_or(now, |open| open.since);
        let tenant = excused.entry(seen.target.clone()).or_insert(Excused {
            since: now,
            last: now,
            doubtful: 0,
        });
        if now.duration_since(tenant.last) > ANOTHER_TROUBLE {
            (tenant.since, tenant.doubtful) = (now, 0);
        }
        tenant.last = now;
        let waited = now.duration_since(since.min(tenant.since));
        let certain = seen.probe
            || seen.at_the_door && matches!(seen.fault, HostFault::Away | HostFault::Crowded);
        if !certain {
            tenant.doubtful += 1;
        }
        let Some(open) = open.get_mut(seen.host).filter(|_| !seen.over) else {
            return if tenant.doubtful > 1 {
                Verdict::Own
            } else {
                Verdict::GiveBack(Duration::ZERO)
            };
        };
        if waited >= seen.patience {
            // The next one need not wait to fail as well.
            open.next = now;
            return Verdict::GiveUp(waited);
        }
        if tenant.doubtful > 1 {
            return Verdict::Own;
        }
        Verdict::GiveBack(open.next.saturating_duration_since(now))
    }

    /// Notes what a claim met that has to settle, unless that tenant's trouble is known to be its own.
    pub(crate) fn missed(
        &self,
        host: &HostName,
        target: &TargetRef,
        fault: HostFault,
        failure: &Failure,
    ) {
        let own = |tenant: &Excused| tenant.doubtful > 1;
        if !self.state().excused.get(target).is_some_and(own) {
            self.failed(host, fault, failure);
        }
    }

    /// A connection was opened.
    pub(crate) fn reached(&self, host: &HostName) {
        self.close(host, |fault| {
            matches!(fault, HostFault::Away | HostFault::Crowded)
        });
    }

    /// A fence was committed: small, so it says nothing of a full disk.
    pub(crate) fn wrote_fence(&self, host: &HostName) {
        self.close(host, |fault| fault != HostFault::Full);
    }

    /// A version was applied to a tenant.
    pub(crate) fn applied(&self, host: &HostName, target: &TargetRef) {
        self.forget(target);
        self.close(host, |_| true);
    }

    /// The tenant has ended: what was put down to its host is history.
    pub(crate) fn forget(&self, target: &TargetRef) {
        self.state().excused.remove(target);
    }

    /// Why a host's circuit is open and when it is tried next; `None` where it is closed.
    pub(crate) fn why(&self, host: &HostName) -> Option<(Failure, Duration)> {
        let state = self.state();
        let open = state.open.get(host)?;
        let wait = open.next.saturating_duration_since(Instant::now());
        Some((open.failure.clone(), wait))
    }

    /// The hosts whose circuits are open, for how long, and what they do.
    pub(crate) fn away(&self) -> Vec<(HostName, Duration, String)> {
        let state = self.state();
        let one = |(host, open): (&HostName, &Open)| {
            let reason = format!("{}: {}", open.fault.says(), open.failure.message);
            (host.clone(), open.since.elapsed(), reason)
        };
        state.open.iter().map(one).collect()
    }

    /// Waits until a circuit opens or closes.
    pub(crate) async fn changed(&self) {
        self.changed.notified().await;
    }

    fn close(&self, host: &HostName, proves: impl Fn(HostFault) -> bool) {
        let mut state = self.state();
        if !state.open.get(host).is_some_and(|open| proves(open.fault)) {
            return;
        }
        if let Some(open) = state.open.remove(host) {
            drop(state);
            self.changed.notify_one();
            tracing::info!(%host, away_seconds = open.since.elapsed().as_secs(), "host is back; its tenants go on");
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // A panic elsewhere leaves the maps whole: what is half done is one number.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Open {
    fn put_off(&mut self) {
        let wait = retry::wait(&PROBES, self.probes, rand::random());
        self.next = Instant::now() + Duration::from_millis(wait);
    }
}

/// The failure of a tenant whose host its rollout has no more patience with.
pub(crate) fn given_up(failure: &Failure, host: &HostName, waited: Duration) -> Failure {
    let mut failure = failure.clone();
    failure.message = format!(
        "host {host} has been out of reach for {} s, longer than rollout.host_patience: {}",
        waited.as_secs(),
        failure.message
    );
    failure
}

#[cfg(test)]
mod tests {
    use super::*;
    use sanderling_core::{ErrorClass, RolloutId, TenantId};
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

    fn meet(circuits: &Circuits, tenant: &str, fault: HostFault, patience: Duration) -> Verdict {
        circuits.blame(&Seen {
            host: &HostName::new("pg"),
            target: &target(tenant),
            fault,
            failure: &refused(),
            at_the_door: fault == HostFault::Away,
            over: false,
            probe: false,
            patience,
        })
    }

    #[test]
    fn one_probe_at_a_time_until_one_gets_through() {
        let (circuits, host) = (Arc::new(Circuits::default()), HostName::new("pg"));
        assert!(matches!(circuits.admit(&host), Admission::Free));
        circuits.failed(&host, HostFault::Away, &refused());
        let probe = until(PROBES_LONG, "the probe's turn", || {
            match circuits.admit(&host) {
                Admission::Probe(probe) => Ok(probe),
                Admission::Wait => Err("wait"),
                Admission::Free => Err("free"),
            }
        });
        assert!(matches!(circuits.admit(&host), Admission::Wait));
        assert!(matches!(
            circuits.admit(&HostName::new("other")),
            Admission::Free
        ));
        drop(probe);
        assert!(matches!(circuits.admit(&host), Admission::Probe(_)));
        circuits.reached(&host);
        assert!(matches!(circuits.admit(&host), Admission::Free));
        assert!(circuits.away().is_empty());
    }

    /// Full jitter from half a second: the first probe may wait as long as that.
    const PROBES_LONG: Duration = Duration::from_secs(30);

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
            circuits.failed(&host, fault, &refused());
            for (n, works) in works.iter().enumerate() {
                works(&circuits, &host);
                assert_eq!(circuits.away().is_empty(), n >= first, "{fault:?} {n}");
            }
        }
    }

    #[test]
    fn a_host_is_waited_for_and_one_tenant_alone_is_not() {
        let circuits = Circuits::default();
        let back = |verdict| matches!(verdict, Verdict::GiveBack(_));
        for _ in 0..20 {
            assert!(back(meet(&circuits, "a", HostFault::Away, LONG)));
        }
        let over = meet(&circuits, "a", HostFault::Away, Duration::ZERO);
        assert!(matches!(over, Verdict::GiveUp(_)), "{over:?}");
        circuits.reached(&HostName::new("pg"));
        assert!(back(meet(&circuits, "b", HostFault::ReadOnly, LONG)));
        circuits.applied(&HostName::new("pg"), &target("c"));
        let again = meet(&circuits, "b", HostFault::ReadOnly, LONG);
        assert_eq!(again, Verdict::Own, "others could write meanwhile");
        circuits.applied(&HostName::new("pg"), &target("b"));
        assert!(back(meet(&circuits, "b", HostFault::ReadOnly, LONG)));
    }
}
