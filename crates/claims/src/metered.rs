//! Claims of either kind, with a record of how long each call took and what came of it.

use std::time::{Duration, Instant};

use async_trait::async_trait;
use sanderling_core::Nonce;
use sanderling_telemetry::catalogue::{CLAIMS_LOCKS, CLAIMS_REQUESTS};

use crate::port::{Claims, ClaimsError, LockKey};

/// Claims that record what they do.
pub(crate) struct Metered<C> {
    backend: &'static str,
    claims: C,
}

impl<C> Metered<C> {
    pub(crate) fn new(backend: &'static str, claims: C) -> Self {
        Self { backend, claims }
    }

    /// One call for so many locks; `ok` says how many of them came out well.
    async fn recorded<T>(
        &self,
        op: &str,
        locks: usize,
        call: impl Future<Output = Result<T, ClaimsError>>,
        ok: impl FnOnce(&T) -> usize,
    ) -> Result<T, ClaimsError> {
        let asked = Instant::now();
        let answer = call.await;
        CLAIMS_REQUESTS.took([self.backend, op], asked.elapsed());
        if locks == 0 {
            return answer;
        }
        let count = |result, locks: usize| {
            CLAIMS_LOCKS.more([self.backend, op, result], locks as u64);
        };
        // There from the first call on: a rate sees no series come up that begins with an error.
        count("error", 0);
        match &answer {
            Ok(answer) => {
                let ok = ok(answer).min(locks);
                count("ok", ok);
                count("refused", locks - ok);
            }
            Err(_) => count("error", locks),
        }
        answer
    }
}

#[async_trait]
impl<C: Claims> Claims for Metered<C> {
    async fn acquire(
        &self,
        wanted: &[(LockKey, Nonce)],
        ttl: Duration,
    ) -> Result<Vec<bool>, ClaimsError> {
        let call = self.claims.acquire(wanted, ttl);
        self.recorded("acquire", wanted.len(), call, |a| held(a))
            .await
    }

    async fn renew(
        &self,
        locks: &[(LockKey, Nonce)],
        ttl: Duration,
    ) -> Result<Vec<bool>, ClaimsError> {
        let call = self.claims.renew(locks, ttl);
        self.recorded("renew", locks.len(), call, |a| held(a)).await
    }

    async fn release(&self, locks: &[(LockKey, Nonce)]) -> Result<(), ClaimsError> {
        let call = self.claims.release(locks);
        self.recorded("release", locks.len(), call, |()| locks.len())
            .await
    }

    async fn wake(&self) -> Result<(), ClaimsError> {
        self.recorded("wake", 0, self.claims.wake(), |()| 0).await
    }

    async fn wait(&self, timeout: Duration) {
        self.claims.wait(timeout).await;
    }
}

fn held(answers: &[bool]) -> usize {
    answers.iter().filter(|held| **held).count()
}
