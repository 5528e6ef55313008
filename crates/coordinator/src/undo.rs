//! Whether everything that a plan takes back has a way back.

use std::collections::BTreeMap;

use sanderling_core::assess::Assessment;
use sanderling_core::planner::Assessed;
use sanderling_core::{TenantId, Version};
use sanderling_sql::{Diagnostic, Dialect};

use crate::fleet::Fleet;
use crate::refusal::{PlanningError, count, examples};

/// Refuses the whole plan where a version that is to be taken back has no way back: all such versions at once, each with
/// the place in its file and the tenants that have it.
pub(crate) fn check(fleet: &Fleet, assessed: &[Assessed]) -> Result<(), PlanningError> {
    let mut having: BTreeMap<&Version, Vec<&Assessed>> = BTreeMap::new();
    for one in assessed {
        if let Assessment::Pending { versions, .. } = &one.assessment {
            for version in versions {
                having.entry(version).or_default().push(one);
            }
        }
    }
    let mut problems = Vec::new();
    for (version, tenants) in having.into_iter().rev() {
        if let Some(why) = no_way_back(fleet, version, &tenants) {
            let tenants: Vec<&TenantId> = tenants.iter().map(|one| &one.tenant.id).collect();
            problems.push(sentence(&why, &tenants));
        }
    }
    match problems.is_empty() {
        true => Ok(()),
        false => Err(PlanningError::NoWayBack(problems.join("\n"))),
    }
}

/// What any of the tenants' engines says against taking the version back.
fn no_way_back(fleet: &Fleet, version: &Version, tenants: &[&Assessed]) -> Option<Diagnostic> {
    let files = &fleet.migrations.files;
    let migration = files.iter().find(|m| m.version == version.as_str())?;
    [Dialect::Postgres, Dialect::Sqlite]
        .into_iter()
        .filter(|dialect| {
            let on = |one: &&Assessed| fleet.hosts.dialect(&one.tenant.place.host).ok();
            tenants.iter().any(|one| on(one) == Some(*dialect))
        })
        .find_map(|dialect| migration.undo(dialect).err())
}

fn sentence(why: &Diagnostic, tenants: &[&TenantId]) -> String {
    let Diagnostic {
        file,
        line,
        column,
        message,
        hint,
    } = why;
    let mut text = format!(
        "{file}:{line}:{column}: {message}; {} at or above it (for example {})",
        count(tenants),
        examples(tenants)
    );
    if let Some(hint) = hint {
        text.push_str(&format!("\n  hint: {hint}"));
    }
    text
}
