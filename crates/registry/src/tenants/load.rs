//! Reads every tenant file and checks the fleet as a whole.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use sanderling_core::{HostName, Tenant};

use super::check::{self, HostKind};
use super::reach::ImplicitHost;
use super::row::{At, Row};
use super::{delimited, files, list, twins};
use crate::problem::{Problems, RegistryError};

/// A fleet's tenants.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tenants {
    /// Every tenant, in the order of files and rows.
    pub tenants: Vec<Tenant>,
    /// Hosts that tenants bring along, by name, each once.
    pub hosts: Vec<ImplicitHost>,
    /// What looked odd but is legal, one sentence each.
    pub notes: Vec<String>,
}

/// Reads the tenant files that `patterns` name (globs; relative ones are below `base`) and checks all of them:
/// ids, hosts, names, and that no id and no place occurs twice.
///
/// # Errors
/// Everything that is wrong, each with file and line, in one error.
pub fn load(
    base: &Path,
    patterns: &[String],
    hosts: &BTreeSet<HostName>,
) -> Result<Tenants, RegistryError> {
    let kinds = hosts
        .iter()
        .map(|h| (h.clone(), HostKind::Unknown))
        .collect();
    load_for(base, patterns, &kinds)
}

/// Like [`load`], and knows what kind of place each host has: a row that cannot fit its host is refused, and a
/// `database` that only repeats the host's own is recognised as the same place.
///
/// # Errors
/// As [`load`].
pub fn load_for(
    base: &Path,
    patterns: &[String],
    hosts: &BTreeMap<HostName, HostKind>,
) -> Result<Tenants, RegistryError> {
    let mut problems = Problems::default();
    if patterns.is_empty() {
        problems.add(
            "",
            None,
            "no tenant files are configured; set `tenants = [\"tenants/*.yaml\"]` under [fleet]",
        );
    }
    let paths = files::find(base, patterns, &mut problems);
    let mut sink = Sink {
        paths,
        file: 0,
        hosts,
        problems,
        notes: Vec::new(),
        tenants: Vec::new(),
        places: Vec::new(),
        implicit: BTreeMap::new(),
    };
    for index in 0..sink.paths.len() {
        sink.file = u32::try_from(index).unwrap_or(u32::MAX);
        let before = sink.rows_seen();
        read(&sink.paths[index].clone(), &mut sink);
        if sink.rows_seen() == before {
            let at = sink.at(0, 0);
            sink.note(at, "has no tenants");
        }
    }
    twins::find(&mut sink);
    let Sink {
        problems,
        notes,
        tenants,
        implicit,
        ..
    } = sink;
    let hosts = implicit.into_values().map(|(host, _)| host).collect();
    problems.into_result(notes, |notes| Tenants {
        tenants,
        hosts,
        notes,
    })
}

fn read(path: &Path, sink: &mut Sink<'_>) {
    match path.extension().and_then(|e| e.to_str()) {
        Some("csv") => delimited::read(path, sink),
        Some("yaml" | "yml" | "json") => list::read(path, sink),
        _ => sink.file_problem("is not a tenant file: .csv, .yaml, .yml and .json are; narrow the pattern in `tenants`"),
    }
}

/// Takes rows from the readers; keeps good ones as tenants and bad ones as problems.
pub(super) struct Sink<'a> {
    paths: Vec<PathBuf>,
    file: u32,
    pub(super) hosts: &'a BTreeMap<HostName, HostKind>,
    pub(super) problems: Problems,
    notes: Vec<String>,
    pub(super) tenants: Vec<Tenant>,
    /// Where each tenant of `tenants` stands.
    pub(super) places: Vec<At>,
    /// Hosts that rows bring along, each with the index of the first tenant there.
    pub(super) implicit: BTreeMap<HostName, (ImplicitHost, usize)>,
}

impl Sink<'_> {
    /// A position in the file that is being read.
    pub(super) fn at(&self, line: u64, column: u64) -> At {
        let narrow = |n: u64| u32::try_from(n).unwrap_or(u32::MAX);
        At {
            file: self.file,
            line: narrow(line),
            column: narrow(column),
        }
    }

    /// `file:line:column`, as far as it is known.
    pub(super) fn show(&self, at: At) -> String {
        let mut text = self.paths[at.file as usize].display().to_string();
        for number in [at.line, at.column].into_iter().take_while(|n| *n > 0) {
            text.push_str(&format!(":{number}"));
        }
        text
    }

    /// Something wrong at a place.
    pub(super) fn problem(&mut self, at: At, tenant: Option<&str>, message: impl Into<String>) {
        let at = self.show(at);
        self.problems.add(at, tenant, message);
    }

    /// Something wrong with the file as a whole.
    pub(super) fn file_problem(&mut self, message: impl Into<String>) {
        let at = self.at(0, 0);
        self.problem(at, None, message);
    }

    /// Something odd at a place.
    pub(super) fn note(&mut self, at: At, message: impl AsRef<str>) {
        let note = format!("{}: {}", self.show(at), message.as_ref());
        self.notes.push(note);
    }

    /// One row, checked by itself.
    pub(super) fn row(&mut self, row: Row) {
        let at = row.at;
        let id = row.id.clone();
        match check::tenant(row, self.hosts) {
            Ok((tenant, implicit)) => {
                if let Some(other) = implicit.and_then(|host| self.another_way(host)) {
                    return self.problem(at, id.as_deref(), other);
                }
                self.tenants.push(tenant);
                self.places.push(at);
            }
            Err(messages) => {
                for message in messages {
                    self.problem(at, id.as_deref(), message);
                }
            }
        }
    }

    /// Keeps a host that a row brings along; what is wrong where another row reaches it by another URL.
    fn another_way(&mut self, host: ImplicitHost) -> Option<String> {
        let index = self.tenants.len();
        let name = host.name.clone();
        let (known, first) = self
            .implicit
            .entry(host.name.clone())
            .or_insert_with(|| (host.clone(), index));
        if *known == host {
            return None;
        }
        let first = *first;
        Some(format!(
            "reaches {name} by another url (user, password or parameters) than tenant {:?} at {}; a server is one host with              one login: make the urls alike but for the database, or define hosts under [hosts.<name>]",
            self.tenants[first].id.as_str(),
            self.show(self.places[first])
        ))
    }

    fn rows_seen(&self) -> usize {
        self.tenants.len() + self.problems.count()
    }
}
