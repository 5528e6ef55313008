//! Limits of time, counted beside what is folded: when the first of them is reached.

use std::collections::BTreeMap;

use sanderling_core::rollout::Wave;
use sanderling_core::{EventKind, RolloutState};

use crate::driver::{Dice, Driver};

/// When things moved, remembered beside what was folded. In the microseconds of the driver's clock.
#[derive(Default)]
pub(crate) struct Times {
    /// When the rollout last went on after it stood still, or was retried.
    pub(crate) went_on: i64,
    /// Of each wave: since when it counts, and when it last moved.
    pub(crate) waves: BTreeMap<usize, (i64, i64)>,
}

impl Driver {
    /// What moved by an event, told by the event and by which waves had something left before and after.
    pub(crate) fn note(&mut self, kind: &EventKind, through: &[bool], ran: bool) {
        let clock = self.clock;
        let runs = self.rollout.state == RolloutState::Running;
        if matches!(kind, EventKind::Retried { .. }) || (runs && !ran) {
            self.times.went_on = clock;
        }
        let mut moves = |wave: usize, at: i64| {
            let times = self.times.waves.entry(wave).or_insert((clock, clock));
            times.1 = times.1.max(at);
        };
        match kind {
            // What moved before it was open does not count.
            EventKind::WaveOpened { wave } => {
                self.times.waves.insert(*wave, (clock, clock));
            }
            EventKind::Swept { wave, .. }
            | EventKind::Started {
                wave,
                takeover: false,
                ..
            }
            | EventKind::Ended { wave, .. } => moves(*wave, clock),
            EventKind::Released {
                wave, not_before, ..
            } => moves(*wave, not_before.map_or(clock, |at| at.0)),
            EventKind::HoldEnded { targets, .. } => {
                for (wave, _) in targets.iter().filter(|(_, n)| *n > 0) {
                    moves(*wave, clock);
                }
            }
            _ => {}
        }
        for (index, wave) in self.rollout.waves.iter().enumerate() {
            if wave.opened_at.is_some() && through[index] && !wave.has_ended() {
                let at = self.times.waves.entry(index).or_default();
                *at = (clock, clock.max(at.1));
            }
        }
    }

    /// Time goes by, in which nothing happens.
    pub(crate) fn pass(&mut self, dice: &mut Dice) {
        self.clock += (0..dice.roll(6)).map(|_| 1_000).sum::<i64>();
    }

    /// When the first limit of time is reached, by what was remembered.
    pub(crate) fn due(&self) -> Option<i64> {
        if self.rollout.state != RolloutState::Running {
            return None;
        }
        let went_on = self.times.went_on;
        let plus = |since: i64, ms: Option<u64>| {
            ms.map(|ms| since.max(went_on) + 1_000 * ms.cast_signed())
        };
        let busy = |wave: &&(usize, &Wave)| wave.1.opened_at.is_some() && !wave.1.has_ended();
        let waves: Vec<(usize, &Wave)> = self.rollout.waves.iter().enumerate().collect();
        let mut dues = Vec::new();
        for (index, wave) in waves.iter().filter(busy) {
            let (since, moved) = self.times.waves[index];
            dues.push(plus(since, wave.limits.max_duration_ms));
            dues.push(plus(moved, wave.limits.stall_after_ms));
        }
        let limits = &self.rollout.policy.limits;
        let moved = waves
            .iter()
            .filter(busy)
            .map(|(i, _)| self.times.waves[i].1);
        dues.extend(moved.max().map(|moved| plus(moved, limits.stall_after_ms)));
        let begun = self.rollout.waves.first().and_then(|w| w.opened_at);
        let left = |(_, wave): &(usize, &Wave)| wave.opened_at.is_none() || !wave.has_ended();
        if let Some(begun) = begun.filter(|_| waves.iter().any(left)) {
            dues.push(plus(begun.0, limits.max_duration_ms));
        }
        dues.into_iter().flatten().min()
    }
}
