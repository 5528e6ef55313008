//! From a request to a plan: select, survey, assess, plan. Reads only.

use std::collections::{BTreeMap, BTreeSet};

use sanderling_core::amend::{accepted, with_accepted};
use sanderling_core::assess::{Assessment, MigrationMeta, assess, assess_down};
use sanderling_core::plan::Plan;
use sanderling_core::planner::{self, Assessed, Explanation, KnownFailures, PlanInput};
use sanderling_core::policy::Policy;
use sanderling_core::selector::Selector;
use sanderling_core::summary::{PlanContext, PlanSummary};
use sanderling_core::waves::{
    ENGINE, ENGINE_MAJOR, FINGERPRINT, HaltSpec, Select, WaveSpec, strangers,
};
use sanderling_core::{
    BundleHash, Direction, ErrorClass, Failure, HostName, Outcome, Standing, Tenant, TenantId,
    Version,
};
use sanderling_store::{HoldRecord, Store};

use crate::amend::amendments;
use crate::fleet::Fleet;
use crate::history;
use crate::holds::{Holds, holds, pinned};
use crate::look;
use crate::refusal::{self, PlanningError};
use crate::undo;

/// What an operator asks for.
#[derive(Clone, Debug)]
pub struct PlanRequest {
    /// Which tenants.
    pub selector: Selector,
    /// Of those, only these; all of them if absent.
    pub only: Option<BTreeSet<TenantId>>,
    /// Which way.
    pub direction: Direction,
    /// To which version. If absent: up, the newest of the bundle; down, the one below the newest that any of the tenants
    /// has.
    pub to: Option<Version>,
    /// In which waves.
    pub waves: Vec<WaveSpec>,
    /// The policy; its limits are resolved from `halt` and the number of tenants.
    pub policy: Policy,
    /// Limits of the whole rollout.
    pub halt: HaltSpec,
    /// Who is never in the canary.
    pub canary_exclude: Option<Selector>,
    /// Limits of the wave of tenants that failed before with this bundle.
    pub known_failures: HaltSpec,
    /// Whether versions below the newest applied one may still be applied.
    pub allow_out_of_order: bool,
}

/// A plan, and what the survey found.
#[derive(Clone, Debug)]
pub struct Planned {
    /// The plan.
    pub plan: Plan,
    /// Why it is as it is.
    pub explanation: Explanation,
    /// Who is never in the canary.
    pub canary_exclude: Option<Selector>,
    /// The budget of connections of each host.
    pub hosts: BTreeMap<HostName, u32>,
    /// The most targets in flight on each host.
    pub in_flight: BTreeMap<HostName, u32>,
    /// How long one version took on one tenant in recent rollouts, in milliseconds; none without any.
    pub version_ms: Option<u64>,
    /// Whether a control store was there to be asked.
    pub saw_store: bool,
    /// Tenants that are left out for a reason that somebody should know: one sentence each.
    pub left_behind: Vec<String>,
}

impl Planned {
    /// The plan as scripts see it. Holds are the control store's to know: without one they are null.
    pub fn summary(&self) -> PlanSummary {
        let context = PlanContext {
            explanation: &self.explanation,
            canary_exclude: self.canary_exclude.as_ref(),
            hosts: &self.hosts,
            in_flight: &self.in_flight,
            version_ms: self.version_ms,
            saw_store: self.saw_store,
        };
        PlanSummary::new(&self.plan, &context)
    }

    /// How many selected tenants were left out with this outcome.
    pub fn left_out(&self, outcome: Outcome) -> u64 {
        self.plan
            .left_out
            .iter()
            .filter(|left| left.outcome == outcome)
            .count() as u64
    }
}

/// Why a plan leaves a pinned tenant out.
fn held(hold: &HoldRecord) -> Failure {
    let message = format!(
        "{}; `sanderling tenants release --tenants {}` lets it go",
        pinned(hold),
        hold.tenant
    );
    Failure::new(ErrorClass::Precondition, "held", message)
}

/// Plans a rollout. The store, where there is one, knows which tenants are pinned, what an edited migration was, who
/// failed before with this bundle, and how long migrations took.
pub async fn plan(
    fleet: &Fleet,
    request: &PlanRequest,
    store: Option<&dyn Store>,
) -> Result<Planned, PlanningError> {
    let amendments = amendments(store).await?;
    let metas = with_accepted(fleet.metas(), &amendments);
    let up = target(fleet, request)?;
    let mut tenants = fleet.select(&request.selector)?;
    if let Some(only) = &request.only {
        tenants.retain(|tenant| only.contains(&tenant.id));
    }
    strangers(&request.waves, &fleet.tenants).map_err(planner::PlanError::from)?;
    let standings = fleet.survey(&tenants).await;
    let target = up.unwrap_or_else(|| one_below(fleet, &standings));
    let holds = match store {
        Some(store) => holds(store).await?,
        None => Holds::new(),
    };
    let mut assessed: Vec<Assessed> = tenants
        .into_iter()
        .zip(&standings)
        .map(|(tenant, standing)| {
            let assessment = judged(fleet, request, (&metas, &target), standing);
            let assessment = match (assessment, holds.get(&tenant.id)) {
                (Assessment::Pending { .. }, Some(hold)) => Assessment::Held(held(hold)),
                (other, _) => other,
            };
            Assessed {
                tenant,
                assessment,
                traits: BTreeMap::new(),
            }
        })
        .collect();
    refusal::check(fleet, &metas, &assessed, store).await?;
    if request.direction == Direction::Down {
        undo::check(fleet, &assessed)?;
    }
    find_traits(fleet, &request.waves, &standings, &mut assessed).await;
    let bundle = fleet.migrations.bundle.hash();
    let (known, version_ms) = history(store, bundle, request.direction).await;
    let in_flight = fleet.hosts.in_flight();
    let mut policy = request.policy.clone();
    policy.create_missing = fleet.create_missing;
    policy.limits = request.halt.resolve(planner::planned_size(&assessed));
    let versions: Vec<_> = metas.iter().map(|meta| meta.version.clone()).collect();
    let (plan, explanation) = planner::explained(&PlanInput {
        fleet: &fleet.name,
        bundle,
        target: &target,
        direction: request.direction,
        versions: &versions,
        waves: &request.waves,
        policy: &policy,
        hosts: &in_flight,
        tenants: &assessed,
        previous: None,
        canary_exclude: request.canary_exclude.as_ref(),
        known_failures: Some(KnownFailures {
            tenants: &known,
            halt: &request.known_failures,
        }),
    })?;
    let plan = plan.with_accepted(accepted(&metas, &amendments));
    let left_behind = left_behind(&plan);
    Ok(Planned {
        plan,
        explanation,
        canary_exclude: request.canary_exclude.clone(),
        hosts: fleet.hosts.budgets(),
        in_flight,
        version_ms,
        saw_store: store.is_some(),
        left_behind,
    })
}

/// What a tenant's standing means for the way that is asked for.
fn judged(
    fleet: &Fleet,
    request: &PlanRequest,
    (metas, target): (&[MigrationMeta], &Version),
    standing: &Standing,
) -> Assessment {
    let create_missing = fleet.create_missing;
    match request.direction {
        Direction::Up => {
            let late = request.allow_out_of_order;
            assess(metas, target, standing, late, create_missing)
        }
        Direction::Down => assess_down(metas, target, standing, create_missing),
    }
}

/// What the store remembers. It only makes a plan better: where it cannot be read, `up` will say so itself.
async fn history(
    store: Option<&dyn Store>,
    bundle: &BundleHash,
    direction: Direction,
) -> (BTreeSet<TenantId>, Option<u64>) {
    let Some(store) = store else {
        return (BTreeSet::new(), None);
    };
    let known = history::known_failures(store, bundle, direction).await;
    let known = known.unwrap_or_else(|error| {
        tracing::warn!(%error, "who failed before is not known; nobody goes last for it");
        BTreeSet::new()
    });
    let pace = history::version_ms(store).await;
    (known, pace.ok().flatten())
}

/// Finds out what waves by coverage ask for. Catalogs are only read where a wave covers fingerprints, and only of
/// tenants that have something to apply: a fleet that is up to date is looked at no closer.
async fn find_traits(
    fleet: &Fleet,
    waves: &[WaveSpec],
    standings: &[Standing],
    assessed: &mut [Assessed],
) {
    let covered = |key: &str| {
        let by = |wave: &WaveSpec| matches!(&wave.select, Select::Coverage(c) if c.has(key));
        waves.iter().any(by)
    };
    if covered(ENGINE) {
        for tenant in assessed.iter_mut() {
            let engine = look::engine(fleet, &tenant.tenant);
            tenant.traits.insert(ENGINE.into(), engine);
        }
    }
    if covered(ENGINE_MAJOR) {
        for tenant in assessed.iter_mut() {
            if let Some(major) = fleet.hosts.major(&tenant.tenant.place.host) {
                tenant.traits.insert(ENGINE_MAJOR.into(), major);
            }
        }
    }
    if !covered(FINGERPRINT) {
        return;
    }
    let pending = |a: &&mut Assessed| matches!(a.assessment, Assessment::Pending { .. });
    let (mut there, mut tenants, mut present): (Vec<_>, Vec<Tenant>, Vec<Standing>) =
        (Vec::new(), Vec::new(), Vec::new());
    for (tenant, standing) in assessed.iter_mut().zip(standings) {
        if pending(&tenant) {
            tenants.push(tenant.tenant.clone());
            present.push(standing.clone());
            there.push(tenant);
        }
    }
    let fingerprints = look::fingerprints(fleet, &tenants, &present).await;
    for (tenant, fingerprint) in there.into_iter().zip(fingerprints) {
        if let Some(fingerprint) = fingerprint {
            let short = fingerprint.chars().take(12).collect();
            tenant.traits.insert(FINGERPRINT.into(), short);
        }
    }
}

/// The version that was asked for, or the newest. `None` on the way down where none was: the tenants decide then.
fn target(fleet: &Fleet, request: &PlanRequest) -> Result<Option<Version>, PlanningError> {
    let newest = fleet.newest().ok_or(PlanningError::NoMigrations)?;
    let Some(to) = &request.to else {
        return Ok(request.direction.is_up().then_some(newest));
    };
    let known = fleet.metas().into_iter().any(|meta| meta.version == *to);
    let nothing = *to == Version::nothing() && request.direction == Direction::Down;
    if known || nothing {
        return Ok(Some(to.clone()));
    }
    Err(PlanningError::UnknownVersion {
        version: to.clone(),
        newest,
    })
}

/// The version below the newest one that any of these has.
fn one_below(fleet: &Fleet, standings: &[Standing]) -> Version {
    let newest = standings.iter().filter_map(Standing::newest).max();
    let below = fleet.metas().into_iter().map(|meta| meta.version);
    below
        .filter(|version| newest.is_some_and(|newest| version < newest))
        .max()
        .unwrap_or_else(Version::nothing)
}

fn left_behind(plan: &Plan) -> Vec<String> {
    sentences(plan.left_out.iter().filter_map(|left| {
        let failure = left.failure.as_ref()?;
        Some((&left.tenant, left.outcome, failure.message.as_str()))
    }))
}

/// So many tenants are named that are left out for one reason; the others are counted.
const NAMED: usize = 5;

fn sentences<'a>(left: impl Iterator<Item = (&'a TenantId, Outcome, &'a str)>) -> Vec<String> {
    let (mut all, mut seen) = (Vec::new(), BTreeMap::new());
    for (tenant, outcome, message) in left {
        let count = seen.entry((outcome, message)).or_insert(0_usize);
        *count += 1;
        if *count <= NAMED {
            let outcome = outcome.as_str();
            all.push(format!(
                "tenant {tenant} is left out ({outcome}): {message}"
            ));
        }
    }
    let more = seen.into_iter().filter(|(_, count)| *count > NAMED);
    all.extend(more.map(|((outcome, message), count)| {
        format!(
            "{} more are left out ({}) for the same reason; `sanderling tenants list` names them: {message}",
            count - NAMED,
            outcome.as_str()
        )
    }));
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn many_that_are_left_out_for_one_reason_are_counted() {
        let ids: Vec<_> = (0..9).map(|n| TenantId::new(format!("t{n}"))).collect();
        let missing = |n: usize| (&ids[n], Outcome::Unreachable, "it is not there");
        let held = (&ids[8], Outcome::Held, "it is held");
        let said = sentences((0..8).map(missing).chain([held]));
        assert_eq!(said.len(), 7, "{said:?}");
        assert_eq!(
            said[4],
            "tenant t4 is left out (unreachable): it is not there"
        );
        assert_eq!(said[5], "tenant t8 is left out (held): it is held");
        assert!(
            said[6].starts_with("3 more are left out (unreachable)"),
            "{said:?}"
        );
    }
}
