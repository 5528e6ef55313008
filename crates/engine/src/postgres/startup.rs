//! The start-up options of a connection, and the proof that they are in force.
//!
//! They outrank the settings of roles and databases, and `RESET ALL` returns to them; limits, isolation and the way
//! names resolve rest on them. A pooler in front of the server drops or refuses them, and may hand every message to
//! another backend. So each connection brings a mark of its own as one of the options and reads all of them back: a
//! backend that has the mark was started for this connection.

use std::time::Duration;

use sanderling_core::{ErrorClass, Failure};
use sqlx::postgres::{PgConnectOptions, PgRow};

use super::connect::{Purpose, milliseconds, text};

/// The code of a failure that says that no server of its own answers, but something between.
pub(crate) const POOLER: &str = "pooler";

/// The server ends a session that sits in a transaction for longer: its client is paused or gone.
const IDLE_IN_TRANSACTION: &str = "30s";

/// How often the server looks whether the client is still there while a statement runs.
const CLIENT_CHECK: &str = "2s";

/// The mark's setting; PostgreSQL takes any name with a dot in it.
const MARK: &str = "sanderling.connection";

/// What one connection asks for at its start, and expects to find in force.
pub(super) struct Startup(Vec<(&'static str, String)>);

impl Startup {
    /// The options for a purpose, with a mark that no other connection has. The server ends a session that nobody spoke to
    /// for longer than `silence`: its client, which closes idle ones much sooner, is frozen or cut off, and the place in
    /// the host's budget is wanted by others.
    pub(super) fn new(purpose: &Purpose, silence: Duration) -> Self {
        let (read_only, lock_ms, statement_ms) = match purpose {
            Purpose::Look => ("on", 5_000, 60_000),
            Purpose::Change {
                lock_timeout_ms,
                statement_timeout_ms,
            } => ("off", *lock_timeout_ms, *statement_timeout_ms),
        };
        let fixed = [
            ("default_transaction_isolation", "read committed"),
            ("default_transaction_deferrable", "off"),
            ("default_transaction_read_only", read_only),
            ("standard_conforming_strings", "on"),
            ("TimeZone", "UTC"),
            // What is sent outside a guard must not meet anybody's names, nor run anybody's policies.
            ("search_path", "pg_catalog,pg_temp"),
            ("row_security", "off"),
            ("client_min_messages", "warning"),
            ("idle_in_transaction_session_timeout", IDLE_IN_TRANSACTION),
            ("client_connection_check_interval", CLIENT_CHECK),
        ];
        // Zero would be no limit at all.
        let silence_ms = u64::try_from(silence.as_millis())
            .unwrap_or(u64::MAX)
            .max(1);
        let mark = format!("{:032x}", rand::random::<u128>());
        let mut options = vec![
            (MARK, mark),
            ("lock_timeout", milliseconds(lock_ms)),
            ("statement_timeout", milliseconds(statement_ms)),
            ("idle_session_timeout", milliseconds(silence_ms)),
        ];
        options.extend(fixed.map(|(name, value)| (name, value.to_owned())));
        Self(options)
    }

    /// Adds them to what the URL says.
    pub(super) fn options(&self, options: PgConnectOptions) -> PgConnectOptions {
        options.options(self.0.iter().map(|(name, value)| (*name, value.as_str())))
    }

    /// Columns of text that say what is in force, in their order.
    pub(super) fn columns(&self) -> String {
        let column =
            |(name, _): &(&str, String)| format!("pg_catalog.current_setting('{name}', true)");
        self.0.iter().map(column).collect::<Vec<_>>().join(", ")
    }

    /// Compares what the columns from `first` on say with what was asked for.
    ///
    /// # Errors
    /// With the first option that is not in force.
    pub(super) fn in_force(&self, row: &PgRow, first: usize) -> Result<(), String> {
        for (at, (name, wanted)) in self.0.iter().enumerate() {
            let found = text(row, first + at);
            let same = match (*name, &found) {
                // The server shows a limit in the largest unit that it is a whole number of.
                ("lock_timeout" | "statement_timeout" | "idle_session_timeout", Some(found)) => {
                    in_milliseconds(found) == in_milliseconds(wanted)
                }
                (_, found) => found.as_ref() == Some(wanted),
            };
            if !same {
                return Err(match (*name, found) {
                    (MARK, _) => "none of our start-up options is in force".to_owned(),
                    (name, found) => format!(
                        "{name} is {}, not {wanted} as was asked for at start-up",
                        found.as_deref().unwrap_or("unknown")
                    ),
                });
            }
        }
        Ok(())
    }
}

/// A duration as the server shows one; without a unit it counts milliseconds.
fn in_milliseconds(shown: &str) -> Option<u64> {
    let digits = shown.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = shown.split_at(digits);
    let unit = match unit {
        "" | "ms" => 1,
        "s" => 1_000,
        "min" => 60_000,
        "h" => 3_600_000,
        "d" => 86_400_000,
        _ => return None,
    };
    number.parse::<u64>().ok()?.checked_mul(unit)
}

/// What is said where something other than a server of its own answers. `key` names the setting that was used.
pub(super) fn pooler(host: &str, key: &str, why: &str) -> Failure {
    let way = if key == "direct_url" {
        "direct_url has to lead to the server itself".to_owned()
    } else {
        format!("set hosts.{host}.direct_url to the URL of the server itself")
    };
    Failure::new(
        ErrorClass::Precondition,
        POOLER,
        format!(
            "{why}: a pooler such as PgBouncer stands between, and limits, isolation and locks cannot be kept through \
             one; {way}"
        ),
    )
}

/// Whether a refused start-up is a pooler's word. PostgreSQL takes the options, words these things otherwise, and finds
/// no fault (08P01) with how we speak; PgBouncer says so whatever ails it.
pub(super) fn is_poolers(failure: &Failure) -> bool {
    let said = |said: &&str| failure.message.contains(said);
    failure.cause.code == "08P01"
        || [
            "unsupported startup parameter",
            "command-line options",
            "no such database:",
        ]
        .iter()
        .any(said)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_are_compared_by_their_length() {
        for (shown, ms) in [
            ("0", Some(0)),
            ("0ms", Some(0)),
            ("1500ms", Some(1_500)),
            ("2s", Some(2_000)),
            ("1min", Some(60_000)),
            ("24d", Some(2_073_600_000)),
            ("2x", None),
            ("", None),
        ] {
            assert_eq!(in_milliseconds(shown), ms, "{shown}");
        }
    }
}
