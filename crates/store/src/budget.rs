//! What a worker says of the connections to its hosts.

/// What a worker says of a host when it asks for claims there.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Budget {
    /// The connections that the host may have, of all workers together.
    pub connections: u32,
    /// The most targets in flight there, of all workers together. Those above the connections wait in their workers, each
    /// of which keeps to the connections that it was granted.
    pub in_flight: u32,
    /// What this worker has kept idle there and let go of, since it began.
    pub idle: Idle,
}

/// Connections to one host that a worker has kept idle since it began. Both numbers only grow, so that what comes twice,
/// late, or not at all does no harm; their difference is what it keeps.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Idle {
    /// Kept for the next tenant.
    pub kept: u64,
    /// Not idle any more: used again, closed or lost.
    pub let_go: u64,
}

impl From<u32> for Budget {
    /// The budget of a worker that has let go of nothing.
    fn from(connections: u32) -> Self {
        Self {
            connections,
            in_flight: connections,
            idle: Idle::default(),
        }
    }
}
