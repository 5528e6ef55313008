//! How large the world is, and what may go wrong in it.

use std::collections::BTreeMap;

use sanderling_core::halt::Limits;
use sanderling_core::plan::{Path, Plan, PlannedTarget, PlannedWave};
use sanderling_core::policy::{Atomic, Backoff, Policy};
use sanderling_core::{BundleHash, Direction, ErrorClass, HostName, Place, TenantId, Version};

use crate::flaws::Flaw;
use crate::world::{TenantNo, Versions};

/// One bounded world.
#[derive(Clone, Debug)]
pub(crate) struct Setup {
    /// Targets per wave.
    pub(crate) waves: Vec<usize>,
    /// Versions of every target, 1 or 2.
    pub(crate) versions: u8,
    /// Claims that live workers can hold at once.
    pub(crate) workers: usize,
    /// Failed tenants tolerated, per wave.
    pub(crate) tolerated: Option<u32>,
    /// Targets in flight at most.
    pub(crate) concurrency: u32,
    /// Deaths, lost connections, leases lost while alive, lost answers, new leaders, drains, strangers: all together.
    pub(crate) faults: u8,
    /// Verbs that a person types.
    pub(crate) verbs: u8,
    /// Whether a body may fail in a way that is tried again.
    pub(crate) transient: bool,
    /// Whether a stranger may apply a version by hand, without lock and fence.
    pub(crate) strangers: bool,
    /// What is missing from the protocol.
    pub(crate) flaws: Vec<Flaw>,
}

impl Setup {
    /// Whether this mechanism is missing.
    pub(crate) fn lacks(&self, flaw: Flaw) -> bool {
        self.flaws.contains(&flaw)
    }

    pub(crate) fn with(mut self, flaws: &[Flaw]) -> Self {
        self.flaws = flaws.to_vec();
        self
    }

    /// Every version, a bit each.
    pub(crate) fn all_versions(&self) -> Versions {
        (1 << self.versions) - 1
    }

    /// The wave of each tenant.
    pub(crate) fn places(&self) -> impl Iterator<Item = usize> {
        let sizes = self.waves.iter().enumerate();
        sizes.flat_map(|(wave, &size)| std::iter::repeat_n(wave, size))
    }

    fn policy(&self) -> Policy {
        let twice = Backoff {
            attempts: 2,
            base_ms: 1,
            max_ms: 1,
        };
        Policy {
            concurrency: self.concurrency,
            atomic: Atomic::Version,
            lock_timeout_ms: 1,
            statement_timeout_ms: 0,
            host_patience_ms: 0,
            create_missing: false,
            limits: Limits::default(),
            retry: BTreeMap::from([
                (ErrorClass::LockTimeout, twice),
                (ErrorClass::Connection, twice),
                (ErrorClass::WorkerLost, twice),
            ]),
        }
    }

    /// The plan, as `core` knows it.
    pub(crate) fn plan(&self) -> Plan {
        let wave = |(index, &size): (usize, &usize)| {
            let tenants = u32::try_from(size).expect("a wave is small");
            PlannedWave {
                name: format!("wave{index}"),
                tenants,
                concurrency: None,
                strict: false,
                limits: Limits {
                    max_failures: self.tolerated,
                    ..Limits::default()
                },
                max_in_flight: tenants.min(self.concurrency),
                gates: Vec::new(),
            }
        };
        let target = |(tenant, wave): (TenantNo, usize)| PlannedTarget {
            tenant: tenant_id(tenant),
            place: Place {
                host: host(),
                database: None,
                schema: Some("s".into()),
                file: None,
            },
            wave,
            position: u32::try_from(tenant).expect("a fleet is small"),
            path: 0,
            has_ledger: true,
            missing: false,
        };
        Plan {
            fleet: "model".into(),
            bundle: BundleHash::new("b"),
            target: version(self.versions - 1),
            direction: Direction::Up,
            policy: self.policy(),
            waves: self.waves.iter().enumerate().map(wave).collect(),
            paths: vec![Path {
                from: None,
                versions: (0..self.versions).map(version).collect(),
            }],
            targets: self.places().enumerate().map(target).collect(),
            left_out: Vec::new(),
            accepted: Default::default(),
        }
    }
}

pub(crate) fn tenant_id(tenant: TenantNo) -> TenantId {
    TenantId::new(["t0", "t1", "t2", "t3"][tenant])
}

pub(crate) fn host() -> HostName {
    HostName::new("h")
}

pub(crate) fn version(version: u8) -> Version {
    Version::new(["1", "2"][usize::from(version)])
}

/// The versions of a set.
pub(crate) fn listed(versions: Versions) -> Vec<Version> {
    (0..2)
        .filter(|v| versions & (1 << v) != 0)
        .map(version)
        .collect()
}
