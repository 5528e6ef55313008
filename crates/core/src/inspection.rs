//! What lies at a tenant's place beside its ledger, as read from it: fence, locks, broken indexes.

use crate::ids::{Epoch, StoreId};

/// What an inspection of a place found. `unseen` names what may not or cannot be looked at: nothing is guessed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Inspection {
    /// The fence's row of this place.
    pub fence: FenceSight,
    /// Who or what holds the place, whether rightly or not.
    pub holders: Vec<Holder>,
    /// Indexes that the server does not use or does not keep up to date.
    pub broken_indexes: Vec<BrokenIndex>,
    /// What could not be seen, in sentences that name database and remedy.
    pub unseen: Vec<String>,
}

/// The fence of a place.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum FenceSight {
    /// It may not be read; `Inspection::unseen` says why.
    #[default]
    Unseen,
    /// There is no row for the place, or no fence at all.
    Absent,
    /// A control store holds it.
    Held {
        /// That store.
        store: StoreId,
        /// The newest claim that it let pass.
        epoch: Epoch,
    },
}

/// A session that holds a tenant's lock, or what a writer left behind.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Holder {
    /// Who holds what, since when: a clause without a full stop, equal at each look as long as it is the same holder.
    pub what: String,
    /// What a person types to end it.
    pub remedy: String,
}

/// An index that is not whole.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BrokenIndex {
    /// Its qualified name, quoted as SQL takes it.
    pub name: String,
    /// What is wrong with it.
    pub fault: String,
    /// What a person types to mend it.
    pub remedy: String,
}
