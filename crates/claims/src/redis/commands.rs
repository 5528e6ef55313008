//! What is sent: one script call for many locks.
//!
//! The scripts go as text (`EVAL`), not by hash: they are shorter than an answer to "I do not know this hash"
//! followed by a second round trip would be, and a restarted server needs no special case. `ARGV[1]` is the time to live,
//! the nonces of the keys follow it.

use std::time::Duration;

use redis::Pipeline;
use sanderling_core::Nonce;

use crate::port::LockKey;

/// Takes free locks; finds those that their nonces took already; leaves others' alone.
const ACQUIRE: &str = "local done = {}
for i, key in ipairs(KEYS) do
local held = redis.call('GET', key)
if held and held ~= ARGV[i + 1] then done[i] = 0
else redis.call('SET', key, ARGV[i + 1], 'PX', ARGV[1]) done[i] = 1 end
end
return done";

const RENEW: &str = "local done = {}
for i, key in ipairs(KEYS) do
if redis.call('GET', key) ~= ARGV[i + 1] then done[i] = 0
else done[i] = redis.call('PEXPIRE', key, ARGV[1]) end
end
return done";

const RELEASE: &str = "local done = {}
for i, key in ipairs(KEYS) do
if redis.call('GET', key) ~= ARGV[i + 1] then done[i] = 0
else done[i] = redis.call('DEL', key) end
end
return done";

/// Locks in one call: more would keep others waiting (100 take Redis about half a millisecond).
const AT_ONCE: usize = 100;

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

    /// One list of answers per call, one answer per lock, in order: 1 done, 0 not ours.
    pub(super) fn pipeline(
        &self,
        verb: Verb,
        locks: &[(LockKey, Nonce)],
        ttl: Duration,
    ) -> Pipeline {
        // PX 0 is an error in Redis.
        let millis = u64::try_from(ttl.as_millis()).unwrap_or(u64::MAX).max(1);
        let mut pipeline = redis::pipe();
        for some in locks.chunks(AT_ONCE) {
            pipeline.cmd("EVAL").arg(verb.script()).arg(some.len());
            for (key, _) in some {
                pipeline.arg(format!("{}{key}", self.prefix));
            }
            pipeline.arg(millis);
            for (_, nonce) in some {
                pipeline.arg(nonce.as_str());
            }
        }
        pipeline
    }
}
