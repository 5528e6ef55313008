//! Claims: nothing starts after a halt, starts and ends alternate, numbers grow, permits hold.

use std::collections::{BTreeMap, BTreeSet};

use sanderling_core::{Event, EventKind, Outcome};

use super::History;

/// What is known of the claims so far.
#[derive(Default)]
struct Claims {
    /// Wave and epoch of each tenant in flight.
    flying: BTreeMap<String, (usize, i64)>,
    /// Tenants that have ended and were not retried: their wave, and what became of them.
    ended: BTreeMap<String, (usize, Outcome)>,
    newest: BTreeMap<String, i64>,
    halted: bool,
}

/// Every number that was granted, by tenant.
pub(super) fn granted(events: &[Event]) -> BTreeSet<(String, i64)> {
    events
        .iter()
        .filter_map(|event| match &event.kind {
            EventKind::Started { tenant, epoch, .. }
            | EventKind::Reissued { tenant, epoch, .. } => Some((tenant.to_string(), epoch.0)),
            _ => None,
        })
        .collect()
}

pub(super) fn violations(history: &History) -> Vec<String> {
    let mut claims = Claims::default();
    let mut found = Vec::new();
    for event in &history.events {
        let seq = event.seq;
        found.extend(
            claims
                .step(event)
                .into_iter()
                .map(|what| format!("event {seq}: {what}")),
        );
        found.extend(
            claims
                .too_many(history)
                .map(|what| format!("event {seq}: {what}")),
        );
    }
    if matches!(
        history.events.last().map(|e| &e.kind),
        Some(EventKind::Finished { .. })
    ) {
        let left = claims.flying.keys();
        found.extend(
            left.map(|tenant| format!("{tenant} is in flight in a rollout that has finished")),
        );
    }
    found
}

impl Claims {
    fn step(&mut self, event: &Event) -> Vec<String> {
        match &event.kind {
            EventKind::Started {
                tenant,
                wave,
                epoch,
                takeover,
                ..
            } => self.started(tenant.as_str(), *wave, epoch.0, *takeover),
            EventKind::Reissued {
                tenant,
                wave,
                epoch,
            } => {
                let mut found = self.grows(tenant.as_str(), epoch.0);
                match self.flying.get_mut(tenant.as_str()) {
                    Some(claim) => *claim = (*wave, epoch.0),
                    None => found.push(format!("{tenant} got a number and is not in flight")),
                }
                found
            }
            EventKind::Ended {
                tenant,
                wave,
                epoch,
                outcome,
                ..
            } => {
                let found = self.left(tenant.as_str(), *wave, epoch.0);
                self.ended.insert(tenant.to_string(), (*wave, *outcome));
                found
            }
            EventKind::Released {
                tenant,
                wave,
                epoch,
                ..
            } => self.left(tenant.as_str(), *wave, epoch.0),
            EventKind::Swept { wave, .. } => {
                let deferred = (*wave, Outcome::Deferred);
                self.ended.retain(|_, ended| *ended != deferred);
                Vec::new()
            }
            EventKind::Halted { .. } | EventKind::Paused { .. } | EventKind::Cancelled { .. } => {
                self.halted = true;
                Vec::new()
            }
            EventKind::Resumed { .. } => {
                self.halted = false;
                Vec::new()
            }
            EventKind::Retried { .. } => {
                // The event does not say whom; they have ended, so any of them may start again. A paused rollout stays
                // so, which only its `resumed` would tell from a halted one.
                self.ended.clear();
                self.halted = false;
                Vec::new()
            }
            EventKind::Skipped { tenant, wave, .. } => {
                self.ended
                    .insert(tenant.to_string(), (*wave, Outcome::Skipped));
                Vec::new()
            }
            EventKind::TenantCancelled {
                tenant,
                wave,
                outcome,
                ..
            } => {
                self.ended.insert(tenant.to_string(), (*wave, *outcome));
                Vec::new()
            }
            EventKind::Amended { .. } | EventKind::CancelAsked { .. } => Vec::new(),
            EventKind::Held { .. }
            | EventKind::HoldEnded { .. }
            | EventKind::Waiting { .. }
            | EventKind::Submitted { .. }
            | EventKind::WaveOpened { .. }
            | EventKind::GateMeasured { .. }
            | EventKind::GateJudged { .. }
            | EventKind::GateSkipped { .. }
            | EventKind::Finished { .. } => Vec::new(),
        }
    }

    fn started(&mut self, tenant: &str, wave: usize, epoch: i64, takeover: bool) -> Vec<String> {
        let mut found = self.grows(tenant, epoch);
        // A claim that is taken over is in flight already: after a halt it is only resolved.
        if self.halted && !takeover {
            found.push(format!("{tenant} started after the halt"));
        }
        if self.flying.contains_key(tenant) != takeover {
            found.push(if takeover {
                format!("{tenant} was taken over from nobody")
            } else {
                format!("{tenant} started while it was in flight")
            });
        }
        if self.ended.contains_key(tenant) {
            found.push(format!("{tenant} started after it had ended"));
        }
        self.flying.insert(tenant.to_owned(), (wave, epoch));
        found
    }

    fn left(&mut self, tenant: &str, wave: usize, epoch: i64) -> Vec<String> {
        match self.flying.remove(tenant) {
            Some(claim) if claim == (wave, epoch) => Vec::new(),
            Some((_, newest)) => vec![format!(
                "{tenant} ended as epoch {epoch}, in flight is {newest}"
            )],
            None => vec![format!("{tenant} ended and was not in flight")],
        }
    }

    fn grows(&mut self, tenant: &str, epoch: i64) -> Vec<String> {
        match self.newest.insert(tenant.to_owned(), epoch) {
            Some(before) if before >= epoch => {
                vec![format!("{tenant} got epoch {epoch} after {before}")]
            }
            _ => Vec::new(),
        }
    }

    /// More in flight than the plan printed.
    fn too_many(&self, history: &History) -> Option<String> {
        let mut by_wave = vec![0; history.most_in_wave.len()];
        for (wave, _) in self.flying.values() {
            match by_wave.get_mut(*wave) {
                Some(n) => *n += 1,
                None => {
                    return Some(format!(
                        "a tenant of wave {wave}, which the plan lacks, is in flight"
                    ));
                }
            }
        }
        let all = self.flying.len() as u64;
        if all > history.most {
            return Some(format!(
                "{all} in flight, the plan printed {}",
                history.most
            ));
        }
        let over = by_wave
            .iter()
            .zip(&history.most_in_wave)
            .position(|(n, most)| n > most)?;
        Some(format!(
            "{} of wave {over} in flight, the plan printed {}",
            by_wave[over], history.most_in_wave[over]
        ))
    }
}
