//! From SQLite's result codes to our classes of errors.

use sanderling_core::{ErrorClass, Failure};

use crate::host_fault::HostFault;
use crate::redact::redact;

/// The primary code is the low byte of the extended one. Source: SQLite's "Result and Error Codes".
fn primary(code: &str) -> i32 {
    code.parse::<i32>().unwrap_or(1) & 0xff
}

/// SQLITE_READONLY_ROLLBACK: a journal has to be rolled back, and the connection may only read.
const HOT_JOURNAL: &str = "776";

/// SQLITE_IOERR_SHMSIZE: the -shm file of a WAL could not grow. A full disk says this before it says FULL.
const NO_ROOM_BESIDE: &str = "4874";

/// What a file with a journal to be rolled back is called.
const IS_HOT: &str = "hot_journal";

/// Whether a file could not be read because a writer died in a transaction.
pub(crate) fn is_hot_journal(failure: &Failure) -> bool {
    failure.cause.code == IS_HOT
}

/// The class of a result code.
fn class_of(code: &str) -> ErrorClass {
    match primary(code) {
        3 | 23 => ErrorClass::Permission,    // PERM, AUTH
        5 | 6 => ErrorClass::LockTimeout,    // BUSY, LOCKED
        7 | 10 | 13 => ErrorClass::Resource, // NOMEM, IOERR, FULL
        8 | 14 => ErrorClass::Permission,    // READONLY, CANTOPEN
        9 => ErrorClass::Timeout,            // INTERRUPT: our limit
        11 | 26 => ErrorClass::Precondition, // CORRUPT, NOTADB
        21 => ErrorClass::Internal,          // MISUSE
        _ => ErrorClass::MigrationSql,
    }
}

/// Whether a failure is the directory's rather than one file's.
pub(crate) fn host_fault(failure: &Failure) -> Option<HostFault> {
    let code = failure.cause.code.as_str();
    if code != "io" && code.parse::<i32>().is_err() {
        return None;
    }
    match primary(code) {
        _ if code == "io" => Some(HostFault::ReadOnly),
        _ if code == NO_ROOM_BESIDE => Some(HostFault::Full),
        8 | 10 | 14 => Some(HostFault::ReadOnly), // READONLY, IOERR, CANTOPEN
        13 => Some(HostFault::Full),
        _ => None,
    }
}

/// Whether somebody else holds the file's lock.
pub(crate) fn is_busy(error: &sqlx::Error) -> bool {
    code_of(error).is_some_and(|code| matches!(primary(&code), 5 | 6))
}

/// Whether SQLite itself answered; anything else means that the connection is gone.
pub(crate) fn is_answer(error: &sqlx::Error) -> bool {
    matches!(error, sqlx::Error::Database(_))
}

fn code_of(error: &sqlx::Error) -> Option<String> {
    match error {
        sqlx::Error::Database(database) => database.code().map(|code| code.into_owned()),
        _ => None,
    }
}

/// Any driver error as a failure.
pub(crate) fn failure_of(error: &sqlx::Error) -> Failure {
    match error {
        sqlx::Error::Database(database) => {
            let code = database.code().unwrap_or_default().into_owned();
            if code == HOT_JOURNAL {
                return Failure::new(
                    ErrorClass::Precondition,
                    IS_HOT,
                    "a writer died here and left a -journal file, and looking must not repair it: open the file once \
                     with the application or the sqlite3 shell, which rolls the unfinished transaction back",
                );
            }
            let message = match primary(&code) {
                9 => "the statement ran longer than its limit".to_owned(),
                _ if code == NO_ROOM_BESIDE => format!(
                    "no room for the -shm file beside it ({})",
                    redact(database.message(), &[])
                ),
                _ => redact(database.message(), &[]),
            };
            Failure::new(class_of(&code), code, message)
        }
        other => Failure::new(
            ErrorClass::Connection,
            "connection",
            redact(&other.to_string(), &[]),
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn extended_codes_fall_to_the_class_of_their_primary_code() {
        for (code, class) in [
            ("5", ErrorClass::LockTimeout),
            ("517", ErrorClass::LockTimeout), // BUSY_SNAPSHOT
            ("1", ErrorClass::MigrationSql),
            ("2067", ErrorClass::MigrationSql), // CONSTRAINT_UNIQUE
            ("13", ErrorClass::Resource),
            ("1032", ErrorClass::Permission), // READONLY_DBMOVED
            ("26", ErrorClass::Precondition),
            ("9", ErrorClass::Timeout),
        ] {
            assert_eq!(class_of(code), class, "{code}");
        }
    }
}
