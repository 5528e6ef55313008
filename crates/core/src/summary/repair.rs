//! `repair epochs --json`.

use serde::{Deserialize, Serialize};

use crate::ids::{Epoch, StoreId, TenantId};

/// The document that `repair epochs --json` prints. Every selected tenant is counted in exactly one of the last four.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct EpochRepair {
    /// Selected tenants.
    pub tenants: u64,
    /// Whether nothing was changed, because nothing was to be.
    pub dry_run: bool,
    /// Tenants whose fence was ahead of the store: the store's number is now the fence's.
    pub raised: Vec<RaisedEpoch>,
    /// Tenants whose fence is not ahead, or that have none.
    pub sound: u64,
    /// Tenants whose fence is another store's; they are left alone.
    pub other_stores: Vec<ForeignFence>,
    /// Tenants whose fence could not be read.
    pub unread: Vec<UnreadFence>,
}

/// One tenant's number, raised.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RaisedEpoch {
    /// The tenant.
    pub tenant: TenantId,
    /// The highest number that the store knew of.
    pub from: Epoch,
    /// The fence's.
    pub to: Epoch,
}

/// A fence that another store holds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ForeignFence {
    /// The tenant.
    pub tenant: TenantId,
    /// That store.
    pub store: StoreId,
}

/// A fence that could not be read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct UnreadFence {
    /// The tenant.
    pub tenant: TenantId,
    /// Why.
    pub message: String,
}
