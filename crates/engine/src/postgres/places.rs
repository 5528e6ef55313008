//! Whether a place is there, and making it where that is allowed.

use sanderling_core::{ErrorClass, Failure};

use super::connect::{Connection, Key, Purpose};
use super::connections::Connections;
use super::errors::{MISSING, ServerError, Trouble};
use super::names::{Schema, ident};
use super::role::Role;

/// The limits under which a database is made: copying files takes the server a moment.
const MAKING: Purpose = Purpose::Change {
    lock_timeout_ms: 5_000,
    statement_timeout_ms: 60_000,
};

/// Two claims made one place at the same time: duplicate schema, duplicate database, or the unique index of either.
const MADE_MEANWHILE: [&str; 3] = ["42P06", "42P04", "23505"];

/// Whether a schema is there, whoever may use it.
pub(super) async fn exists(connection: &mut Connection, schema: &Schema) -> Result<bool, Trouble> {
    let rows = connection.rows(schema.exists()).await?;
    Ok(!rows.is_empty())
}

/// What is said of a schema that is not there and may not be made.
pub(super) fn missing(schema: &Schema) -> Failure {
    Failure::new(
        ErrorClass::Precondition,
        MISSING,
        format!(
            "schema {} is missing; create it, or set fleet.create_missing",
            schema.name
        ),
    )
}

/// Makes a schema that is not there, for the role that its migrations run as.
pub(super) async fn make_schema(
    connection: &mut Connection,
    schema: &Schema,
    role: Option<&Role>,
) -> Result<(), Trouble> {
    // Asked first: CREATE SCHEMA IF NOT EXISTS needs the right to create even where there is nothing to create.
    if exists(connection, schema).await? {
        return Ok(());
    }
    let owner = role.map_or_else(String::new, |role| format!(" AUTHORIZATION {}", role.ident));
    let create = format!("CREATE SCHEMA IF NOT EXISTS {}{owner}", schema.ident);
    made(connection.rows(create).await.map(drop))
}

/// Makes a database, for the role that its migrations run as, that the server says is not there, from the database of the host's own URL.
///
/// From `template0`: a tenant's database holds what its migrations make and nothing that somebody left in `template1`
/// (tables, a ledger, a fence); and nobody can be connected to it, which would make the server refuse.
pub(super) async fn make_database(
    connections: &Connections,
    name: &str,
    role: Option<&Role>,
) -> Result<(), Failure> {
    let owner = role.map_or_else(String::new, |role| format!(" OWNER {}", role.ident));
    let create = format!("CREATE DATABASE {} TEMPLATE template0{owner}", ident(name)?);
    let from = Key {
        database: None,
        purpose: MAKING,
    };
    let mut connection = connections.visit(&from).await.map_err(|mut failure| {
        failure.message = format!(
            "database {name} is missing and is to be made from the database of the host's url: {}",
            failure.message
        );
        failure
    })?;
    let made = made(connection.rows(create).await.map(drop));
    let login = connection.login.clone();
    connection.close().await;
    made.map_err(|trouble| {
        let mut failure = why(&trouble, role, &login);
        failure.message = format!("database {name} cannot be made: {}", failure.message);
        match failure.cause.code.as_str() {
            "42501" => failure.message += "; ALTER ROLE … CREATEDB, or make it yourself",
            // Somebody is connected to the template, as a backup or a vacuum may be for a moment.
            "55006" => failure.cause.class = ErrorClass::Resource,
            _ => {}
        }
        connections.named(failure)
    })
}

/// What the server said about making something, with what the role needs where it is about the role.
pub(super) fn why(trouble: &Trouble, role: Option<&Role>, login: &str) -> Failure {
    match (trouble, role) {
        // The right to make anything at all is told from the right to make it for somebody by the name in it.
        (Trouble::Server(error), Some(role)) if error.message.contains(&role.name) => {
            role.failure(error, login)
        }
        _ => trouble.failure(),
    }
}

/// What somebody else made at the same moment is there.
fn made(result: Result<(), Trouble>) -> Result<(), Trouble> {
    match result {
        Err(Trouble::Server(ServerError { code, .. })) if MADE_MEANWHILE.contains(&&*code) => {
            Ok(())
        }
        result => result,
    }
}
