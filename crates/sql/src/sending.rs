//! How a statement of a `transaction=off` file may be sent, and what can be said of it when nobody heard its end.

/// How a statement may be sent.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Sending {
    /// In one transaction with others: it takes effect with them or not at all.
    #[default]
    Shared,
    /// As `Shared`, but all that it changes is its session (SET): where the session ended, it may be sent again.
    Setting,
    /// By itself, outside any transaction block. Only in files with `transaction=off`.
    Alone(Alone),
}

/// A statement that must run outside any transaction block.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Alone {
    /// What it is called, for messages.
    pub what: &'static str,
    /// Whether it waits until every older transaction of its database has ended: two at a time would wait for one
    /// another, and so would somebody who waits for what this one holds.
    pub waits_for_all: bool,
    /// How to find out whether it took effect.
    pub trace: Trace,
}

/// How to find out afterwards whether a statement took effect. Names are as the server stores them, before it cuts
/// them to its length.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Trace {
    /// `CREATE INDEX CONCURRENTLY`: the index is there, valid and ready.
    IndexMade {
        /// The schema of its table where the statement names it; else the tenant's.
        schema: Option<String>,
        /// Its name.
        name: String,
        /// Whether an index of that name is taken for it.
        if_not_exists: bool,
    },
    /// `DROP INDEX CONCURRENTLY`: it is not there.
    IndexGone {
        /// Its schema where the statement names it; else the tenant's.
        schema: Option<String>,
        /// Its name.
        name: String,
        /// Whether it may be missing.
        if_exists: bool,
    },
    /// `REINDEX … CONCURRENTLY`: harmless to repeat; what a broken-off one leaves are INVALID indexes with names of
    /// the server's making.
    Rebuilt {
        /// Whether it names a table rather than an index.
        table: bool,
        /// The schema where the statement names it; else the tenant's.
        schema: Option<String>,
        /// The name.
        name: String,
    },
    /// `ALTER TABLE … DETACH PARTITION … CONCURRENTLY`: the one is no partition of the other any more. Where it broke off
    /// half way the detach is pending, until FINALIZE ends it.
    Detached {
        /// The partitioned table's schema where the statement names it; else the tenant's.
        parent_schema: Option<String>,
        /// Its name.
        parent: String,
        /// The partition's schema where the statement names it; else the tenant's.
        schema: Option<String>,
        /// Its name.
        name: String,
    },
    /// It may be sent again without harm.
    Repeatable,
    /// Nobody can tell: a person has to decide.
    Unknown,
}
