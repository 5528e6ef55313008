//! Which way a rollout takes its tenants.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::ledger::RowState;

/// Which way a rollout takes its tenants: versions are applied, or taken back.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(rename_all = "snake_case")]
pub enum Direction {
    /// Versions are applied, the oldest first. What was stored before there was a direction means this.
    #[default]
    Up,
    /// Versions are taken back, the newest first, by their Down sections.
    Down,
}

impl Direction {
    /// The name used in JSON and the store.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Up => "up",
            Self::Down => "down",
        }
    }

    /// The direction of that name.
    pub fn parse(name: &str) -> Option<Self> {
        [Self::Up, Self::Down]
            .into_iter()
            .find(|direction| direction.as_str() == name)
    }

    /// Whether it is up: then plans and rollouts do not mention it, and keep their hashes.
    pub fn is_up(&self) -> bool {
        *self == Self::Up
    }

    /// What the ledger row of a version says once it has gone this way.
    pub fn done(self) -> RowState {
        match self {
            Self::Up => RowState::Applied,
            Self::Down => RowState::Reverted,
        }
    }
}

impl fmt::Display for Direction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn directions_are_read_as_they_are_written() {
        for direction in [Direction::Up, Direction::Down] {
            assert_eq!(Direction::parse(direction.as_str()), Some(direction));
            let json = serde_json::to_string(&direction).unwrap();
            assert_eq!(json, format!("\"{direction}\""));
        }
        assert_eq!(Direction::parse("sideways"), None);
        assert!(Direction::default().is_up());
    }
}
