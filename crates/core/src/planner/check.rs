//! What must hold of the input before anything is placed.

use std::collections::{BTreeMap, BTreeSet};

use super::{Assessed, PlanError, PlanInput};
use crate::assess::{Assessment, list};

/// Checks tenants, hosts and numbers.
pub(super) fn check(input: &PlanInput<'_>) -> Result<(), PlanError> {
    if input.policy.concurrency == 0 {
        return Err(PlanError::NothingStarts("the rollout's concurrency".into()));
    }
    let mut ids = BTreeSet::new();
    let mut places = BTreeMap::new();
    for Assessed { tenant, .. } in input.tenants {
        if !ids.insert(&tenant.id) {
            return Err(PlanError::Duplicate(tenant.id.clone()));
        }
        if let Some(first) = places.insert(&tenant.place, &tenant.id) {
            return Err(PlanError::SharedPlace {
                first: first.clone(),
                second: tenant.id.clone(),
                place: tenant.place.to_string(),
            });
        }
        let host = &tenant.place.host;
        match input.hosts.get(host) {
            None => {
                return Err(PlanError::UnknownHost {
                    tenant: tenant.id.clone(),
                    host: host.clone(),
                });
            }
            Some(0) => {
                return Err(PlanError::NothingStarts(format!(
                    "the number of connections of host {host}"
                )));
            }
            Some(_) => {}
        }
    }
    refused(input.tenants)?;
    paths(input)
}

/// Tenants whose ledger refuses the whole plan.
fn refused(tenants: &[Assessed]) -> Result<(), PlanError> {
    let mut refusing = tenants
        .iter()
        .filter_map(|t| Some((&t.tenant.id, problem(&t.assessment)?)));
    match refusing.next() {
        None => Ok(()),
        Some((tenant, problem)) => Err(PlanError::Refused {
            tenant: tenant.clone(),
            problem,
            tenants: 1 + refusing.count() as u64,
        }),
    }
}

fn problem(assessment: &Assessment) -> Option<String> {
    match assessment {
        Assessment::Edited { version, .. } => Some(format!(
            "version {version} was applied from another text than the bundle has"
        )),
        Assessment::Foreign { versions } => Some(format!(
            "{} in effect there, and the bundle does not have what takes that back",
            list(versions)
        )),
        Assessment::OutOfOrder { versions, newest } => Some(format!(
            "{} came after {newest} had been applied",
            list(versions)
        )),
        _ => None,
    }
}

/// Every version to be applied or taken back is one of the bundle's, and none is beyond the target.
fn paths(input: &PlanInput<'_>) -> Result<(), PlanError> {
    let known: BTreeSet<_> = input
        .versions
        .iter()
        .filter(|v| (*v <= input.target) == input.direction.is_up())
        .collect();
    for Assessed {
        tenant, assessment, ..
    } in input.tenants
    {
        if let Assessment::Pending { versions, .. } = assessment
            && let Some(version) = versions.iter().find(|v| !known.contains(v))
        {
            return Err(PlanError::ForeignVersion {
                tenant: tenant.id.clone(),
                version: version.clone(),
            });
        }
    }
    Ok(())
}
