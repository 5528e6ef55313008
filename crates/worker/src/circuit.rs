//! One circuit per host: a host that is away pauses, not its tenants one by one.
//!
//! Closed, everything passes. A failure that is the host's opens it: from then on one probe at a time may try, with
//! full jitter between tries, until one gets through. What failed meanwhile is given back and spends no budget, unless
//! the host did for others what it did not do for this tenant: then the trouble is the tenant's own.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use sanderling_core::policy::Backoff;
use sanderling_core::{Failure, HostName, retry};
use sanderling_engine::HostFault;
use sanderling_store::{Away, TargetRef};
use tokio::sync::Notify;

mod cut_off;

pub(crate) use cut_off::CutOff;

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
    /// Hosts that came with rollouts and that this worker cannot use: since when, and why. It claims nothing there.
    unusable: BTreeMap<HostName, (Instant, String)>,
    cut_off: cut_off::Claims,
    /// When each host last did what proves each thing, in the order of [`Proof`].
    worked: HashMap<HostName, [Option<Instant>; 3]>,
    /// Probes admitted so far.
    probes: u64,
}

/// What a host did, and what that proves. Each proves what those before it prove.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Proof {
    /// A connection was opened.
    Reached,
    /// A fence was committed: small, so it says nothing of a full disk.
    Wrote,
    /// A version was applied.
    Applied,
}

impl Proof {
    /// What shows that a fault is over.
    fn against(fault: HostFault) -> Self {
        match fault {
            HostFault::Away | HostFault::Crowded => Self::Reached,
            HostFault::ReadOnly => Self::Wrote,
            HostFault::Full => Self::Applied,
        }
    }
}

/// A host whose circuit is open.
struct Open {
    since: Instant,
    fault: HostFault,
    failure: Failure,
    /// Probes that failed.
    probes: u32,
    /// The next probe is not to begin before.
    next: Instant,
    /// The number of the probe that is under way.
    probing: Option<u64>,
}

/// A tenant that met nothing of its host's for so long meets another trouble. Longer than the pause between two probes,
/// and the time that a host takes to answer one.
const ANOTHER_TROUBLE: Duration = Duration::from_secs(60);

/// A tenant whose failures were put down to its host.
struct Excused {
    since: Instant,
    /// The last of them: after a pause it is another trouble.
    last: Instant,
    /// The first that may have been the tenant's own.
    doubtful: Option<Instant>,
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
    /// Whether the job is the probe of an open circuit.
    pub(crate) probe: bool,
    /// How long its rollout waits for a host.
    pub(crate) patience: Duration,
}

/// The right to try a host whose circuit is open; given back on drop.
pub(crate) struct Probe {
    circuits: Arc<Circuits>,
    host: HostName,
    number: u64,
}

impl Probe {
    /// Whether the circuit that it was to try is still open. Another that opened since is not its to try.
    pub(crate) fn holds(&self) -> bool {
        let state = self.circuits.state();
        let open = state.open.get(&self.host);
        open.is_some_and(|open| open.probing == Some(self.number))
    }
}

impl Drop for Probe {
    fn drop(&mut self) {
        if let Some(open) = self.circuits.state().open.get_mut(&self.host)
            && open.probing == Some(self.number)
        {
            open.probing = None;
        }
    }
}

impl Circuits {
    /// May something be tried on this host now?
    pub(crate) fn admit(self: &Arc<Self>, host: &HostName) -> Admission {
        let mut state = self.state();
        let State { open, probes, .. } = &mut *state;
        match open.get_mut(host) {
            None => Admission::Free,
            Some(open) if open.probing.is_some() || Instant::now() < open.next => Admission::Wait,
            Some(open) => {
                *probes += 1;
                open.probing = Some(*probes);
                Admission::Probe(Probe {
                    circuits: Arc::clone(self),
                    host: host.clone(),
                    number: *probes,
                })
            }
        }
    }

    /// Notes a failure that is the host's and says what it means for the tenant that met it.
    ///
    /// A connection that could not be opened is the host's, so a tenant waits as long as its rollout's patience. A
    /// failure of a step or a fence may be the tenant's own (a file of its own that is read-only, a statement that
    /// crashes the server): that is known when it comes again after the host did for others what it refuses here.
    pub(crate) fn blame(&self, seen: &Seen<'_>) -> Verdict {
        let mut state = self.state();
        let now = Instant::now();
        let proved = state.proved(seen.host, seen.fault);
        let tenant = state.excused.entry(seen.target.clone()).or_insert(Excused {
            since: now,
            last: now,
            doubtful: None,
        });
        if now.duration_since(tenant.last) > ANOTHER_TROUBLE {
            (tenant.since, tenant.doubtful) = (now, None);
        }
        tenant.last = now;
        let since = tenant.since;
        if !seen.is_certain() {
            let first = *tenant.doubtful.get_or_insert(now);
            if proved.is_some_and(|proved| proved > first) {
                return Verdict::Own;
            }
        }
        if !seen.over && state.note(seen) {
            self.changed.notify_one();
        }
        let Some(open) = state.open.get_mut(seen.host).filter(|_| !seen.over) else {
            return Verdict::GiveBack(Duration::ZERO);
        };
        let waited = now.duration_since(open.since.min(since));
        if waited >= seen.patience {
            // The next one need not wait to fail as well.
            open.next = now;
            return Verdict::GiveUp(waited);
        }
        Verdict::GiveBack(open.next.saturating_duration_since(now))
    }

    /// Whether something that may be the tenant's own was put down to its host: another is the better probe.
    pub(crate) fn doubts(&self, target: &TargetRef) -> bool {
        let state = self.state();
        let tenant = state.excused.get(target);
        tenant.is_some_and(|tenant| tenant.doubtful.is_some())
    }

    /// A connection was opened.
    pub(crate) fn reached(&self, host: &HostName) {
        self.worked(host, Proof::Reached);
    }

    /// A fence was committed.
    pub(crate) fn wrote_fence(&self, host: &HostName) {
        self.worked(host, Proof::Wrote);
    }

    /// A version was applied to a tenant.
    pub(crate) fn applied(&self, host: &HostName, target: &TargetRef) {
        self.forget(target);
        self.worked(host, Proof::Applied);
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

    /// Notes that this worker cannot use a host, so that it is said with those that are away.
    pub(crate) fn cannot_use(&self, host: HostName, why: String) {
        self.state().unusable.insert(host, (Instant::now(), why));
        self.changed.notify_one();
    }

    /// The hosts whose circuits are open, and those that cannot be used.
    pub(crate) fn away(&self) -> Vec<Away> {
        let state = self.state();
        let away = |host: &HostName, since: &Instant, reason| Away {
            host: host.clone(),
            age: since.elapsed(),
            reason,
            cut_off: cut_off::on(&state.cut_off, host),
        };
        let one = |(host, open): (&HostName, &Open)| {
            let reason = format!("{}: {}", open.fault.says(), open.failure.message);
            away(host, &open.since, reason)
        };
        let unusable =
            |(host, (since, why)): (&HostName, &(Instant, String))| away(host, since, why.clone());
        let open = state.open.iter().map(one);
        open.chain(state.unusable.iter().map(unusable)).collect()
    }

    /// Waits until a circuit opens or closes, or a claim is cut off or not any more.
    pub(crate) async fn changed(&self) {
        self.changed.notified().await;
    }

    fn worked(&self, host: &HostName, proof: Proof) {
        let mut state = self.state();
        let worked = match state.worked.get_mut(host) {
            Some(worked) => worked,
            None => state.worked.entry(host.clone()).or_default(),
        };
        worked[..=proof as usize].fill(Some(Instant::now()));
        let over = |open: &Open| Proof::against(open.fault) <= proof;
        if !state.open.get(host).is_some_and(over) {
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

impl State {
    /// When the host last did what shows that it has not this fault.
    fn proved(&self, host: &HostName, fault: HostFault) -> Option<Instant> {
        self.worked.get(host)?[Proof::against(fault) as usize]
    }

    /// Opens the host's circuit, or brings what it says up to date; puts off the next probe where the last one failed.
    /// Whether there is something new to tell.
    fn note(&mut self, seen: &Seen<'_>) -> bool {
        let (host, failure) = (seen.host, seen.failure);
        if let Some(open) = self.open.get_mut(host) {
            let news = open.fault != seen.fault || open.failure.cause != failure.cause;
            (open.fault, open.failure) = (seen.fault, failure.clone());
            if seen.probe {
                open.probes += 1;
                open.put_off();
            }
            if news {
                tracing::warn!(%host, error = %failure.message, code = failure.cause.code, "host {host} {} now", seen.fault.says());
            }
            return news;
        }
        let mut open = Open {
            since: Instant::now(),
            fault: seen.fault,
            failure: failure.clone(),
            probes: 0,
            next: Instant::now(),
            probing: None,
        };
        open.put_off();
        self.open.insert(host.clone(), open);
        tracing::warn!(%host, error = %failure.message, code = failure.cause.code,
            "host {host} {}: its tenants wait, those of other hosts go on; bring the host back, the rest happens by \
             itself. After rollout.host_patience its tenants fail", seen.fault.says());
        true
    }
}

impl Seen<'_> {
    /// Whether the failure is the host's beyond doubt.
    fn is_certain(&self) -> bool {
        self.at_the_door && matches!(self.fault, HostFault::Away | HostFault::Crowded)
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
mod tests;
