//! Every metric that there is. What is not here cannot be recorded, and dashboards and alerts may name nothing else.
//!
//! No tenant, no SQL and no error text is ever a label: their number has no bound.

use crate::metric::{About, Counter, Gauge, Histogram, Kind};

/// From 50 ms to an hour: what a tenant takes.
const TARGETS: &[f64] = &[
    0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0, 900.0, 3600.0,
];
/// From a millisecond to half a minute: what a message, a request or a lock takes.
const REQUESTS: &[f64] = &[
    0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0, 30.0,
];

/// Writes each metric down once: as something to record into, and in [`ALL`].
macro_rules! catalogue {
    ($( $kind:ident $metric:ident = $name:literal [$($label:literal),*] $help:literal $(in $buckets:ident)?; )*) => {
        $(
            #[doc = $help]
            pub static $metric: $kind<{ <[&str]>::len(&[$($label),*]) }> = $kind(About {
                name: $name,
                kind: Kind::$kind,
                labels: &[$($label),*],
                help: $help,
                buckets: catalogue!(@buckets $($buckets)?),
            });
        )*

        /// Every metric, in the order of the reference page.
        pub static ALL: &[&About] = &[$( &$metric.0 ),*];
    };
    (@buckets) => { &[] };
    (@buckets $buckets:ident) => { $buckets };
}

// Every process.
catalogue! {
    Gauge BUILD_INFO = "sanderling_build_info" ["version", "process"]
        "Always 1: the version of this process, and what it is (coordinator, worker or up).";
    Histogram STORE_REQUESTS = "sanderling_store_request_duration_seconds" ["op"]
        "How long the control store took to answer, by verb; retries within a verb included." in REQUESTS;
    Counter STORE_ERRORS = "sanderling_store_errors_total" ["op", "kind"]
        "Answers of the control store that were errors, by verb and kind.";
    Histogram CLAIMS_REQUESTS = "sanderling_claims_request_duration_seconds" ["backend", "op"]
        "How long Redis (or the memory that stands for it) took to answer, by call." in REQUESTS;
    Counter CLAIMS_LOCKS = "sanderling_claims_locks_total" ["backend", "op", "result"]
        "Locks that were asked for, renewed or released, by what came of it: ok, refused or error.";
    Counter DROPPED_LABELS = "sanderling_dropped_labels_total" ["label"]
        "Values that were recorded as `other`, because their label has too many.";

    // Coordinators.
    Gauge LEADER = "sanderling_leader" []
        "1 in the coordinator that leads, 0 in the others.";
    Counter HALTS = "sanderling_halts_total" ["rule"]
        "Halts that this coordinator saw while it led, by the rule that was crossed.";
    Counter GATE_EVALUATIONS = "sanderling_gate_evaluations_total" ["kind", "result"]
        "Measurements of gates that this coordinator took, by what they said.";

    // The leader's view of the fleet.
    Gauge WORKERS = "sanderling_workers" []
        "Workers whose heartbeat has not run out.";
    Gauge WORKERS_AWAY = "sanderling_workers_away" ["host"]
        "Live workers that cannot work on a host; only hosts with any.";
    Gauge SURVEY_TIME = "sanderling_survey_timestamp_seconds" []
        "When the leader last looked at the whole fleet.";
    Gauge SURVEY_DURATION = "sanderling_survey_duration_seconds" []
        "How long its last look at the whole fleet took.";
    Gauge TENANTS = "sanderling_tenants" ["engine", "host"]
        "Tenants in the registry.";
    Gauge TENANTS_BY_STATE = "sanderling_tenants_by_state" ["state"]
        "Tenants by where they stand towards the newest version; they sum to the registry.";
    Gauge TENANTS_HELD = "sanderling_tenants_held" []
        "Tenants that are pinned by a hold; they are in the other counts too.";
    Gauge TENANTS_BY_VERSION = "sanderling_tenants_by_version" ["version"]
        "Tenants by the newest version in effect: the newest ten versions, `older`, and `none`.";

    // The leader's view of rollouts: the active ones and the last that ended.
    Gauge ROLLOUT_STATE = "sanderling_rollout_state" ["rollout", "state"]
        "1 for the state that the rollout is in, 0 for the others.";
    Gauge ROLLOUT_SUBMITTED = "sanderling_rollout_submitted_timestamp_seconds" ["rollout"]
        "When the rollout was submitted.";
    Gauge ROLLOUT_ENDED = "sanderling_rollout_ended_timestamp_seconds" ["rollout"]
        "When the rollout ended; only of those that have.";
    Gauge ROLLOUT_ETA = "sanderling_rollout_eta_timestamp_seconds" ["rollout", "estimate"]
        "When the rollout will have ended, if targets take what they took so far at this estimate (p50, the median, or p90).";
    Gauge ROLLOUT_TARGETS = "sanderling_rollout_targets" ["rollout", "wave", "outcome"]
        "Targets of the rollout by wave and outcome; those in flight count as pending.";
    Gauge ROLLOUT_LEFT_OUT = "sanderling_rollout_left_out" ["rollout", "outcome"]
        "Tenants of the rollout that its plan put in no wave, by outcome.";
    Gauge ROLLOUT_IN_FLIGHT = "sanderling_rollout_in_flight" ["rollout", "wave"]
        "Targets that are in flight.";
    Gauge ROLLOUT_MAX_IN_FLIGHT = "sanderling_rollout_max_in_flight" ["rollout"]
        "The most targets of the rollout that may be in flight at once.";
    Gauge ROLLOUT_FAILED = "sanderling_rollout_failed" ["rollout", "class"]
        "Failed targets by the class of their cause.";
    Gauge ROLLOUT_TOLERATED = "sanderling_rollout_failures_tolerated" ["rollout"]
        "Failed targets that the whole rollout tolerates; absent without a limit.";
    Gauge ROLLOUT_HALTED = "sanderling_rollout_halted" ["rollout", "rule", "harm"]
        "1 while the rollout is halted: by which rule, and whether every tenant is consistent (clean) or one is not (dirty).";
    Gauge ROLLOUT_PROGRESS = "sanderling_rollout_progress_timestamp_seconds" ["rollout"]
        "When something of the rollout last moved.";
    Gauge ROLLOUT_OLDEST_START = "sanderling_rollout_oldest_start_timestamp_seconds" ["rollout"]
        "When the target that has been in flight longest was started; absent where none is.";
    Gauge ROLLOUT_TARGET_ESTIMATE = "sanderling_rollout_target_estimate_seconds" ["rollout", "estimate"]
        "What a target takes, from those of the rollout that ended last; absent before any has.";
    Gauge WAVE_STATE = "sanderling_wave_state" ["rollout", "wave", "state"]
        "1 for the state that the wave is in (closed, open, gated or ended), 0 for the others.";
    Gauge WAVE_TARGETS = "sanderling_wave_targets" ["rollout", "wave"]
        "Targets that the plan gave to the wave.";
    Gauge WAVE_TOLERATED = "sanderling_wave_failures_tolerated" ["rollout", "wave"]
        "Failed targets that the wave tolerates; absent without a limit.";
    Gauge WAVE_MAX_IN_FLIGHT = "sanderling_wave_max_in_flight" ["rollout", "wave"]
        "The most targets of the wave that may be in flight at once.";
    Gauge GATE_STATE = "sanderling_gate_state" ["rollout", "wave", "gate", "state"]
        "1 for the state that the gate is in, 0 for the others.";

    // Workers.
    Gauge WORKER_SLOTS = "sanderling_worker_slots" []
        "Targets that this worker works on at once, at most.";
    Gauge WORKER_SLOTS_IN_USE = "sanderling_worker_slots_in_use" []
        "Targets that this worker works on now.";
    Gauge WORKER_HEARTBEAT = "sanderling_worker_heartbeat_timestamp_seconds" []
        "When the control store last took a heartbeat of this worker.";
    Counter STARTS = "sanderling_starts_total" ["engine"]
        "Claims that were granted to this worker.";
    Histogram TARGETS_ENDED = "sanderling_target_duration_seconds" ["engine", "outcome"]
        "How long a claim was held, from its grant until its report was recorded; by what was reported." in TARGETS;
    Histogram MESSAGES = "sanderling_message_duration_seconds" ["engine", "kind"]
        "How long a tenant's database took for one migration, guard and evidence included." in TARGETS;
    Counter RETRIES = "sanderling_retries_total" ["class"]
        "Attempts that are to be tried again, by class of error.";
    Counter FAILURES = "sanderling_failures_total" ["class"]
        "Targets that failed for good, by class of error.";
    Histogram LOCK_WAITS = "sanderling_lock_wait_seconds" ["engine"]
        "How long a job waited for the lock of a tenant that another session had." in REQUESTS;
    Counter RENEW_FAILURES = "sanderling_renew_failures_total" []
        "Times that the control store did not renew the leases of this worker's claims.";
    Counter STALE_CLAIMS = "sanderling_stale_claims_total" []
        "Claims that this worker lost to another.";
    Counter FENCED = "sanderling_fenced_total" []
        "Steps that the fence of a tenant refused.";
    Gauge HOST_CONNECTIONS = "sanderling_host_connections" ["host", "state"]
        "Connections of this worker to a host: busy with a claim, or kept idle.";
    Gauge HOST_CONNECTIONS_LIMIT = "sanderling_host_connections_limit" ["host"]
        "Connections that all workers together may have to a host; the same number in each of them.";
    Gauge HOST_CIRCUIT_OPEN = "sanderling_host_circuit_open" ["host"]
        "1 while this worker leaves a host alone because it does not answer.";
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn names_follow_the_rules_of_prometheus() {
        let names: BTreeSet<_> = ALL.iter().map(|about| about.name).collect();
        assert_eq!(names.len(), ALL.len(), "a name is there twice");
        for about in ALL {
            let name = about.name;
            assert!(name.starts_with("sanderling_"), "{name}");
            assert_eq!(
                about.kind == Kind::Counter,
                name.ends_with("_total"),
                "{name}"
            );
            let histogram = about.kind == Kind::Histogram;
            assert_eq!(histogram, !about.buckets.is_empty(), "{name}");
            assert!(!histogram || name.ends_with("_seconds"), "{name}");
            assert!(about.help.ends_with('.'), "{name}");
            assert!(about.buckets.is_sorted(), "{name}");
        }
    }

    #[test]
    fn no_label_has_values_without_number() {
        let bounded = BTreeSet::from([
            "version", "process", "op", "kind", "backend", "result", "label", "rule", "host",
            "engine", "state", "rollout", "estimate", "wave", "outcome", "class", "harm", "gate",
        ]);
        for about in ALL {
            for label in about.labels {
                assert!(
                    bounded.contains(label),
                    "{} has the label {label}",
                    about.name
                );
            }
        }
    }
}
