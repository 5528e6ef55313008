//! Tenants that an operator pins, and verbs on tenants of whatever rollout has them.

use sanderling_core::{Micros, TenantId};

/// Tenants to pin.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hold {
    /// Which.
    pub tenants: Vec<TenantId>,
    /// Why.
    pub reason: String,
    /// When it ends by itself, by the store's clock; absent where only a person ends it.
    pub until: Option<Micros>,
}

/// A tenant that is pinned.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HoldRecord {
    /// The tenant.
    pub tenant: TenantId,
    /// Who pinned it.
    pub actor: String,
    /// Why.
    pub reason: String,
    /// Since when.
    pub at: Micros,
    /// When it ends by itself; absent where only a person ends it.
    pub until: Option<Micros>,
}

/// What a verb on tenants did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TenantsReceipt {
    /// Those for which something changed; the others were so before.
    pub changed: Vec<TenantId>,
    /// How many targets of active rollouts were moved by it.
    pub targets: u64,
    /// Those that a claim is at work on: it finishes, whatever was asked for.
    pub in_flight: Vec<TenantId>,
    /// Those that a claim is at work on, and was told to end.
    pub stopping: Vec<TenantId>,
}
