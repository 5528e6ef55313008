//! How a tenant's server is reached: by a host of the settings, by one that is made from such a host's template, or by
//! the row's own URL. The latter two are implicit: they stand in no configuration, and each has a budget of its own.

use std::collections::BTreeMap;

use sanderling_core::HostName;

use super::check::HostKind;
use super::row::Row;
use crate::nearest::nearest;
use crate::server_url::ServerUrl;
use crate::url_template::UrlTemplate;

/// A host that the registry makes. Its URL is as written: references in it are not resolved.
#[derive(Clone, PartialEq, Eq)]
pub struct ImplicitHost {
    /// `HOST:PORT`, or `ALIAS@HOST:PORT` where it was made from the template of `[hosts.ALIAS]`.
    pub name: HostName,
    /// `postgres://…`; it holds no password of its own.
    pub url: String,
    /// The host whose template it was made from; role, search path and budget are that one's.
    pub of: Option<HostName>,
    /// `HOST:PORT` in one spelling.
    pub(super) address: String,
}

impl std::fmt::Debug for ImplicitHost {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "ImplicitHost({})", self.name)
    }
}

/// What a row's host is.
#[derive(Default)]
pub(super) struct Reached {
    pub(super) host: Option<HostName>,
    pub(super) kind: Option<HostKind>,
    pub(super) implicit: Option<ImplicitHost>,
}

/// Finds the host of a row, and its database where the URL names it; says what is wrong.
pub(super) fn reach(
    row: &mut Row,
    hosts: &BTreeMap<HostName, HostKind>,
    wrong: &mut Vec<String>,
) -> Reached {
    match (row.host.take(), row.url.take()) {
        (Some(_), Some(_)) => {
            wrong.push(
                "has both `host` and `url`; a tenant is reached one way: remove one".to_owned(),
            );
            Reached::default()
        }
        (None, None) => {
            wrong.push("has no `host` and no `url`".to_owned());
            Reached::default()
        }
        (None, Some(url)) => match by_url(&url, row) {
            Ok(reached) => reached,
            Err(why) => {
                wrong.push(why);
                Reached::default()
            }
        },
        (Some(host), None) => by_name(HostName::new(host), row, hosts, wrong),
    }
}

fn by_name(
    host: HostName,
    row: &mut Row,
    hosts: &BTreeMap<HostName, HostKind>,
    wrong: &mut Vec<String>,
) -> Reached {
    match hosts.get(&host) {
        None => {
            wrong.push(unknown_host(&host, hosts));
            Reached::default()
        }
        Some(HostKind::Template(template)) => match by_template(&host, template, row) {
            Ok(reached) => reached,
            Err(why) => {
                wrong.extend(why);
                Reached::default()
            }
        },
        Some(kind) => Reached {
            kind: Some(kind.clone()),
            host: Some(host),
            implicit: None,
        },
    }
}

/// The row's own URL. Its server is the host; its database is the tenant's, unless the row names another.
fn by_url(text: &str, row: &mut Row) -> Result<Reached, String> {
    if row.file.is_some() {
        return Err(
            "has both `url` and `file`: a file is below a host that is a directory; name that in `host`"
                .to_owned(),
        );
    }
    let url = ServerUrl::parse(text).map_err(|why| format!("its `url` {why}"))?;
    if url.has_password() {
        return Err(
            "its `url` holds a password as it is: write a reference in its place, as in \
             postgres://app:${ACME_PASSWORD}@db:5432/acme, and set that variable where Sanderling and its workers run; \
             it is resolved where it is used and never stored"
                .to_owned(),
        );
    }
    if url.address().contains("${") {
        return Err(
            "its `url` has a reference where the server's name or port stands: write those out, for the host is called \
             by them and budgets count by them"
                .to_owned(),
        );
    }
    name_database(url.database(), row)?;
    if row.database.is_none() {
        return Err(
            "its `url` names no database: add it, as in …/acme, or as `database`".to_owned(),
        );
    }
    let name = HostName::new(url.address());
    Ok(implicit(name, url.of_the_server(), None, &url))
}

/// What a template's URL is for the row.
fn by_template(
    alias: &HostName,
    template: &UrlTemplate,
    row: &mut Row,
) -> Result<Reached, Vec<String>> {
    let text = template.render(&row.labels, row.database.as_deref())?;
    let in_url = |why: String| vec![format!("the url of host {alias}, rendered for it, {why}")];
    let url = ServerUrl::parse(&text).map_err(in_url)?;
    name_database(url.database(), row).map_err(|why| vec![why])?;
    let name = HostName::new(format!("{alias}@{}", url.address()));
    Ok(implicit(
        name,
        url.of_the_server(),
        Some(alias.clone()),
        &url,
    ))
}

fn name_database(in_url: Option<&str>, row: &mut Row) -> Result<(), String> {
    match (in_url, &row.database) {
        (Some(database), _) if database.contains("${") => Err(
            "its url has a reference where the database's name stands: write it out, for it tells places apart".to_owned(),
        ),
        (Some(database), None) => {
            row.database = Some(database.to_owned());
            Ok(())
        }
        _ => Ok(()),
    }
}

fn implicit(name: HostName, url: String, of: Option<HostName>, parsed: &ServerUrl) -> Reached {
    let address = parsed.address().to_owned();
    Reached {
        host: Some(name.clone()),
        kind: Some(HostKind::Server {
            database: None,
            address: Some(address.clone()),
        }),
        implicit: Some(ImplicitHost {
            name,
            url,
            of,
            address,
        }),
    }
}

fn unknown_host(host: &HostName, hosts: &BTreeMap<HostName, HostKind>) -> String {
    let host = host.as_str();
    match nearest(host, hosts.keys().map(HostName::as_str)) {
        Some(known) => format!("unknown host {host:?}; did you mean {known:?}?"),
        None if hosts.is_empty() => {
            format!("unknown host {host:?}; no [hosts.<name>] is configured")
        }
        None => format!("unknown host {host:?}; add [hosts.<name>] for it to sanderling.toml"),
    }
}
