//! Waves: one after the other, opened once.

use std::collections::BTreeSet;

use sanderling_core::{Event, EventKind};

/// A wave's first start comes after the last end of the wave before, and after its own opening. A retry sends a
/// rollout back to waves that had ended: those that are open then run side by side.
pub(super) fn violations(events: &[Event]) -> Vec<String> {
    let mut found = Vec::new();
    let mut opened = BTreeSet::new();
    // The furthest wave that anything was started in.
    let mut furthest = 0;
    // Up to this one, waves may run side by side.
    let mut mixed = 0;
    for event in events {
        let mut say = |what: String| found.push(format!("event {}: {what}", event.seq));
        match &event.kind {
            EventKind::WaveOpened { wave } => {
                if !opened.insert(*wave) {
                    say(format!("wave {wave} was opened twice"));
                }
                if *wave > 0 && !opened.contains(&(wave - 1)) {
                    say(format!("wave {wave} was opened before wave {}", wave - 1));
                }
            }
            EventKind::Started { tenant, wave, .. } => {
                if !opened.contains(wave) {
                    say(format!(
                        "{tenant} started in wave {wave}, which is not open"
                    ));
                }
                if *wave < furthest && furthest > mixed {
                    say(format!(
                        "{tenant} of wave {wave} started after wave {furthest} had begun"
                    ));
                }
                furthest = furthest.max(*wave);
            }
            EventKind::Ended { tenant, wave, .. } | EventKind::Released { tenant, wave, .. }
                if *wave < furthest && furthest > mixed =>
            {
                say(format!(
                    "{tenant} of wave {wave} ended after wave {furthest} had begun"
                ));
            }
            EventKind::Retried { .. } => mixed = opened.last().copied().unwrap_or(0),
            _ => {}
        }
    }
    found
}
