//! One virtual tenant: what the store keeps of it, and what is true in its database.

use std::collections::BTreeMap;

use sanderling_core::{Epoch, ErrorClass, Failure, HostName, Outcome, TenantId, Version};

/// A target and its tenant.
#[derive(Clone, Debug)]
pub(crate) struct Target {
    pub(crate) tenant: TenantId,
    pub(crate) wave: usize,
    pub(crate) host: HostName,
    pub(crate) versions: usize,
    /// What the store says.
    pub(crate) outcome: Outcome,
    pub(crate) failure: Option<Failure>,
    pub(crate) applied: usize,
    pub(crate) attempts: BTreeMap<ErrorClass, u32>,
    pub(crate) epoch: i64,
    pub(crate) held: bool,
    /// What the tenant's ledger says: so many of the versions, in order.
    pub(crate) ledger: usize,
    /// How often a version took effect, at most.
    pub(crate) effects: Vec<u8>,
    /// A fault of the migration that this tenant has.
    pub(crate) broken: bool,
}

impl Target {
    /// The number of its claim, or of the last one.
    pub(crate) fn epoch(&self) -> Epoch {
        Epoch(self.epoch)
    }

    /// Whether it could be started, if permits allow.
    pub(crate) fn waits(&self) -> bool {
        !self.held && self.outcome == Outcome::Pending
    }

    /// Whether nobody has it in hand and it has not ended.
    pub(crate) fn is_left(&self) -> bool {
        !self.held && matches!(self.outcome, Outcome::Pending | Outcome::Deferred)
    }

    /// The next version takes effect in the tenant.
    pub(crate) fn commit(&mut self) {
        self.effects[self.ledger] += 1;
        self.ledger += 1;
    }

    /// The versions that the store knows to be applied.
    pub(crate) fn listed(&self, versions: &[Version]) -> Vec<Version> {
        versions[..self.applied].to_vec()
    }
}
