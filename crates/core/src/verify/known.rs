//! What the control store knows of a tenant by the rollouts that it was in, up and down.

use std::collections::BTreeSet;

use crate::direction::Direction;
use crate::ids::Version;
use crate::outcome::Outcome;

/// What one rollout says of a tenant.
#[derive(Clone, Copy, Debug)]
pub struct Word<'a> {
    /// Which way it led.
    pub direction: Direction,
    /// The version it led to.
    pub version: &'a Version,
    /// What became of the tenant in it.
    pub outcome: Outcome,
    /// What it applied, or took back, by evidence.
    pub applied: &'a [Version],
}

/// What follows from the words of several rollouts, the oldest first.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Known {
    /// Every version of the bundle up to this one has been in effect, and is, but for what was taken back since.
    pub reached: Option<Version>,
    /// Versions that were applied, by evidence, and not taken back since.
    pub applied: BTreeSet<Version>,
    /// Versions that were taken back, by evidence, and not applied since.
    pub undone: BTreeSet<Version>,
}

impl Known {
    /// Adds the word of the next rollout.
    #[must_use]
    pub fn then(mut self, word: Word<'_>) -> Self {
        let got_there = matches!(word.outcome, Outcome::Succeeded | Outcome::UpToDate);
        match word.direction {
            Direction::Up => {
                self.undone.retain(|v| !word.applied.contains(v));
                self.applied.extend(word.applied.iter().cloned());
                if got_there {
                    self.undone.retain(|v| v > word.version);
                    self.reached = self.reached.max(Some(word.version.clone()));
                }
            }
            Direction::Down => {
                self.applied.retain(|v| !word.applied.contains(v));
                self.undone.extend(word.applied.iter().cloned());
                if got_there {
                    // Nothing above it is in effect. What is below it was not looked at.
                    self.applied.retain(|v| v <= word.version);
                    let lower = |reached: Version| reached.min(word.version.clone());
                    self.reached = self.reached.map(lower);
                }
            }
        }
        self
    }

    /// Whether the version ought to be in effect.
    pub(super) fn is_due(&self, version: &Version) -> bool {
        let reached = Some(version) <= self.reached.as_ref();
        (reached || self.applied.contains(version)) && !self.undone.contains(version)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::version;

    fn word<'a>(
        direction: Direction,
        version: &'a Version,
        outcome: Outcome,
        applied: &'a [Version],
    ) -> Word<'a> {
        Word {
            direction,
            version,
            outcome,
            applied,
        }
    }

    fn due(known: &Known) -> Vec<u32> {
        (1..=5).filter(|n| known.is_due(&version(*n))).collect()
    }

    #[test]
    fn what_was_taken_back_is_not_due_until_it_is_applied_again() {
        use Direction::{Down, Up};
        use Outcome::{Failed, Partial, Succeeded, UpToDate};
        let (two, three, four) = (version(2), version(3), version(4));
        let known = Known::default().then(word(Up, &four, UpToDate, &[]));
        assert_eq!(due(&known), [1, 2, 3, 4]);
        let half = known.clone().then(word(Down, &two, Partial, &[version(4)]));
        assert_eq!(due(&half), [1, 2, 3]);
        let down = half.then(word(Down, &two, Succeeded, &[version(3)]));
        assert_eq!(due(&down), [1, 2]);
        assert_eq!(down.undone, [version(3), version(4)].into());
        let again = down.clone().then(word(Up, &four, Failed, &[version(3)]));
        assert_eq!(due(&again), [1, 2, 3]);
        assert_eq!(again.undone, [version(4)].into());
        let up = again.then(word(Up, &three, Succeeded, &[]));
        assert_eq!(due(&up), [1, 2, 3]);
        assert_eq!(
            due(&up.then(word(Up, &four, Succeeded, &[version(4)]))),
            [1, 2, 3, 4]
        );
    }

    #[test]
    fn the_way_down_says_nothing_of_what_stays() {
        use Outcome::UpToDate;
        let (two, three) = (version(2), version(3));
        let below = Known::default().then(word(Direction::Up, &two, UpToDate, &[]));
        let below = below.then(word(Direction::Down, &three, UpToDate, &[]));
        assert_eq!(due(&below), [1, 2]);
        let unknown = Known::default().then(word(Direction::Down, &three, UpToDate, &[]));
        assert_eq!(due(&unknown), [0; 0]);
    }
}
