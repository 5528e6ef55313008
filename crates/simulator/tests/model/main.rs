//! The claim protocol as a model, every state of it looked at.
//!
//! The control store is the real one's rules: `Rollout::record`, `fold`, `decide`, `permits` and `retry::delay` of
//! `core`, not copies. Around them stand the verbs of `crates/store`, the worker of `crates/worker` and the guard of
//! `crates/engine`, each as short as it can be said. Redis is not there: it gives nothing that a promise needs.
//!
//! What may happen: a message arrives after its sender's death, or never; answers are lost; bodies fail; a lease ends
//! while its holder lives; workers die at any point; leaders change; a person retries, resumes or cancels; somebody
//! changes a tenant by hand. Only how often is bounded (`Setup::faults`).

#![expect(
    clippy::print_stdout,
    reason = "how many states were looked at is the result"
)]

mod canon;
mod control;
mod finish;
mod flaws;
mod job;
mod model;
mod place;
mod promises;
mod setup;
mod verbs;
mod world;

use flaws::Flaw;
use promises::{AFTER, EVIDENCE, HALT, LEADER, ONCE, PERMITS, QUIET};
use setup::Setup;
use stateright::{Checker, HasDiscoveries, Model};

/// One tenant, one version: what dead and living claims can do to each other.
fn tenant() -> Setup {
    Setup {
        waves: vec![1],
        versions: 1,
        workers: 3,
        tolerated: Some(0),
        concurrency: 2,
        faults: 3,
        verbs: 1,
        transient: false,
        strangers: false,
        flaws: Vec::new(),
    }
}

/// Bodies that meet locks: tried again, then deferred, then swept.
fn locks() -> Setup {
    Setup {
        faults: 2,
        transient: true,
        ..tenant()
    }
}

/// A tenant that is between two versions for a while.
fn versions() -> Setup {
    Setup {
        versions: 2,
        ..tenant()
    }
}

/// Two tenants that may fail side by side: the halt.
fn halt() -> Setup {
    Setup {
        waves: vec![2],
        faults: 1,
        ..tenant()
    }
}

/// Two tenants, two versions each, side by side.
fn halt_between_versions() -> Setup {
    Setup {
        versions: 2,
        ..halt()
    }
}

/// Two tenants and room for one.
fn narrow() -> Setup {
    Setup {
        concurrency: 1,
        faults: 2,
        ..halt()
    }
}

/// Two waves.
fn waves() -> Setup {
    Setup {
        waves: vec![1, 1],
        faults: 2,
        ..tenant()
    }
}

/// Two waves, and locks in the way.
fn sweeps() -> Setup {
    Setup {
        faults: 1,
        verbs: 0,
        transient: true,
        ..waves()
    }
}

/// A wave of two before a wave of one, and nobody who retries.
fn fleet() -> Setup {
    Setup {
        waves: vec![2, 1],
        tolerated: Some(1),
        faults: 2,
        verbs: 0,
        ..tenant()
    }
}

/// Somebody applies versions by hand meanwhile.
fn stranger() -> Setup {
    Setup {
        strangers: true,
        faults: 2,
        verbs: 1,
        ..versions()
    }
}

/// Looks at every state. Each promise must hold in all of them, and each thing that should be possible must be.
fn holds(name: &str, setup: Setup) {
    let checker = setup.checker().threads(2).spawn_bfs().join();
    println!(
        "{name}: {} states, {} of them different, up to {} steps",
        checker.state_count(),
        checker.unique_state_count(),
        checker.max_depth()
    );
    checker.assert_properties();
}

/// Without the mechanisms `missing`, the promise must be seen to break.
fn breaks(setup: Setup, missing: &[Flaw], promise: &'static str) {
    let checker = setup
        .with(missing)
        .checker()
        .finish_when(HasDiscoveries::AnyOf([promise].into()))
        .spawn_bfs()
        .join();
    let found = checker.discovery(promise);
    let path = found.unwrap_or_else(|| panic!("{missing:?} are missing, and nothing breaks"));
    let steps = path.into_actions();
    println!(
        "{missing:?}: {promise}: broken after {} steps, {} states looked at",
        steps.len(),
        checker.unique_state_count()
    );
    for step in steps {
        println!("  {step:?}");
    }
}

macro_rules! every_state {
    ($($name:ident: $setup:expr;)*) => { $(
        #[test]
        fn $name() {
            holds(stringify!($name), $setup);
        }
    )* };
}

every_state! {
    one_tenant: tenant();
    locks_in_the_way: locks();
    between_two_versions: versions();
    a_halt: halt();
    a_halt_between_two_versions: halt_between_versions();
    one_at_a_time: narrow();
    two_waves: waves();
    two_waves_swept: sweeps();
    three_tenants_in_two_waves: fleet();
    a_stranger: stranger();
}

macro_rules! without {
    ($($name:ident: $setup:expr, [$($flaw:ident),*] => $promise:ident;)*) => { $(
        #[test]
        fn $name() {
            breaks($setup, &[$(Flaw::$flaw),*], $promise);
        }
    )* };
}

without! {
    no_fence_before_a_failure: tenant(), [NoFenceBeforeFailure] => QUIET;
    a_takeover_retried_without_a_fence: locks(), [UnfencedTakeoverRetry] => QUIET;
    takeover_not_told: locks(), [TakeoverFlagDropped] => QUIET;
    the_old_number_after_a_lost_connection: tenant(), [EpochKeptOnReissue] => QUIET;
    a_fence_that_lets_older_numbers_pass: tenant(), [FenceAcceptsOlder] => QUIET;
    the_ledger_read_before_the_fence: tenant(), [LedgerReadBeforeFence] => EVIDENCE;
    given_up_without_a_look: tenant(), [GivesUpUnread] => EVIDENCE;
    drained_without_a_look: tenant(), [DrainsUnread] => EVIDENCE;
    one_version_noted: versions(), [NotesOneVersion] => EVIDENCE;
    success_without_evidence: tenant(), [SuccessWithoutEvidence] => EVIDENCE;
    an_upsert_without_where: stranger(), [UpsertWithoutWhere] => ONCE;
    halted_by_the_coordinator: halt(), [HaltByCoordinatorOnly] => HALT;
    permits_in_redis: narrow(), [PermitsInRedis] => PERMITS;
    a_lease_that_frees_its_permit: narrow(), [LeaseFreesPermit] => PERMITS;
    a_report_that_is_not_compared: tenant(), [ReportWithoutCompare] => QUIET;
    a_takeover_that_applies_after_the_halt: halt(), [TakeoverAppliesAfterHalt] => AFTER;
    a_next_version_unasked: halt_between_versions(), [NextVersionUnasked] => AFTER;
    an_action_without_the_leaders_number: waves(), [LeaderWithoutEpoch] => LEADER;
    neither_reread_nor_where: tenant(), [NoLedgerReread, UpsertWithoutWhere] => ONCE;
}

/// Two of the locks are second ones: without either the other holds.
#[test]
fn what_is_locked_twice() {
    holds(
        "no re-read of the ledger, but WHERE",
        tenant().with(&[Flaw::NoLedgerReread]),
    );
    holds(
        "no comparison of events seen, but fold",
        waves().with(&[Flaw::ActWithoutSeq]),
    );
}

#[test]
fn from_every_state_it_can_finish() {
    finish::from_everywhere(Setup {
        faults: 1,
        ..locks()
    });
    finish::from_everywhere(Setup { ..sweeps() });
}
