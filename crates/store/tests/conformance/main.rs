//! The store's conformance suite: every test runs against every backend.
#![expect(
    clippy::unwrap_used,
    reason = "a test may panic; clippy knows only functions that are marked as tests"
)]

mod amend;
mod backend;
mod cancels;
mod claims;
mod commands;
mod concurrency;
mod directions;
mod fleet;
mod gates;
mod held_at_gates;
mod holds;
mod kept;
mod leader;
mod newest;
mod older;
mod opening;
mod random;
mod reading;
mod reports;
mod serving;
mod submitting;
mod sweeps;
mod table;
mod verbs;

/// Runs every test against one backend.
macro_rules! conformance {
    ($backend:ident: $($module:ident::{$($test:ident),* $(,)?}),* $(,)?) => {
        mod $backend {
            $($(
                #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                async fn $test() {
                    crate::$module::$test(crate::backend::Backend::$backend()).await;
                }
            )*)*
        }
    };
}

/// The list of tests, for each backend.
macro_rules! backends {
    ($($backend:ident),*) => {$(
        conformance! { $backend:
            opening::{
                the_identity_stays, looking_creates_nothing, a_newer_store_is_refused, fleets_do_not_see_each_other,
                many_open_at_once,
            },
            older::{ a_store_of_version_3_goes_on },
            submitting::{
                a_plan_becomes_a_rollout, the_same_plan_joins, an_overlap_is_refused, disjoint_plans_run_side_by_side,
                two_submits_at_once_make_one_rollout, a_broken_plan_is_refused, ten_thousand_targets,
            },
            claims::{
                nothing_starts_before_its_wave_opens, permits_of_rollout_wave_and_host, hosts_span_rollouts,
                a_strict_canary, candidates_come_in_order, a_full_host_hides_no_other, two_full_hosts_hide_no_third,
                a_lost_answer_is_repeated, what_is_abandoned_is_taken_over_uncounted,
                renewal, reissuing, an_expired_claim_is_taken_over, an_expired_claim_of_a_halted_rollout_is_resolved,
                takeover_is_remembered_until_it_is_disproved,
            },
            directions::{ a_rollout_knows_its_direction, what_was_proved_before_the_way_down_is_believed },
            kept::{
                what_a_worker_keeps_is_taken_for_others, what_a_worker_let_go_of_is_free, a_lost_worker_keeps_nothing,
                a_report_that_came_too_late_keeps_nothing, more_claims_than_connections, connections_change_hands_with_claims,
            },
            gates::{
                a_wave_stays_shut_without_evidence, a_verdict_follows_its_measurement, a_gate_is_skipped_once_and_audited,
            },
            reports::{
                outcomes_are_recorded, a_tenant_between_two_versions_is_called_so, a_retry_waits_and_counts, a_failure_halts_in_its_own_transaction,
                late_and_double_reports_change_nothing, reports_of_several_rollouts, nonsense_is_refused,
            },
            commands::{
                resume_from_each_state, retry_from_each_state, cancel_from_each_state, retry_by_class, resume_goes_on_with_partial_targets,
                cancelling_drains_what_is_in_flight, a_cancelled_rollout_frees_its_tenants,
                a_finished_rollout_is_retried_unless_overtaken,
            },
            leader::{ two_leaders, actions_need_the_leader_and_the_last_event, finishing_frees_tenants },
            reading::{ bundles, files_of_a_version, targets_in_pages, believed, believed_over_several_rollouts,
                epochs_are_raised_and_never_lowered, workers_and_events, a_worker_says_what_is_away, notes, the_clock_moves },
            concurrency::{
                sixteen_starters_and_exact_permits, nothing_starts_after_the_halt, dropped_futures_poison_nothing, a_dropped_verb_comes_to_its_end,
                a_large_rollout_moves,
                connections_that_died_are_replaced,
            },
            sweeps::{
                what_is_deferred_is_swept_once, a_sweep_keeps_other_budgets_and_what_was_applied,
                nothing_stays_deferred_in_a_cancelled_rollout, deferred_targets_are_retried,
            },
            verbs::{
                a_paused_rollout_drains_and_starts_nothing, a_pause_acknowledges_nothing, a_target_is_skipped_unless_it_may_still_move,
                what_has_not_begun_goes_on_after_a_halt, what_was_skipped_is_put_back_after_the_end,
            },
            holds::{
                a_held_tenant_does_not_start, a_rollout_waits_for_held_tenants_and_goes_on, a_hold_ends_by_itself,
                a_person_puts_nobody_back_who_is_held, a_plan_that_was_made_before_the_hold,
                a_held_tenant_is_skipped_or_cancelled, tenants_are_cancelled_one_by_one,
            },
            amend::{
                an_amended_rollout_grants_the_new_text, an_amendment_is_compared_and_set, an_ended_rollout_owns_its_tenants_again,
                what_is_in_flight_is_not_amended_away,
            },
            newest::{ the_newest_target_of_each_tenant },
            held_at_gates::{
                a_release_at_a_gate_that_says_nothing, a_hold_that_ends_by_itself_at_a_gate, a_release_while_a_gate_has_halted_it,
                a_hold_that_ends_in_a_pause_at_a_gate, a_retry_of_who_is_held_passes_no_gate,
                a_skipped_gate_stays_skipped_when_a_hold_ends, the_last_held_tenant_is_skipped_at_a_gate,
            },
            cancels::{
                a_claim_is_told_that_its_target_is_cancelled, what_a_cancelled_claim_says_counts,
                a_cancelled_claim_that_settled_nothing_has_not_ended, a_takeover_of_a_cancelled_target_only_resolves,
            },
            table::{ every_verb_from_every_state },
            serving::{
                only_what_is_served_is_found_and_granted, an_expired_claim_waits_for_who_serves_it,
                a_worker_says_what_it_serves, hosts_travel_as_they_were_written,
            },
            random::{ tallies_agree_with_targets },
        }
    )*};
}

backends!(postgres, sqlite);
