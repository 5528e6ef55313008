//! From free slots to granted claims: candidates from the store, locks, starts from the store.

use std::collections::{BTreeMap, HashMap, HashSet, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};

use sanderling_claims::{Claims, LockKey};
use sanderling_core::{HostName, Nonce, RolloutId, Serves, WorkerId};
use sanderling_engine::Hosts;
use sanderling_failpoints::failpoint;
use sanderling_store::{Budget, Candidate, Grant, Idle, Store, StoreError, TargetRef, Wanted};

use crate::circuit::{Admission, Circuits, Probe};
use crate::seats::Seats;
use crate::written::WrittenHosts;

/// A granted claim and the lock that was taken for it.
pub(crate) struct Claimed {
    pub(crate) grant: Grant,
    pub(crate) lock: (LockKey, Nonce),
    /// Where its host's circuit is open: the right to try it.
    pub(crate) probe: Option<Probe>,
}

/// Asks for work.
pub(crate) struct Claimer {
    pub(crate) store: Arc<dyn Store>,
    pub(crate) claims: Arc<dyn Claims>,
    pub(crate) worker: WorkerId,
    pub(crate) fleet: String,
    pub(crate) hosts: Arc<Hosts>,
    /// Hosts that stand in no configuration.
    pub(crate) written: WrittenHosts,
    pub(crate) serves: Serves,
    pub(crate) circuits: Arc<Circuits>,
    pub(crate) seats: Arc<Seats>,
    pub(crate) lease: Duration,
    pub(crate) ttl: Duration,
    /// Since when a candidate's lock has been refused without a break.
    pub(crate) refused: HashMap<TargetRef, Instant>,
    /// Candidates that were more than fitted, and when the store named them.
    pub(crate) left: Option<(Instant, Vec<Candidate>)>,
}

/// For how long candidates that did not fit are asked for without another look. They are hints; `start` decides.
const FRESH: Duration = Duration::from_millis(100);

impl Claimer {
    /// Claims up to `free` targets, leaving out those that `mine` says are held here.
    pub(crate) async fn claim(
        &mut self,
        free: usize,
        mine: impl Fn(&TargetRef) -> bool,
    ) -> Result<Vec<Claimed>, StoreError> {
        let (hosts, mut probes) = self.admitted();
        let mut candidates = match self.left.take() {
            Some((found, mut left)) if found.elapsed() < FRESH && probes.is_empty() => {
                // A circuit may have opened since.
                left.retain(|candidate| hosts.contains(&candidate.host));
                if left.len() < free {
                    self.look(&hosts, free).await?
                } else {
                    self.left = Some((found, Vec::new()));
                    left
                }
            }
            _ => self.look(&hosts, free).await?,
        };
        if !probes.is_empty() {
            // One tenant's own trouble must not be all that is ever tried on a host.
            candidates.sort_by_key(|c| self.circuits.doubts(&c.target));
        }
        let mut granted = Vec::new();
        let mut by_rollout: BTreeMap<RolloutId, Vec<Candidate>> = BTreeMap::new();
        let mut probed = HashSet::new();
        for candidate in candidates.into_iter().filter(|c| !mine(&c.target)) {
            if probes.contains_key(&candidate.host) && !probed.insert(candidate.host.clone()) {
                continue;
            }
            by_rollout
                .entry(candidate.target.rollout.clone())
                .or_default()
                .push(candidate);
        }
        let single = by_rollout.len() == 1;
        for (rollout, candidates) in by_rollout {
            let missing = free - granted.len();
            if missing == 0 {
                break;
            }
            match self.claim_in(candidates, missing).await {
                Ok((claimed, rest)) => {
                    granted.extend(claimed.into_iter().map(|claimed| Claimed {
                        probe: probes.remove(&claimed.grant.place.host),
                        ..claimed
                    }));
                    if single && let Some((_, left)) = &mut self.left {
                        *left = rest;
                    }
                }
                // The others must not suffer from one; what was granted is worked off.
                Err(error) => {
                    tracing::warn!(%rollout, %error, "no claims in this rollout; asking again")
                }
            }
        }
        if granted.len() < free {
            // Somebody reaches for the same ones, or a budget is spent.
            self.left = None;
        }
        Ok(granted)
    }

    /// Asks the store.
    async fn look(
        &mut self,
        hosts: &[HostName],
        free: usize,
    ) -> Result<Vec<Candidate>, StoreError> {
        self.written.learn(&*self.store).await?;
        // More than fit, because other workers reach for the same ones first.
        let limit = u32::try_from(free.saturating_mul(4).max(32)).unwrap_or(u32::MAX);
        let candidates = self.store.candidates(hosts, &self.serves, limit).await?;
        self.refused
            .retain(|target, _| candidates.iter().any(|c| c.target == *target));
        self.left = Some((Instant::now(), Vec::new()));
        Ok(candidates)
    }

    /// The hosts that may be tried, and of those whose circuits are open the right to one probe each.
    fn admitted(&self) -> (Vec<HostName>, BTreeMap<HostName, Probe>) {
        let (mut hosts, mut probes) = (Vec::new(), BTreeMap::new());
        for host in self.hosts.budgets().into_keys() {
            match self.circuits.admit(&host) {
                Admission::Wait => continue,
                Admission::Free => {}
                Admission::Probe(probe) => {
                    probes.insert(host.clone(), probe);
                }
            }
            hosts.push(host);
        }
        (hosts, probes)
    }

    /// Claims up to `free` targets of one rollout. A host where not all were granted is left alone until the next
    /// call: its budget is spent, and must not hide the hosts behind it. Gives those that were not asked for as well.
    async fn claim_in(
        &mut self,
        candidates: Vec<Candidate>,
        free: usize,
    ) -> Result<(Vec<Claimed>, Vec<Candidate>), StoreError> {
        let mut granted = Vec::new();
        let mut rest = VecDeque::from(candidates);
        while granted.len() < free && !rest.is_empty() {
            let chunk: Vec<_> = rest.drain(..rest.len().min(free - granted.len())).collect();
            let locked = self.lock(&chunk).await;
            if locked.is_empty() {
                continue;
            }
            failpoint!("worker.after_lock");
            let asked: Vec<_> = locked.iter().map(|(target, _)| target.clone()).collect();
            let started = self.start(locked).await?;
            let refused: HashSet<_> = chunk
                .iter()
                .filter(|c| {
                    asked.contains(&c.target) && !started.iter().any(|s| s.grant.target == c.target)
                })
                .map(|c| c.host.clone())
                .collect();
            rest.retain(|candidate| !refused.contains(&candidate.host));
            granted.extend(started);
        }
        Ok((granted, rest.into()))
    }

    /// Locks what it can. Without Redis every candidate goes to the store, which decides anyway; so does one whose
    /// lock has been refused for longer than a dead worker could keep it.
    async fn lock(&mut self, candidates: &[Candidate]) -> Vec<(TargetRef, (LockKey, Nonce))> {
        let wanted: Vec<_> = candidates
            .iter()
            .map(|c| {
                (
                    LockKey::new(&self.fleet, &c.target.tenant),
                    Nonce::new(format!("{:032x}", rand::random::<u128>())),
                )
            })
            .collect();
        let answers = self
            .claims
            .acquire(&wanted, self.ttl)
            .await
            .unwrap_or_else(|error| {
                tracing::debug!(%error, "claiming without locks; the control store decides alone");
                vec![true; wanted.len()]
            });
        let mut locked = Vec::new();
        for ((candidate, lock), got) in candidates.iter().zip(wanted).zip(answers) {
            let since = *self
                .refused
                .entry(candidate.target.clone())
                .or_insert_with(Instant::now);
            if got || since.elapsed() > self.ttl * 2 {
                self.refused.remove(&candidate.target);
                locked.push((candidate.target.clone(), lock));
            }
        }
        locked
    }

    async fn start(
        &self,
        locked: Vec<(TargetRef, (LockKey, Nonce))>,
    ) -> Result<Vec<Claimed>, StoreError> {
        let wanted: Vec<_> = locked
            .iter()
            .map(|(target, lock)| Wanted {
                target: target.clone(),
                nonce: lock.1.clone(),
            })
            .collect();
        let mut granted = self.ask(&wanted).await;
        if let Err(StoreError::Unavailable { .. }) = granted {
            // The answer may have been lost after the claims were granted: the same nonces get them again.
            granted = self.ask(&wanted).await;
        }
        let grants = granted.as_deref().unwrap_or_default();
        self.seat(grants).await;
        if !grants.is_empty() {
            failpoint!("worker.after_grant");
        }
        let (kept, unused): (Vec<_>, Vec<_>) = locked
            .into_iter()
            .partition(|(target, _)| grants.iter().any(|grant| grant.target == *target));
        let unused: Vec<_> = unused.into_iter().map(|(_, lock)| lock).collect();
        // When the answer was lost, a start may have been granted: its lock and lease then end by themselves.
        if granted.is_ok() && !unused.is_empty() {
            self.release(&unused).await;
        }
        let mut locks: HashMap<_, _> = kept.into_iter().collect();
        Ok(granted?
            .into_iter()
            .filter_map(|grant| {
                locks.remove(&grant.target).map(|lock| Claimed {
                    grant,
                    lock,
                    probe: None,
                })
            })
            .collect())
    }

    /// Keeps to the connections that the store grants, before any of these claims is worked on.
    async fn seat(&self, grants: &[Grant]) {
        let seated = grants
            .iter()
            .filter_map(|grant| Some((&grant.place.host, grant.seats?)));
        for (host, seats) in seated.collect::<BTreeMap<_, _>>() {
            self.hosts.allow(host, seats).await;
            self.seats.allow(host, seats);
        }
    }

    async fn ask(&self, wanted: &[Wanted]) -> Result<Vec<Grant>, StoreError> {
        self.store
            .start(
                &self.worker,
                wanted,
                &self.budgets(),
                &self.serves,
                self.lease,
            )
            .await
    }

    /// What each host may have, and what this process keeps idle there.
    fn budgets(&self) -> BTreeMap<HostName, Budget> {
        let idle = idle(&self.hosts);
        let in_flight = self.hosts.in_flight();
        let budget = |(host, connections): (HostName, u32)| {
            let budget = Budget {
                connections,
                in_flight: in_flight.get(&host).copied().unwrap_or(connections),
                idle: idle.get(&host).copied().unwrap_or_default(),
            };
            (host, budget)
        };
        self.hosts.budgets().into_iter().map(budget).collect()
    }

    /// Releases locks; a lock that could not be released ends by itself.
    pub(crate) async fn release(&self, locks: &[(LockKey, Nonce)]) {
        if let Err(error) = self.claims.release(locks).await {
            tracing::debug!(%error, "locks not released; they expire by themselves");
        }
    }
}

/// What this process has kept idle and let go of, on every host that it serves.
pub(crate) fn idle(hosts: &Hosts) -> BTreeMap<HostName, Idle> {
    let counts = hosts.idle();
    let idle = |host: HostName| {
        let (kept, let_go) = counts.get(&host).copied().unwrap_or_default();
        (host, Idle { kept, let_go })
    };
    hosts.budgets().into_keys().map(idle).collect()
}
