//! A history that could be, and one planted violation after the other.

use std::collections::BTreeMap;

use sanderling_core::{
    Epoch, Event, EventKind, HostName, Micros, Outcome, RolloutState, TenantId, Version, WorkerId,
};

use super::{History, Row, violations};

fn started(tenant: &str, wave: usize, epoch: i64, takeover: bool) -> EventKind {
    EventKind::Started {
        tenant: TenantId::new(tenant),
        wave,
        host: HostName::new("pg"),
        epoch: Epoch(epoch),
        worker: WorkerId::new("w"),
        takeover,
    }
}

fn ended(tenant: &str, wave: usize, epoch: i64) -> EventKind {
    EventKind::Ended {
        tenant: TenantId::new(tenant),
        wave,
        epoch: Epoch(epoch),
        outcome: Outcome::Succeeded,
        applied: vec![Version::new("0001")],
        failure: None,
        duration_ms: 1,
    }
}

fn halted() -> EventKind {
    let halt = serde_json::json!({
        "rule": "max_failures", "wave": null, "cause": "x/y", "failures": 1, "tolerated": 0, "in_flight": 0,
        "tenant": "a"
    });
    serde_json::from_value(serde_json::json!({"type": "halted", "halt": halt})).unwrap()
}

/// Events a hundred microseconds apart, numbered from 1.
fn numbered(kinds: Vec<EventKind>) -> Vec<Event> {
    let event = |(kind, seq): (EventKind, i64)| Event {
        seq,
        at: Micros(100 * seq),
        kind,
    };
    kinds.into_iter().zip(1..).map(event).collect()
}

fn row(tenant: &str, epoch: i64, at: i64) -> Row {
    Row {
        tenant: tenant.into(),
        version: "0001".into(),
        epoch,
        rollout: "r".into(),
        at,
    }
}

fn effects(tenants: &[&str]) -> BTreeMap<(String, String), u64> {
    let effect = |tenant: &&str| (((*tenant).to_owned(), "0001".to_owned()), 1);
    tenants.iter().map(effect).collect()
}

/// `a` in a canary, taken over once; then `b` and `c` side by side.
fn possible() -> History {
    let events = numbered(vec![
        EventKind::Submitted { tenants: 3 },
        EventKind::WaveOpened { wave: 0 },
        started("a", 0, 4, false),
        started("a", 0, 5, true),
        ended("a", 0, 5),
        EventKind::WaveOpened { wave: 1 },
        started("b", 1, 1, false),
        started("c", 1, 1, false),
        ended("c", 1, 1),
        EventKind::Reissued {
            tenant: TenantId::new("b"),
            wave: 1,
            epoch: Epoch(2),
        },
        ended("b", 1, 2),
        EventKind::Finished {
            state: RolloutState::Succeeded,
        },
    ]);
    History {
        rollout: "r".into(),
        events,
        most: 2,
        most_in_wave: vec![1, 2],
        ledger: vec![row("a", 4, 350), row("b", 2, 1050), row("c", 1, 850)],
        effects: effects(&["a", "b", "c"]),
    }
}

/// Plants something into what could be, and expects complaints that say so.
#[track_caller]
fn finds(words: &[&str], plant: impl FnOnce(&mut Vec<EventKind>, &mut History)) {
    let mut history = possible();
    let mut kinds: Vec<_> = history.events.drain(..).map(|event| event.kind).collect();
    plant(&mut kinds, &mut history);
    history.events = numbered(kinds);
    let found = violations(&history);
    assert!(!found.is_empty(), "nothing found");
    for words in words {
        assert!(
            found.iter().any(|said| said.contains(words)),
            "{words}: {found:#?}"
        );
    }
}

#[test]
fn what_could_be_is_not_complained_about() {
    assert_eq!(violations(&possible()), Vec::<String>::new());
}

#[test]
fn numbers_and_times_of_events() {
    let mut history = possible();
    history.events.remove(3);
    history.events[4].at = Micros(1);
    let found = violations(&history).join("\n");
    assert!(found.contains("event 5 stands where 4 belongs"), "{found}");
    assert!(found.contains("event 6 is older"), "{found}");
}

#[test]
fn a_start_after_a_halt_but_not_a_takeover() {
    finds(&["event 8: b started after the halt"], |kinds, _| {
        kinds.insert(6, halted())
    });
    let mut history = possible();
    let mut kinds: Vec<_> = history.events.drain(..).map(|event| event.kind).collect();
    kinds.truncate(4);
    kinds.insert(3, halted());
    history.events = numbered(kinds);
    history.ledger.truncate(1);
    history.effects = effects(&["a"]);
    assert_eq!(violations(&history), Vec::<String>::new());
}

#[test]
fn a_wave_that_begins_too_early() {
    finds(&["a of wave 0 ended after wave 1 had begun"], |kinds, _| {
        let end = kinds.remove(4);
        kinds.insert(6, end);
    });
    finds(&["c started in wave 1, which is not open"], |kinds, _| {
        drop(kinds.remove(5))
    });
    finds(&["wave 1 was opened twice"], |kinds, _| {
        kinds.insert(6, EventKind::WaveOpened { wave: 1 });
    });
}

#[test]
fn numbers_of_claims_that_do_not_grow() {
    finds(&["a got epoch 4 after 4"], |kinds, _| {
        kinds[3] = started("a", 0, 4, true)
    });
    finds(&["b got epoch 1 after 1"], |kinds, _| {
        kinds[9] = EventKind::Reissued {
            tenant: TenantId::new("b"),
            wave: 1,
            epoch: Epoch(1),
        };
    });
}

#[test]
fn starts_and_ends_that_do_not_alternate() {
    finds(&["a started while it was in flight"], |kinds, _| {
        kinds[3] = started("a", 0, 5, false);
    });
    finds(&["b was taken over from nobody"], |kinds, _| {
        kinds[6] = started("b", 1, 1, true);
    });
    finds(&["a ended as epoch 4, in flight is 5"], |kinds, _| {
        kinds[4] = ended("a", 0, 4)
    });
    finds(&["c ended and was not in flight"], |kinds, _| {
        kinds.insert(9, ended("c", 1, 1));
    });
    finds(&["c started after it had ended"], |kinds, _| {
        kinds.insert(9, started("c", 1, 2, false));
    });
    finds(
        &["b is in flight in a rollout that has finished"],
        |kinds, _| {
            kinds.remove(10);
        },
    );
}

#[test]
fn more_in_flight_than_printed() {
    finds(
        &["event 8: 2 in flight, the plan printed 1"],
        |_, history| history.most = 1,
    );
    finds(
        &["event 8: 2 of wave 1 in flight, the plan printed 1"],
        |_, history| {
            history.most_in_wave[1] = 1;
        },
    );
}

#[test]
fn effects_without_a_row_and_rows_without_an_effect() {
    finds(&["a at 0001: 1 ledger rows, 2 effects"], |_, history| {
        history.effects.insert(("a".into(), "0001".into()), 2);
    });
    finds(&["d at 0001: 0 ledger rows, 1 effects"], |_, history| {
        history.effects.insert(("d".into(), "0001".into()), 1);
    });
    finds(&["c at 0001: 1 ledger rows, 0 effects"], |_, history| {
        history.effects.remove(&("c".into(), "0001".into()));
    });
}

#[test]
fn an_effect_under_a_number_that_nobody_has_or_that_has_ended() {
    finds(&["b at 0001: epoch 7 was never granted"], |_, history| {
        history.ledger[1].epoch = 7;
    });
    finds(
        &["a at 0001: epoch 4 took effect after epoch 5 had ended by event 5"],
        |_, history| {
            history.ledger[0].at = 501;
        },
    );
}

#[test]
fn a_report_that_its_ledger_does_not_bear_out() {
    finds(
        &["c: reported {\"0001\"}, its ledger has {}"],
        |_, history| {
            history.ledger.pop();
            history.effects.remove(&("c".into(), "0001".into()));
        },
    );
}

#[test]
fn a_smaller_number_after_a_greater_one() {
    finds(
        &["a at 0000: epoch 3 took effect after epoch 4 had"],
        |_, history| {
            history.ledger.push(Row {
                version: "0000".into(),
                rollout: "older".into(),
                ..row("a", 3, 400)
            });
            history.effects.insert(("a".into(), "0000".into()), 1);
        },
    );
}

/// What a retry makes possible: an end that is undone, and waves side by side.
#[test]
fn a_retry_is_not_complained_about() {
    let mut history = possible();
    let mut kinds: Vec<_> = history.events.drain(..).map(|event| event.kind).collect();
    let retried = EventKind::Retried {
        actor: "anna".into(),
        reason: None,
        targets: Vec::new(),
    };
    kinds.splice(
        8..8,
        [
            halted(),
            retried,
            started("a", 0, 6, false),
            ended("a", 0, 6),
        ],
    );
    history.events = numbered(kinds);
    history.ledger = vec![row("a", 5, 450), row("b", 2, 1450), row("c", 1, 1250)];
    history.most = 3;
    assert_eq!(violations(&history), Vec::<String>::new());
}

/// A deferred target is tried again after its wave was swept, and not before.
#[test]
fn a_sweep_lets_what_was_deferred_start_again() {
    let with = |swept: bool| {
        let mut history = possible();
        let mut kinds: Vec<_> = history.events.drain(..).map(|event| event.kind).collect();
        let mut deferred = ended("a", 0, 1);
        if let EventKind::Ended { outcome, .. } = &mut deferred {
            *outcome = Outcome::Deferred;
        }
        kinds.splice(2..2, [started("a", 0, 1, false), deferred]);
        if swept {
            kinds.insert(
                4,
                EventKind::Swept {
                    wave: 0,
                    targets: 1,
                },
            );
        }
        history.events = numbered(kinds);
        for row in &mut history.ledger {
            row.at += 200;
        }
        violations(&history)
    };
    assert!(
        !with(true)
            .iter()
            .any(|said| said.contains("after it had ended"))
    );
    assert!(
        with(false)
            .iter()
            .any(|said| said.contains("a started after it had ended"))
    );
}
