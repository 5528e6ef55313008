//! What can be left out of the protocol, one mechanism each.

/// A mechanism that is missing. The checker must find what goes wrong then.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Flaw {
    /// A failure is reported without committing the fence and reading the ledger again.
    NoFenceBeforeFailure,
    /// A claim that took over another is given back for a retry without the fence.
    UnfencedTakeoverRetry,
    /// `start` does not tell a claim that an older one may still have a message on its way.
    TakeoverFlagDropped,
    /// After a lost connection the worker goes on under its old number.
    EpochKeptOnReissue,
    /// The fence lets older numbers pass.
    FenceAcceptsOlder,
    /// The ledger is read before the fence is committed, not after.
    LedgerReadBeforeFence,
    /// A tenant that lost too many workers is given up without a look at what they did.
    GivesUpUnread,
    /// A claim that is drained is given back without what the read after the fence showed.
    DrainsUnread,
    /// Of what the read after the fence showed, only the version at hand is noted.
    NotesOneVersion,
    /// No error is taken for success: a lost answer counts as applied.
    SuccessWithoutEvidence,
    /// The ledger row is written by an upsert without WHERE.
    UpsertWithoutWhere,
    /// The guard does not look whether the ledger has the version.
    NoLedgerReread,
    /// The report records the failure; halting is left to the leader.
    HaltByCoordinatorOnly,
    /// Permits are counted in Redis, which may be wiped.
    PermitsInRedis,
    /// An expired lease frees the permit and makes the target pending.
    LeaseFreesPermit,
    /// A report ends the claim that is there, whatever its number.
    ReportWithoutCompare,
    /// A claim taken over after the halt may apply.
    TakeoverAppliesAfterHalt,
    /// The next version begins without asking whether the rollout still runs.
    NextVersionUnasked,
    /// Actions are carried out without comparing the leader's number.
    LeaderWithoutEpoch,
    /// Actions are carried out whatever has happened since the decision.
    ActWithoutSeq,
}
