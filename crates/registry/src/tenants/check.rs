//! The rules for one tenant.

use std::collections::BTreeMap;

use sanderling_core::{HostName, Place, Tenant, TenantId};

use super::reach::{ImplicitHost, Reached, reach};
use super::row::Row;
use crate::url_template::UrlTemplate;

/// Longest tenant id, in characters.
const ID_CHARS: usize = 128;
/// Longest PostgreSQL name, in bytes; a longer one would be cut silently, and two tenants could become one.
const NAME_BYTES: usize = 63;

/// What kind of places a host has.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum HostKind {
    /// Not told.
    #[default]
    Unknown,
    /// A database server: rows name a schema, a database, or a schema in a database.
    Server {
        /// The database in the host's URL, when it is written there.
        database: Option<String>,
        /// `HOST:PORT` of that URL in one spelling (`ServerUrl::address`), when it is written there.
        address: Option<String>,
    },
    /// A host for each distinct rendering of a URL: its tenants say by their labels and databases which server is theirs.
    Template(UrlTemplate),
    /// A directory of SQLite files: rows name a file.
    Directory,
}

/// The tenant that a row describes, or everything that is wrong with it.
pub(super) fn tenant(
    mut row: Row,
    hosts: &BTreeMap<HostName, HostKind>,
) -> Result<(Tenant, Option<ImplicitHost>), Vec<String>> {
    let mut wrong = Vec::new();
    let id = match row.id.take() {
        Some(id) => {
            wrong.extend(id_refused(&id));
            id
        }
        None => {
            wrong.push("a tenant without `id`".into());
            String::new()
        }
    };
    let by_url = row.url.is_some();
    let Reached {
        host,
        kind,
        implicit,
    } = reach(&mut row, hosts, &mut wrong);
    // A URL that cannot be used says nothing of the place either.
    if host.is_some() || !by_url {
        place_refused(
            &row.database,
            &row.schema,
            &row.file,
            kind.as_ref(),
            &mut wrong,
        );
    }
    let file = row.file.and_then(|file| {
        file_normal(&file)
            .map_err(|message| wrong.push(message))
            .ok()
    });
    let size = row.size.and_then(|text| {
        text.parse::<u64>()
            .map_err(|_| wrong.push(format!("size {text:?} is not a whole number of bytes")))
            .ok()
    });
    let Some(host) = host.filter(|_| wrong.is_empty()) else {
        return Err(wrong);
    };
    let tenant = Tenant {
        id: TenantId::new(id),
        place: Place {
            host,
            database: row.database,
            schema: row.schema,
            file,
        },
        labels: row.labels,
        size,
    };
    Ok((tenant, implicit))
}

fn id_refused(id: &str) -> Option<String> {
    let length = id.chars().count();
    if length > ID_CHARS {
        Some(format!(
            "the id has {length} characters; at most {ID_CHARS} are allowed"
        ))
    } else if id.trim() != id {
        Some("the id begins or ends with a space; remove it".into())
    } else {
        let odd = id.chars().find(|c| !printable(*c))?;
        Some(format!(
            "the id contains the unprintable character U+{:04X}; remove it",
            odd as u32
        ))
    }
}

/// Whether a character shows, and does not change how its neighbours show.
fn printable(c: char) -> bool {
    !c.is_control()
        && !matches!(c,
            '\u{200B}' | '\u{200E}' | '\u{200F}' | '\u{2028}'..='\u{202E}' | '\u{2066}'..='\u{2069}' | '\u{FEFF}')
}

fn place_refused(
    database: &Option<String>,
    schema: &Option<String>,
    file: &Option<String>,
    kind: Option<&HostKind>,
    wrong: &mut Vec<String>,
) {
    match (schema, file) {
        (None, None) if database.is_some() && kind == Some(&HostKind::Directory) => wrong.push(
            "names a `database`, but its host is a directory of SQLite files: name a `file`".into(),
        ),
        (None, None) if database.is_some() => {}
        (None, None) => wrong
            .push("has neither `schema` nor `database` (PostgreSQL) nor `file` (SQLite)".into()),
        (Some(_), Some(_)) => {
            wrong.push("has both `schema` and `file`; a tenant lives in one place".into())
        }
        (Some(_), None) if kind == Some(&HostKind::Directory) => {
            wrong.push(
                "names a `schema`, but its host is a directory of SQLite files: name a `file`"
                    .into(),
            );
        }
        (None, Some(_)) if matches!(kind, Some(HostKind::Server { .. })) => {
            wrong.push("names a `file`, but its host is a database server: name a `schema` or a `database`".into());
        }
        (None, Some(_)) if database.is_some() => {
            wrong.push("has both `database` and `file`; a file has no database".into());
        }
        _ => {}
    }
    wrong.extend(
        database
            .as_ref()
            .and_then(|name| name_refused("database", name).or_else(|| database_reserved(name))),
    );
    if let Some(schema) = schema {
        wrong.extend(name_refused("schema", schema).or_else(|| schema_reserved(schema)));
    }
}

fn name_refused(what: &str, name: &str) -> Option<String> {
    if name.contains('\0') {
        Some(format!("the {what} name contains a NUL character"))
    } else if name.len() > NAME_BYTES {
        Some(format!(
            "the {what} name has {} bytes, and PostgreSQL would cut it to {NAME_BYTES}; choose a shorter one",
            name.len()
        ))
    } else {
        None
    }
}

fn database_reserved(database: &str) -> Option<String> {
    ["template0", "template1"].contains(&database).then(|| {
        format!("database {database:?} is what PostgreSQL makes databases from, not a tenant's")
    })
}

fn schema_reserved(schema: &str) -> Option<String> {
    (schema.starts_with("pg_") || schema == "information_schema" || schema == "sanderling").then(
        || {
            format!(
                "schema {schema:?} belongs to {}, not to a tenant",
                if schema == "sanderling" {
                    "Sanderling"
                } else {
                    "PostgreSQL"
                }
            )
        },
    )
}

/// The file below its host's directory, in one spelling (`./a//b.db` is `a/b.db`).
fn file_normal(file: &str) -> Result<String, String> {
    if file.contains('\0') {
        return Err("the file name contains a NUL character".into());
    }
    if file.starts_with('/') || file.starts_with('\\') || file.get(1..3) == Some(":\\") {
        return Err(format!(
            "file {file:?} must be relative to the host's directory"
        ));
    }
    let parts: Vec<&str> = file
        .split('/')
        .filter(|part| !part.is_empty() && *part != ".")
        .collect();
    if parts.contains(&"..") {
        return Err(format!(
            "file {file:?} leaves the host's directory: remove `..`"
        ));
    }
    if parts.is_empty() || file.ends_with('/') {
        return Err(format!("file {file:?} names a directory"));
    }
    if ["-wal", "-shm", "-journal"]
        .iter()
        .any(|suffix| file.ends_with(suffix))
    {
        return Err(format!(
            "file {file:?} ends like the files that SQLite keeps beside a database; rename it"
        ));
    }
    Ok(parts.join("/"))
}
