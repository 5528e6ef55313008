//! What a metric is: a name, a kind, its labels, and how a value gets into it.
//!
//! The number of labels is part of the type, so that a metric cannot be recorded with one too many or too few.

use std::time::Duration;

use metrics::{Key, Label, Level, Metadata};

/// How values of a metric are kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Only grows, from 0 at the start of the process.
    Counter,
    /// Is what it is now.
    Gauge,
    /// Counts durations, in seconds, by buckets.
    Histogram,
}

/// What there is to know of a metric without a value.
#[derive(Debug)]
pub struct About {
    /// The whole name, as Prometheus sees it.
    pub name: &'static str,
    /// How its values are kept.
    pub kind: Kind,
    /// The names of its labels; `fleet` is on every series and not among them.
    pub labels: &'static [&'static str],
    /// What it says, in one sentence.
    pub help: &'static str,
    /// The upper bounds of a histogram's buckets, in seconds; empty for the others.
    pub buckets: &'static [f64],
}

const METADATA: Metadata<'static> = Metadata::new(module_path!(), Level::INFO, None);

impl About {
    fn key(&self, values: &[&str]) -> Key {
        let pairs = self.labels.iter().zip(values);
        let labels = pairs.map(|(name, value)| Label::new(*name, (*value).to_owned()));
        Key::from_parts(self.name, labels.collect::<Vec<_>>())
    }
}

/// A number that only grows.
#[derive(Debug)]
pub struct Counter<const N: usize>(pub(crate) About);

impl<const N: usize> Counter<N> {
    /// Counts one more.
    pub fn one(&self, labels: [&str; N]) {
        self.more(labels, 1);
    }

    /// Counts so many more; with 0 the series is there from then on, which tells "none yet" from "not known".
    pub fn more(&self, labels: [&str; N], count: u64) {
        let key = self.0.key(&labels);
        metrics::with_recorder(|to| to.register_counter(&key, &METADATA).increment(count));
    }
}

/// A number as it is now.
#[derive(Debug)]
pub struct Gauge<const N: usize>(pub(crate) About);

impl<const N: usize> Gauge<N> {
    /// Sets it. It keeps the value until it is set again: what may vanish belongs on a [`Board`](crate::Board).
    pub fn set(&self, labels: [&str; N], value: f64) {
        self.set_in(&labels, value);
    }

    pub(crate) fn sample(&'static self, labels: [&str; N], value: f64) -> Sample {
        Sample {
            about: &self.0,
            labels: labels.map(str::to_owned).into(),
            value,
        }
    }

    fn set_in(&self, labels: &[&str], value: f64) {
        let key = self.0.key(labels);
        metrics::with_recorder(|to| to.register_gauge(&key, &METADATA).set(value));
    }
}

/// Durations by buckets.
#[derive(Debug)]
pub struct Histogram<const N: usize>(pub(crate) About);

impl<const N: usize> Histogram<N> {
    /// Takes one more duration in.
    pub fn took(&self, labels: [&str; N], duration: Duration) {
        let key = self.0.key(&labels);
        metrics::with_recorder(|to| {
            to.register_histogram(&key, &METADATA)
                .record(duration.as_secs_f64());
        });
    }
}

/// One value of a gauge that is shown as long as whoever shows it says so.
#[derive(Clone, Debug, PartialEq)]
pub struct Sample {
    about: &'static About,
    labels: Vec<String>,
    value: f64,
}

impl PartialEq for About {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name
    }
}

impl Sample {
    /// The metric's name.
    pub fn name(&self) -> &'static str {
        self.about.name
    }

    /// The values of its labels, in the order of the catalogue.
    pub fn labels(&self) -> &[String] {
        &self.labels
    }

    /// The value.
    pub fn value(&self) -> f64 {
        self.value
    }

    pub(crate) fn record(&self, to: &dyn metrics::Recorder) {
        let labels: Vec<_> = self.labels.iter().map(String::as_str).collect();
        let key = self.about.key(&labels);
        to.register_gauge(&key, &METADATA).set(self.value);
    }
}
