//! The claims that this process holds.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use sanderling_claims::LockKey;
use sanderling_core::{Epoch, HostName, Nonce};
use sanderling_store::{Held, RenewedClaim, TargetRef};
use tokio::sync::watch;

/// One claim as this process knows it.
#[derive(Clone, Debug)]
struct Claimed {
    host: HostName,
    epoch: Epoch,
    lock: (LockKey, Nonce),
    said: RenewedClaim,
    /// Says once and for all that a person cancelled the target.
    cancelled: watch::Sender<bool>,
}

/// The claims that this process holds; shared by the loop, the tasks and the renewal.
#[derive(Debug, Default)]
pub(crate) struct HeldClaims(Mutex<BTreeMap<TargetRef, Claimed>>);

impl HeldClaims {
    fn claims(&self) -> MutexGuard<'_, BTreeMap<TargetRef, Claimed>> {
        // A panic elsewhere leaves the map whole: every change below is a single insert, remove or assignment.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes a granted claim on a host and the lock taken for it.
    pub(crate) fn insert(&self, held: Held, host: HostName, lock: (LockKey, Nonce)) {
        self.claims().insert(
            held.target,
            Claimed {
                host,
                epoch: held.epoch,
                lock,
                said: RenewedClaim::Live,
                cancelled: watch::Sender::new(false),
            },
        );
    }

    /// Notes a claim's new number.
    pub(crate) fn reissued(&self, target: &TargetRef, epoch: Epoch) {
        if let Some(claimed) = self.claims().get_mut(target) {
            claimed.epoch = epoch;
            claimed.said = match *claimed.cancelled.borrow() {
                true => RenewedClaim::Cancel,
                false => RenewedClaim::Live,
            };
        }
    }

    /// Forgets a claim; gives back the lock to release.
    pub(crate) fn remove(&self, target: &TargetRef) -> Option<(LockKey, Nonce)> {
        self.claims().remove(target).map(|claimed| claimed.lock)
    }

    /// How many there are.
    pub(crate) fn count(&self) -> usize {
        self.claims().len()
    }

    /// Whether the target is held.
    pub(crate) fn contains(&self, target: &TargetRef) -> bool {
        self.claims().contains_key(target)
    }

    /// What the store last said of a claim; `Stale` for one that is not held.
    pub(crate) fn said(&self, held: &Held) -> RenewedClaim {
        match self.claims().get(&held.target) {
            Some(claimed) if claimed.epoch == held.epoch => claimed.said,
            _ => RenewedClaim::Stale,
        }
    }

    /// Notes what the store said, unless the claim has got another number meanwhile.
    pub(crate) fn heard(&self, held: &Held, said: RenewedClaim) {
        if let Some(claimed) = self.claims().get_mut(&held.target)
            && claimed.epoch == held.epoch
        {
            claimed.said = said;
            if said == RenewedClaim::Cancel {
                claimed.cancelled.send_replace(true);
            }
        }
    }

    /// What says that a person cancelled the target, while it is held.
    pub(crate) fn cancelled(&self, target: &TargetRef) -> Option<watch::Receiver<bool>> {
        let claims = self.claims();
        claims
            .get(target)
            .map(|claimed| claimed.cancelled.subscribe())
    }

    /// How many claims there are on each host.
    pub(crate) fn by_host(&self) -> BTreeMap<HostName, u64> {
        let mut hosts = BTreeMap::new();
        for claimed in self.claims().values() {
            *hosts.entry(claimed.host.clone()).or_default() += 1;
        }
        hosts
    }

    /// All claims, and the locks taken for them.
    pub(crate) fn all(&self) -> (Vec<Held>, Vec<(LockKey, Nonce)>) {
        self.claims()
            .iter()
            .map(|(target, claimed)| {
                (
                    Held {
                        target: target.clone(),
                        epoch: claimed.epoch,
                    },
                    claimed.lock.clone(),
                )
            })
            .unzip()
    }
}
