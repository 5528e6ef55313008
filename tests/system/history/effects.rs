//! Effects: what is in the tenants is what the claims were granted for, once each.

use std::collections::{BTreeMap, BTreeSet};

use sanderling_core::EventKind;

use super::{History, Row, claims};

pub(super) fn violations(history: &History) -> Vec<String> {
    let mut found = once(history);
    found.extend(granted(history));
    found.extend(late(history));
    found.extend(reported(history));
    found.extend(backwards(&history.ledger));
    found
}

fn ours(history: &History) -> impl Iterator<Item = &Row> {
    history
        .ledger
        .iter()
        .filter(|row| row.rollout == history.rollout)
}

/// Each ledger row stands for one effect, and each effect for one ledger row.
fn once(history: &History) -> Vec<String> {
    let mut rows: BTreeMap<(String, String), u64> = BTreeMap::new();
    for row in &history.ledger {
        *rows
            .entry((row.tenant.clone(), row.version.clone()))
            .or_default() += 1;
    }
    let both: BTreeSet<_> = rows.keys().chain(history.effects.keys()).collect();
    let of = |counts: &BTreeMap<(String, String), u64>, key| counts.get(key).copied().unwrap_or(0);
    both.into_iter()
        .filter_map(|key| {
            let (row, effect) = (of(&rows, key), of(&history.effects, key));
            ((row, effect) != (1, 1)).then(|| {
                format!(
                    "{} at {}: {row} ledger rows, {effect} effects",
                    key.0, key.1
                )
            })
        })
        .collect()
}

/// A row of this rollout bears a number that was granted.
fn granted(history: &History) -> Vec<String> {
    let granted = claims::granted(&history.events);
    ours(history)
        .filter(|row| !granted.contains(&(row.tenant.clone(), row.epoch)))
        .map(|row| {
            format!(
                "{} at {}: epoch {} was never granted",
                row.tenant, row.version, row.epoch
            )
        })
        .collect()
}

/// When a claim ends, it or its fence has answered for everything with its number or a smaller one: nothing of that
/// comes later.
fn late(history: &History) -> Vec<String> {
    let ends = history.events.iter().filter_map(|event| match &event.kind {
        EventKind::Ended { tenant, epoch, .. } | EventKind::Released { tenant, epoch, .. } => {
            Some((tenant.as_str(), epoch.0, event))
        }
        _ => None,
    });
    ends.flat_map(|(tenant, epoch, end)| {
        ours(history)
            .filter(move |row| row.tenant == tenant && row.epoch <= epoch && row.at > end.at.0)
            .map(move |row| {
                format!(
                    "{tenant} at {}: epoch {} took effect after epoch {epoch} had ended by event {}",
                    row.version, row.epoch, end.seq
                )
            })
    })
    .collect()
}

/// What a target's last report says was applied is what its ledger has of this rollout.
fn reported(history: &History) -> Vec<String> {
    let mut last = BTreeMap::new();
    for event in &history.events {
        match &event.kind {
            EventKind::Ended {
                tenant, applied, ..
            } => {
                let applied: BTreeSet<_> = applied.iter().map(ToString::to_string).collect();
                last.insert(tenant.to_string(), applied);
            }
            EventKind::Started { tenant, .. } => {
                last.remove(tenant.as_str());
            }
            _ => {}
        }
    }
    last.into_iter()
        .filter_map(|(tenant, said)| {
            let rows: BTreeSet<_> = ours(history)
                .filter(|row| row.tenant == tenant)
                .map(|row| row.version.clone())
                .collect();
            (rows != said).then(|| format!("{tenant}: reported {said:?}, its ledger has {rows:?}"))
        })
        .collect()
}

/// In one tenant, a row is never followed by one with a smaller number.
fn backwards(ledger: &[Row]) -> Vec<String> {
    let mut sorted: Vec<_> = ledger.iter().collect();
    sorted.sort_by_key(|row| (&row.tenant, row.at, row.epoch));
    sorted
        .windows(2)
        .filter(|pair| pair[0].tenant == pair[1].tenant && pair[1].epoch < pair[0].epoch)
        .map(|pair| {
            format!(
                "{} at {}: epoch {} took effect after epoch {} had",
                pair[1].tenant, pair[1].version, pair[1].epoch, pair[0].epoch
            )
        })
        .collect()
}
