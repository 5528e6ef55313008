//! What a worker does, as it gets into metrics.

use std::sync::Arc;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use sanderling_core::{ErrorClass, HostName, Outcome};
use sanderling_engine::{Hosts, Step, StepOutcome};
use sanderling_store::{Receipt, TargetResult};
use sanderling_telemetry::catalogue::{
    FAILURES, FENCED, HOST_CIRCUIT_OPEN, HOST_CONNECTIONS, HOST_CONNECTIONS_LIMIT, LOCK_WAITS,
    MESSAGES, RENEW_FAILURES, RETRIES, STALE_CLAIMS, STARTS, TARGETS_ENDED, WORKER_HEARTBEAT,
    WORKER_SLOTS, WORKER_SLOTS_IN_USE,
};
use sanderling_telemetry::{Live, Samples, host_label};

use crate::circuit::Circuits;
use crate::held::HeldClaims;
use crate::seats::Seats;

/// Shows slots, connections and circuits for as long as the answer is kept, and counts from zero what is counted.
pub(crate) fn shown(
    slots: usize,
    held: &Arc<HeldClaims>,
    (circuits, seats): (&Arc<Circuits>, &Arc<Seats>),
    hosts: &Arc<Hosts>,
) -> Live {
    for class in ErrorClass::ALL.map(ErrorClass::as_str) {
        RETRIES.more([class], 0);
        FAILURES.more([class], 0);
    }
    for counter in [&RENEW_FAILURES, &STALE_CLAIMS, &FENCED] {
        counter.more([], 0);
    }
    let (held, hosts) = (held.clone(), hosts.clone());
    let (circuits, seats) = (circuits.clone(), seats.clone());
    Live::new(move || samples(slots, &held, (&circuits, &seats), &hosts))
}

fn samples(
    slots: usize,
    held: &HeldClaims,
    (circuits, seats): (&Circuits, &Seats),
    hosts: &Hosts,
) -> Samples {
    let mut samples = Samples::default();
    let (claims, idle) = (held.by_host(), hosts.idle());
    let away = circuits.away();
    samples.set(&WORKER_SLOTS, [], slots as f64);
    samples.set(&WORKER_SLOTS_IN_USE, [], count(claims.values().sum()));
    for (host, limit) in hosts.budgets() {
        let label = host_label(host.as_str());
        let (kept, let_go) = idle.get(&host).copied().unwrap_or_default();
        let claims = claims.get(&host).copied().unwrap_or_default();
        // Where claims wait for connections, the others have none.
        let busy = seats.taken(&host).map_or(claims, u64::from);
        samples.set(&HOST_CONNECTIONS, [label, "busy"], count(busy));
        samples.set(
            &HOST_CONNECTIONS,
            [label, "idle"],
            count(kept.saturating_sub(let_go)),
        );
        samples.set(&HOST_CONNECTIONS_LIMIT, [label], f64::from(limit));
        let open = away.iter().any(|of| of.host == host);
        samples.set(&HOST_CIRCUIT_OPEN, [label], f64::from(u8::from(open)));
    }
    samples
}

fn count(number: u64) -> f64 {
    number as f64
}

/// The control store has taken a heartbeat now.
pub(crate) fn heartbeat() {
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    WORKER_HEARTBEAT.set([], now.unwrap_or_default().as_secs_f64());
}

fn engine(hosts: &Hosts, host: &HostName) -> &'static str {
    hosts
        .dialect(host)
        .map_or("unknown", |dialect| dialect.as_str())
}

/// One granted claim.
pub(crate) struct JobMeter {
    engine: &'static str,
    since: Instant,
}

impl JobMeter {
    /// It was granted now.
    pub(crate) fn started(hosts: &Hosts, host: &HostName) -> Self {
        let engine = engine(hosts, host);
        STARTS.one([engine]);
        Self {
            engine,
            since: Instant::now(),
        }
    }

    /// It ends with this report.
    pub(crate) fn reports(self, result: &TargetResult) -> ReportMeter {
        let (outcome, class) = match result {
            TargetResult::Ended {
                outcome, failure, ..
            } => {
                let failed = outcome.counts_to_halt() || *outcome == Outcome::Deferred;
                let class = failure.as_ref().filter(|_| failed).map(|f| f.cause.class);
                (outcome.as_str(), class)
            }
            TargetResult::Retry { failure, .. } => ("retry", Some(failure.cause.class)),
            TargetResult::Released { .. } => ("released", None),
            TargetResult::HostAway { .. } => ("host_away", None),
        };
        ReportMeter {
            job: self,
            outcome,
            class,
        }
    }
}

/// One report on its way.
pub(crate) struct ReportMeter {
    job: JobMeter,
    outcome: &'static str,
    class: Option<ErrorClass>,
}

impl ReportMeter {
    /// The control store has said this of it.
    pub(crate) fn recorded(self, receipt: Receipt) {
        if receipt == Receipt::Stale {
            STALE_CLAIMS.one([]);
            return;
        }
        TARGETS_ENDED.took([self.job.engine, self.outcome], self.job.since.elapsed());
        let Some(class) = self.class.map(ErrorClass::as_str) else {
            return;
        };
        match self.outcome {
            // A deferred target is tried once more.
            "retry" | "deferred" => RETRIES.one([class]),
            _ => FAILURES.one([class]),
        }
    }
}

/// The messages of one migration to one tenant.
pub(crate) struct StepMeter {
    engine: &'static str,
    kind: &'static str,
}

impl StepMeter {
    pub(crate) fn of(hosts: &Hosts, host: &HostName, steps: &[Step<'_>]) -> Self {
        let stepwise = steps.iter().any(|step| step.stepwise);
        Self {
            engine: engine(hosts, host),
            kind: if stepwise {
                "stepwise"
            } else {
                "transactional"
            },
        }
    }

    /// An answer came.
    pub(crate) fn answered(&self, outcome: &StepOutcome, sent: Instant) {
        match outcome {
            StepOutcome::Applied(_) | StepOutcome::Failed(_) => {
                MESSAGES.took([self.engine, self.kind], sent.elapsed());
            }
            StepOutcome::Fenced(_) => FENCED.one([]),
            _ => {}
        }
    }
}

/// The wait for a tenant's lock that another session has.
pub(crate) struct LockMeter {
    engine: &'static str,
    since: Option<Instant>,
}

impl LockMeter {
    pub(crate) fn new(hosts: &Hosts, host: &HostName) -> Self {
        Self {
            engine: engine(hosts, host),
            since: None,
        }
    }

    /// An answer came: the lock was to be had, or it was not.
    pub(crate) fn answered(&mut self, outcome: &StepOutcome) {
        if matches!(outcome, StepOutcome::Busy | StepOutcome::Queued) {
            self.since.get_or_insert_with(Instant::now);
        } else if let Some(since) = self.since.take() {
            LOCK_WAITS.took([self.engine], since.elapsed());
        }
    }
}

impl Drop for LockMeter {
    /// Nobody waits any more, and the lock was not to be had.
    fn drop(&mut self) {
        if let Some(since) = self.since {
            LOCK_WAITS.took([self.engine], since.elapsed());
        }
    }
}
