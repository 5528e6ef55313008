//! Builders for this crate's own tests.

use std::collections::BTreeMap;

use crate::assess::MigrationMeta;
use crate::cause::{ErrorClass, Failure};
use crate::event::EventKind;
use crate::halt::Limits;
use crate::ids::{BundleHash, Checksum, Epoch, HostName, TenantId, Version, WorkerId};
use crate::ledger::{LedgerRow, RowState};
use crate::outcome::Outcome;
use crate::plan::{Path, Plan, PlannedTarget, PlannedWave};
use crate::policy::{Atomic, Policy};
use crate::tenant::{Place, Tenant};

/// A policy without limits: 8 in flight.
pub(crate) fn policy() -> Policy {
    Policy {
        concurrency: 8,
        atomic: Atomic::Version,
        lock_timeout_ms: 1000,
        statement_timeout_ms: 0,
        host_patience_ms: crate::policy::HOST_PATIENCE_MS,
        create_missing: false,
        limits: Limits::default(),
        retry: BTreeMap::new(),
    }
}

/// A plan of waves given by size and tolerated failures; a wave that tolerates 0 is strict.
pub(crate) fn plan(waves: &[(u32, Option<u32>)]) -> Plan {
    let planned = |(index, &(tenants, tolerated)): (usize, &(u32, Option<u32>))| PlannedWave {
        name: format!("wave{index}"),
        tenants,
        concurrency: None,
        strict: tolerated == Some(0),
        limits: Limits {
            max_failures: tolerated,
            ..Limits::default()
        },
        max_in_flight: tenants.min(8),
        gates: Vec::new(),
    };
    let target = |wave: usize, position: u32| PlannedTarget {
        tenant: TenantId::new(format!("t{wave}-{position}")),
        place: place("h"),
        wave,
        position,
        path: 0,
        has_ledger: true,
        missing: false,
    };
    Plan {
        fleet: "test".into(),
        bundle: BundleHash::new("b"),
        target: Version::new("1"),
        direction: crate::Direction::Up,
        policy: policy(),
        waves: waves.iter().enumerate().map(planned).collect(),
        paths: vec![Path {
            from: None,
            versions: vec![Version::new("1")],
        }],
        targets: waves
            .iter()
            .enumerate()
            .flat_map(|(wave, &(n, _))| (0..n).map(move |position| target(wave, position)))
            .collect(),
        left_out: Vec::new(),
        accepted: Default::default(),
    }
}

/// A place on a host.
pub(crate) fn place(host: &str) -> Place {
    Place {
        host: HostName::new(host),
        database: None,
        schema: Some("s".into()),
        file: None,
    }
}

/// A deterministic failure.
pub(crate) fn broken() -> Failure {
    Failure::new(ErrorClass::MigrationSql, "42703", "column does not exist")
}

/// A first claim.
pub(crate) fn started(tenant: &str, wave: usize, epoch: i64) -> EventKind {
    EventKind::Started {
        tenant: TenantId::new(tenant),
        wave,
        host: HostName::new("h"),
        epoch: Epoch(epoch),
        worker: WorkerId::new("w"),
        takeover: false,
    }
}

/// The end of a claim; a failed one fails as [`broken`].
pub(crate) fn ended(tenant: &str, wave: usize, epoch: i64, outcome: Outcome) -> EventKind {
    EventKind::Ended {
        tenant: TenantId::new(tenant),
        wave,
        epoch: Epoch(epoch),
        outcome,
        applied: Vec::new(),
        failure: outcome.counts_to_halt().then(broken),
        duration_ms: 1,
    }
}

/// A version by number.
pub(crate) fn version(n: u32) -> Version {
    Version::new(n.to_string())
}

/// A bundle of versions 1 to `n`.
pub(crate) fn bundle(n: u32) -> Vec<MigrationMeta> {
    (1..=n)
        .map(|n| MigrationMeta {
            version: version(n),
            name: format!("m{n}"),
            checksum: Checksum::new(format!("c{n}")),
            file: format!("{n}_m{n}.sql"),
            accepted: Default::default(),
        })
        .collect()
}

/// An applied ledger row of version `n`, as `bundle` has it.
pub(crate) fn row(n: u32) -> LedgerRow {
    LedgerRow {
        version: version(n),
        checksum: Checksum::new(format!("c{n}")),
        state: RowState::Applied,
        epoch: Epoch(1),
        rollout: None,
        applied_at: None,
    }
}

/// A tenant without labels.
pub(crate) fn tenant(id: &str) -> Tenant {
    let mut place = place("h");
    place.schema = Some(id.into());
    Tenant {
        id: TenantId::new(id),
        place,
        labels: BTreeMap::new(),
        size: None,
    }
}
