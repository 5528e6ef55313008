//! `plan --sql`: what would be sent to tenants, one text for each path and dialect.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::anyhow;
use sanderling_coordinator::{Fleet, Planned};
use sanderling_core::Version;
use sanderling_sql::{Dialect, Migration};
use serde::Serialize;

use crate::render;
use crate::wiring::Wiring;

/// One text.
#[derive(Debug, Serialize)]
struct Text {
    from: Option<Version>,
    to: Version,
    dialect: String,
    tenants: u64,
    versions: Vec<Version>,
    sql: String,
}

/// Prints the texts. Sanderling's own statements (guard, fence, ledger) are not among them.
pub(super) fn show(wiring: &Wiring, fleet: &Fleet, planned: &Planned) -> anyhow::Result<()> {
    let texts = texts(fleet, planned)?;
    wiring.printer.json(&texts)?;
    let mut out = String::new();
    for text in &texts {
        let from = text.from.as_ref().map_or("nothing", |from| from.as_str());
        out.push_str(&format!(
            "-- {}: {from} → {} ({})\n{}",
            render::tenants(text.tenants),
            text.to,
            text.dialect,
            text.sql
        ));
    }
    if texts.is_empty() {
        out.push_str("-- nothing to do\n");
    }
    wiring.printer.result(&out);
    Ok(())
}

fn texts(fleet: &Fleet, planned: &Planned) -> anyhow::Result<Vec<Text>> {
    let mut counts: BTreeMap<(usize, String), (Dialect, u64)> = BTreeMap::new();
    let mut dialects = BTreeMap::new();
    for host in planned.plan.targets.iter().map(|t| &t.place.host) {
        if !dialects.contains_key(host) {
            dialects.insert(host.clone(), fleet.hosts.dialect(host)?);
        }
    }
    for target in &planned.plan.targets {
        let dialect = dialects[&target.place.host];
        let entry = counts.entry((target.path, dialect.to_string()));
        entry.or_insert((dialect, 0)).1 += 1;
    }
    counts
        .into_iter()
        .map(|((path, name), (dialect, tenants))| {
            let path = &planned.plan.paths[path];
            Ok(Text {
                from: path.from.clone(),
                to: path
                    .versions
                    .last()
                    .cloned()
                    .unwrap_or_else(|| planned.plan.target.clone()),
                dialect: name,
                tenants,
                versions: path.versions.clone(),
                sql: sql(fleet, &path.versions, dialect)?,
            })
        })
        .collect()
}

/// The statements of these versions in order, each version under its file's name.
fn sql(fleet: &Fleet, versions: &[Version], dialect: Dialect) -> anyhow::Result<String> {
    let wanted: BTreeSet<&str> = versions.iter().map(Version::as_str).collect();
    let mut out = String::new();
    let migrations = fleet.migrations.files.iter();
    for migration in migrations.filter(|m| wanted.contains(m.version.as_str())) {
        out.push_str(&format!("-- {}{}\n", migration.file, apart(migration)));
        let statements = migration.statements(dialect).map_err(|problems| {
            anyhow!(
                "{}",
                problems
                    .iter()
                    .map(ToString::to_string)
                    .collect::<Vec<_>>()
                    .join("\n")
            )
        })?;
        for statement in statements {
            out.push_str(&format!("{};\n", statement.text));
        }
    }
    Ok(out)
}

fn apart(migration: &Migration) -> &'static str {
    if migration.header.transaction {
        ""
    } else {
        " (transaction=off: statement by statement, each by itself)"
    }
}
