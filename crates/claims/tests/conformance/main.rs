//! What every backend of `Claims` does, and what Redis does when it is ill-treated.
#![expect(
    clippy::unwrap_used,
    reason = "the laws are functions that tests call, and fail as tests do"
)]

mod acl;
mod backends;
mod faults;
mod frozen;
mod sentinels;
mod suite;
mod tls;

use std::time::Duration;

use sanderling_claims::LockKey;
use sanderling_core::{Nonce, TenantId};
use sanderling_testkit::unique;

/// Longer than any test.
const LONG: Duration = Duration::from_secs(600);
/// A loaded machine is slow; a hang is longer.
const SOON: Duration = Duration::from_secs(30);

/// A lock of tenant `name` under a nonce that nobody else has.
fn lock(name: &str) -> (LockKey, Nonce) {
    lock_as(name, &unique("nonce"))
}

fn lock_as(name: &str, nonce: &str) -> (LockKey, Nonce) {
    (
        LockKey::new("fleet", &TenantId::new(name)),
        Nonce::new(nonce),
    )
}
