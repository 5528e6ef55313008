//! Claims that cannot be settled while their host cannot be worked on.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use sanderling_core::{HostName, Micros};
use sanderling_store::TargetRef;

use super::Circuits;

/// By target.
pub(super) type Claims = HashMap<TargetRef, Since>;

/// A claim that is cut off.
pub(super) struct Since {
    host: HostName,
    granted: Micros,
    since: Instant,
}

/// Says of a claim that it is cut off, until it is dropped: the claim is settled, or its job is over.
pub(crate) struct CutOff {
    circuits: Arc<Circuits>,
    target: TargetRef,
}

impl Circuits {
    /// A claim of which something may have arrived cannot be settled, because its host cannot be worked on.
    pub(crate) fn cut_off(
        self: &Arc<Self>,
        host: &HostName,
        target: &TargetRef,
        granted: Micros,
    ) -> CutOff {
        let since = Since {
            host: host.clone(),
            granted,
            since: Instant::now(),
        };
        self.state().cut_off.insert(target.clone(), since);
        self.changed.notify_one();
        CutOff {
            circuits: Arc::clone(self),
            target: target.clone(),
        }
    }
}

impl Drop for CutOff {
    fn drop(&mut self) {
        self.circuits.state().cut_off.remove(&self.target);
        self.circuits.changed.notify_one();
    }
}

/// Those on one host, granted when, and cut off for how long.
pub(super) fn on(claims: &Claims, host: &HostName) -> Vec<(TargetRef, Micros, Duration)> {
    let there = claims.iter().filter(|(_, of)| of.host == *host);
    there
        .map(|(target, of)| (target.clone(), of.granted, of.since.elapsed()))
        .collect()
}
