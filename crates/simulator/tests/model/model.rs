//! What can happen next, and what must hold.

use sanderling_core::{EventKind, decide};
use stateright::{Model, Property};

use crate::canon::waits_for;
use crate::flaws::Flaw;
use crate::place::Verdict;
use crate::setup::{Setup, tenant_id};
use crate::verbs::Typed;
use crate::world::{
    At, Coordinator, Decided, Ending, Job, Message, Number, Place, Report, TenantNo, Then, World,
};

/// What happens.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Happens {
    /// A free worker starts a target.
    Start(TenantNo),
    /// A free worker takes a claim over: its lease has run out, whether its holder lives or not.
    TakeOver(TenantNo),
    /// A job takes its next step.
    Step(TenantNo, Number),
    /// A worker dies with this claim in hand.
    Die(TenantNo, Number),
    /// The connection of a job is lost.
    Lose(TenantNo, Number),
    /// A worker is told to drain before the next version.
    Drain(TenantNo, Number),
    /// A message reaches its tenant.
    Arrive(Message),
    /// A running message ends.
    Finish(Message, Verdict),
    /// A report reaches the store; whether its answer reaches the worker.
    Receive(Report, bool),
    /// Another coordinator leads.
    Lead,
    /// A coordinator reads and decides.
    Decide(usize),
    /// What it decided reaches the store.
    Act(usize),
    /// A person types a verb.
    Type(Typed),
    /// Somebody applies a version by hand.
    Meddle(TenantNo, u8),
    /// Redis is wiped (matters to a flaw only).
    Flush,
    /// An expired lease ends its claim (a flaw).
    LeaseEnds(TenantNo),
}

impl Happens {
    /// Whether it happens by itself in the end: no fault, no person, no message of somebody who is gone.
    pub(crate) fn needs_no_luck(&self) -> bool {
        match self {
            Self::Start(_)
            | Self::Step(..)
            | Self::TakeOver(_)
            | Self::Decide(_)
            | Self::Act(_) => true,
            // A running transaction ends: the server sees that its client is gone.
            Self::Finish(message, verdict) => !message.orphan || *verdict == Verdict::Fail,
            Self::Arrive(message) => !message.orphan,
            Self::Receive(_, answered) => *answered,
            _ => false,
        }
    }
}

impl Setup {
    fn jobs(&self, world: &World, actions: &mut Vec<Happens>) {
        let faulty = world.faults > 0;
        for job in &world.jobs {
            let (tenant, number) = (job.tenant, job.number);
            if world.can_step(job) {
                actions.push(Happens::Step(tenant, number));
            }
            if faulty {
                actions.push(Happens::Die(tenant, number));
                match job.at {
                    At::Waiting(_) => actions.push(Happens::Lose(tenant, number)),
                    At::Ask(_) => actions.push(Happens::Drain(tenant, number)),
                    _ => {}
                }
            }
        }
    }

    fn store(&self, world: &World, actions: &mut Vec<Happens>) {
        let faulty = world.faults > 0;
        for (tenant, target) in world.control.targets.iter().enumerate() {
            let held = world.jobs.iter().any(|job| job.tenant == tenant);
            let free = world.jobs.len() < self.workers;
            if free && world.control.may_start(tenant, self, world.redis) {
                actions.push(Happens::Start(tenant));
            }
            // Of a dead worker's claim the lease ends by itself; of a live one's only if something is wrong.
            if free && target.claim.is_some() && (faulty || !held) {
                actions.push(Happens::TakeOver(tenant));
            }
            if self.lacks(Flaw::LeaseFreesPermit) && target.claim.is_some() {
                actions.push(Happens::LeaseEnds(tenant));
            }
        }
        for (index, coordinator) in world.control.coordinators.iter().enumerate() {
            match &coordinator.decided {
                Some(_) => actions.push(Happens::Act(index)),
                None if self.decided(world).is_some() => actions.push(Happens::Decide(index)),
                None => {}
            }
        }
        if faulty && world.control.rollout().state.is_active() {
            actions.push(Happens::Lead);
        }
        if world.verbs > 0 {
            let accepted = Typed::ALL.into_iter().filter(|t| world.control.accepts(*t));
            actions.extend(accepted.map(Happens::Type));
        }
        if self.lacks(Flaw::PermitsInRedis) && world.redis > 0 {
            actions.push(Happens::Flush);
        }
    }

    fn decided(&self, world: &World) -> Option<Decided> {
        let control = &world.control;
        if self.lacks(Flaw::HaltByCoordinatorOnly) && control.runs() && control.crossed() {
            return Some(Decided::Halt);
        }
        let now = sanderling_core::Micros(0);
        let action = decide(control.rollout(), now).actions.into_iter().next()?;
        Some(Decided::Act(action))
    }

    fn network(&self, world: &World, actions: &mut Vec<Happens>) {
        for &message in &world.messages {
            if message.running {
                actions.push(Happens::Finish(message, Verdict::Commit));
                actions.push(Happens::Finish(message, Verdict::Fail));
                if self.transient && !message.orphan {
                    actions.push(Happens::Finish(message, Verdict::Transient));
                }
            } else {
                actions.push(Happens::Arrive(message));
            }
        }
        for &report in &world.reports {
            actions.push(Happens::Receive(report, true));
            if world.faults > 0 && world.waits_for(&report).is_some() {
                actions.push(Happens::Receive(report, false));
            }
        }
        if self.strangers && world.faults > 0 {
            for (tenant, place) in world.places.iter().enumerate() {
                let there = place.ledger | place.strange;
                let missing = (0..self.versions).filter(|v| there & (1 << v) == 0);
                actions.extend(missing.map(|v| Happens::Meddle(tenant, v)));
            }
        }
    }
}

impl World {
    fn waits_for(&self, report: &Report) -> Option<usize> {
        self.jobs.iter().position(|job| waits_for(job, report))
    }

    fn job(&self, tenant: TenantNo, number: Number) -> usize {
        let found = self
            .jobs
            .iter()
            .position(|job| (job.tenant, job.number) == (tenant, number));
        found.expect("an action is about a job that is there")
    }

    /// Nobody hears what comes of the job's message.
    fn abandon(&mut self, job: &Job) {
        for message in &mut self.messages {
            if (message.tenant, message.number) == (job.tenant, job.number) {
                message.orphan = true;
            }
        }
    }

    fn grant(&mut self, tenant: TenantNo, setup: &Setup) {
        let claim = self.control.start(tenant, &mut self.seen);
        let job = Job::new(tenant, claim, &self.control, setup);
        self.jobs.push(job);
    }

    fn receive(&mut self, report: Report, answered: bool, setup: &Setup) {
        if self.control.report(&report, setup) {
            self.redis = self.redis.saturating_sub(1);
        }
        if !answered {
            self.faults -= 1;
            return;
        }
        self.reports.retain(|r| *r != report);
        if let Some(job) = self.waits_for(&report) {
            self.jobs.remove(job);
        }
    }

    fn lead(&mut self) {
        self.faults -= 1;
        self.control.leader += 1;
        let number = self.control.leader;
        self.control.coordinators.push(Coordinator {
            number,
            decided: None,
        });
        if self.control.coordinators.len() > 2 {
            self.control.coordinators.remove(0);
        }
    }

    fn lease_ends(&mut self, tenant: TenantNo) {
        let target = &mut self.control.targets[tenant];
        let (wave, claim) = (target.wave, target.claim.take());
        target.outcome = self.control.rollout.0.outcome_of_release();
        let number = claim.map_or(0, |claim| claim.number);
        let released = EventKind::Released {
            tenant: tenant_id(tenant),
            wave,
            epoch: sanderling_core::Epoch(i64::from(number)),
            class: None,
            not_before: None,
        };
        self.control.record(released).expect("it is in flight");
    }

    /// What a claim's worker did wrong or met: its faults.
    fn befall(&mut self, happens: &Happens) {
        match *happens {
            Happens::Die(tenant, number) => {
                let job = self.jobs.remove(self.job(tenant, number));
                self.abandon(&job);
            }
            Happens::Lose(tenant, number) => {
                let index = self.job(tenant, number);
                let job = self.jobs[index].clone();
                self.abandon(&job);
                let job = &mut self.jobs[index];
                if let At::Waiting(version) = job.at {
                    (job.settled, job.spent) = (false, true);
                    job.at = At::Settle(Then::Lost(version), None);
                }
            }
            Happens::Drain(tenant, number) => {
                let index = self.job(tenant, number);
                let job = &mut self.jobs[index];
                job.at = if job.settled {
                    At::Report(Ending::Released(true))
                } else {
                    At::Settle(Then::Release, None)
                };
            }
            _ => return,
        }
        self.faults -= 1;
    }
}

impl Model for Setup {
    type State = World;
    type Action = Happens;

    fn init_states(&self) -> Vec<World> {
        let place = Place {
            fence: 0,
            ledger: 0,
            strange: 0,
            effects: [0; 2],
            running: false,
            begun: 0,
        };
        let control = crate::world::Control::new(self);
        vec![World {
            places: vec![place; control.targets.len()],
            control,
            jobs: Vec::new(),
            messages: Vec::new(),
            reports: Vec::new(),
            redis: 0,
            faults: self.faults,
            verbs: self.verbs,
            seen: Default::default(),
        }]
    }

    fn actions(&self, world: &World, actions: &mut Vec<Happens>) {
        self.jobs(world, actions);
        self.store(world, actions);
        self.network(world, actions);
    }

    fn next_state(&self, world: &World, happens: Happens) -> Option<World> {
        let mut world = world.clone();
        match happens {
            Happens::Start(tenant) => {
                world.redis += u8::from(self.lacks(Flaw::PermitsInRedis));
                world.grant(tenant, self);
            }
            Happens::TakeOver(tenant) => {
                let held = world.jobs.iter().any(|job| job.tenant == tenant);
                world.faults -= u8::from(held);
                world.grant(tenant, self);
            }
            Happens::Step(tenant, number) => {
                let job = world.job(tenant, number);
                if self.lacks(Flaw::SuccessWithoutEvidence)
                    && let At::Settle(Then::Lost(version), _) = world.jobs[job].at
                {
                    world.jobs[job].applied |= 1 << version;
                    world.jobs[job].go_on(self);
                } else {
                    world.step(job, self);
                }
            }
            Happens::Die(..) | Happens::Lose(..) | Happens::Drain(..) => world.befall(&happens),
            Happens::Arrive(message) => world.arrive(message, self),
            Happens::Finish(message, verdict) => world.finish(message, verdict, self),
            Happens::Receive(report, answered) => world.receive(report, answered, self),
            Happens::Lead => world.lead(),
            Happens::Decide(index) => {
                let decided = self.decided(&world)?;
                world.control.coordinators[index].decided = Some((decided, true));
            }
            Happens::Act(index) => {
                let coordinator = &mut world.control.coordinators[index];
                let (number, decided) = (coordinator.number, coordinator.decided.take()?);
                world.control.act(number, &decided, self, &mut world.seen);
            }
            Happens::Type(typed) => {
                world.verbs -= 1;
                world.control.carry_out(typed);
            }
            Happens::Meddle(tenant, version) => {
                world.faults -= 1;
                world.meddle(tenant, version);
            }
            Happens::Flush => world.redis = 0,
            Happens::LeaseEnds(tenant) => world.lease_ends(tenant),
        }
        world.speak();
        Some(world.canonical(self))
    }

    fn properties(&self) -> Vec<Property<Self>> {
        crate::promises::all()
    }
}
