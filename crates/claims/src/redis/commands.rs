//! What is sent: one script call per lock, many in one round trip.
//!
//! The scripts go as text (`EVAL`), not by hash: they are shorter than an answer to "I do not know this hash"
//! followed by a second round trip would be, and a restarted server needs no special case.

use std::time::Duration;

use redis::Pipeline;
use sanderling_core::Nonce;

use crate::port::LockKey;

/// Takes a free lock; finds a lock that this nonce took already; leaves another's alone.
const ACQUIRE: &str = "local held = redis.call('GET', KEYS[1])
if held and held ~= ARGV[1] then return 0 end
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
return 1";

const RENEW: &str = "if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
return redis.call('PEXPIRE', KEYS[1], ARGV[2])";

const RELEASE: &str = "if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
return redis.call('DEL', KEYS[1])";

/// What is done to each lock of a batch.
#[derive(Clone, Copy, Debug)]
pub(super) enum Verb {
    Acquire,
    Renew,
    Release,
}

impl Verb {
    fn script(self) -> &'static str {
        match self {
            Self::Acquire => ACQUIRE,
            Self::Renew => RENEW,
            Self::Release => RELEASE,
        }
    }
}

/// The commands of one fleet.
pub(super) struct Commands {
    prefix: String,
}

impl Commands {
    pub(super) fn new(fleet: &str) -> Self {
        Self {
            prefix: format!("{fleet}:lock:"),
        }
    }

    /// One answer per lock, in order: 1 done, 0 not ours.
    pub(super) fn pipeline(
        &self,
        verb: Verb,
        locks: &[(LockKey, Nonce)],
        ttl: Duration,
    ) -> Pipeline {
        // PX 0 is an error in Redis.
        let millis = u64::try_from(ttl.as_millis()).unwrap_or(u64::MAX).max(1);
        let mut pipeline = redis::pipe();
        for (key, nonce) in locks {
            pipeline
                .cmd("EVAL")
                .arg(verb.script())
                .arg(1)
                .arg(format!("{}{key}", self.prefix))
                .arg(nonce.as_str())
                .arg(millis);
        }
        pipeline
    }
}
