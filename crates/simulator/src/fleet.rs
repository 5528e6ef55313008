//! A virtual fleet, planned by `core`'s own planner.

use std::collections::BTreeMap;

use sanderling_core::assess::Assessment;
use sanderling_core::plan::Plan;
use sanderling_core::planner::{Assessed, PlanError, PlanInput, plan, planned_size};
use sanderling_core::policy::Policy;
use sanderling_core::waves::WaveSpec;
use sanderling_core::{BundleHash, Direction, HostName, Place, Tenant, TenantId, Version};

/// The outline of a fleet: tenants dealt out evenly over hosts, none of which has any of the versions.
#[derive(Clone, Debug)]
pub struct Shape {
    /// How many tenants.
    pub tenants: u32,
    /// How many hosts.
    pub hosts: u32,
    /// Connections of each host.
    pub budget: u32,
    /// How many versions each tenant has to apply.
    pub versions: u32,
}

impl Shape {
    /// The budget of each host.
    pub fn budgets(&self) -> BTreeMap<HostName, u32> {
        (0..self.hosts).map(|n| (host(n), self.budget)).collect()
    }

    /// How many tenants the plan puts into waves: what percentages of a policy are of.
    pub fn planned_size(&self) -> u64 {
        planned_size(&self.assessed())
    }

    /// The plan of a rollout over this fleet.
    ///
    /// # Errors
    /// As the planner's: waves or hosts that cannot be planned with.
    pub fn plan(&self, waves: &[WaveSpec], policy: &Policy) -> Result<Plan, PlanError> {
        let versions = self.versions();
        let none = Version::new("0");
        plan(&PlanInput {
            fleet: "simulated",
            bundle: &BundleHash::new("simulated"),
            target: versions.last().unwrap_or(&none),
            direction: Direction::Up,
            versions: &versions,
            waves,
            policy,
            hosts: &self.budgets(),
            tenants: &self.assessed(),
            previous: None,
            canary_exclude: None,
            known_failures: None,
        })
    }

    fn versions(&self) -> Vec<Version> {
        (1..=self.versions)
            .map(|n| Version::new(format!("{n:04}")))
            .collect()
    }

    fn assessed(&self) -> Vec<Assessed> {
        let versions = self.versions();
        let assessed = |n: u32| Assessed {
            tenant: Tenant {
                id: TenantId::new(format!("t{n:06}")),
                place: Place {
                    host: host(n % self.hosts.max(1)),
                    database: None,
                    schema: Some(format!("t{n:06}")),
                    file: None,
                },
                labels: BTreeMap::new(),
                size: None,
            },
            assessment: Assessment::Pending {
                from: None,
                versions: versions.clone(),
                has_ledger: false,
                missing: false,
            },
            traits: BTreeMap::new(),
        };
        (0..self.tenants).map(assessed).collect()
    }
}

fn host(n: u32) -> HostName {
    HostName::new(format!("h{n}"))
}
