//! Gates: what is measured and judged is written by the leader, and the store keeps waves shut.

use sanderling_core::gate::{
    Bake, Condition, Gate, GateKind, Measurement, OnNoData, Promql, Verdict,
};
use sanderling_core::rollout::Action;
use sanderling_core::{Outcome, RolloutId, RolloutState};
use sanderling_store::{Command, StoreError};

use crate::backend::Backend;
use crate::fleet::{
    AnyStore, LEASE, act, ended, plan, report, rollout, running, start_one, worker,
};

pub(crate) fn errors() -> Gate {
    Gate {
        name: "errors".into(),
        kind: GateKind::Promql(Promql {
            provider: "main".into(),
            query: "errors".into(),
            baseline: None,
            pass: Some(Condition::parse("value < 1").unwrap()),
            fail: None,
            reduce: None,
            on_no_data: OnNoData::Inconclusive,
            initial_delay_ms: 0,
            interval_ms: 1,
            count: 1,
            timeout_ms: 1,
            failure_limit: 0,
            inconclusive_limit: 0,
            error_limit: 0,
        }),
    }
}

fn bake() -> Gate {
    Gate {
        name: "bake".into(),
        kind: GateKind::Bake(Bake {
            duration_ms: 3_600_000,
            samples: None,
        }),
    }
}

pub(crate) fn measured(evaluation: u32, result: Verdict) -> Action {
    Action::MeasuredGate {
        wave: 0,
        gate: 0,
        evaluation,
        measurement: Measurement {
            number: 1,
            result,
            value: None,
            why: "so it says".into(),
            query: "errors".into(),
            answer: "{}".into(),
        },
    }
}

pub(crate) fn skip(gate: &str) -> Command {
    Command::SkipGate {
        gate: gate.into(),
        reason: "moved".into(),
    }
}

/// A rollout of two waves whose first has ended, with this gate in between.
async fn at(store: &AnyStore, fleet: &str, gate: Gate) -> RolloutId {
    let mut planned = plan(fleet, &[1, 1]);
    planned.waves[0].gates = vec![gate];
    let id = running(store, planned).await;
    let grant = start_one(store, &id, 0, LEASE).await;
    report(store, &grant, ended(Outcome::Succeeded)).await;
    id
}

pub(crate) async fn refused(store: &AnyStore, id: &RolloutId, action: Action) -> String {
    let leader = store.lead(&worker("leader"), LEASE).await.unwrap();
    let seq = rollout(store, id).await.last_seq;
    match store.act(&leader.unwrap(), id, seq, &action).await {
        Err(StoreError::Refused(why)) => why,
        other => panic!("{other:?}"),
    }
}

pub(crate) async fn a_wave_stays_shut_without_evidence(backend: Backend) {
    let store = backend.open().await;
    let id = at(&store, &backend.fleet, bake()).await;
    let judge = Action::JudgeGate { wave: 0, gate: 0 };
    assert!(
        refused(&store, &id, judge)
            .await
            .contains("no gate that has a verdict")
    );
    let why = refused(&store, &id, Action::OpenWave(1)).await;
    assert!(why.contains("gate bake has not passed"), "{why}");
}

pub(crate) async fn a_verdict_follows_its_measurement(backend: Backend) {
    let store = backend.open().await;
    let id = at(&store, &backend.fleet, errors()).await;
    act(&store, &id, measured(1, Verdict::Error)).await;
    let waits = rollout(&store, &id).await;
    assert_eq!(waits.state, RolloutState::Waiting);
    assert_eq!(waits.waves[0].gates[0].verdict, Some(Verdict::Error));
    let resume = Command::Resume {
        acknowledge: false,
        reason: None,
    };
    store.command(&id, &resume, "anna").await.unwrap();
    let late = refused(&store, &id, measured(1, Verdict::Pass)).await;
    assert!(late.contains("evaluation 2"), "{late}");
    act(&store, &id, measured(2, Verdict::Fail)).await;
    let halted = rollout(&store, &id).await;
    assert_eq!(halted.state, RolloutState::Halted);
    assert_eq!(halted.halt.unwrap().rule.as_str(), "gate");
    let resume = Command::Resume {
        acknowledge: true,
        reason: None,
    };
    store.command(&id, &resume, "anna").await.unwrap();
    act(&store, &id, measured(3, Verdict::Pass)).await;
    act(&store, &id, Action::OpenWave(1)).await;
    let events = store.events(&id, 0, 100).await.unwrap();
    let kinds: Vec<_> = events.iter().map(|e| e.kind.as_str()).collect();
    let gates: Vec<_> = kinds
        .into_iter()
        .filter(|kind| kind.starts_with("gate"))
        .collect();
    assert_eq!(gates, ["gate_measured", "gate_judged"].repeat(3));
}

pub(crate) async fn a_gate_is_skipped_once_and_audited(backend: Backend) {
    let store = backend.open().await;
    let id = at(&store, &backend.fleet, errors()).await;
    let unknown = store.command(&id, &skip("eror"), "anna").await;
    let Err(StoreError::Refused(why)) = unknown else {
        panic!("{unknown:?}");
    };
    assert!(why.contains("its gates: errors"), "{why}");
    act(&store, &id, measured(1, Verdict::Error)).await;
    let receipt = store.command(&id, &skip("errors"), "anna").await.unwrap();
    assert!(receipt.changed);
    assert_eq!(rollout(&store, &id).await.state, RolloutState::Running);
    let again = store.command(&id, &skip("errors"), "anna").await.unwrap();
    assert!(!again.changed);
    let audited = "SELECT actor || ':' || state_before || ':' || state_after || ':' || detail FROM audit WHERE verb = 'skip_gate'";
    assert_eq!(
        backend.sql(audited).await,
        "anna:waiting:running:errors: moved"
    );
    act(&store, &id, Action::OpenWave(1)).await;
    let cancel = Command::Cancel {
        reason: "enough".into(),
    };
    store.command(&id, &cancel, "anna").await.unwrap();
    assert!(store.command(&id, &skip("errors"), "anna").await.is_err());
}
