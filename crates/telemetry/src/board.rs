//! Values that are shown for as long as somebody stands behind them.
//!
//! A recorder keeps a gauge for ever. What only a leader knows, or what belongs to one rollout, must vanish when the
//! leader is another or the rollout is long over; so it stands on a board, and every scrape reads the boards anew.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError, Weak};

use crate::metric::{Gauge, Sample};

/// What a board reads when somebody looks.
type Source = dyn Fn() -> Samples + Send + Sync;

static BOARDS: Mutex<Vec<Weak<Source>>> = Mutex::new(Vec::new());

/// Values of gauges, collected to be shown together.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Samples(Vec<Sample>);

impl Samples {
    /// Adds one value.
    pub fn set<const N: usize>(&mut self, gauge: &'static Gauge<N>, labels: [&str; N], value: f64) {
        self.0.push(gauge.sample(labels, value));
    }

    /// Adds one series for each name: 1 where it is the one, 0 elsewhere.
    pub fn choose<'l, const N: usize>(
        &mut self,
        gauge: &'static Gauge<N>,
        labels: impl Fn(&'static str) -> [&'l str; N],
        names: &[&'static str],
        chosen: &str,
    ) {
        for name in names {
            self.set(gauge, labels(name), f64::from(u8::from(*name == chosen)));
        }
    }

    /// Adds all of another's.
    pub fn append(&mut self, mut other: Self) {
        self.0.append(&mut other.0);
    }

    /// All of them.
    pub fn iter(&self) -> impl Iterator<Item = &Sample> {
        self.0.iter()
    }
}

/// A place where one part of the process shows values as they are when somebody looks. What it shows ends with it.
pub struct Live(#[expect(dead_code, reason = "held so that scrapes find it")] Arc<Source>);

impl Live {
    /// Asks `source` at every scrape of this process from now on.
    pub fn new(source: impl Fn() -> Samples + Send + Sync + 'static) -> Self {
        let source: Arc<Source> = Arc::new(source);
        let mut boards = BOARDS.lock().unwrap_or_else(PoisonError::into_inner);
        boards.retain(|board| board.strong_count() > 0);
        boards.push(Arc::downgrade(&source));
        Self(source)
    }
}

impl fmt::Debug for Live {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Live")
    }
}

/// A place where one part of the process shows values that it has come to know. What it shows ends with it.
#[derive(Debug)]
pub struct Board {
    shown: Arc<Mutex<Samples>>,
    _live: Live,
}

impl Board {
    /// An empty board, read by every scrape of this process from now on.
    pub fn new() -> Self {
        let shown = Arc::new(Mutex::new(Samples::default()));
        let read = Arc::clone(&shown);
        let live = Live::new(move || read.lock().unwrap_or_else(PoisonError::into_inner).clone());
        Self { shown, _live: live }
    }

    /// Shows these, and nothing of before.
    pub fn show(&self, samples: Samples) {
        *self.shown.lock().unwrap_or_else(PoisonError::into_inner) = samples;
    }

    /// Shows nothing any more.
    pub fn clear(&self) {
        self.show(Samples::default());
    }
}

impl Default for Board {
    fn default() -> Self {
        Self::new()
    }
}

/// What all boards show now.
pub(crate) fn shown() -> Samples {
    let boards: Vec<_> = {
        let boards = BOARDS.lock().unwrap_or_else(PoisonError::into_inner);
        boards.iter().filter_map(Weak::upgrade).collect()
    };
    let mut all = Samples::default();
    for source in boards {
        all.append(source());
    }
    all
}
