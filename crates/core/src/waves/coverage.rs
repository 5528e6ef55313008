//! A wave chosen by what it covers: each value of some keys is among its tenants.

use super::share::{share_down, share_up};

/// The key that stands for the engine of a tenant's host (`postgres`, `sqlite`).
pub const ENGINE: &str = "engine";
/// The key that stands for engine and major version of a tenant's host (`postgres 16`).
pub const ENGINE_MAJOR: &str = "engine_major";
/// The key that stands for a tenant's host.
pub const HOST: &str = "host";
/// The key that stands for the hash of a tenant's normalised catalog.
pub const FINGERPRINT: &str = "fingerprint";

/// Which values a wave should cover, and how many tenants it may take for that.
#[derive(Clone, Debug, PartialEq)]
pub struct Coverage {
    /// The keys: [`ENGINE`], [`ENGINE_MAJOR`], [`HOST`], [`FINGERPRINT`], or labels. Single values are covered, not combinations.
    pub keys: Vec<String>,
    /// At least so many tenants, even where fewer cover everything and where `max` is less.
    pub min: u32,
    /// At most so many, even where values stay uncovered; a share is of all planned tenants, rounded up.
    pub max: Amount,
}

impl Default for Coverage {
    /// Every engine, major version and catalog, at least 5 tenants, at most 2 % of the fleet.
    fn default() -> Self {
        Self {
            keys: [ENGINE, ENGINE_MAJOR, FINGERPRINT].map(Into::into).into(),
            min: 5,
            max: Amount::Percent(2.0),
        }
    }
}

impl Coverage {
    /// The most tenants that it takes of so many planned ones.
    pub fn most(&self, planned: u64) -> u64 {
        u64::from(self.max.up(planned).max(self.min))
    }

    /// Whether it covers the values of this key.
    pub fn has(&self, key: &str) -> bool {
        self.keys.iter().any(|k| k == key)
    }
}

/// So many tenants, or a share of a number that is known later.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Amount {
    /// So many.
    Count(u32),
    /// So many per cent.
    Percent(f64),
}

impl Amount {
    /// Of so many tenants; a share is rounded up.
    pub fn up(self, planned: u64) -> u32 {
        match self {
            Self::Count(n) => n,
            Self::Percent(percent) => share_up(percent, planned),
        }
    }

    /// Of so many tenants; a share is rounded down.
    pub fn down(self, planned: u64) -> u32 {
        match self {
            Self::Count(n) => n,
            Self::Percent(percent) => share_down(percent, planned),
        }
    }

    /// What `5` and `2%` mean; `None` for anything else, and for a share that is not from 0 to 100.
    pub fn parse(text: &str) -> Option<Self> {
        let text = text.trim();
        match text.strip_suffix('%') {
            Some(percent) => percent
                .trim_end()
                .parse()
                .ok()
                .filter(|percent| (0.0..=100.0).contains(percent))
                .map(Self::Percent),
            None => text.parse().ok().map(Self::Count),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_amount_is_a_number_or_a_share() {
        assert_eq!(Amount::parse("5"), Some(Amount::Count(5)));
        assert_eq!(Amount::parse(" 2.5 %"), Some(Amount::Percent(2.5)));
        for wrong in ["", "%", "-1", "101%", "2 percent", "nan%"] {
            assert_eq!(Amount::parse(wrong), None, "{wrong}");
        }
        let share = Amount::Percent(1.0);
        assert_eq!((share.down(150), share.up(150)), (1, 2));
    }

    #[test]
    fn the_least_wins_over_the_most() {
        let coverage = Coverage::default();
        assert_eq!([10, 250, 1_000].map(|n| coverage.most(n)), [5, 5, 20]);
    }
}
