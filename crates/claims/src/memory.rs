//! `memory://`: the locks of one process, for a program that is coordinator and worker in one.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use async_trait::async_trait;
use sanderling_core::Nonce;
use tokio::time::Instant;

use crate::bell::{Bell, Ear};
use crate::port::{Claims, ClaimsError, LockKey};

/// One handle on a fleet's table.
pub(crate) struct MemoryClaims {
    fleet: Arc<Fleet>,
    ear: Ear,
}

/// What the handles of one fleet share.
struct Fleet {
    locks: Mutex<HashMap<LockKey, Lock>>,
    bell: Bell,
}

/// A lock is free once `until` has passed, whether or not it still stands in the table.
struct Lock {
    nonce: Nonce,
    until: Instant,
}

impl MemoryClaims {
    /// A handle; all handles of one fleet name in this process share their locks and wake-ups.
    pub(crate) fn of_fleet(name: &str) -> Self {
        static FLEETS: Mutex<Option<HashMap<String, Weak<Fleet>>>> = Mutex::new(None);
        let mut fleets = FLEETS.lock().unwrap_or_else(PoisonError::into_inner);
        let fleets = fleets.get_or_insert_default();
        fleets.retain(|_, fleet| fleet.strong_count() > 0);
        let fleet = fleets
            .get(name)
            .and_then(Weak::upgrade)
            .unwrap_or_else(|| Arc::new(Fleet::new()));
        fleets.insert(name.to_owned(), Arc::downgrade(&fleet));
        let ear = fleet.bell.listen();
        Self { fleet, ear }
    }
}

impl Fleet {
    fn new() -> Self {
        Self {
            locks: Mutex::default(),
            bell: Bell::new(),
        }
    }

    fn locks(&self) -> MutexGuard<'_, HashMap<LockKey, Lock>> {
        self.locks.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl Claims for MemoryClaims {
    async fn acquire(
        &self,
        wanted: &[(LockKey, Nonce)],
        ttl: Duration,
    ) -> Result<Vec<bool>, ClaimsError> {
        let now = Instant::now();
        let mut locks = self.fleet.locks();
        let take = |(key, nonce): &(LockKey, Nonce)| {
            let busy = locks
                .get(key)
                .is_some_and(|lock| lock.until > now && lock.nonce != *nonce);
            if !busy {
                let (nonce, until) = (nonce.clone(), now + ttl);
                locks.insert(key.clone(), Lock { nonce, until });
            }
            !busy
        };
        Ok(wanted.iter().map(take).collect())
    }

    async fn renew(
        &self,
        held: &[(LockKey, Nonce)],
        ttl: Duration,
    ) -> Result<Vec<bool>, ClaimsError> {
        let now = Instant::now();
        let mut locks = self.fleet.locks();
        let extend = |(key, nonce): &(LockKey, Nonce)| match locks.get_mut(key) {
            Some(lock) if lock.until > now && lock.nonce == *nonce => {
                lock.until = now + ttl;
                true
            }
            _ => false,
        };
        Ok(held.iter().map(extend).collect())
    }

    async fn release(&self, held: &[(LockKey, Nonce)]) -> Result<(), ClaimsError> {
        let mut locks = self.fleet.locks();
        for (key, nonce) in held {
            if locks.get(key).is_some_and(|lock| lock.nonce == *nonce) {
                locks.remove(key);
            }
        }
        Ok(())
    }

    async fn wake(&self) -> Result<(), ClaimsError> {
        self.fleet.bell.ring();
        Ok(())
    }

    async fn wait(&self, timeout: Duration) {
        self.ear.wait(timeout).await;
    }
}
