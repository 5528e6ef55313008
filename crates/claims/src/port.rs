//! The port: locks that nothing durable depends on, and wake-ups that may get lost.

use std::fmt;
use std::time::Duration;

use async_trait::async_trait;
use sanderling_core::{Nonce, TenantId};

/// Who is busy with which tenant now. Efficiency and liveness only: the control store and the tenant decide.
///
/// Every call is safe to repeat, because an answer can be lost after the server acted.
#[async_trait]
pub trait Claims: Send + Sync {
    /// Tries to lock each key for `ttl` under its own nonce. True where the lock is now held under that nonce
    /// (also when an earlier, lost call had taken it); false where another nonce holds it. Same order as `wanted`.
    async fn acquire(
        &self,
        wanted: &[(LockKey, Nonce)],
        ttl: Duration,
    ) -> Result<Vec<bool>, ClaimsError>;

    /// Extends each lock that is still held under its nonce. False where it was lost. Same order as `held`.
    async fn renew(
        &self,
        held: &[(LockKey, Nonce)],
        ttl: Duration,
    ) -> Result<Vec<bool>, ClaimsError>;

    /// Releases each lock that is still held under its nonce; a lock of another nonce is left alone.
    async fn release(&self, held: &[(LockKey, Nonce)]) -> Result<(), ClaimsError>;

    /// Tells every listener that there may be something to do. May be lost.
    async fn wake(&self) -> Result<(), ClaimsError>;

    /// Waits until a wake-up arrives or `timeout` has passed, whichever is first. Never fails: without a
    /// connection it just waits, so that a caller polls at its own pace. A wake-up that arrived since this
    /// handle's last call returns at once.
    async fn wait(&self, timeout: Duration);
}

/// The key of a tenant's lock: fleet and tenant, hashed, so that no name can forge another's key.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct LockKey(String);

impl LockKey {
    /// The lock of a tenant in a fleet.
    pub fn new(fleet: &str, tenant: &TenantId) -> Self {
        use sha2::{Digest, Sha256};
        let mut hasher = Sha256::new();
        for part in ["sanderling lock 1", fleet, tenant.as_str()] {
            hasher.update((part.len() as u64).to_be_bytes());
            hasher.update(part.as_bytes());
        }
        Self(sanderling_core::bundle::hex(&hasher.finalize()))
    }

    /// 64 hex digits.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for LockKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Redis did not answer as it should. Nothing durable is lost; the caller goes on without the lock.
#[derive(Debug, thiserror::Error)]
#[error("claims at {url}: {message}")]
pub struct ClaimsError {
    /// Where, without credentials.
    pub url: String,
    /// What went wrong.
    pub message: String,
}
