//! From what PostgreSQL and the connection say to our classes of errors.

use sanderling_core::{ErrorClass, Failure};
use sqlx::postgres::{PgDatabaseError, PgErrorPosition, PgSeverity};

use crate::host_fault::HostFault;
use crate::redact::{redact, without_values};

/// The code of a failure that says with certainty that a place is not there: no message of anybody can arrive.
pub(crate) const MISSING: &str = "missing";

/// The code of a search path that was moved, or of which a schema cannot be trusted.
pub(crate) const SEARCH_PATH: &str = "search_path";

/// The code of a fence that is somebody else's.
pub(crate) const FENCE_OWNER: &str = "fence_owner";

/// SQLSTATEs of our own, raised by the guard and the tail. They count only where those statements stand: a
/// migration that raises the same code is a migration that failed.
pub(crate) mod state {
    /// Another session holds the tenant's lock.
    pub(crate) const BUSY: &str = "SDBSY";
    /// The fence is ahead, or another store's.
    pub(crate) const FENCED: &str = "SDFNC";
    /// The ledger has one of the versions already.
    pub(crate) const ALREADY: &str = "SDALR";
    /// The schema is missing or may not be used.
    pub(crate) const MISSING: &str = "SDMIS";
    /// The session is not as we set it up.
    pub(crate) const UNFIT: &str = "SDUNF";
    /// The migration ended our transaction.
    pub(crate) const ENDED: &str = "SDEND";
    /// A table of ours is somebody else's.
    pub(crate) const OWNER: &str = "SDOWN";
    /// The ledger cannot be read without running somebody's code.
    pub(crate) const UNREADABLE: &str = "SDTYP";
    /// The role of the migration could not be taken on, or may not use the schema.
    pub(crate) const ROLE: &str = "SDROL";
    /// The migration moved the search path.
    pub(crate) const PATH: &str = "SDPTH";
    /// A schema of the host's search path is missing, or others may write into it.
    pub(crate) const ENTRY: &str = "SDENT";
    /// The ledger row could not be written because another is in its place.
    pub(crate) const TAKEN: &str = "SDROW";
}

/// SQLSTATE prefixes and what they are; the longest prefix wins. Source: PostgreSQL's errcodes appendix.
const CLASSES: &[(&str, ErrorClass)] = &[
    ("08", ErrorClass::Connection),
    ("25006", ErrorClass::Precondition),
    ("25P03", ErrorClass::Connection),
    ("28", ErrorClass::Permission),
    ("3D000", ErrorClass::Precondition),
    ("3F000", ErrorClass::Precondition),
    ("40", ErrorClass::Deadlock),
    ("40002", ErrorClass::MigrationSql),
    ("42501", ErrorClass::Permission),
    ("42704", ErrorClass::MigrationSql),
    ("53", ErrorClass::Resource),
    ("55P03", ErrorClass::LockTimeout),
    ("57014", ErrorClass::Timeout),
    ("57P", ErrorClass::Connection),
    ("57P04", ErrorClass::Precondition),
    ("58", ErrorClass::Resource),
    ("F0", ErrorClass::Internal),
    ("XX", ErrorClass::Internal),
    ("SDMIS", ErrorClass::Precondition),
    ("SDUNF", ErrorClass::Internal),
    ("SDROW", ErrorClass::Precondition),
    ("SDENT", ErrorClass::Precondition),
    ("SDOWN", ErrorClass::Precondition),
    ("SDROL", ErrorClass::Permission),
    (FENCE_OWNER, ErrorClass::Precondition),
    (SEARCH_PATH, ErrorClass::Precondition),
];

/// The class of a SQLSTATE. What is not listed is the migration's own fault: syntax, objects, constraints, data.
pub(crate) fn class_of(code: &str, message: &str) -> ErrorClass {
    if code == "57014" && message.contains("user request") {
        return ErrorClass::Cancelled;
    }
    CLASSES
        .iter()
        .filter(|(prefix, _)| code.starts_with(prefix))
        .max_by_key(|(prefix, _)| prefix.len())
        .map_or(ErrorClass::MigrationSql, |(_, class)| *class)
}

/// Whether a failure is the server's rather than one tenant's. A statement of a migration that may not write has made
/// itself read-only; only our own guard, which bears no version, tells that of the server.
pub(crate) fn host_fault(failure: &Failure) -> Option<HostFault> {
    let cause = &failure.cause;
    match cause.code.as_str() {
        "io" | "tls" | "connect_timeout" | "57P01" | "57P02" | "57P03" => Some(HostFault::Away),
        "53300" => Some(HostFault::Crowded),
        "53100" => Some(HostFault::Full),
        "25006" if cause.version.is_none() => Some(HostFault::ReadOnly),
        code if code.len() == 5 && code.starts_with("08") => Some(HostFault::Away),
        _ => None,
    }
}

/// An error of the server, taken apart.
#[derive(Clone, Debug)]
pub(crate) struct ServerError {
    pub(crate) code: String,
    pub(crate) message: String,
    /// Character of the message that we sent, from 0, where the server could say.
    pub(crate) position: Option<usize>,
}

/// How an exchange with a server went wrong.
#[derive(Clone, Debug)]
pub(crate) enum Trouble {
    /// The server answered with an error and goes on listening.
    Server(ServerError),
    /// The connection is gone or out of step: what was sent may have taken effect.
    Lost(Failure),
}

impl Trouble {
    /// Takes a driver's error apart. FATAL and PANIC end the connection, so they are losses.
    pub(crate) fn of(error: &sqlx::Error, secrets: &[String]) -> Self {
        if let sqlx::Error::Database(database) = error
            && let Some(pg) = database.try_downcast_ref::<PgDatabaseError>()
            && !matches!(pg.severity(), PgSeverity::Fatal | PgSeverity::Panic)
        {
            let position = match pg.position() {
                Some(PgErrorPosition::Original(at)) => at.checked_sub(1),
                _ => None,
            };
            let mut message = redact(pg.message(), secrets);
            // With a position the value stands in the migration's text; without one it comes from a row.
            if pg.code().starts_with("22") && position.is_none() {
                message = without_values(&message);
            }
            return Self::Server(ServerError {
                code: pg.code().to_owned(),
                message,
                position,
            });
        }
        Self::Lost(failure_of(error, secrets))
    }

    /// The trouble as a failure that points at no statement.
    pub(crate) fn failure(&self) -> Failure {
        match self {
            Self::Server(error) => error.failure(),
            Self::Lost(failure) => failure.clone(),
        }
    }
}

impl ServerError {
    /// The error as a failure that points at no statement.
    pub(crate) fn failure(&self) -> Failure {
        Failure::new(
            class_of(&self.code, &self.message),
            self.code.clone(),
            self.message.clone(),
        )
    }
}

/// Any driver error as a failure, without a password in it.
pub(crate) fn failure_of(error: &sqlx::Error, secrets: &[String]) -> Failure {
    let text = |error: &dyn std::fmt::Display| redact(&error.to_string(), secrets);
    match error {
        sqlx::Error::Database(database) => {
            let code = database.code().unwrap_or_default().into_owned();
            let message = redact(database.message(), secrets);
            Failure::new(class_of(&code, &message), code, message)
        }
        sqlx::Error::Io(io) => Failure::new(ErrorClass::Connection, "io", text(io)),
        sqlx::Error::Tls(tls) => Failure::new(ErrorClass::Connection, "tls", text(tls)),
        sqlx::Error::Configuration(why) => Failure::new(ErrorClass::Precondition, "url", text(why)),
        other => Failure::new(ErrorClass::Connection, "protocol", text(other)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sqlstates_map_to_classes() {
        for (code, class) in [
            ("55P03", ErrorClass::LockTimeout),
            ("40P01", ErrorClass::Deadlock),
            ("40001", ErrorClass::Deadlock),
            ("08006", ErrorClass::Connection),
            ("57P01", ErrorClass::Connection),
            ("57P04", ErrorClass::Precondition),
            ("53300", ErrorClass::Resource),
            ("53100", ErrorClass::Resource),
            ("57014", ErrorClass::Timeout),
            ("42601", ErrorClass::MigrationSql),
            ("42703", ErrorClass::MigrationSql),
            ("23505", ErrorClass::MigrationSql),
            ("P0001", ErrorClass::MigrationSql),
            ("3D000", ErrorClass::Precondition),
            ("25006", ErrorClass::Precondition),
            ("42501", ErrorClass::Permission),
            ("28P01", ErrorClass::Permission),
            ("XX000", ErrorClass::Internal),
            (state::ENDED, ErrorClass::MigrationSql),
            (state::MISSING, ErrorClass::Precondition),
        ] {
            assert_eq!(class_of(code, ""), class, "{code}");
        }
        let cancel = "canceling statement due to user request";
        assert_eq!(class_of("57014", cancel), ErrorClass::Cancelled);
    }
}
