//! Every verb from every state: what it does, what a repeat does, why it is refused, and what the audit log keeps.

use sanderling_core::plan::Plan;
use sanderling_core::rollout::Action;
use sanderling_core::{Outcome, RolloutId, RolloutState};
use sanderling_store::{Command, StoreError};

use crate::amend::amend;
use crate::backend::Backend;
use crate::fleet::{
    AnyStore, LEASE, act, ended, plan, report, running, shifted, start, start_one, tenant,
};
use crate::holds::{let_go, pin, waits};
use crate::verbs::{pause, resume, skip, state};

/// A verb as typed. Each rollout has three tenants, the first of which is `n`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Typed {
    Pause,
    Resume,
    Acknowledge,
    Cancel,
    Retry,
    NotStarted,
    Amend,
    Skip,
    Hold,
    Release,
    CancelTenant,
}

const VERBS: [Typed; 11] = [
    Typed::Pause,
    Typed::Resume,
    Typed::Acknowledge,
    Typed::Cancel,
    Typed::Retry,
    Typed::NotStarted,
    Typed::Amend,
    Typed::Skip,
    Typed::Hold,
    Typed::Release,
    Typed::CancelTenant,
];

/// What becomes of it.
#[derive(Clone, Copy, Debug)]
enum Expected {
    /// Something changes, and the rollout is in this state. A repeat changes nothing.
    Goes(RolloutState),
    /// Nothing changes: it was so before, or there is nothing that it is about.
    Same,
    /// It is refused with these words.
    Refused(&'static str),
}

use Expected::{Goes, Refused, Same};
use RolloutState::{Cancelled, CompletedWithFailures, Halted, Paused, Running, Succeeded, Waiting};

/// The table. Tenant `n` has failed in a halted and a failed rollout, has succeeded in one that waits or succeeded, and
/// is pending in one that runs or is paused; tenant `n + 2` is pending, held where the rollout waits.
fn expected(verb: Typed, state: RolloutState) -> Expected {
    match (verb, state) {
        (Typed::Pause, Running | Waiting) => Goes(Paused),
        (Typed::Pause, Paused) => Same,
        (Typed::Pause, Halted) => Refused("rollout show"),
        (Typed::Pause, _) => Refused("has ended"),

        (Typed::Resume | Typed::Acknowledge, Running) => Same,
        (Typed::Resume | Typed::Acknowledge, Paused) => Goes(Running),
        (Typed::Resume, Halted) => Refused("--acknowledge"),
        (Typed::Acknowledge, Halted) => Goes(Running),
        (Typed::Resume | Typed::Acknowledge, Waiting) => Refused("tenants release"),
        (Typed::Resume | Typed::Acknowledge, CompletedWithFailures) => Refused("rollout retry"),
        (Typed::Resume | Typed::Acknowledge, _) => Refused("sanderling up"),

        (Typed::Cancel, Cancelled) => Same,
        (Typed::Cancel, Succeeded | CompletedWithFailures) => Refused("nothing left to cancel"),
        (Typed::Cancel, _) => Goes(Cancelled),

        (Typed::Retry, Halted | CompletedWithFailures) => Goes(Running),
        (Typed::Retry, Succeeded | Cancelled) => Refused("sanderling up"),
        (Typed::Retry, _) => Same,

        (Typed::NotStarted, Halted) => Goes(Running),
        (Typed::NotStarted, Succeeded | Cancelled) => Refused("sanderling up"),
        (Typed::NotStarted, _) => Same,

        (Typed::Amend, Running | Waiting) => Refused("rollout pause"),
        (Typed::Amend, Paused) => Goes(Paused),
        (Typed::Amend, Halted | CompletedWithFailures) => Goes(Running),
        (Typed::Amend, _) => Refused("sanderling up"),

        // Tenant n + 2.
        (Typed::Skip | Typed::CancelTenant, Waiting) => Goes(Running),
        (Typed::Skip | Typed::CancelTenant, Running | Paused | Halted) => Goes(state),
        (Typed::Skip, _) => Refused("has ended"),
        (Typed::CancelTenant, _) => Same,

        // Holds are the fleet's: they change whatever the rollout is, and move only what is active.
        (Typed::Hold, Waiting) => Same,
        (Typed::Hold, _) => Goes(state),
        (Typed::Release, Waiting) => Goes(Running),
        (Typed::Release, _) => Same,
    }
}

/// Types it; whether anything changed.
async fn typed(
    store: &AnyStore,
    id: &RolloutId,
    n: usize,
    verb: Typed,
) -> Result<bool, StoreError> {
    let command = match verb {
        Typed::Pause => pause(),
        Typed::Resume => resume(false),
        Typed::Acknowledge => resume(true),
        Typed::Cancel => Command::Cancel {
            reason: "enough".to_owned(),
        },
        Typed::Retry => Command::Retry {
            class: None,
            reason: None,
        },
        Typed::NotStarted => Command::RetryNotStarted { reason: None },
        Typed::Amend => amend(&format!("text {n}")),
        Typed::Skip => skip(n + 2),
        Typed::Hold => return Ok(!pin(store, [n + 2]).await.changed.is_empty()),
        Typed::Release => return Ok(!let_go(store, [n + 2]).await.changed.is_empty()),
        Typed::CancelTenant => {
            let tenants = [tenant(n + 2)];
            let receipt = store.cancel_tenants(&tenants, "leaves", "anna").await?;
            return Ok(!receipt.changed.is_empty());
        }
    };
    Ok(store.command(id, &command, "anna").await?.changed)
}

/// The name that the audit log keeps it under.
fn audited(verb: Typed) -> &'static str {
    match verb {
        Typed::Pause => "pause",
        Typed::Resume | Typed::Acknowledge => "resume",
        Typed::Cancel => "cancel",
        Typed::Retry | Typed::NotStarted => "retry",
        Typed::Amend => "amend",
        Typed::Skip => "skip",
        Typed::Hold => "hold",
        Typed::Release => "release",
        Typed::CancelTenant => "cancel_tenant",
    }
}

/// A rollout in that state, over tenants `n` to `n + 2`.
async fn reach(store: &AnyStore, mut planned: Plan, n: usize, wanted: RolloutState) -> RolloutId {
    if wanted == Waiting {
        return waits(store, planned, n).await;
    }
    if wanted == Halted {
        planned.policy.limits.max_failures = Some(0);
    }
    let id = running(store, planned).await;
    let all = async |outcome| {
        for grant in start(store, &id, n..n + 3, LEASE).await {
            report(store, &grant, ended(outcome)).await;
        }
        act(store, &id, Action::Finish(wanted)).await;
    };
    match wanted {
        Running | Waiting => {}
        Paused => {
            store.command(&id, &pause(), "setup").await.unwrap();
        }
        Halted => {
            let grant = start_one(store, &id, n, LEASE).await;
            report(store, &grant, ended(Outcome::Failed)).await;
        }
        Succeeded => all(Outcome::Succeeded).await,
        CompletedWithFailures => all(Outcome::Failed).await,
        Cancelled => {
            let cancel = Command::Cancel {
                reason: "setup".to_owned(),
            };
            store.command(&id, &cancel, "setup").await.unwrap();
        }
    }
    id
}

pub(crate) async fn every_verb_from_every_state(backend: Backend) {
    let store = backend.open().await;
    let count = async || {
        let all = "SELECT COUNT(*) || '' FROM audit";
        backend.sql(all).await.trim().parse::<u64>().unwrap()
    };
    let mut n = 0;
    for verb in VERBS {
        for before in RolloutState::ALL {
            n += 10;
            let planned = shifted(plan(&backend.fleet, &[3]), n);
            let id = reach(&store, planned, n, before).await;
            assert_eq!(state(&store, &id).await, before);
            let what = format!("{verb:?} of one that is {before}");
            let rows = count().await;
            let answer = typed(&store, &id, n, verb).await;
            match expected(verb, before) {
                Goes(after) => {
                    assert!(answer.unwrap(), "{what}");
                    assert_eq!(state(&store, &id).await, after, "{what}");
                    assert_eq!(count().await, rows + 1, "{what}: one line of the audit log");
                    let line = "SELECT actor || ':' || verb || ':' || state_before || ':' || state_after || ':' || rollout
                        FROM audit ORDER BY number DESC LIMIT 1";
                    let line = backend.sql(line).await;
                    let fleetwide = matches!(verb, Typed::Hold | Typed::Release);
                    let kept = if fleetwide {
                        format!("anna:{}:::", audited(verb))
                    } else {
                        format!("anna:{}:{before}:{after}:{id}", audited(verb))
                    };
                    assert_eq!(line.trim(), kept, "{what}");
                    repeated(&store, &id, n, verb).await;
                    assert_eq!(state(&store, &id).await, after, "{what}, repeated");
                }
                Same => assert!(!answer.unwrap(), "{what}"),
                Refused(words) => match answer {
                    Err(StoreError::Refused(why)) => assert!(why.contains(words), "{what}: {why}"),
                    other => panic!("{what}: {other:?}"),
                },
            }
            if !matches!(expected(verb, before), Goes(_)) {
                assert_eq!(state(&store, &id).await, before, "{what}");
                assert_eq!(
                    count().await,
                    rows,
                    "{what}: the audit log keeps what changed"
                );
            }
            clean_up(&store, &id, n).await;
        }
    }
}

/// The same once more changes nothing and leaves no line.
async fn repeated(store: &AnyStore, id: &RolloutId, n: usize, verb: Typed) {
    let seq = crate::fleet::rollout(store, id).await.last_seq;
    let again = typed(store, id, n, verb).await;
    assert!(!again.unwrap(), "{verb:?}, repeated");
    assert_eq!(crate::fleet::rollout(store, id).await.last_seq, seq);
}

/// The next rollout has other tenants, but the control store need not carry these along.
async fn clean_up(store: &AnyStore, id: &RolloutId, n: usize) {
    let_go(store, [n + 2]).await;
    let cancel = Command::Cancel {
        reason: "clean-up".to_owned(),
    };
    // Refused where it has ended.
    let _ = store.command(id, &cancel, "setup").await;
}
