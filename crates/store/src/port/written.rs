//! Hosts that came with submissions.

use sanderling_core::{HostName, WrittenHost};

/// A host that came with a submission.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WrittenHostRecord {
    /// Grows with each host that is new or changed.
    pub number: i64,
    /// The host.
    pub name: HostName,
    /// How it is reached.
    pub host: WrittenHost,
}
