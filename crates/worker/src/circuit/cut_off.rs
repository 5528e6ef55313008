//! Claims that cannot be settled while their host cannot be worked on.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use sanderling_core::HostName;
use sanderling_store::TargetRef;

use super::Circuits;

/// By target: its host, and since when.
pub(super) type Claims = HashMap<TargetRef, (HostName, Instant)>;

/// Says of a claim that it is cut off, until it is dropped: the claim is settled, or its job is over.
pub(crate) struct CutOff {
    circuits: Arc<Circuits>,
    target: TargetRef,
}

impl Circuits {
    /// A claim of which something may have arrived cannot be settled, because its host cannot be worked on.
    pub(crate) fn cut_off(self: &Arc<Self>, host: &HostName, target: &TargetRef) -> CutOff {
        let since = (host.clone(), Instant::now());
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

/// Those on one host, and for how long.
pub(super) fn on(claims: &Claims, host: &HostName) -> Vec<(TargetRef, Duration)> {
    let there = claims.iter().filter(|(_, (of, _))| of == host);
    there
        .map(|(target, (_, since))| (target.clone(), since.elapsed()))
        .collect()
}
