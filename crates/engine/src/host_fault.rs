//! Whether a failure is the host's: what the next tenant there would meet as well, whatever its migration says.

use sanderling_core::Failure;
use sanderling_sql::Dialect;

use crate::{postgres, sqlite};

/// What a host lacks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HostFault {
    /// It cannot be reached, or is starting up or shutting down.
    Away,
    /// It takes no further connection.
    Crowded,
    /// It takes no writes: a standby, a read-only file system, a failing disk.
    ReadOnly,
    /// Its disk is full.
    Full,
}

impl HostFault {
    /// The fault behind a failure; `None` where it may be the tenant's own. A connection lost in the middle of a
    /// migration says nothing yet: whether the host is away shows when it is opened again.
    pub fn of(dialect: Dialect, failure: &Failure) -> Option<Self> {
        match dialect {
            Dialect::Postgres => postgres::host_fault(failure),
            Dialect::Sqlite => sqlite::host_fault(failure),
        }
    }

    /// What a host with this fault does, for a sentence that begins with its name.
    pub fn says(self) -> &'static str {
        match self {
            Self::Away => "is away",
            Self::Crowded => "takes no more connections",
            Self::ReadOnly => "takes no writes",
            Self::Full => "has no room on its disk",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use sanderling_core::{ErrorClass, Version};

    fn of(dialect: Dialect, code: &str) -> Option<HostFault> {
        let failure = Failure::new(ErrorClass::Connection, code, "it broke");
        HostFault::of(dialect, &failure)
    }

    #[test]
    fn only_what_every_tenant_would_meet_is_the_hosts() {
        for (code, fault) in [
            ("io", Some(HostFault::Away)),
            ("connect_timeout", Some(HostFault::Away)),
            ("57P01", Some(HostFault::Away)),
            ("57P03", Some(HostFault::Away)),
            ("08006", Some(HostFault::Away)),
            ("53300", Some(HostFault::Crowded)),
            ("53100", Some(HostFault::Full)),
            ("25006", Some(HostFault::ReadOnly)),
            ("missing", None),
            ("3D000", None),
            ("28P01", None),
            ("42501", None),
            ("57014", None),
            ("25P03", None),
            ("55P03", None),
        ] {
            assert_eq!(of(Dialect::Postgres, code), fault, "{code}");
        }
        for (code, fault) in [
            ("13", Some(HostFault::Full)),
            ("8", Some(HostFault::ReadOnly)),
            ("1544", Some(HostFault::ReadOnly)),
            ("778", Some(HostFault::ReadOnly)),
            ("4874", Some(HostFault::Full)),
            ("5", None),
            ("14", Some(HostFault::ReadOnly)),
            ("missing", None),
            ("1", None),
        ] {
            assert_eq!(of(Dialect::Sqlite, code), fault, "{code}");
        }
    }

    #[test]
    fn a_migration_that_makes_itself_read_only_blames_nobody_else() {
        let mut failure = Failure::new(ErrorClass::Precondition, "25006", "read-only transaction");
        failure.cause.version = Some(Version::new("1"));
        assert_eq!(HostFault::of(Dialect::Postgres, &failure), None);
    }
}
