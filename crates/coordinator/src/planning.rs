//! From a request to a plan: select, survey, assess, plan. Reads only.

use sanderling_core::assess::{Assessment, assess};
use sanderling_core::plan::Plan;
use sanderling_core::planner::{self, Assessed, PlanInput};
use sanderling_core::policy::Policy;
use sanderling_core::selector::Selector;
use sanderling_core::summary::PlanSummary;
use sanderling_core::waves::{HaltSpec, WaveSpec};
use sanderling_core::{ErrorClass, Failure, Outcome, TenantId, Version};
use sanderling_store::{HoldRecord, Store};

use crate::fleet::Fleet;
use crate::holds::{Holds, holds, pinned};
use crate::refusal::{self, PlanningError};

/// What an operator asks for.
#[derive(Clone, Debug)]
pub struct PlanRequest {
    /// Which tenants.
    pub selector: Selector,
    /// To which version; the newest of the bundle if absent.
    pub to: Option<Version>,
    /// In which waves.
    pub waves: Vec<WaveSpec>,
    /// The policy; its limits are resolved from `halt` and the number of tenants.
    pub policy: Policy,
    /// Limits of the whole rollout.
    pub halt: HaltSpec,
    /// Whether versions below the newest applied one may still be applied.
    pub allow_out_of_order: bool,
}

/// A plan, and what the survey found.
#[derive(Clone, Debug)]
pub struct Planned {
    /// The plan.
    pub plan: Plan,
    /// Whether a control store was there to be asked.
    pub saw_store: bool,
    /// Tenants that are left out for a reason that somebody should know: one sentence each.
    pub left_behind: Vec<String>,
}

impl Planned {
    /// The plan as scripts see it. Holds are the control store's to know: without one they are null.
    pub fn summary(&self) -> PlanSummary {
        let summary = PlanSummary::new(&self.plan, None);
        PlanSummary {
            held: summary.held.filter(|_| self.saw_store),
            ..summary
        }
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

/// Plans a rollout. The store, where there is one, knows which tenants are pinned, and what an edited migration was.
pub async fn plan(
    fleet: &Fleet,
    request: &PlanRequest,
    store: Option<&dyn Store>,
) -> Result<Planned, PlanningError> {
    let metas = fleet.metas();
    let target = target(fleet, request)?;
    let tenants = fleet.select(&request.selector)?;
    let standings = fleet.survey(&tenants).await;
    let holds = match store {
        Some(store) => holds(store).await?,
        None => Holds::new(),
    };
    let assessed: Vec<Assessed> = tenants
        .into_iter()
        .zip(&standings)
        .map(|(tenant, standing)| {
            let assessment = assess(
                &metas,
                &target,
                standing,
                request.allow_out_of_order,
                fleet.create_missing,
            );
            let assessment = match (assessment, holds.get(&tenant.id)) {
                (Assessment::Pending { .. }, Some(hold)) => Assessment::Held(held(hold)),
                (other, _) => other,
            };
            Assessed { tenant, assessment }
        })
        .collect();
    refusal::check(fleet, &metas, &assessed, store).await?;
    let mut policy = request.policy.clone();
    policy.create_missing = fleet.create_missing;
    policy.limits = request.halt.resolve(planner::planned_size(&assessed));
    let versions: Vec<_> = metas.iter().map(|meta| meta.version.clone()).collect();
    let plan = planner::plan(&PlanInput {
        fleet: &fleet.name,
        bundle: fleet.migrations.bundle.hash(),
        target: &target,
        versions: &versions,
        waves: &request.waves,
        policy: &policy,
        hosts: &fleet.hosts.budgets(),
        tenants: &assessed,
        previous: None,
    })?;
    let left_behind = left_behind(&plan);
    Ok(Planned {
        plan,
        saw_store: store.is_some(),
        left_behind,
    })
}

fn target(fleet: &Fleet, request: &PlanRequest) -> Result<Version, PlanningError> {
    let newest = fleet.newest().ok_or(PlanningError::NoMigrations)?;
    let Some(to) = &request.to else {
        return Ok(newest);
    };
    let known = fleet.metas().into_iter().any(|meta| meta.version == *to);
    known
        .then(|| to.clone())
        .ok_or_else(|| PlanningError::UnknownVersion {
            version: to.clone(),
            newest,
        })
}

fn left_behind(plan: &Plan) -> Vec<String> {
    let sentence = |tenant: &TenantId, outcome: Outcome, message: &str| {
        format!(
            "tenant {tenant} is left out ({}): {message}",
            outcome.as_str()
        )
    };
    plan.left_out
        .iter()
        .filter_map(|left| {
            left.failure
                .as_ref()
                .map(|failure| sentence(&left.tenant, left.outcome, &failure.message))
        })
        .collect()
}
