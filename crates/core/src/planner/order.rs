//! The order of tenants: the same in every run, on every machine.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use sha2::{Digest, Sha256};

use super::{Assessed, PlanError, PlanInput};
use crate::assess::Assessment;
use crate::plan::Path;
use crate::tenant::Tenant;
use crate::waves::HOST;

/// The label that puts tenants first.
const PRIORITY: &str = "priority";

/// A tenant that has something to apply.
#[derive(Clone, Debug)]
pub(super) struct Member<'a> {
    /// The tenant.
    pub(super) tenant: &'a Tenant,
    /// What it has to apply.
    pub(super) path: Path,
    /// Whether its ledger table is there.
    pub(super) has_ledger: bool,
    /// Whether its place is to be created.
    pub(super) missing: bool,
    /// What was found out about it.
    traits: &'a BTreeMap<String, String>,
}

impl<'a> Member<'a> {
    /// Its value of a key of coverage: what was found out, else its host, else a label.
    pub(super) fn value(&self, key: &str) -> Option<&'a str> {
        let tenant: &'a Tenant = self.tenant;
        match self.traits.get(key) {
            Some(value) => Some(value),
            None if key == HOST => Some(tenant.place.host.as_str()),
            None => tenant.labels.get(key).map(String::as_str),
        }
    }
}

/// Highest priority, smallest size (unknown last), hash.
type Rank = (Reverse<i64>, (bool, u64), [u8; 32]);

/// The tenants that have something to apply, in order.
pub(super) fn sorted<'a>(input: &PlanInput<'a>) -> Result<Vec<Member<'a>>, PlanError> {
    let mut ranked: Vec<(Rank, Member<'a>)> = Vec::new();
    for Assessed {
        tenant,
        assessment,
        traits,
    } in input.tenants
    {
        if let Assessment::Pending {
            from,
            versions,
            has_ledger,
            missing,
        } = assessment
        {
            let member = Member {
                tenant,
                path: Path {
                    from: from.clone(),
                    versions: versions.clone(),
                },
                has_ledger: *has_ledger,
                missing: *missing,
                traits,
            };
            ranked.push((rank(input.fleet, tenant)?, member));
        }
    }
    ranked.sort_by(|(a, m), (b, n)| a.cmp(b).then_with(|| m.tenant.id.cmp(&n.tenant.id)));
    Ok(ranked.into_iter().map(|(_, member)| member).collect())
}

fn rank(fleet: &str, tenant: &Tenant) -> Result<Rank, PlanError> {
    let priority = match tenant.labels.get(PRIORITY) {
        None => 0,
        Some(value) => value.trim().parse().map_err(|_| PlanError::Priority {
            tenant: tenant.id.clone(),
            value: value.clone(),
        })?,
    };
    let mut hasher = Sha256::new();
    for part in ["sanderling order 1", fleet, tenant.id.as_str()] {
        hasher.update((part.len() as u64).to_be_bytes());
        hasher.update(part.as_bytes());
    }
    let size = (tenant.size.is_none(), tenant.size.unwrap_or(0));
    Ok((Reverse(priority), size, hasher.finalize().into()))
}
