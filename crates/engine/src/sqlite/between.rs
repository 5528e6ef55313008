//! What separates two versions that share one connection (`atomic = "tenant"`): nothing that the first left in it
//! may stand in the way of the second.

use sanderling_core::{ErrorClass, Failure};
use sanderling_sql::Dialect;
use sanderling_sql::quote::ident;
use sqlx::SqliteConnection;

use super::errors::{failure_of, is_answer};
use crate::port::Step;
use crate::send;

/// Switches of a connection that change what statements mean, as they are when it opens.
const SWITCHES: &str = "PRAGMA ignore_check_constraints = OFF; PRAGMA recursive_triggers = OFF; \
     PRAGMA legacy_alter_table = OFF; PRAGMA case_sensitive_like = OFF; PRAGMA reverse_unordered_selects = OFF; \
     PRAGMA writable_schema = OFF; PRAGMA query_only = OFF; PRAGMA trusted_schema = ON";

/// Temporary objects, triggers first: a trigger may stand on a table of the file.
const TEMPORARY: &str = "SELECT CAST(type AS TEXT), CAST(name AS TEXT) FROM temp.sqlite_schema \
     WHERE type IN ('trigger', 'view', 'table') AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\' \
     ORDER BY type = 'table', type = 'view'";

const ATTACHED: &str =
    "SELECT CAST(name AS TEXT) FROM pragma_database_list WHERE name NOT IN ('main', 'temp')";

/// Whether a version's statements may leave anything in their connection. SQLite writes no keyword in another way, and
/// whatever outlives a statement takes one of these words; to find one in a literal costs a look, no more.
pub(super) fn may_leave(step: &Step<'_>) -> bool {
    step.statements.iter().any(|statement| {
        let text = statement.text.to_ascii_lowercase();
        ["pragma", "attach", "temp"]
            .iter()
            .any(|word| text.contains(word))
    })
}

/// Clears the connection; the failure is the former version's.
pub(super) async fn clear(
    connection: &mut SqliteConnection,
) -> Result<Option<Failure>, sqlx::Error> {
    sqlx::raw_sql(SWITCHES).execute(&mut *connection).await?;
    let temporary: Vec<(String, String)> = sqlx::query_as(TEMPORARY)
        .fetch_all(&mut *connection)
        .await?;
    for (kind, name) in temporary {
        let Some(name) = quoted(&name) else { continue };
        // A virtual table takes its shadow tables along.
        let drop = format!("DROP {kind} IF EXISTS temp.{name}");
        send::message(drop).execute(&mut *connection).await?;
    }
    let attached: Vec<String> = sqlx::query_scalar(ATTACHED)
        .fetch_all(&mut *connection)
        .await?;
    for name in attached {
        let Some(quoted) = quoted(&name) else {
            continue;
        };
        let detached = send::message(format!("DETACH {quoted}"))
            .execute(&mut *connection)
            .await;
        match detached {
            Ok(_) => {}
            Err(error) if is_answer(&error) => {
                return Ok(Some(Failure::new(
                    ErrorClass::MigrationSql,
                    "attached",
                    format!(
                        "the migration attached {name}, which cannot be detached before the next version ({}); run it \
                         with atomic = \"version\"",
                        failure_of(&error).message
                    ),
                )));
            }
            Err(error) => return Err(error),
        }
    }
    Ok(None)
}

/// A name that cannot be quoted cannot have been made either.
fn quoted(name: &str) -> Option<String> {
    ident(Dialect::Sqlite, name)
        .ok()
        .map(|name| name.to_string())
}
