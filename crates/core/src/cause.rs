//! Why a target failed, in a form that groups equal failures and counts them.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::ids::Version;

/// The kind of an error: decides whether it is retried and how it counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ErrorClass {
    /// A lock was not had in time (PostgreSQL 55P03, SQLite BUSY). Transient.
    LockTimeout,
    /// Deadlock or serialisation failure. Transient.
    Deadlock,
    /// The server could not be reached or hung up. Transient.
    Connection,
    /// Disk, memory or connection slots ran out.
    Resource,
    /// A statement ran longer than its limit.
    Timeout,
    /// The migration's own SQL is wrong for this tenant: syntax, missing object, constraint, data.
    MigrationSql,
    /// The tenant is not as the plan found it: checksum, missing schema, foreign fence.
    Precondition,
    /// The login or role may not do this.
    Permission,
    /// An operator or a drain stopped it.
    Cancelled,
    /// Its worker died and its effect was settled by the fence.
    WorkerLost,
    /// A fault of Sanderling itself.
    Internal,
}

impl ErrorClass {
    /// Every class, in the order of this enum.
    pub const ALL: [Self; 11] = [
        Self::LockTimeout,
        Self::Deadlock,
        Self::Connection,
        Self::Resource,
        Self::Timeout,
        Self::MigrationSql,
        Self::Precondition,
        Self::Permission,
        Self::Cancelled,
        Self::WorkerLost,
        Self::Internal,
    ];

    /// The name used in configuration, JSON and metrics.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::LockTimeout => "lock_timeout",
            Self::Deadlock => "deadlock",
            Self::Connection => "connection",
            Self::Resource => "resource",
            Self::Timeout => "timeout",
            Self::MigrationSql => "migration_sql",
            Self::Precondition => "precondition",
            Self::Permission => "permission",
            Self::Cancelled => "cancelled",
            Self::WorkerLost => "worker_lost",
            Self::Internal => "internal",
        }
    }

    /// The class that the text form of a cause begins with.
    pub fn of_cause(cause: &str) -> Option<Self> {
        let name = cause.split('/').next()?;
        Self::ALL.into_iter().find(|class| class.as_str() == name)
    }

    /// Whether `same_cause` counts it: only errors that the next tenant would meet as well.
    pub fn is_deterministic(self) -> bool {
        matches!(
            self,
            Self::MigrationSql | Self::Permission | Self::Precondition
        )
    }
}

impl fmt::Display for ErrorClass {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// What groups failures: class, code, version and statement, never the message's wording.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Cause {
    /// The kind of error.
    pub class: ErrorClass,
    /// The database's own code (SQLSTATE, SQLite extended code), or a word of ours.
    pub code: String,
    /// The migration that was being applied, if one was.
    pub version: Option<Version>,
    /// The number of the failing statement in the migration, from 1.
    pub statement: Option<u32>,
}

impl fmt::Display for Cause {
    /// `migration_sql/42703@20260101120000#2`: the key under `causes` in JSON.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.class, self.code)?;
        if let Some(version) = &self.version {
            write!(f, "@{version}")?;
        }
        if let Some(statement) = self.statement {
            write!(f, "#{statement}")?;
        }
        Ok(())
    }
}

/// One failure as it happened to one tenant.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failure {
    /// What groups it.
    pub cause: Cause,
    /// The database's message, one line; may name the tenant's own objects.
    pub message: String,
    /// The migration file, if the failure points into one.
    pub file: Option<String>,
    /// Line in that file, from 1.
    pub line: Option<u32>,
    /// Column in that line, in characters from 1.
    pub column: Option<u32>,
}

impl Failure {
    /// A failure that points at no migration file.
    pub fn new(class: ErrorClass, code: impl Into<String>, message: impl Into<String>) -> Self {
        Self {
            cause: Cause {
                class,
                code: code.into(),
                version: None,
                statement: None,
            },
            message: message.into(),
            file: None,
            line: None,
            column: None,
        }
    }

    /// `file:line:column`, as far as it is known.
    pub fn location(&self) -> Option<String> {
        let mut text = self.file.clone()?;
        for number in [self.line, self.line.and(self.column)]
            .into_iter()
            .flatten()
        {
            text.push_str(&format!(":{number}"));
        }
        Some(text)
    }
}
